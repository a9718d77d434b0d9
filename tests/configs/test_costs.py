"""Costs counted from shapes alone are those of the networks that are built."""

import dataclasses
import math

import pytest
import tensorflow as tf

from keras_cfebm import EnergyNetwork, configs
from keras_cfebm.configs import costs
from keras_cfebm.configs.run_config import NetworkConfig


def trainable(network):
    return sum(math.prod(weight.shape) for weight in network.trainable_weights)


def test_parameters_of_the_authors_network_for_32_pixels_by_hand():
    """Base 32, so 128 channels everywhere; only the blocks that 32 pixels need."""
    conv3 = 3 * 3 * 128 * 128 + 128
    skip = 128 * 128 + 128
    block = 2 * conv3 + skip  # of 32, of 16 and of 8 pixels
    from_image = 3 * 128 + 128
    head = conv3 + (4 * 4 * 128 * 128 + 128) + (128 + 1)
    expected = from_image + 3 * block + head
    assert expected == 1_345_537
    assert costs.network_parameters(32, 3, NetworkConfig(base_width=32)) == expected
    assert trainable(EnergyNetwork(32, base_width=32)) == expected


@pytest.mark.parametrize(
    ("resolution", "base_width", "expected"),
    [
        (64, 32, 1_575_041),
        (128, 32, 1_632_449),
        (256, 32, 1_646_817),
        (512, 48, 3_711_721),
        (256, 16, 412_273),  # translation
    ],
)
def test_parameters_of_the_authors_networks_beyond_32_pixels(
    resolution, base_width, expected
):
    """Counted in their modules by `benchmarks.port_authors`."""
    settings = NetworkConfig(base_width=base_width, inner="output")
    assert costs.network_parameters(resolution, 3, settings) == expected
    if resolution == 64:
        assert costs.network_parameters(64, 3, NetworkConfig()) == 1_464_385


@pytest.mark.parametrize(
    ("resolution", "channels", "settings"),
    [
        (128, 3, {"base_width": 4}),
        (128, 3, {"base_width": 4, "inner": "output", "equalized": True}),
        (28, 1, {"base_width": 2, "base_resolution": 7}),
        (32, 3, {"widths": {4: 5, 8: 6, 16: 7, 32: 8}}),
    ],
)
def test_counted_parameters_are_those_of_the_network(resolution, channels, settings):
    network = EnergyNetwork(resolution, channels=channels, **settings)
    counted = costs.network_parameters(resolution, channels, NetworkConfig(**settings))
    assert counted == trainable(network)


def test_classes_add_the_rows_of_their_embedding():
    settings = NetworkConfig(base_width=2)
    network = EnergyNetwork(16, channels=1, base_width=2, num_classes=5)
    assert costs.network_parameters(16, 1, settings, 5) == trainable(network)
    ladder = trainable(network) + trainable(
        EnergyNetwork(8, channels=1, base_width=2, num_classes=5)
    )
    assert costs.ladder_parameters(16, 1, settings, 5) == ladder


@pytest.mark.parametrize(
    ("resolution", "width", "inner"),
    [(8, 2, "input"), (32, 2, "input"), (128, 4, "input"), (128, 4, "output")],
)
def test_counted_flops_are_those_of_tensorflows_profiler(resolution, width, inner):
    """Of the energy; its input gradient has a product for each of the same products.

    In a graph of the gradient the profiler also counts the gradients of the kernels,
    which nothing asks for and TensorFlow prunes.
    """
    network = EnergyNetwork(resolution, base_width=width, inner=inner)
    images = tf.TensorSpec((1, *network.image_shape), tf.float32)
    energy = tf.function(network.bind(), autograph=False)
    graph = energy.get_concrete_function(images).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    options["account_type_regexes"] = ["Conv2D", "MatMul"]
    profile = tf.compat.v1.profiler.profile(graph, options=options)
    config = NetworkConfig(base_width=width, inner=inner)
    counted = costs.langevin_step_flops(resolution, 3, config)
    assert counted == 2 * profile.total_float_ops


def test_accumulation_lowers_the_estimated_memory():
    config = configs.config("celeb_a_hq_512")
    stages = list(config.stages)
    stages[-1] = dataclasses.replace(stages[-1], accumulation=4)
    whole = costs.training_bytes(config, 3)
    parts = costs.training_bytes(config.replace(stages=tuple(stages)), 3)
    weights = costs.training_bytes(
        config.replace(
            stages=(*stages[:-1], dataclasses.replace(stages[-1], accumulation=16))
        ),
        3,
    )
    assert weights < parts < whole / 2
