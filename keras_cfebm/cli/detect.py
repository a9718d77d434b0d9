"""Tell anomalies from normal images by their energy (Sec. 4.3)."""

import json
import pathlib

from absl import flags

from keras_cfebm import datasets, evaluation
from keras_cfebm.cli.task import (
    SHOWN,
    Task,
    define_task_flags,
    print_table,
    two_parts,
)
from keras_cfebm.evaluation.anomalies import DIGITS
from keras_cfebm.tasks import AnomalyDetector
from keras_cfebm.tasks.anomaly import SCORES
from keras_cfebm.utils import atomic_files
from keras_cfebm.visualization import comparison_grid, energy_histogram, roc_curves

HELD_OUT = "held_out_classes"


def define_flags(values):
    """Adds the flags of this command."""
    define_task_flags(values, count=1000)
    flags.DEFINE_list(
        "against",
        None,
        f"Anomalies: {', '.join(evaluation.ANOMALIES)}, {HELD_OUT} (of a model of some "
        "classes only), or image sets such as svhn_cropped; by default all but the "
        "last.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "false_positive_rate",
        0.05,
        "Share of held-out normal images above the threshold.",
        lower_bound=0,
        upper_bound=1,
        flag_values=values,
    )


def main(values):
    """Scores normal images and anomalies, and fits thresholds."""

    task = Task("detect", values)
    if task.model.num_classes is not None:
        raise ValueError(
            "Expected a model without classes: a new image has no label to score it "
            f"with. Received one of {task.model.num_classes} classes"
        )
    test, train = task.data(), task.data(training=True)
    count = min(values.count, len(test) // 2)
    normal, held_out = two_parts(test, count, count, values.seed)
    names = _against(task, values)
    labels = [_label(name) for name in names]
    if len({*labels, "normal"}) != len(labels) + 1:
        raise ValueError(
            "Expected sets of different names, none of them 'normal'. Received: "
            f"--against={','.join(names)}"
        )
    anomalies = {
        label: _anomalies(task, name, normal, values)
        for label, name in zip(labels, names, strict=True)
    }
    detectors = {
        score: AnomalyDetector(task.model.sampling_network, score, values.batch_size)
        for score in SCORES
    }
    if len(task.model.ladder) > 1:
        detectors["ladder"] = evaluation.LadderScore(
            task.model.sampling_ladder, held_out.images(), values.batch_size
        )
    known = train.subset(limit=10_000, seed=values.seed)
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
    _draw(task, report, {"normal": normal.images(SHOWN), **anomalies})
    thresholds = json.dumps(report.thresholds, indent=2) + "\n"
    atomic_files.write_text(task.output / "thresholds.json", thresholds)
    print_table(
        ["AUROC", *detectors],
        [
            (kind, *(row[name]["auroc"] for name in detectors))
            for kind, row in report.figures.items()
        ],
    )
    print(
        "High scores are anomalous; 0.5 is chance. Mahalanobis and PCA know no energy; "
        "ladder adds the energies of all levels up."
    )
    task.finish(
        report.figures,
        data=normal.name,
        normal_images=len(normal),
        anomalies={name: len(images) for name, images in anomalies.items()},
        thresholds=report.thresholds,
    )


def _against(task, values):
    if values.against:
        return values.against
    config = task.config
    some_classes = config is not None and config.data.classes is not None
    return [*evaluation.ANOMALIES, *([HELD_OUT] if some_classes else [])]


def _label(name):
    """A path's last part; other names as they are."""
    path = pathlib.Path(name)
    return path.stem if path.exists() else name


def _anomalies(task, name, normal, values):
    if name in evaluation.ANOMALIES:
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


def anomaly_fit(task, name, values):
    """As normal images are read, or scores would tell apart how the two were read."""
    own = None if task.config is None else task.config.data.fit
    usual = "pad" if name == datasets.EMBEDDED else "resize"
    return values.fit or (usual if own in (None, "exact") else own)


def _draw(task, report, images):
    shown = min(SHOWN, *map(len, images.values()))
    comparison_grid(
        {name: some[:shown] for name, some in images.items()},
        path=task.output / "images.png",
    )
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
