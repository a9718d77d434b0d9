"""Interpolate between the noise that two chains start from (Sec. 4.1)."""

from absl import flags

from keras_cfebm import evaluation, tasks
from keras_cfebm.cli.task import Task, define_task_flags, print_table
from keras_cfebm.visualization import image_grid


def define_flags(values):
    """Adds the flags of this command."""
    define_task_flags(values, count=8, data=False)
    flags.DEFINE_integer(
        "columns", 8, "Images per row.", lower_bound=2, flag_values=values
    )
    flags.DEFINE_integer(
        "label", None, "Class, for a conditional model.", flag_values=values
    )


def main(values):
    """Draws --count rows of interpolations."""

    task = Task("interpolate", values)
    task.require_noise()
    images = tasks.interpolate(
        task.model.sampling_ladder,
        values.count,
        values.columns,
        values.seed,
        task.model.langevin,
        values.label,
        values.batch_size,
        progress=True,
    )
    figures = evaluation.evaluate_interpolations(images)
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
    task.finish(figures, columns=columns)
