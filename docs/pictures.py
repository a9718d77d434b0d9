"""Draws what README shows of the shipped models: samples, and chains as films.

    python docs/pictures.py samples films    what README shows
    python docs/pictures.py learning         samples of shorter and longer training

The last one needs the trainings of `python -m benchmarks.curve`. Nothing is selected:
the images are the first ones of seed 0.
"""

import csv
import pathlib
import sys

import numpy as np

from keras_cfebm import CFEBM, load_ladder, tasks
from keras_cfebm.runs.run_folder import RunFolder
from keras_cfebm.sampling import upsample
from keras_cfebm.visualization import chain_film, comparison_grid, image_grid

FOLDER = pathlib.Path(__file__).parent / "images"
CURVE = pathlib.Path("runs/curve")
GREY, COLOUR = "fashion_mnist", "emoji_portraits"
_SIDE = 6


def samples():
    """Samples of both models side by side, grey ones with pixels twice as large."""
    grey, colour = (
        CFEBM.from_preset(name).generate(_SIDE**2, seed=0) for name in (GREY, COLOUR)
    )
    grey = np.broadcast_to(upsample(grey), colour.shape)
    shape = (_SIDE, _SIDE, *colour.shape[1:])
    both = [images.reshape(shape) for images in (grey, colour)]
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


def learning():
    """Samples of the demo after shorter and longer trainings, one of each class."""
    rows = {}
    for folder in CURVE.glob("*_seed_0"):
        run = RunFolder(folder)
        with open(run.metrics, encoding="utf-8", newline="") as file:
            seconds = sum(float(row["cpu_seconds"]) for row in csv.DictReader(file))
        rows[seconds] = load_ladder(run.ladder)
    rows = {
        f"{seconds / 60:.0f} core-minutes": rows[seconds] for seconds in sorted(rows)
    }
    rows["fashion_mnist_conditional"] = CFEBM.from_preset("fashion_mnist_conditional")
    classes = range(rows["fashion_mnist_conditional"].num_classes)
    comparison_grid(
        {
            name: model.generate(len(classes), seed=0, labels=list(classes))
            for name, model in rows.items()
        },
        path=FOLDER / "learning.png",
    )


PICTURES = {"samples": samples, "films": films, "learning": learning}

if __name__ == "__main__":
    for chosen in sys.argv[1:] or PICTURES:
        PICTURES[chosen]()
