"""Generate images with a trained model: one PNG grid, and all of them as NumPy."""

import numpy as np
from absl import flags

from keras_cfebm.cli.labels import class_grid, labels_of
from keras_cfebm.cli.task import require_noise
from keras_cfebm.cli.text import prepare_folder
from keras_cfebm.runs.run_folder import load_ladder
from keras_cfebm.utils import atomic_files
from keras_cfebm.utils.paths import user_path
from keras_cfebm.visualization import image_grid
from keras_cfebm.visualization.sheet import check_picture


def main(values: flags.FlagValues) -> None:
    """Generates and writes."""
    grid = user_path(values.output)
    check_picture(grid, "--output")
    model = load_ladder(values.model)
    require_noise(model)
    labels = labels_of(model, values.label, values.count)
    prepare_folder(grid.parent, "output")
    images = model.generate(
        values.count,
        values.seed,
        labels,
        batch_size=values.batch_size,
        guidance=values.guidance,
        speed=values.speed,
    )
    array = grid.with_suffix(".npy")
    # First: a picture of so many may be too large.
    atomic_files.save(np.save, array, arr=images)
    # A chain may be one that does not clip.
    shown = np.clip(images, -1.0, 1.0)
    if labels is None:
        image_grid(shown, path=grid)
    else:
        class_grid(model, shown, labels, grid)
    print(
        f"{values.count} images of {model.image_shape}, --seed={model.last_seed}: "
        f"{grid}, {array}"
    )
