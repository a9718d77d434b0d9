"""Show samples beside their nearest training images: learned, or memorised?"""

import numpy as np
from absl import flags

from keras_cfebm import evaluation
from keras_cfebm.cli.task import Task, require_noise
from keras_cfebm.cli.text import print_table


def main(values: flags.FlagValues) -> None:
    """Samples, searches, and compares with test images as a control."""
    task = Task("neighbours", values)
    require_noise(task.model)
    train, test = task.data(training=True), task.data()
    samples = task.model.generate(
        values.count,
        values.seed,
        task.sample_labels(train),
        batch_size=values.batch_size,
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
    task.record(found.figures, training_images=len(train), data=train.name)
    task.show(found.images, "neighbours.png")
    print_table(
        ["median distance to nearest", "samples", "test images", "ratio", "copies"],
        [(space, *row.values()) for space, row in found.figures.items()],
    )
    task.say_where()
