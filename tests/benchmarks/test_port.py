"""Weights of the authors' layout arrive at their places."""

import math
import pathlib

import numpy as np
import pytest
from keras import ops

from keras_cfebm.layers.activations import ACTIVATIONS

ROOT = pathlib.Path(__file__).parents[2]
WIDTHS = (1, 2, 4, 8, 16, 32, 32, 32, 32)  # base 8, from 512 pixels down to 4, and less


@pytest.fixture(scope="module")
def port():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        from benchmarks import _authors_layers

        yield _authors_layers


@pytest.fixture(scope="module")
def state():
    """Random weights under their names, norms converged."""
    rng, found = np.random.default_rng(0), {}

    def add(name, *shape, spectral=False):
        found[f"{name}.weight_orig"] = rng.normal(size=shape)
        found[f"{name}.bias"] = 0.3 * rng.normal(size=shape[0])
        if spectral:
            matrix = found[f"{name}.weight_orig"].reshape(shape[0], -1)
            found[f"{name}.weight_u"] = np.linalg.svd(matrix)[0][:, 0]

    for index, width in enumerate(WIDTHS):
        out = WIDTHS[min(index + 1, len(WIDTHS) - 1)]
        add(f"from_rgb.{index}.conv", width, 3, 1, 1)
        add(f"progression.{index}.conv1.0", out, width, 3, 3, spectral=True)
        add(f"progression.{index}.conv2.0", out, out, 3, 3, spectral=True)
        add(f"progression.{index}.skip.0.conv", out, width, 1, 1)
    add("final_conv.conv1.0", 32, 32, 3, 3, spectral=True)
    add("final_conv.conv2.0", 32, 32, 4, 4, spectral=True)
    add("linear.linear", 1, 32)
    return {name: array.astype("float32") for name, array in found.items()}


def their_energy(state, x, blocks, beta):
    """−f as the paper and their code have it, written down once more."""
    swish = ACTIVATIONS["swish"]

    def convolve(x, name, padding="same"):
        kernel = state[f"{name}.weight_orig"]
        if f"{name}.weight_u" in state:
            matrix = kernel.reshape(len(kernel), -1)
            kernel = kernel / float(np.linalg.norm(matrix, ord=2))
        else:
            kernel = kernel * math.sqrt(2 / kernel[0].size)
        kernel = kernel.transpose(2, 3, 1, 0)
        return ops.conv(x, kernel, padding=padding) + state[f"{name}.bias"]

    def pool(x):
        return ops.average_pool(x, 2, padding="valid")

    y = convolve(x, f"from_rgb.{blocks[0]}.conv")
    for index in blocks:
        name = f"progression.{index}"
        main = swish(convolve(y, f"{name}.conv1.0"))
        main = swish(pool(convolve(main, f"{name}.conv2.0")))
        y = (main + pool(convolve(y, f"{name}.skip.0.conv"))) / math.sqrt(2)
        if index == blocks[0]:
            old = convolve(pool(x), f"from_rgb.{index + 1}.conv")
            y = beta * y + (1 - beta) * old
    y = swish(convolve(y, "final_conv.conv1.0"))
    y = swish(convolve(y, "final_conv.conv2.0", "valid"))[:, 0, 0]
    kernel = state["linear.linear.weight_orig"] * math.sqrt(2 / 32)
    return -(y @ kernel.T + state["linear.linear.bias"])[:, 0]


@pytest.mark.parametrize(("step", "beta"), [(1, 1.0), (4, 1.0), (4, 0.3)])
def test_both_are_the_same_function(port, state, noise_images, step, beta):
    from benchmarks._package import assign

    layers = port.layers_of(state, step)
    if beta == 1:
        layers.pop(f"from_image_{2 << step}", None)
    network = port.network_of(layers, fading=beta < 1)
    if beta < 1:
        network.beta = beta
    assign(network, layers)
    x = noise_images(2, 4 << step, 3)
    # Of nine blocks that of step s is number 8 − s, and 8 pixels have number 7.
    expected = their_energy(state, x, range(8 - step, 8), beta)
    assert np.std(expected) > 1e-3
    np.testing.assert_allclose(network(x), expected, rtol=1e-4)
