"""What a network costs, from the shapes of its layers: parameters, FLOPs, memory.

Nothing is built, so that networks that would not fit into memory can be counted too.
"""

from collections.abc import Iterator
from typing import NamedTuple

from keras_cfebm.configs.run_config import NetworkConfig, RunConfig
from keras_cfebm.layers.levels import level_widths, levels_of

_FLOAT = 4  # bytes


class Convolution(NamedTuple):
    """One convolution or dense layer, as stored and as computed.

    Attributes:
        name: str, `<block>/<layer>`.
        size: int, height and width of the kernel.
        inputs: int, input channels of the stored kernel.
        filters: int, output channels.
        side: int, height and width of what it computes; 0 if it is composed with
            another layer and never runs by itself.
        computed_inputs: int, input channels of the kernel that runs: where a 1×1
            convolution from the image is composed with it, those of the image and a
            constant one.
    """

    name: str
    size: int
    inputs: int
    filters: int
    side: int
    computed_inputs: int

    @property
    def parameters(self) -> int:
        """Number of weights, the biases included."""
        return (self.size**2 * self.inputs + 1) * self.filters

    @property
    def flops(self) -> int:
        """Multiplications and additions of one forward pass over one image."""
        return 2 * self.size**2 * self.computed_inputs * self.filters * self.side**2


def convolutions(
    resolution: int, channels: int, config: NetworkConfig
) -> Iterator[Convolution]:
    """The layers of an `EnergyNetwork` without fade path, from image to energy.

    Args:
        resolution: int, side of the images.
        channels: int, image channels.
        config: `NetworkConfig`.

    Yields:
        `Convolution`s.
    """
    base = config.base_resolution
    for level, (width, inner, filters) in _widths(resolution, config).items():
        below, computed = -(-level // 2), width
        name = f"residual_{level}"
        if level == resolution:
            yield Convolution(f"from_image_{level}", 1, channels, width, 0, 0)
            computed = channels + 1
        yield Convolution(f"{name}/conv1", 3, width, inner, level, computed)
        yield Convolution(f"{name}/conv2", 3, inner, filters, below, inner)
        yield Convolution(f"{name}/skip", 1, width, filters, below, computed)
    side = -(-base // 2)
    yield Convolution("head/conv", 3, filters, filters, side, filters)
    yield Convolution("head/to_vector", side, filters, filters, 1, filters)
    yield Convolution("head/linear", 1, filters, 1, 1, filters)


def network_parameters(
    resolution: int,
    channels: int,
    config: NetworkConfig,
    num_classes: int | None = None,
) -> int:
    """Number of trainable weights of those layers, and of `num_classes` classes."""
    layers = list(convolutions(resolution, channels, config))
    embedding = (num_classes or 0) * layers[-1].inputs
    return sum(layer.parameters for layer in layers) + embedding


def ladder_parameters(
    resolution: int,
    channels: int,
    config: NetworkConfig,
    num_classes: int | None = None,
) -> int:
    """The same of all networks from the base resolution on, up to `resolution`."""
    levels = levels_of(resolution, config.base_resolution)
    return sum(
        network_parameters(level, channels, config, num_classes) for level in levels
    )


def langevin_step_flops(resolution: int, channels: int, config: NetworkConfig) -> int:
    """Multiplications and additions of convolutions in one Langevin step, per image.

    The gradient of a convolution in its input costs as much as the convolution. What
    depends on weights only is done once per chain, and element-wise work is left out.
    Arguments as for `convolutions`.
    """
    return 2 * sum(c.flops for c in convolutions(resolution, channels, config))


def training_bytes(config: RunConfig, channels: int) -> int:
    """Estimates what a training step of the last stage holds in memory at its peak.

    Weights: of the finest network with gradient, two moments of Adam and the average,
    and of the frozen ones. Activations: of each block the maps that the gradient of the
    loss needs, for the positives and negatives of one part of the batch.

    Args:
        config: `RunConfig`.
        channels: int, image channels.

    Returns:
        int, bytes.
    """
    stage, network = config.stages[-1], config.network
    own = network_parameters(stage.resolution, channels, network)
    ladder = ladder_parameters(stage.resolution, channels, network)
    weights = 5 * own + (ladder - own)
    maps = sum(
        (width + 2 * inner) * level**2 + 4 * filters * (level // 2) ** 2
        for level, (width, inner, filters) in _widths(stage.resolution, network).items()
    )
    images = 2 * stage.batch_size // (stage.accumulation or 1)
    return _FLOAT * (weights + images * maps)


def _widths(resolution, config):
    return level_widths(
        resolution,
        config.base_resolution,
        config.base_width,
        config.widths,
        config.inner,
    )
