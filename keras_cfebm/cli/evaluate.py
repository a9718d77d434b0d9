"""Measure the distance of samples to real images: FID and its kin."""

from absl import flags

from keras_cfebm import evaluation
from keras_cfebm.cli.task import Task, require_noise
from keras_cfebm.cli.text import print_table
from keras_cfebm.evaluation.encoders import Encoder
from keras_cfebm.utils.terminal import say
from keras_cfebm.visualization import image_grid


def main(values: flags.FlagValues) -> None:
    """Samples, encodes and compares, batch by batch."""
    task = Task("evaluate", values)
    model = task.model
    require_noise(model)
    encoder = _encoder(task, values)
    data = task.data(training=values.train_reference and values.split is None)
    which = "training" if values.train_reference else "held-out"
    name = f"{len(data)} {values.split or which} images of {data.name}"
    reference = evaluation.reference_statistics(data, encoder, name, values.cache_dir)
    found = evaluation.evaluate_generation(
        model,
        values.count,
        encoder,
        reference,
        labels=task.sample_labels(data),
        seed=values.seed,
        batch_size=values.batch_size,
        guidance=values.guidance,
        speed=values.speed,
    )
    samples, images = found.images["samples"], data.subset(limit=64, seed=0).images()
    figures = {
        **found.figures,
        "finest_detail": evaluation.finest_detail(samples),
        "finest_detail_of_images": evaluation.finest_detail(images),
    }
    task.record(figures, guidance=values.guidance, speed=values.speed)
    image_grid(samples, path=task.output / "samples.png")
    kernel = figures["kernel_distance"]
    print_table(
        [f"{figures['samples']} samples, {figures['reference']}", "distance"],
        [
            (figures["metric"], figures["frechet_distance"]),
            ("kernel distance", kernel["mean"]),
            ("  its standard deviation over subsets", kernel["std"]),
            ("finest detail of samples", figures["finest_detail"]),
            ("  of images", figures["finest_detail_of_images"]),
        ],
    )
    blind = evaluation.blind_to_detail(samples, images)
    if blind:
        say(f"\n{blind}")
    task.say_where()


def _encoder(task: Task, values: flags.FlagValues) -> Encoder:
    """The network whose features are compared."""
    if values.inception:
        return evaluation.inception_encoder(values.inception)
    classifier = task.classifier()
    if classifier is None:
        raise ValueError(
            "Expected --inception=PATH, as the shipped classifier takes grey images of "
            f"28 or 32 pixels, received a model of images {task.model.image_shape}."
        )
    return classifier.encoder
