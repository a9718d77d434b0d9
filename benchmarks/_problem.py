"""What all contenders of a comparison compute, as plain numbers and NumPy arrays.

Nothing here imports a framework: of each contender's process that is its own choice.
"""

import dataclasses
import math
from typing import Any

import numpy as np

#: How many convolutions are made at once where the peak is measured.
CONVOLUTIONS = 10
#: The convolutions that are divided by their largest singular value.
_SPECTRAL = ("conv1", "conv2", "conv", "to_vector")


@dataclasses.dataclass(frozen=True)
class Problem:
    """A ladder of energies with their weights, and the chain through it.

    Attributes:
        levels: list of int, sides of the images, coarsest first.
        channels: int, image channels.
        base_width, widths, inner: see `keras_cfebm.EnergyNetwork`.
        layers: list, for each level a dict of layer name → (kernel, bias, right
            singular vector or None), from the image to the energy, in Keras' layouts.
            Names are those of `keras_cfebm.configs.costs`.
        step_flops: list of int, for each level those of one Langevin step of a batch.
        batch: int, images per chain.
        steps: int, Langevin steps per level.
        dtype: `"float32"` or `"mixed_bfloat16"`.
        step_size, noise_scale, final_noise_scale, clip: see `keras_cfebm.Langevin`.
    """

    levels: list[int]
    channels: int
    base_width: int
    widths: dict[int, int]
    inner: str
    layers: list[dict[str, tuple]]
    step_flops: list[int]
    batch: int
    steps: int
    dtype: str = "float32"
    step_size: float = 1.0
    noise_scale: float = 0.015
    final_noise_scale: float = 0.0
    clip: tuple[float, float] = (-1.0, 1.0)

    def replace(self, **changes: Any) -> "Problem":
        """A copy with some values changed."""
        return dataclasses.replace(self, **changes)

    def images(self, level: int) -> np.ndarray:
        """The same float32 images `(batch, r, r, channels)` for every contender."""
        shape = (self.batch, self.levels[level], self.levels[level], self.channels)
        rng = np.random.default_rng(self.levels[level])
        return rng.uniform(-1, 1, shape).astype("float32")

    def width(self, level: int) -> int:
        """Channels of the features at a level's full resolution."""
        kernel, _, _ = self.layers[level][f"residual_{self.levels[level]}/conv1"]
        return kernel.shape[2]

    def noise_scales(self, levels: int) -> list[float]:
        """The noise of each step of a chain through that many levels."""
        ends = self.noise_scale, self.final_noise_scale
        return np.linspace(*ends, levels * self.steps).tolist()

    @property
    def chain_flops(self) -> int:
        """Multiplications and additions of a chain through all levels, of a batch."""
        return self.steps * sum(self.step_flops)

    def convolutions_flops(self, level: int) -> int:
        """Those of `CONVOLUTIONS` plain 3×3 convolutions at a level."""
        side, width = self.levels[level], self.width(level)
        return CONVOLUTIONS * self.batch * 2 * 9 * side**2 * width**2

    @property
    def training_flops(self) -> int:
        """Those of a training step.

        After the chain come the energies of positives and negatives, with a gradient in
        features and one in weights: three Langevin steps' worth.
        """
        return self.chain_flops + 3 * self.step_flops[-1]


def random_layers(convolutions: Any, rng: np.random.Generator) -> dict[str, tuple]:
    """Random weights of a network.

    Biases are not zero, so that a contender that treats them wrongly (say, in the zero
    padding) is found out. The singular vectors are exact, so that it makes no
    difference whether a contender moves them on as it goes.

    Args:
        convolutions: iterable of `keras_cfebm.configs.costs.Convolution`.
        rng: NumPy generator.

    Returns:
        A dict as in `Problem.layers`.
    """
    layers = {}
    for layer in convolutions:
        size, right = layer.size, None
        shape = (size, size, layer.inputs, layer.filters)
        kernel = rng.normal(scale=math.sqrt(2 / math.prod(shape[:3])), size=shape)
        if layer.name.rpartition("/")[2] in _SPECTRAL:
            right = np.linalg.svd(kernel.reshape(-1, layer.filters))[2][0]
        if layer.name == "head/linear":
            kernel = kernel[0, 0]
        bias = rng.normal(scale=0.3, size=layer.filters)
        layers[layer.name] = tuple(
            None if array is None else array.astype("float32")
            for array in (kernel, bias, right)
        )
    return layers
