"""A pool of coarse samples: the same chains, drawn once and started from again."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_cfebm import tasks
from keras_cfebm.backend import random
from keras_cfebm.model import CFEBM
from keras_cfebm.sampling import Langevin
from keras_cfebm.utils.training_data import Batch

SETTINGS = Langevin(steps=(4, 3), step_size=0.1, noise_scale=0.05)


@pytest.fixture
def grown(make_model):
    """A compiled model of 8 and 16 pixels with a pool of ten samples."""

    def make(coarse_pool=10, **changes):
        model = make_model(langevin=SETTINGS, coarse_pool=coarse_pool, **changes)
        model = model.grown(fade_steps=2)
        model.compile(keras.optimizers.Adam(1e-3, beta_1=0.5))
        return model

    return make


def fit(model, images, **options):
    model.fit(images, batch_size=4, shuffle=False, verbose=0, **options)
    return model


def test_a_chain_goes_on_from_its_coarse_sample_as_from_noise(grown):
    model = grown()
    keys = random.image_keys(3, 5)
    coarse = tasks.coarse_samples(model.ladder, keys, SETTINGS, batch_size=2)
    assert coarse.shape == (5, 8, 8, 1)
    np.testing.assert_allclose(
        model.negatives(keys, start=coarse), model.negatives(keys), atol=1e-5
    )


def test_training_draws_the_pool_once_and_its_chains_start_there(grown, noise_images):
    model = fit(grown(), noise_images(8, 16))
    pool = np.array(model._pool.images)
    assert pool.shape == (10, 8, 8, 1)
    assert len(np.unique(pool.reshape(10, -1), axis=0)) == 10
    fit(model, noise_images(8, 16))
    np.testing.assert_array_equal(model._pool.images, pool)
    # Of the trained weights, which JAX takes out of the model while it trains.
    again = tasks.CoarsePool.drawn(model.ladder, SETTINGS, 10, model.seed)
    np.testing.assert_array_equal(again.images, pool)

    places = ops.arange(200)
    keys = model.training_keys(places)
    starts = np.array(model.from_pool(keys, None))
    distances = np.abs(starts[:, None] - pool).max(axis=(2, 3, 4))
    assert not distances.min(axis=1).any()
    counts = np.bincount(distances.argmin(axis=1), minlength=10)
    assert counts.min() > 5
    images = ops.zeros((200, 16, 16, 1))
    shares = ops.ones(200) / 200
    part = Batch(images, places, shares, shares)
    np.testing.assert_array_equal(
        model.negatives_beside(images, part, keys), model.negatives(keys, start=starts)
    )


def test_the_pool_is_of_the_classes_of_the_batch(grown, noise_images):
    model = grown(num_classes=3)
    fit(model, noise_images(8, 16), y=np.arange(8) % 3)
    assert model._pool.images.shape[0] == 12  # four of each class
    numbers = np.arange(12, dtype="float32").reshape(12, 1, 1, 1)
    labels = ops.convert_to_tensor(np.arange(90, dtype="int32") % 3)
    keys = random.image_keys(0, 90)
    starts = np.array(tasks.CoarsePool(numbers, classes=3).take(keys, labels))
    np.testing.assert_array_equal(starts.ravel() % 3, labels)
    assert len(np.unique(starts)) == 12


def test_a_resumed_training_has_the_pool_again(grown, noise_images, tmp_path):
    images = noise_images(8, 16)
    whole = fit(grown(), images, epochs=2)
    fit(grown(), images).save(tmp_path / "half.keras")
    resumed = keras.models.load_model(tmp_path / "half.keras")
    assert resumed.coarse_pool == 10
    fit(resumed, images, initial_epoch=1, epochs=2)
    for expected, found in zip(whole.weights, resumed.weights, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_loaded_weights_have_a_pool_of_their_own(grown, noise_images, tmp_path):
    model, other = grown(), grown(seed=1)
    for weight in other.ladder[0].weights:
        if weight.trainable or weight.ndim > 1:
            weight.assign(1.1 * weight)
    other.optimizer.build(other.network.trainable_weights)
    other.save_weights(tmp_path / "other.weights.h5")
    images = noise_images(8, 16)
    before = np.array(fit(model, images)._pool.images)
    model.load_weights(tmp_path / "other.weights.h5")
    assert np.any(np.array(fit(model, images)._pool.images) != before)


def test_chains_of_one_level_have_no_pool(make_model, grown, noise_images):
    assert fit(make_model(coarse_pool=10), noise_images(8, 8))._pool is None
    model = grown()
    model.langevin = SETTINGS.replace(chain_levels=1)
    assert fit(model, noise_images(8, 16))._pool is None
    with pytest.raises(ValueError, match="two levels or more, received one"):
        tasks.coarse_samples(model.ladder[:1], random.image_keys(0, 2), SETTINGS)


def test_a_negative_number_is_refused(make_network):
    with pytest.raises(ValueError, match="coarse_pool of at least 0, received -1"):
        CFEBM([make_network()], coarse_pool=-1)
