"""Generate images with a trained model: one PNG grid, and all of them as NumPy."""

import pathlib

import numpy as np
from absl import flags

from keras_cfebm.runs.run_folder import load_ladder
from keras_cfebm.visualization import image_grid


def main(values: flags.FlagValues) -> None:
    """Generates and writes."""
    model = load_ladder(values.model)
    images = model.generate(
        values.count,
        seed=values.seed,
        labels=values.label,
        batch_size=values.batch_size,
    )
    grid = pathlib.Path(values.output).expanduser()
    array = grid.with_suffix(".npy")
    np.save(array, images)  # first: a picture of so many may be too large
    image_grid(images, path=grid)
    print(f"{values.count} images of {model.image_shape}: {grid}, {array}")
