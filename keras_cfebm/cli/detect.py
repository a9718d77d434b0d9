"""Tell anomalies from normal images by their energies (Sec. 4.3)."""

import pathlib
from typing import Any

import numpy as np
from absl import flags

from keras_cfebm import datasets, evaluation, tasks
from keras_cfebm.cli.task import SHOWN, Task, two_parts
from keras_cfebm.cli.text import print_table, write_json
from keras_cfebm.datasets import ImageData
from keras_cfebm.evaluation import DetectionReport
from keras_cfebm.evaluation.anomalies import DIGITS
from keras_cfebm.tasks.anomaly import SCORES
from keras_cfebm.tasks.energies import any_class
from keras_cfebm.utils.typing import Tensor
from keras_cfebm.visualization import energy_histogram, roc_curves

#: The name of the classes that a run has left out, as anomalies.
HELD_OUT = "held_out_classes"


def main(values: flags.FlagValues) -> None:
    """Scores normal images and anomalies, and fits thresholds."""
    task = Task("detect", values)
    test, train = task.data(), task.data(training=True)
    count = min(values.count, len(test) // 2)
    normal, held_out = two_parts(test, count, count, values.seed)
    names = _against(task, values)
    labels = [_label(name) for name in names]
    if len({*labels, "normal"}) != len(labels) + 1:
        raise ValueError(
            "Expected --against with sets of different names, none of them 'normal', "
            f"received {','.join(names)}."
        )
    anomalies = {
        label: _anomalies(task, name, normal, values)
        for label, name in zip(labels, names, strict=True)
    }
    known = train.subset(limit=10_000, seed=values.seed)
    detectors = _detectors(task, values, known.images(), held_out.images())
    classifier = task.classifier()
    if classifier is not None:
        detectors["mahalanobis"] = evaluation.mahalanobis_score(
            classifier.encoder,
            known.images(),
            known.labels() if known.has_labels else None,
        )
    detectors["pca"] = evaluation.pca_score(known.images(), seed=values.seed)
    report = evaluation.evaluate_detection(
        detectors,
        held_out.images(),
        normal.images(),
        anomalies,
        values.false_positive_rate,
    )
    task.record(
        report.figures,
        data=normal.name,
        normal_images=len(normal),
        anomalies={name: len(images) for name, images in anomalies.items()},
        thresholds=report.thresholds,
    )
    write_json(task.output / "thresholds.json", report.thresholds)
    _draw(task, report, {"normal": normal.images(SHOWN), **anomalies})
    print_table(
        ["AUROC", *detectors],
        [
            (kind, *(row[name]["auroc"] for name in detectors))
            for kind, row in report.figures.items()
        ],
    )
    print(
        "High scores are anomalous; 0.5 is chance. Ladder is a LadderDetector; energy "
        "sum\nadds the energies of all levels up; Mahalanobis and PCA know no energy."
    )
    task.say_where()


def _detectors(
    task: Task, values: flags.FlagValues, known: np.ndarray, held_out: np.ndarray
) -> dict[str, Any]:
    """The scores that know an energy, by name; a new image is of any class."""
    model, size = task.model, values.batch_size
    ladder = tasks.LadderDetector(model.sampling_ladder, model.langevin, size)
    energies: list[Any] = model.sampling_ladder
    if model.num_classes is not None:
        energies = [any_class(network) for network in energies]
    found: dict[str, Any] = {
        "ladder": ladder.fit(known, held_out=held_out, seed=values.seed)
    }
    for score in SCORES:
        found[score] = tasks.AnomalyDetector(energies[-1], score, size)
    if len(energies) > 1:
        found["energy_sum"] = evaluation.EnergySum(energies, held_out, size)
    return found


def _against(task: Task, values: flags.FlagValues) -> list[str]:
    """The names of the anomalies to compare with."""
    if values.against:
        return values.against
    config = task.config
    some_classes = config is not None and config.data.classes is not None
    return [*evaluation.ANOMALIES, *([HELD_OUT] if some_classes else [])]


def _label(name: str) -> str:
    """A path's last part; other names as they are."""
    path = pathlib.Path(name)
    return path.stem if path.exists() else name


def _anomalies(
    task: Task, name: str, normal: ImageData, values: flags.FlagValues
) -> np.ndarray:
    """The anomalies of a name; at most as many as there are normal images."""
    if name in evaluation.KNOWN_ANOMALIES:
        count = min(len(normal), DIGITS) if name == "digits" else len(normal)
        return evaluation.anomaly_images(name, normal.images(), count, values.seed)
    if name == HELD_OUT:
        return task.other_classes().subset(limit=len(normal), seed=values.seed).images()
    resolution, _, channels = task.model.image_shape
    data = datasets.load(
        name,
        split=datasets.test_split(name),
        resolution=resolution,
        fit=anomaly_fit(task, name, values),
        **({} if name.endswith((".npy", ".npz")) else {"channels": channels}),
    )
    return data.subset(limit=len(normal), seed=values.seed).images()


def anomaly_fit(task: Task, name: str, values: flags.FlagValues) -> str:
    """As normal images are read, or scores would tell apart how the two were read."""
    own = None if task.config is None else task.config.data.fit
    usual = "pad" if name == datasets.EMBEDDED else "resize"
    return values.fit or (usual if own in (None, "exact") else own)


def _draw(task: Task, report: DetectionReport, images: dict[str, Tensor]) -> None:
    """Draws some images of each kind, and of each score the histogram and the ROC."""
    shown = min(map(len, images.values()))
    task.show({name: some[:shown] for name, some in images.items()}, "images.png")
    for name, scores in report.scores.items():
        energy_histogram(
            scores,
            report.thresholds[name]["threshold"],
            f"{name.replace('_', ' ')} (high = anomalous)",
            path=task.output / f"histogram_{name}.png",
        )
        normal = scores["normal"]
        roc_curves(
            {k: (normal, found) for k, found in scores.items() if k != "normal"},
            path=task.output / f"roc_{name}.png",
        )
