"""The shipped colour encoder: is it the yardstick it claims to be?"""

import numpy as np
import pytest

from keras_cfebm import evaluation
from keras_cfebm.evaluation.shipped_networks import load


@pytest.fixture(scope="module")
def encoder():
    return evaluation.emoji_encoder()


@pytest.fixture(scope="module")
def faces():
    """Drawings `(8, 64, 64, 3)`: a disc on white, with two eyes, in eight colours."""
    y, x = np.mgrid[:64, :64]
    images = np.ones((8, 64, 64, 3), "float32")
    colours = np.array(np.meshgrid([-0.8, 0.8], [-0.8, 0.8], [-0.8, 0.8])).T
    images[:, (y - 32) ** 2 + (x - 32) ** 2 < 24**2] = colours.reshape(8, 1, 3)
    for centre in (24, 40):
        images[:, (y - 26) ** 2 + (x - centre) ** 2 < 9] = -1
    return images


def test_it_is_the_one_of_its_card(encoder):
    _, card = load("emoji_encoder")
    assert encoder.hash == card["hash"] and len(encoder.hash) == 64
    assert card["accuracy_on_new_changes"] > 0.5
    assert encoder.frechet_name == "Fréchet distance on emoji-encoder"


def test_smaller_images_are_enlarged(encoder, faces):
    small = faces[:, ::2, ::2]
    features = encoder(small)
    assert features.shape == (8, 64) and features.dtype == np.float32
    enlarged = small.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(encoder(enlarged), features, atol=1e-5)


def test_colours_count_more_than_places(encoder, faces):
    features = encoder(faces)
    shifted = encoder(np.roll(faces, 1, axis=2))
    moved = np.linalg.norm(shifted - features, axis=1)
    others = np.linalg.norm(features[:, None] - features, axis=2)
    nearest = np.sort(others, axis=1)[:, 1]
    assert (2 * moved < nearest).all()


@pytest.mark.parametrize("shape", [(2, 32, 32, 1), (2, 48, 48, 3), (2, 32, 64, 3)])
def test_other_images_are_refused(encoder, shape):
    with pytest.raises(ValueError, match=f"emoji-encoder, .*{shape[2]}|channels"):
        encoder(np.zeros(shape, "float32"))
