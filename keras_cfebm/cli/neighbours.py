"""Show samples beside their nearest training images: learned, or memorised?"""

import numpy as np

from keras_cfebm import evaluation
from keras_cfebm.cli.task import SHOWN, Task, define_task_flags, print_table
from keras_cfebm.visualization import comparison_grid


def define_flags(values):
    """Adds the flags of this command."""
    define_task_flags(values, count=256)


def main(values):
    """Samples, searches, and compares with test images as a control."""

    task = Task("neighbours", values)
    task.require_noise()
    train, test = task.data(training=True), task.data()
    model = task.model
    labels = None
    if model.num_classes is not None:  # classes as often as in the data
        labels = np.resize(train.subset(seed=values.seed).labels(), values.count)
    samples = model.generate(
        values.count, values.seed, labels, batch_size=values.batch_size
    )
    seen = train.images()
    if task.config is not None and task.config.data.flip:  # mirrored ones as well
        seen = np.concatenate([seen, seen[:, :, ::-1]])
    classifier = task.classifier()
    found = evaluation.evaluate_neighbours(
        samples,
        seen,
        test.subset(limit=1000, seed=values.seed).images(),
        None if classifier is None else classifier.encoder,
    )
    comparison_grid(
        {label: images[:SHOWN] for label, images in found.images.items()},
        path=task.output / "neighbours.png",
    )
    print_table(
        ["median distance to nearest", "samples", "test images", "ratio", "copies"],
        [(space, *row.values()) for space, row in found.figures.items()],
    )
    task.finish(found.figures, training_images=len(train), data=train.name)
