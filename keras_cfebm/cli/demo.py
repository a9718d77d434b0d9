"""Train on the embedded Fashion-MNIST images and judge the samples beside controls."""

import pathlib

import numpy as np
from absl import flags

from keras_cfebm.cli.config import config_from_flags
from keras_cfebm.cli.labels import class_grid, labels_of
from keras_cfebm.cli.text import write_json
from keras_cfebm.configs.run_config import RunConfig
from keras_cfebm.datasets import EMBEDDED
from keras_cfebm.evaluation import fashion_classifier, fashion_mnist_figures
from keras_cfebm.model import CFEBM
from keras_cfebm.runs.run_folder import RunFolder, read_metrics
from keras_cfebm.runs.train import train
from keras_cfebm.visualization import image_grid

_PRESET = "fashion_mnist_demo"
#: Of samples of a model with classes: fewer fragments than without, at a classifier FID
#: that is best about here.
_GUIDANCE = 0.5
_SHOWN = 8


def _check(config: RunConfig) -> None:
    """Raises, before hours of training, unless the samples can be judged after it."""
    of_fashion = config.data.name in (EMBEDDED, "fashion_mnist")
    plain = config.source is None and config.data.resolution in (8, 16, 32)
    if not (of_fashion and plain):
        received = [f"--data={config.data.name}"]
        received += [f"--resolution={config.data.resolution}"]
        if config.source is not None:
            received += [f"--source={config.source.name}"]
        raise ValueError(
            "Expected Fashion-MNIST images of 8, 16 or 32 pixels, without a source, as "
            f"the demo judges samples of just those, received {' '.join(received)}. "
            "`cfebm train` trains anything."
        )


def _samples(
    model: CFEBM, count: int, seed: int, grid: pathlib.Path
) -> tuple[np.ndarray, float | None]:
    """Draws images, and a grid of the first of them, or of the first of each class.

    Returns:
        Pair of the images and of the share of them that are of their class to the
        classifier, None without classes.
    """
    labels = labels_of(model, None, count)
    if labels is None:
        images = model.generate(count, seed=seed)
        image_grid(images[: _SHOWN**2], path=grid)
        return images, None
    images = model.generate(count, seed=seed, labels=labels, guidance=_GUIDANCE)
    of_class = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    first = np.concatenate([places[:_SHOWN] for places in of_class])
    class_grid(model, images[first], labels[first], grid)
    called = fashion_classifier().predict_classes(images)
    return images, float((called == labels).mean())


def main(values: flags.FlagValues) -> None:
    """Trains, samples, and prints the classifier FID of samples and controls."""
    config = config_from_flags(values, _PRESET)
    _check(config)
    model = train(config, values.run_dir)
    run = RunFolder(values.run_dir)
    grid = run.path / "samples.png"
    images, agreement = _samples(model, values.samples, config.seed + 1, grid)
    # Of all processes that have worked on the run.
    minutes = sum(row["seconds"] for row in read_metrics(run)) / 60
    figures = fashion_mnist_figures(images)
    figures["training_minutes"] = round(minutes, 1)
    if agreement is not None:
        figures |= {"class_accuracy": agreement, "guidance": _GUIDANCE}
    write_json(run.path / "figures.json", figures)

    print(f"\nTrained to {model.resolution} × {model.resolution} in {minutes:.1f} min.")
    print(f"Classifier FID against {figures['reference']} (0 is best):")
    for name, distance in figures["classifier_fid"].items():
        print(f"  {name:<28} {distance:8.2f}")
    if agreement is not None:
        print(f"Samples of their class to the classifier: {agreement:.0%}.")
    print("\nLook at the pictures:")
    pictures = [
        ("samples", grid),
        ("training, epoch by epoch", run.samples),
        ("chains from noise to image", run.chain),
        ("the same as a film", run.film),
        ("energy curves", run.energies),
    ]
    for name, path in pictures:
        print(f"  {name:<28} {pathlib.Path(path)}")
