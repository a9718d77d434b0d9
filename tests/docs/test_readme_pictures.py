"""README's pictures are drawn of the models that they name."""

import pathlib
import sys

import numpy as np
import PIL.Image
import pytest

from keras_cfebm import CFEBM
from keras_cfebm.sampling import Langevin

DOCS = pathlib.Path(__file__).parents[2] / "docs"
sys.path.insert(0, str(DOCS))
import pictures  # noqa: E402


@pytest.fixture
def models(make_network, monkeypatch, tmp_path):
    """Small models in place of the shipped ones, and a folder for the pictures.

    As of those, the one in colour has a level more.
    """
    made = {
        name: CFEBM(
            [make_network(side, channels=channels) for side in sides],
            Langevin(steps=2),
        )
        for name, channels, sides in (
            (pictures.GREY, 1, (8, 16)),
            (pictures.COLOUR, 3, (8, 16, 32)),
        )
    }
    monkeypatch.setattr(pictures.CFEBM, "from_preset", made.__getitem__)
    monkeypatch.setattr(pictures, "FOLDER", tmp_path)
    monkeypatch.setattr(pictures, "_SIDE", 2)
    return made


def test_grey_samples_are_left_and_colour_ones_right(models, tmp_path):
    pictures.samples()
    picture = np.asarray(PIL.Image.open(tmp_path / "samples.png")).astype(int)
    spread = np.ptp(picture, axis=-1).max(axis=0)
    half = picture.shape[1] // 2
    assert (spread[:half] == 0).all() and (spread[half:] > 0).mean() > 0.8


def test_each_model_has_a_film_of_its_chain(models, tmp_path):
    pictures.films()
    for name in models:
        film = PIL.Image.open(tmp_path / f"chain_{name}.gif")
        ends = len(models[name].ladder)
        assert film.n_frames == 1 + ends  # the start, and the end of each level
