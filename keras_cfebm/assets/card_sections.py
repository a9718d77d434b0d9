"""What is measured for a model's card, task by task.

`keras_cfebm.assets.model_figures` says which of these a model has, and writes them.
"""

import dataclasses
import time
from typing import Any

import numpy as np

from keras_cfebm import datasets, evaluation, tasks
from keras_cfebm.assets.yardsticks import Yardstick
from keras_cfebm.configs.run_config import DataConfig
from keras_cfebm.model import CFEBM

#: Images of the smallest check, which a test repeats.
_CHECKED = 8
#: Images that are restored, and images of a kind of anomaly.
_RESTORED, _ANOMALIES = 100, 300


def checked(model: CFEBM) -> dict[str, list[float]]:
    """A few numbers that follow from the file alone, in seconds."""
    data = datasets.load(datasets.EMBEDDED, "test", model.resolution, fit="pad")
    images = data.subset(limit=_CHECKED, seed=0).images()
    images = images.repeat(model.image_shape[-1], axis=-1)
    labels = None if model.num_classes is None else np.arange(_CHECKED)
    if model.chain_start == "source":
        made = model.translate(images, seed=0)
    else:
        made = model.generate(_CHECKED, seed=0, labels=labels)
    energies = model.predict(images if labels is None else (images, labels), verbose=0)
    return {
        "energies": energies.astype(float).tolist(),
        "means_of_images_made": made.mean(axis=(1, 2, 3)).astype(float).tolist(),
    }


def generation(model: CFEBM, yardstick: Yardstick, count: int) -> list[dict[str, Any]]:
    """Fréchet distance and time of `count` samples at each speed."""
    encoder, reference = yardstick.encoder, yardstick.reference()
    labels = None if model.num_classes is None else np.arange(count) % model.num_classes
    rows: list[dict[str, Any]] = []
    levels = len(model.ladder)
    for speed in (1.0, 2.0, 4.0):
        faster = model.langevin.faster(speed)
        model.generate(100, 0, None if labels is None else labels[:100], speed=speed)
        begin = time.process_time()  # others may be at work on the machine
        found = evaluation.evaluate_generation(
            model, count, encoder, reference, labels=labels, batch_size=100, speed=speed
        )
        seconds = time.process_time() - begin
        rows.append(
            {
                "speed": speed,
                "steps": [faster.steps_at(level) for level in range(levels)],
                "metric": encoder.frechet_name,
                "frechet_distance": found.figures["frechet_distance"],
                "images_per_cpu_second": count / seconds,
            }
        )
    return rows


def smaller(model: CFEBM, data: DataConfig, count: int) -> dict[str, Any]:
    """Fréchet distance of the ladder without its last level, and of pixelated images.

    These are training images of its resolution, pixelated to 16×16.
    """
    ladder = CFEBM(model.ladder[:-1], model.langevin)
    yardstick = Yardstick(dataclasses.replace(data, resolution=ladder.resolution))
    encoder, reference = yardstick.encoder, yardstick.reference()
    found = evaluation.evaluate_generation(
        ladder, count, encoder, reference, batch_size=100
    ).figures
    real = evaluation.controls(yardstick.images("train"), encoder, reference)
    return {
        "resolution": ladder.resolution,
        "metric": encoder.frechet_name,
        "frechet_distance": found["frechet_distance"],
        "pixelated_to_16": real["pixelated_to_16"],
    }


def novelty(model: CFEBM, yardstick: Yardstick) -> dict[str, float]:
    """Mean distance to the nearest training image, of samples and of test images."""
    test = yardstick.images("test", _RESTORED)
    return evaluation.evaluate_neighbours(
        model.generate(len(test), 0), yardstick.images("train"), test, k=1
    ).figures["pixels"]


def guidance(model: CFEBM, yardstick: Yardstick, count: int) -> list[dict[str, Any]]:
    """Class accuracy and classifier FID of a conditional model, for several w."""
    classifier = evaluation.fashion_classifier()
    names = classifier.class_names
    labels = np.arange(count) % len(names)
    reference = yardstick.reference()
    rows = []
    for weight in (0.0, 0.5, 1.0, 2.0):
        images = model.generate(count, 0, labels, batch_size=100, guidance=weight)
        right = classifier.predict_classes(images) == labels
        by_class = [float(right[labels == c].mean()) for c in range(len(names))]
        found = evaluation.evaluate_samples([images], reference, classifier.encoder)
        rows.append(
            {
                "guidance": weight,
                "accuracy": float(right.mean()),
                "worst": min(by_class),
                "worst_class": names[int(np.argmin(by_class))],
                "metric": classifier.encoder.frechet_name,
                "frechet_distance": found["frechet_distance"],
            }
        )
    return rows


def inpainting(model: CFEBM, yardstick: Yardstick) -> dict[str, Any]:
    """The centre filled: a sample, the mean of eight, and the biharmonic equation."""
    images = yardstick.images("test", _RESTORED)
    labels = None
    if model.num_classes is not None:
        labels = evaluation.fashion_classifier().predict_classes(images)
    figures = evaluation.evaluate_inpainting(
        model, images, "center", samples=8, labels=labels
    ).figures
    return {**figures, "knows_classes": labels is not None}


def denoising(model: CFEBM, yardstick: Yardstick) -> dict[str, Any]:
    """Noise removed by a model that has learned to, and by filters."""
    images = yardstick.images("test", _RESTORED + 64)
    return evaluation.evaluate_denoising(
        model,
        images[64:],
        tuning_images=images[:64],
    ).figures


def translation(
    model: CFEBM, yardstick: Yardstick, source: DataConfig
) -> dict[str, Any]:
    """Test images translated: judged by a classifier, or by the true translations."""
    sources, targets = yardstick.images("test", data=source), yardstick.images("test")
    judges: dict[str, Any] = {"truths": targets}  # emoji of one name are a pair
    if yardstick.of_garments:
        classifier = evaluation.fashion_classifier()
        (wanted,) = yardstick.data.classes or ()
        judges = {
            "reference": yardstick.images("train"),
            "encoder": classifier.encoder,
            "classifier": classifier,
            "target_class": classifier.class_names.index(wanted),
        }
    translated = np.clip(model.translate(sources, seed=0), -1, 1)
    return evaluation.evaluate_translation(
        translated, sources, targets, **judges
    ).figures


def detection(model: CFEBM, yardstick: Yardstick, count: int) -> dict[str, Any]:
    """AUROC of the detector and of raw energy.

    The model's own detector is calibrated by all test images; so one is judged that is
    fitted in the same way to half of them, by the other half.
    """
    train = yardstick.images("train", 2 * count)
    held_out, normal = np.array_split(yardstick.images("test"), 2)
    ladder = tasks.LadderDetector(model.sampling_ladder, model.langevin)
    energy: Any = model.sampling_network
    if model.num_classes is not None:
        energy = tasks.energies.any_class(energy)
    report = evaluation.evaluate_detection(
        {
            "ladder": ladder.fit(train, held_out=held_out),
            "energy": tasks.AnomalyDetector(energy),
        },
        held_out,
        normal,
        {
            name: evaluation.anomaly_images(
                name, normal, min(_ANOMALIES, len(normal)), 0
            )
            for name in evaluation.KNOWN_ANOMALIES
        },
    )
    return {
        "auroc": {
            kind: {score: row["auroc"] for score, row in scores.items()}
            for kind, scores in report.figures.items()
        },
        "false_alarms": report.thresholds["ladder"]["false_positives"],
    }


def soundness(model: CFEBM, yardstick: Yardstick) -> dict[str, Any]:
    """The verdicts of `cfebm diagnose`."""
    test, train = (yardstick.image_data(split) for split in ("test", "train"))
    return evaluation.diagnose(model, test, train, yardstick.encoder).figures["checks"]
