"""The finest detail: known answers, and who is told what."""

import numpy as np
import pytest

from keras_cfebm.evaluation import blind_to_detail, finest_detail


def test_it_is_the_spread_inside_blocks():
    block = np.array([[0.1, -0.1], [-0.1, 0.1]], "float32")
    images = np.tile(block, (3, 4, 4))[..., None]
    assert finest_detail(images) == pytest.approx(0.1)


def test_enlarged_images_have_none(noise_images):
    enlarged = noise_images(4, 8).repeat(2, axis=1).repeat(2, axis=2)
    assert finest_detail(enlarged) == pytest.approx(0, abs=1e-7)
    assert finest_detail(noise_images(64, 8)) == pytest.approx(0.5, rel=0.05)


def test_samples_without_detail_are_told(noise_images):
    images = noise_images(16, 8)
    flat = images.reshape(16, 4, 2, 4, 2, 1).mean(axis=(2, 4), keepdims=True)
    blurred = np.broadcast_to(flat, (16, 4, 2, 4, 2, 1)).reshape(16, 8, 8, 1)
    assert blind_to_detail(images, noise_images(16, 8, seed=1)) is None
    assert "the finest level" in blind_to_detail(0.1 * images + 0.9 * blurred, images)


def test_odd_sides_are_refused(noise_images):
    with pytest.raises(ValueError, match="even sides"):
        finest_detail(noise_images(2, 7))
