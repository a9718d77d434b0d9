"""Interpolate between the noise that two chains start from (Sec. 4.1)."""

import numpy as np
from absl import flags

from keras_cfebm import evaluation, tasks
from keras_cfebm.cli.labels import labels_of
from keras_cfebm.cli.task import Task, require_noise
from keras_cfebm.cli.text import print_table
from keras_cfebm.visualization import image_grid


def main(values: flags.FlagValues) -> None:
    """Draws --count rows of interpolations."""
    task = Task("interpolate", values)
    require_noise(task.model)
    images = tasks.interpolate(
        task.model.sampling_ladder,
        values.count,
        values.columns,
        task.seed,
        task.model.langevin.faster(values.speed),
        labels_of(task.model, values.label, values.count),
        values.batch_size,
        even=values.even,
    )
    # A chain may be one that does not clip.
    images = np.clip(images, -1.0, 1.0)
    figures = evaluation.evaluate_interpolations(images)
    task.record(figures, columns=values.columns, speed=values.speed, even=values.even)
    rows, columns, *shape = images.shape
    image_grid(
        images.reshape(rows * columns, *shape),
        columns,
        path=task.output / "interpolations.png",
    )
    print_table(
        ["root mean square difference of", "pixels"],
        [
            ("the two ends of a row", figures["ends"]),
            ("neighbours", figures["step"]),
            ("a row's most different neighbours", figures["largest_step"]),
        ],
    )
    task.say_where()
