"""Translate held-out source images, and judge what came out (Sec. 4.4)."""

import dataclasses
from typing import Any

import numpy as np
from absl import flags

from keras_cfebm import evaluation, tasks
from keras_cfebm.cli.task import Task
from keras_cfebm.cli.text import print_table
from keras_cfebm.datasets import ImageData
from keras_cfebm.evaluation import FashionClassifier
from keras_cfebm.utils import atomic_files


def main(values: flags.FlagValues) -> None:
    """Translates and compares with doing nothing and with a random target image."""
    task = Task("translate", values)
    model = task.model
    if model.chain_start != "source":
        raise ValueError(
            "Expected --model that was trained to translate (cfebm train "
            "--source=...), received one whose chains start at noise."
        )
    source, target = task.source(), task.data()
    if values.paired and len(source) != len(target):
        raise ValueError(
            "Expected as many target images as source images with --paired, received "
            f"{len(target)} and {len(source)}."
        )
    count = min(values.count, len(source))
    sources = source.subset(limit=count, seed=values.seed).images()
    # Read before the chains run, as what does not fit is an error.
    targets = target.images()
    truths = None
    if values.paired:  # One seed chooses the same places of as many images.
        truths = target.subset(limit=count, seed=values.seed).images()
    settings = model.finest_settings.faster(values.speed)
    if values.faithfulness is not None:
        settings = settings.replace(faithfulness=values.faithfulness)
    translations, maps = tasks.translate(
        model.sampling_network,
        sources,
        values.seed,
        settings,
        batch_size=values.batch_size,
        saliency=True,
    )
    # A chain may be one that does not clip.
    translations = np.clip(translations, -1.0, 1.0)
    atomic_files.save(
        np.savez_compressed,
        task.output / "translations.npz",
        sources=sources,
        translations=translations,
        saliency=maps,
    )
    classifier = task.classifier()
    found = evaluation.evaluate_translation(
        translations,
        sources,
        targets,
        None if classifier is None else _reference(task, values.seed),
        encoder=None if classifier is None else classifier.encoder,
        **_called(classifier, target),
        truths=truths,
        seed=values.seed,
    )
    task.record(
        found.figures,
        source=source.name,
        target=target.name,
        images=len(sources),
        langevin=dataclasses.asdict(settings),
    )
    task.show(found.images, "translations.png")
    names = list(found.figures["translation"])
    print_table(
        ["", *(name.replace("_", " ") for name in names)],
        [
            (version.replace("_", " "), *(row[name] for name in names))
            for version, row in found.figures.items()
        ],
    )
    print("SSIM and correlation are with the source image.")
    task.say_where()


def _reference(task: Task, seed: int) -> np.ndarray:
    """Training images of the target, to measure the distance to."""
    return task.data(training=True).subset(limit=5000, seed=seed).images()


def _called(classifier: FashionClassifier | None, target: ImageData) -> dict[str, Any]:
    """The classifier, where the target is one of its classes."""
    if classifier is None or target.class_names != classifier.class_names:
        return {}
    (first, *others) = np.unique(target.labels())
    if others:
        return {}
    return {"classifier": classifier, "target_class": int(first)}
