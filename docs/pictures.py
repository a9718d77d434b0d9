"""Draws what README shows of the shipped models: samples, and chains as films.

    python docs/pictures.py            all
    python docs/pictures.py samples    only this one

Nothing is selected: the images are the first ones of seed 0.
"""

import pathlib
import sys

import numpy as np

from keras_cfebm import CFEBM, tasks
from keras_cfebm.visualization import chain_film, image_grid

FOLDER = pathlib.Path(__file__).parent / "images"
GREY, COLOUR = "fashion_mnist", "emoji_portraits"
_SIDE = 6


def samples():
    """Samples of both models side by side."""
    images = [
        CFEBM.from_preset(name).generate(_SIDE**2, seed=0) for name in (GREY, COLOUR)
    ]
    shape = (_SIDE, _SIDE, *images[1].shape[1:])
    both = [np.broadcast_to(some, images[1].shape).reshape(shape) for some in images]
    rows = np.concatenate(both, axis=1).reshape(-1, *shape[2:])
    image_grid(rows, columns=2 * _SIDE, path=FOLDER / "samples.png")


def films():
    """A film of chains of each model, from noise to images."""
    for name in (GREY, COLOUR):
        model = CFEBM.from_preset(name)
        states = tasks.chain_states(model, 2 * _SIDE, seed=0, every=2)
        chain_film(
            [np.clip(state.images, -1, 1) for state in states],
            FOLDER / f"chain_{name}.gif",
            frames_per_second=6,
            columns=_SIDE,
        )


PICTURES = {"samples": samples, "films": films}

if __name__ == "__main__":
    for chosen in sys.argv[1:] or PICTURES:
        PICTURES[chosen]()
