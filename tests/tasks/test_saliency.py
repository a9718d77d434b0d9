"""Maps of tf-keras-vis on energies whose gradient is known, and on a tiny network."""

import os

import keras
import numpy as np
import pytest
from keras import ops

from keras_cfebm.network import EnergyNetwork
from keras_cfebm.tasks import neighbour_map, saliency

by_tf_keras_vis = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf-keras-vis is TensorFlow's"
)


def quadratic(x):
    return 0.5 * ops.sum(ops.square(x), axis=(1, 2, 3))


def images(count=3, channels=2):
    shape = (count, 8, 8, channels)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


@pytest.fixture(scope="module")
def network():
    network = EnergyNetwork(4, channels=2, base_resolution=4, base_width=2).grown()
    network.beta = 0.5
    return network


@by_tf_keras_vis
def test_input_gradient_is_the_largest_slope_over_channels(network):
    x = images()
    maps = saliency.input_gradient(quadratic, x, batch_size=2)
    np.testing.assert_allclose(maps, np.abs(x).max(axis=-1), atol=1e-6)

    maps = saliency.input_gradient(network, x)
    assert maps.shape == (3, 8, 8) and maps.dtype == np.float32
    shifts = np.zeros((2, 8, 8, 2), "float32")
    shifts[0, 3, 4, 0] = shifts[1, 3, 4, 1] = 1e-2
    up, down = (ops.convert_to_numpy(network(x[:1] + s * shifts)) for s in (1, -1))
    slope = np.abs(up - down).max() / 2e-2
    np.testing.assert_allclose(maps[0, 3, 4], slope, rtol=2e-2)


@by_tf_keras_vis
def test_smooth_grad_averages_noisy_gradients():
    # The mean of |x + s·n| over standard normal n, for x = 0 and one channel.
    x = np.zeros((2, 8, 8, 1), "float32")
    x[:, 0, 0], x[:, 0, 1] = 1, -1
    maps = saliency.smooth_grad(quadratic, x, samples=100, noise=0.1)
    expected = 0.1 * 2 * np.sqrt(2 / np.pi)
    assert maps[:, 1:].mean() == pytest.approx(expected, rel=0.05)
    still = saliency.smooth_grad(quadratic, x, samples=2, noise=0.0)
    np.testing.assert_allclose(still, np.abs(x[..., 0]), atol=1e-6)


@by_tf_keras_vis
def test_smooth_grad_is_seeded_and_leaves_global_randomness_alone():
    x = images()
    np.random.seed(0)  # noqa: NPY002
    whole = saliency.smooth_grad(quadratic, x, samples=2, seed=1)
    drawn = np.random.rand()  # noqa: NPY002
    alone = saliency.smooth_grad(quadratic, x[1:2], samples=2, seed=1, start=1)
    np.testing.assert_allclose(alone, whole[1:2], atol=1e-6)
    assert np.abs(saliency.smooth_grad(quadratic, x, samples=2) - whole).max() > 1e-3
    np.random.seed(0)  # noqa: NPY002
    assert np.random.rand() == drawn  # noqa: NPY002


@by_tf_keras_vis
def test_grad_cam_is_that_of_its_definition(network):
    import tensorflow as tf

    x = images()
    first, second, head = (*network.blocks, network.head)
    with tf.GradientTape() as tape:
        features = first(x)
        tape.watch(features)
        energies = head(second(features))
    weights = tf.reduce_mean(tape.gradient(energies, features), (1, 2), keepdims=True)
    cam = tf.reduce_sum(weights * features, axis=-1)[..., None]
    for toward, sign in (("unlikely", 1.0), ("likely", -1.0)):
        expected = tf.image.resize(tf.nn.relu(sign * cam), (8, 8))[..., 0]
        maps = saliency.grad_cam(network, x, toward=toward, batch_size=2)
        assert maps.dtype == np.float32 and maps.max() >= 0
        np.testing.assert_allclose(maps, expected, atol=1e-6)
    deeper = saliency.grad_cam(network, x, layer="residual_4")
    assert deeper.shape == (3, 8, 8) and deeper.min() >= 0


@by_tf_keras_vis
def test_maps_of_a_network_with_classes():
    network = EnergyNetwork(8, 2, base_resolution=4, base_width=2, num_classes=3)
    network.head.embedding.embeddings.assign(np.random.rand(3, 8))  # noqa: NPY002
    x = np.repeat(images(1), 3, axis=0)
    for function in (saliency.input_gradient, saliency.grad_cam):
        maps = function(network, x, labels=[0, 1, 1])
        np.testing.assert_allclose(maps[1], maps[2], atol=1e-6)
        assert np.abs(maps[0] - maps[1]).max() > 1e-6
    with pytest.raises(ValueError, match="from 0 to 2"):
        saliency.input_gradient(network, x, labels=3)
    with pytest.raises(ValueError, match="labels"):
        saliency.grad_cam(network, x)


def test_bad_input(network):
    x = images()
    with pytest.raises(ValueError, match="shape"):
        saliency.input_gradient(network, images(channels=1))
    with pytest.raises(ValueError, match="samples"):
        saliency.smooth_grad(network, x, samples=0)
    with pytest.raises(ValueError, match="noise"):
        saliency.smooth_grad(network, x, noise=-0.1)
    with pytest.raises(ValueError, match="layer"):
        saliency.grad_cam(network, x, layer="conv1")
    with pytest.raises(ValueError, match="toward"):
        saliency.grad_cam(network, x, toward="normal")


@by_tf_keras_vis
def test_the_import_leaves_the_environment_alone(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    saliency.input_gradient(quadratic, images())
    assert "KERAS_BACKEND" not in os.environ


# --- Defects ------------------------------------------------------------------------


def test_a_defect_is_far_from_the_features_of_normal_images(network):
    normal = 0.1 * images(20)
    image = 0.1 * np.random.default_rng(1).uniform(-1, 1, (1, 8, 8, 2))
    image = image.astype("float32")
    broken = image.copy()
    broken[:, 4:6, 2:4] = 1.0
    ladder = [EnergyNetwork(4, channels=2, base_resolution=4, base_width=2), network]
    maps = neighbour_map(ladder, np.concatenate([image, broken]), normal)
    assert maps.shape == (2, 8, 8) and maps.dtype == np.float32
    assert maps[0].mean() == pytest.approx(1, abs=0.5)
    difference = maps[1] - maps[0]
    assert difference[4:6, 2:4].mean() > 5 * np.abs(difference[:2, 6:]).mean()
    with pytest.raises(ValueError, match="normal_images"):
        neighbour_map(ladder, image, normal[:3])


def test_a_neighbour_may_be_a_place_aside(network):
    normal = np.random.default_rng(0).uniform(-1, 1, (8, 8, 8, 2)).astype("float32")
    moved = np.roll(normal, 2, axis=2)  # by one place of the features
    near, strict = (neighbour_map(network, moved, normal, reach=n) for n in (1, 0))
    assert near.mean() < strict.mean()
    np.testing.assert_allclose(near[:4, 2:6, 4:6], 0, atol=0.5)
