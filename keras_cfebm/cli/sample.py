"""Generate images with a trained model: one PNG grid, and all of them as NumPy."""

import pathlib

import numpy as np
from absl import flags

from keras_cfebm.runs.run_folder import load_ladder
from keras_cfebm.visualization import image_grid


def define_flags(values):
    """Adds the flags of this command."""
    flags.DEFINE_string("model", None, "Run folder or .keras file.", flag_values=values)
    flags.mark_flag_as_required("model", flag_values=values)
    flags.DEFINE_string(
        "output", "samples.png", "PNG grid; the .npy goes beside.", flag_values=values
    )
    flags.DEFINE_integer(
        "count", 64, "Number of images.", lower_bound=1, flag_values=values
    )
    flags.DEFINE_integer(
        "seed", 0, "Stream of images.", lower_bound=0, flag_values=values
    )
    flags.DEFINE_integer(
        "label", None, "Class, for a conditional model.", flag_values=values
    )
    flags.DEFINE_integer(
        "batch_size", 64, "Images per chain.", lower_bound=1, flag_values=values
    )


def main(values):
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
