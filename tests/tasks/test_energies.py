"""Energies made of energies, against closed forms and the networks they are of."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_cfebm import tasks
from keras_cfebm.network import EnergyNetwork
from keras_cfebm.sampling import Langevin
from keras_cfebm.tasks.energies import ComposedEnergy, guided, of_class, weighted

QUIET = Langevin(steps=200, step_size=0.1, noise_scale=0.0, clip=None)


def gaussian(mean, precision):
    """Energy of a Gaussian of that mean and precision in every pixel."""
    return lambda x: 0.5 * precision * ops.sum(ops.square(x - mean), axis=(1, 2, 3))


@pytest.fixture(scope="module")
def network(make_network):
    network = make_network(num_classes=3)
    network.class_names = ("Bag", "Coat", "Dress")
    return network


@pytest.fixture
def x(noise_images):
    return noise_images(4, 8)


def test_the_product_of_two_gaussians_is_the_gaussian_that_is_known():
    # Precisions add up; the mean is that of the means, weighed by the precisions.
    first, second = gaussian(0.5, 3.0), gaussian(-0.25, 1.0)
    product = weighted([(first, 1.0), (second, 1.0)])
    x = np.random.default_rng(0).uniform(-1, 1, (3, 4, 4, 1)).astype("float32")
    same = gaussian((3.0 * 0.5 - 0.25) / 4.0, 4.0)
    differences = product(x) - same(x)
    np.testing.assert_allclose(differences, differences[0], atol=1e-5)

    chain = tasks.translate(product, x, 0, QUIET)
    np.testing.assert_allclose(chain, np.full_like(x, 0.3125), atol=1e-5)


def test_a_negative_weight_pushes_away():
    # Precision 3 − 1 = 2, mean (3 · 0.1 − 1 · 0.5) / 2 = −0.1, away from 0.5.
    energy = weighted([(gaussian(0.1, 3.0), 1.0), (gaussian(0.5, 1.0), -1.0)])
    found = tasks.translate(energy, np.zeros((2, 4, 4, 1), "float32"), 0, QUIET)
    np.testing.assert_allclose(found, np.full_like(found, -0.1), atol=1e-5)


def test_a_sum_of_one_is_that_one(network, x):
    labels = np.int32([0, 1, 2, 0])
    same = weighted([(network, 1.0)])
    np.testing.assert_array_equal(same(x, labels), network.bind(labels)(x))
    assert same.image_shape == (8, 8, 1)
    assert same.num_classes == 3 and same.class_names == network.class_names


def test_labels_go_to_the_terms_that_have_classes(network, x):
    labels = np.int32([2, 1, 0, 0])
    mixed = weighted([(network, 0.5), (gaussian(0.0, 1.0), -2.0)])
    expected = 0.5 * network.bind(labels)(x) - 2.0 * gaussian(0.0, 1.0)(x)
    np.testing.assert_allclose(mixed(x, labels), expected, rtol=1e-5, atol=1e-5)
    nested = weighted([(mixed, 2.0), (mixed, -1.0)])
    np.testing.assert_allclose(nested(x, labels), expected, rtol=1e-5, atol=1e-4)


def test_one_class_is_an_energy_without_labels(network, x):
    expected = network.bind(np.int32([1, 1, 1, 1]))(x)
    for label in (1, "Coat"):
        energy = of_class(network, label)
        assert energy.num_classes is None
        np.testing.assert_allclose(energy(x), expected, rtol=1e-6)


def test_guidance_0_is_the_network_bitwise(network, x):
    labels = np.int32([0, 1, 2, 2])
    np.testing.assert_array_equal(
        guided(network, 0.0)(x, labels), network.bind(labels)(x)
    )


@pytest.mark.parametrize("guidance", [-1.0, 0.5, 2.0])
def test_guidance_scales_what_is_particular_to_a_class(network, x, guidance):
    labels = np.int32([0, 1, 2, 2])
    of_all = [network.bind(np.full(4, label, "int32"))(x) for label in range(3)]
    own, mean = network.bind(labels)(x), np.mean(of_all, axis=0)
    assert np.abs(own - mean).max() > 0.01
    expected = own + guidance * (own - mean)
    received = guided(network, guidance)(x, labels)
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)


def test_images_of_a_batch_may_have_guidance_of_their_own(network, x):
    labels, guidance = np.int32([0, 1, 2, 2]), np.float32([0.0, 2.0, -1.0, 0.5])
    received = network.bind(labels, guidance)(x)
    for index, weight in enumerate(guidance):
        row = slice(index, index + 1)
        expected = guided(network, float(weight))(x[row], labels[row])
        np.testing.assert_allclose(received[row], expected, rtol=1e-5, atol=1e-5)


def test_every_task_takes_them(network, x):
    settings = Langevin(steps=2, noise_scale=0.0)
    both = weighted([(guided(network, 1.0), 0.7), (of_class(network, 2), 0.3)])
    options = {"settings": settings, "labels": 2}
    assert tasks.generate(both, 2, 0, **options).shape == (2, 8, 8, 1)
    assert tasks.interpolate(both, 1, 2, 0, **options).shape == (1, 2, 8, 8, 1)
    assert tasks.denoise(both, x, 0, **options).shape == x.shape
    assert tasks.inpaint(both, x, "center", 0, **options).shape == x.shape
    by_name = tasks.anomaly_scores(both, x, labels="Dress")
    np.testing.assert_array_equal(by_name, tasks.anomaly_scores(both, x, labels=2))
    with pytest.raises(ValueError, match="labels"):
        tasks.generate(both, 2, 0, settings)


def test_a_composed_ladder_generates_what_its_closed_form_says():
    ladder = [
        weighted([(gaussian(0.5, 3.0), 1.0), (gaussian(-0.25, 1.0), 1.0)])
        for _ in range(2)
    ]
    images = tasks.generate(ladder, 2, 0, QUIET, image_shape=(2, 2, 1))
    np.testing.assert_allclose(images, np.full((2, 4, 4, 1), 0.3125), atol=1e-5)


def test_what_does_not_fit_together_is_refused(network):
    plain = EnergyNetwork(4, 1, base_resolution=4, base_width=1)
    for terms, message in (
        ([], "at least one pair"),
        ([(3, 1.0)], "a function of images"),
        ([(plain, float("nan"))], "weight"),
        ([(plain, 1.0), (network, 1.0)], "one image_shape"),
        (
            [(network, 1.0), (ComposedEnergy(network.bind, (8, 8, 1), 4), 1.0)],
            "one num_classes",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            weighted(terms)
    with pytest.raises(ValueError, match="Expected an energy with classes"):
        guided(plain, 1.0)
    with pytest.raises(ValueError, match="guidance"):
        guided(network, float("inf"))
    with pytest.raises(ValueError, match="Expected an energy with classes"):
        of_class(plain, 0)
    with pytest.raises(ValueError, match="from 0 to 2"):
        of_class(network, 3)


def test_guided_chains_see_weights_that_change(network, x):
    network = network.copy()
    chain = tasks.Chain(guided(network, 1.0), Langevin(steps=1, noise_scale=0.0))
    before = tasks.translate(chain, x, 0, labels=1)
    network.head.embedding.embeddings.assign(
        keras.random.normal((3, network.head.width), seed=1)
    )
    assert np.abs(tasks.translate(chain, x, 0, labels=1) - before).max() > 1e-3
