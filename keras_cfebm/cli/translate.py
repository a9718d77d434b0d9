"""Translate held-out source images, and judge what came out (Sec. 4.4)."""

import dataclasses

import numpy as np
from absl import flags

from keras_cfebm import evaluation, tasks
from keras_cfebm.cli.task import SHOWN, Task, define_task_flags, print_table
from keras_cfebm.visualization import comparison_grid


def define_flags(values):
    """Adds the flags of this command; --data and its like are the target domain."""
    define_task_flags(values, count=200)
    flags.DEFINE_string(
        "source", None, "Source set; by default the run's.", flag_values=values
    )
    flags.DEFINE_string("source_split", None, "Its split.", flag_values=values)
    flags.DEFINE_list("source_classes", None, "Its classes.", flag_values=values)
    flags.DEFINE_bool(
        "paired",
        False,
        "Whether target i is the true translation of source i, to judge by.",
        flag_values=values,
    )


def main(values):
    """Translates and compares with doing nothing and with a random target image."""

    task = Task("translate", values)
    model = task.model
    if model.chain_start != "source":
        raise ValueError(
            "Expected a model that was trained to translate (cfebm train "
            "--source=...). Received one whose chains start at noise"
        )
    source, target = task.source(), task.data()
    chosen = {"limit": min(values.count, len(source)), "seed": values.seed}
    sources = source.subset(**chosen).images()
    # Read before the chains run, as what does not fit is an error.
    targets = target.images()
    truths = _truths(source, target, chosen) if values.paired else None
    translations, maps = tasks.translate(
        model.sampling_network,
        sources,
        values.seed,
        model.finest_settings,
        batch_size=values.batch_size,
        saliency=True,
        progress=True,
    )
    task.output.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
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
    comparison_grid(
        {label: images[:SHOWN] for label, images in found.images.items()},
        path=task.output / "translations.png",
    )
    names = list(found.figures["translation"])
    print_table(
        ["", *(name.replace("_", " ") for name in names)],
        [
            (version.replace("_", " "), *(row[name] for name in names))
            for version, row in found.figures.items()
        ],
    )
    print("SSIM and correlation are with the source image.")
    task.finish(
        found.figures,
        source=source.name,
        target=target.name,
        images=len(sources),
        langevin=dataclasses.asdict(model.finest_settings),
    )


def _reference(task, seed):
    return task.data(training=True).subset(limit=5000, seed=seed).images()


def _truths(source, target, chosen):
    """The targets of the chosen places: one seed chooses the same of as many images."""
    if len(source) != len(target):
        raise ValueError(
            "Expected as many target images as source images with --paired. Received: "
            f"{len(target)} and {len(source)}"
        )
    return target.subset(**chosen).images()


def _called(classifier, target):
    """The classifier, where the target is one of its classes."""
    if classifier is None or target.class_names != classifier.class_names:
        return {}
    (first, *others) = np.unique(target.labels())
    if others:
        return {}
    return {"classifier": classifier, "target_class": int(first)}
