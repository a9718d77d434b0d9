"""The networks of `benchmarks.langevin` and their weights as plain arrays."""

import keras
import numpy as np

from keras_cfebm.layers.levels import levels_of
from keras_cfebm.network import EnergyNetwork

BASE_RESOLUTION = 8


def make_ladder(resolution, channels, base_width, dtype):
    """Networks of random weights, coarsest first; the same ones for every dtype.

    Biases are not zero, so that a contender that treats them wrongly (say, in the zero
    padding) is found out. The singular vectors are exact, so that it makes no
    difference whether a contender moves them on as it goes.

    Args:
        resolution: int, side of the finest images.
        channels: int, image channels.
        base_width: int, see `keras_cfebm.network.default_width`.
        dtype: str, Keras' dtype policy.

    Returns:
        List of `EnergyNetwork`s.
    """
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    ladder = []
    for level in levels_of(resolution, BASE_RESOLUTION):
        network = EnergyNetwork(
            level,
            channels=channels,
            base_resolution=BASE_RESOLUTION,
            base_width=base_width,
            dtype=dtype,
        )
        for weight in network.trainable_weights:
            if weight.name == "bias":
                weight.assign(rng.normal(scale=0.3, size=weight.shape))
        for convolution in network.spectral_convolutions():
            kernel = np.asarray(convolution.kernel)
            matrix = kernel.reshape(-1, convolution.filters)
            convolution.right_vector.assign(np.linalg.svd(matrix)[2][0])
        ladder.append(network)
    return ladder


def layer_weights(network):
    """The weights of a network without a fade path, as plain arrays.

    Args:
        network: `EnergyNetwork`.

    Returns:
        Dict of layer name → (kernel, bias, right singular vector or None), from the
        image to the energy, in Keras' layouts.
    """
    first, *others = network.blocks
    layers = {"from_image": first.from_image}
    for block in (first.residual, *others):
        for name in ("conv1", "conv2", "skip"):
            layers[f"{block.name}/{name}"] = getattr(block, name)
    for name in ("conv", "to_vector", "linear"):
        layers[f"head/{name}"] = getattr(network.head, name)
    return {
        name: tuple(
            None if weight is None else np.asarray(weight).copy()
            for weight in (
                layer.kernel,
                layer.bias,
                getattr(layer, "right_vector", None),
            )
        )
        for name, layer in layers.items()
    }
