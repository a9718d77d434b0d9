"""Measure the distance of samples to real images: FID and its kin."""

import numpy as np
from absl import flags

from keras_cfebm import evaluation
from keras_cfebm.cli.task import Task, define_task_flags, print_table
from keras_cfebm.evaluation import inception_encoder
from keras_cfebm.visualization import image_grid


def define_flags(values):
    """Adds the flags of this command."""
    define_task_flags(values, count=50_000)
    flags.DEFINE_string(
        "inception",
        None,
        "Weights file of the Inception network of the literature, for what is called "
        "FID; without, the shipped Fashion-MNIST classifier is the encoder.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "cache_dir", None, "Of the reference's statistics.", flag_values=values
    )
    flags.DEFINE_boolean(
        "train_reference",
        True,
        "Compare with the training images, as the literature does; --notrain_reference "
        "with the test split.",
        flag_values=values,
    )


def main(values):
    """Samples, encodes and compares, batch by batch."""

    task = Task("evaluate", values)
    task.require_noise()
    model = task.model
    encoder = _encoder(task, values)
    data = task.data(training=values.train_reference and values.split is None)
    which = "training" if values.train_reference else "held-out"
    name = f"{len(data)} {values.split or which} images of {data.name}"
    reference = evaluation.reference_statistics(data, encoder, name, values.cache_dir)
    labels = None
    if model.num_classes is not None:  # classes as often as in the data
        labels = np.resize(data.subset(seed=values.seed).labels(), values.count)
    found = evaluation.evaluate_generation(
        model,
        values.count,
        encoder,
        reference,
        labels=labels,
        seed=values.seed,
        batch_size=values.batch_size,
        progress=True,
    )
    figures = found.figures
    image_grid(found.images["samples"], path=task.output / "samples.png")
    kernel = figures["kernel_distance"]
    print_table(
        [f"{figures['samples']} samples, {figures['reference']}", "distance"],
        [
            (figures["metric"], figures["frechet_distance"]),
            ("kernel distance", kernel["mean"]),
            ("  its standard deviation over subsets", kernel["std"]),
        ],
    )
    task.finish(figures)


def _encoder(task, values):
    if values.inception:
        return inception_encoder(values.inception)
    classifier = task.classifier()
    if classifier is None:
        raise ValueError(
            "Expected --inception=PATH: the shipped classifier takes grey images of 28 "
            f"or 32 pixels. Received a model of {task.model.image_shape}"
        )
    return classifier.encoder
