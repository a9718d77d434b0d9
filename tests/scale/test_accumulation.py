"""Gradient accumulation: the same step in parts, one after the other."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cfebm.sampling import Langevin

KINDS = {
    "noise": {"num_classes": 3, "data_noise": 0.1, "energy_l2": 0.1},
    "source": {"chain_start": "source"},
}


@pytest.fixture
def after_three_steps(make_model, noise_images):
    """A function that trains a grown model with 1 … n parts; returns model and logs."""

    def train(accumulation, **settings):
        keras.utils.set_random_seed(0)
        model = make_model(accumulation=accumulation, **settings).grown(fade_steps=4)
        # Without a moment the first update of Adam would be the sign of a gradient,
        # which rounding turns where the gradient is nearly zero.
        model.compile(keras.optimizers.SGD(0.1))
        paired = {"source": noise_images(12, 16, seed=1), "noise": np.arange(12) % 3}
        data = tf.data.Dataset.from_tensor_slices(
            (noise_images(12, 16), paired[model.chain_start])
        )
        batches = data.batch(4, drop_remainder=True)
        logs = model.fit(batches, shuffle=False, verbose=0).history
        return model, logs

    return train


@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)
def test_a_step_in_parts_is_the_step(after_three_steps, settings):
    whole, whole_logs = after_three_steps(1, **settings)
    parted, parted_logs = after_three_steps(4, **settings)
    for name, values in whole_logs.items():
        np.testing.assert_allclose(parted_logs[name], values, rtol=1e-4, atol=1e-5)
    for one, other in zip(whole.weights, parted.weights, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-5, err_msg=one.path)
    assert parted.step == 3


def test_parts_draw_different_noise(make_model, drawn):
    model = make_model(accumulation=2, langevin=Langevin(steps=0))
    images = np.zeros((4, 8, 8, 1), "float32")
    first, second = (drawn(model, images[:2], first)[1] for first in (0, 2))
    whole = make_model(langevin=Langevin(steps=0))
    expected = drawn(whole, images)[1]
    np.testing.assert_array_equal(np.concatenate([first, second]), expected)


def test_a_batch_that_cannot_be_divided_is_refused(make_model, noise_images):
    model = make_model(accumulation=3)
    with pytest.raises(ValueError, match=r"multiple of 3 images.*received 4"):
        model.train_on_batch(noise_images(4, 8))
    with pytest.raises(tf.errors.InvalidArgumentError, match="multiple of 3 images"):
        model.fit(noise_images(7, 8), batch_size=6, verbose=0)


def test_the_number_of_parts_is_checked(make_model):
    with pytest.raises(ValueError, match="accumulation of at least 1"):
        make_model(accumulation=0)
