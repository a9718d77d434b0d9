"""Chains that end at given images: closed forms, and the ladder's own samples."""

import numpy as np
import pytest
from keras import ops

from keras_cfebm.sampling import Langevin
from keras_cfebm.tasks import Chain, chain_states, generate, reconstruct

CENTRE, STIFFNESS = 0.25, 4.0


def quadratic(x):
    """E(x) = a |x − m|² / 2."""
    return 0.5 * STIFFNESS * ops.sum(ops.square(x - CENTRE), axis=(1, 2, 3))


def test_the_start_of_a_quadratic_is_that_of_the_closed_form(noise_images):
    """Each step contracts by 1 − η a towards m, so its inverse is known."""
    images = 0.5 * noise_images(3, 4)
    settings = Langevin(steps=2, step_size=0.1, noise_scale=0.0)
    found = reconstruct(
        quadratic, images, 0, settings, image_shape=(4, 4, 1), iterations=400
    )
    expected = CENTRE + (images - CENTRE) / (1 - 0.1 * STIFFNESS) ** 2
    np.testing.assert_allclose(found.starts, expected, atol=2e-3)
    np.testing.assert_allclose(found.images, images, atol=1e-3)
    assert found.errors.max() < 1e-6


def test_up_a_ladder_pixels_share_their_start(noise_images):
    images = 0.5 * noise_images(2, 8)
    settings = Langevin(steps=1, step_size=0.1, noise_scale=0.0)
    found = reconstruct(
        [quadratic] * 2, images, 0, settings, image_shape=(4, 4, 1), iterations=300
    )
    # The nearest image that is made of 2×2 equal pixels.
    pooled = images.reshape(2, 4, 2, 4, 2, 1).mean((2, 4))
    expected = pooled.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(found.images, expected, atol=5e-3)
    errors = np.square(found.images - images).mean((1, 2, 3))
    np.testing.assert_allclose(found.errors, errors, rtol=1e-4)


@pytest.fixture(scope="module")
def chain(make_network):
    ladder = [make_network(8), make_network(16)]
    return Chain(ladder, Langevin(steps=3, step_size=0.3, noise_scale=0.05))


def test_a_sample_is_found_again_from_another_start(chain):
    images = generate(chain, 2, seed=5)
    before = reconstruct(chain, images, seed=7, iterations=0)
    found = reconstruct(chain, images, seed=7, iterations=150)
    assert (found.errors < 0.1 * before.errors).all()
    assert chain.last_seed == 7
    again = list(chain_states(chain, seed=7, images=found.starts, every=3))[-1]
    np.testing.assert_allclose(again.images, found.images, atol=1e-4)


def test_without_iterations_it_is_the_sample_of_the_seed(chain, noise_images):
    images = noise_images(3, 16)
    found = reconstruct(chain, images, seed=4, iterations=0)
    np.testing.assert_allclose(found.images, generate(chain, 3, seed=4), atol=1e-5)
    apart = reconstruct(chain, images[1:], seed=4, start=1, iterations=0, batch_size=1)
    np.testing.assert_allclose(apart.images, found.images[1:], atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"iterations": -1}, "iterations of at least 0, received -1"),
        ({"learning_rate": 0.0}, r"learning_rate in \(0, inf\), received 0"),
        ({"images": np.zeros((2, 8, 8, 1), "float32")}, r"\(n, 16, 16, 1\)"),
    ],
)
def test_what_does_not_fit_is_refused(chain, noise_images, changes, message):
    given = {"images": noise_images(2, 16), **changes}
    with pytest.raises(ValueError, match=message):
        reconstruct(chain, given.pop("images"), **given)
