"""The blocks: their rewrites against the plain composition, and spectral norms."""

import json
import math

import keras
import numpy as np
import pytest
from autodiff import value_and_gradients
from keras import ops

from keras_cfebm import layers
from keras_cfebm.layers import activations


def textbook_conv(kernel, bias):
    """A plain `Conv2D` with these weights, which stay those of the gradient."""

    def convolve(x):
        conv = keras.layers.Conv2D(kernel.shape[-1], kernel.shape[0], padding="same")
        conv.build(x.shape)
        with keras.StatelessScope([(conv.kernel, kernel), (conv.bias, bias)]):
            return conv(x)

    return convolve


def textbook_residual(block, x):
    """The block by its definition: `Conv2D`, `AveragePooling2D`, `Add`."""
    activate = keras.layers.Activation(activations.ACTIVATIONS[block.activation])
    pool = keras.layers.AveragePooling2D(2)
    conv1, conv2 = (
        textbook_conv(c.normalized_kernel(), ops.convert_to_tensor(c.bias))
        for c in (block.conv1, block.conv2)
    )
    height, width = x.shape[1:3]
    x = keras.layers.ZeroPadding2D(((0, height % 2), (0, width % 2)))(x)
    main = activate(pool(conv2(activate(conv1(x)))))
    return keras.layers.Add()([main, pool(block.skip(x))]) / math.sqrt(2.0)


def textbook_primal(block, x):
    return textbook_residual(block.residual, block.from_image(x))


def textbook_expand(block, beta, x):
    fade = block.fade.from_image(keras.layers.AveragePooling2D(2)(x))
    primal = textbook_primal(block.primal, x)
    return keras.layers.Add()([beta * primal, (1 - beta) * fade])


def assert_same_function(block, plain, x):
    """Equal outputs, and equal gradients of a weighted sum of them."""
    x = ops.convert_to_tensor(x)
    weights = block.trainable_weights
    expected_y = plain(x)
    np.testing.assert_allclose(block(x), expected_y, rtol=1e-4, atol=1e-5)
    mixing = np.random.default_rng(3).normal(size=tuple(expected_y.shape))
    mixing = ops.convert_to_tensor(mixing.astype("float32"))
    (_, gradients), (_, expected) = (
        value_and_gradients(lambda x, f=f: ops.sum(f(x) * mixing), [x], weights)
        for f in (block, plain)
    )
    names = ["x", *(weight.path for weight in weights)]
    for name, ours, theirs in zip(names, gradients, expected, strict=True):
        scale = float(ops.max(ops.abs(theirs)))
        assert scale > 0, name
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * scale, err_msg=name)


@pytest.fixture
def primal(scramble):
    def make(resolution, channels, activation="swish"):
        keras.utils.set_random_seed(0)
        block = layers.PrimalBlock(
            resolution, width=5, filters=4, activation=activation
        )
        block.build((None, resolution, resolution, channels))
        return scramble(block)

    return make


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [7, 8, 14])
def test_primal_is_its_definition_in_value_and_every_gradient(
    primal, noise_images, size, channels
):
    block = primal(size, channels)
    x = noise_images(3, size, channels)
    assert_same_function(block, lambda x: textbook_primal(block, x), x)


def test_a_block_wider_inside_is_its_definition_too(scramble, noise_images):
    block = layers.PrimalBlock(8, width=3, filters=4, inner_width=6)
    block.build((None, 8, 8, 3))
    scramble(block)
    assert block.residual.conv1.kernel.shape == (3, 3, 3, 6)
    assert block.residual.conv2.kernel.shape == (3, 3, 6, 4)
    x = noise_images(2, 8, 3)
    assert_same_function(block, lambda x: textbook_primal(block, x), x)


@pytest.mark.parametrize("activation", sorted(activations.ACTIVATIONS))
def test_every_activation_serves_in_a_block(primal, noise_images, activation):
    block = primal(8, 1, activation)
    assert_same_function(block, lambda x: textbook_primal(block, x), noise_images(2, 8))


@pytest.mark.parametrize("size", [7, 8])
def test_residual_is_its_definition(scramble, noise_images, size):
    block = layers.ResidualBlock(width=5, filters=4)
    block.build((None, size, size, 3))
    scramble(block)
    x = noise_images(2, size, 3)
    assert_same_function(block, lambda x: textbook_residual(block, x), x)


@pytest.mark.parametrize("size", [7, 8])
def test_strided_convolution_is_convolution_and_pooling(noise_images, size):
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(3, 3, 2, 4)), rng.normal(size=4)
    kernel, bias = kernel.astype("float32"), bias.astype("float32")
    x = noise_images(2, size, 2)
    expected = ops.average_pool(
        ops.conv(x, kernel, padding="same") + bias, 2, strides=2
    )
    ours = layers.conv_mean_pool(x, kernel, bias)
    np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_expand_mixes_the_new_path_and_the_old(scramble, noise_images, beta):
    block = layers.ExpandBlock(8, width=5, filters=4)
    block.build((None, 8, 8, 3))
    scramble(block).beta.assign(beta)
    x = noise_images(2, 8, 3)
    np.testing.assert_allclose(block(x), textbook_expand(block, beta, x), atol=1e-5)


def test_a_bound_block_is_the_block_at_the_time_of_binding(scramble, noise_images):
    block = layers.ExpandBlock(8, width=5, filters=4)
    block.build((None, 8, 8, 3))
    scramble(block).beta.assign(0.5)
    x = ops.convert_to_tensor(noise_images(2, 8, 3))
    bound, before = block.bind(), np.array(ops.convert_to_numpy(block(x)))
    np.testing.assert_array_equal(ops.convert_to_numpy(bound(x)), before)
    scramble(block)
    assert np.abs(ops.convert_to_numpy(block(x)) - before).max() > 1e-3
    np.testing.assert_array_equal(ops.convert_to_numpy(bound(x)), before)


def test_beta_is_no_weight_to_train():
    block = layers.ExpandBlock(8, width=5, filters=4)
    block.build((None, 8, 8, 3))
    assert block.beta in block.non_trainable_weights
    assert float(block.beta) == 0


def test_the_scaled_swish_has_a_slope_of_at_most_one():
    x = ops.linspace(-20.0, 20.0, 4001)
    swish = activations.get("swish")
    np.testing.assert_allclose(swish(x), ops.silu(x) / 1.1, rtol=1e-5, atol=1e-6)
    _, (slope,) = value_and_gradients(lambda x: ops.sum(swish(x)), [x], [])
    assert 0.99 < float(ops.max(slope)) <= 1.0


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match=r"'gelu'.* received 'mish'"):
        activations.get("mish")


LAYERS = {
    "convolution": lambda: layers.SpectralConv2D(4, 3, padding="valid"),
    "plain": lambda: layers.SpectralConv2D(4, spectral_norm=False),
    "residual": lambda: layers.ResidualBlock(5, 4, "gelu"),
    "primal": lambda: layers.PrimalBlock(8, 5, 4, spectral_norm=False),
    "fade": lambda: layers.FadeBlock(8, 4, equalized=True),
    "expand": lambda: layers.ExpandBlock(8, 5, 4, "elu", inner_width=6, equalized=True),
    "head": lambda: layers.EnergyHead(4, equalized=True),
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_layers_survive_serialization(make, scramble, noise_images):
    layer = make()
    x = noise_images(2, 8, 3)
    expected = layer(x)
    scramble(layer)
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    copy = keras.saving.deserialize_keras_object(json.loads(text))
    assert type(copy) is type(layer) and copy.get_config() == layer.get_config()
    assert copy(x).shape == expected.shape
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy(x), layer(x))


def singular_values(kernel):
    return np.linalg.svd(np.array(kernel).reshape(-1, kernel.shape[-1]))[1]


@pytest.mark.parametrize(("inputs", "filters"), [(3, 5), (1, 1), (2, 32)])
def test_power_iterations_find_the_largest_singular_value(inputs, filters):
    keras.utils.set_random_seed(0)
    convolution = layers.SpectralConv2D(filters)
    convolution.build((None, 8, 8, inputs))
    before = convolution.kernel.numpy()
    for _ in range(100):
        convolution.power_iteration()
    assert singular_values(convolution.normalized_kernel())[0] == pytest.approx(
        1, abs=1e-3
    )
    np.testing.assert_array_equal(convolution.kernel, before)


def test_an_unnormalised_convolution_is_plain(noise_images):
    convolution = layers.SpectralConv2D(4, spectral_norm=False)
    x = noise_images(2, 8, 3)
    y = convolution(x)
    np.testing.assert_array_equal(convolution.normalized_kernel(), convolution.kernel)
    np.testing.assert_allclose(y, ops.conv(x, convolution.kernel, padding="same"))
    convolution.power_iteration()
    assert len(convolution.weights) == 2 and not convolution.spectral_convolutions()


def test_the_forward_pass_has_no_side_effect(noise_images, values, assert_equal):
    block = layers.PrimalBlock(8, 5, 4)
    x = noise_images(2, 8, 3)
    first = np.array(block(x))
    before = values(block)
    np.testing.assert_array_equal(block(x, training=True), first)
    assert_equal(values(block), before)
