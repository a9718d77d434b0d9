"""What the colour encoder is trained with: the same emoji, changed."""

import numpy as np
import pytest

from keras_cfebm.assets import make_emoji_encoder


@pytest.fixture
def images():
    """White images with a square in the middle, each of its own colour."""
    made = np.ones((5, 64, 64, 3), "float32")
    made[:, 20:44, 20:44] = np.linspace(-1, 0.5, 5)[:, None, None, None]
    return made


def test_batches_are_changed_images_beside_their_numbers(images, monkeypatch):
    monkeypatch.setitem(make_emoji_encoder.SETTINGS, "batch_size", 4)
    batches = make_emoji_encoder.augmented_batches(images, np.random.default_rng(0))
    found = [next(batches) for _ in range(12)]
    seen = np.concatenate([rows for _, rows in found])
    assert set(seen) == set(range(5))
    for changed, rows in found:
        assert changed.shape == (4, 64, 64, 3) and changed.dtype == np.float32
        assert np.abs(changed).max() <= 1
        middle = changed[:, 28:36, 28:36].mean(axis=(1, 2, 3))
        np.testing.assert_allclose(middle, images[rows, 32, 32, 0], atol=0.1)
        assert (changed != images[rows]).any(axis=(1, 2, 3)).all()
