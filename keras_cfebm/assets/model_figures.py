"""Measures what a model of `saved_models/` does well and where it fails, for its card.

    python -m keras_cfebm.assets.model_figures --name=fashion_mnist

judges `model.keras` by every task that it serves, on the embedded images, and writes
`figures.json` and the part of the card below "What it does". Nothing else is needed
than the shipped file, so that anyone can do it again.
"""

import json
import pathlib
import time
from typing import Any

import keras
import numpy as np
from absl import app, flags

from keras_cfebm import configs, datasets, evaluation, tasks
from keras_cfebm.assets.figures_text import as_markdown
from keras_cfebm.model import CFEBM
from keras_cfebm.runs.run_folder import load_ladder
from keras_cfebm.utils import atomic_files

_FOLDER = pathlib.Path("saved_models")
#: Images of the smallest check, which a test repeats.
_CHECKED = 8
#: Images that are restored, and images of a kind of anomaly.
_RESTORED, _ANOMALIES = 100, 300


def images_of(split: str, classes: Any = None, limit: int | None = None) -> np.ndarray:
    """Embedded images `(n, 32, 32, 1)` of some classes."""
    data = datasets.load(datasets.EMBEDDED, split, resolution=32, fit="pad")
    return data.subset(classes=classes, limit=limit, seed=0).images()


def reference_of(classes: Any = None) -> evaluation.FeatureStatistics:
    """Statistics of the embedded training images of some classes."""
    return evaluation.FeatureStatistics.from_images(
        [images_of("train", classes)],
        evaluation.fashion_classifier().encoder,
        "training images",
    )


def checked(model: CFEBM) -> dict[str, list[float]]:
    """A few numbers that follow from the file alone, in seconds."""
    images = images_of("test", limit=_CHECKED)
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


def generation(model: CFEBM, classes: Any, count: int) -> list[dict[str, Any]]:
    """Classifier FID and time of `count` samples at each speed, beside those at 1."""
    encoder = evaluation.fashion_classifier().encoder
    reference = reference_of(classes)
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
                "classifier_fid": found.figures["frechet_distance"],
                "images_per_cpu_second": count / seconds,
            }
        )
    return rows


def guidance(model: CFEBM, count: int) -> list[dict[str, Any]]:
    """Class accuracy and classifier FID of a conditional model, for several w."""
    classifier = evaluation.fashion_classifier()
    names = classifier.class_names
    labels = np.arange(count) % len(names)
    reference = reference_of()
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
                "classifier_fid": found["frechet_distance"],
            }
        )
    return rows


def inpainting(model: CFEBM, classes: Any) -> dict[str, Any]:
    """The centre filled: a sample, the mean of eight, and the biharmonic equation."""
    images = images_of("test", classes, _RESTORED)
    labels = None
    if model.num_classes is not None:
        labels = evaluation.fashion_classifier().predict_classes(images)
    return evaluation.evaluate_inpainting(
        model, images, "center", samples=8, labels=labels
    ).figures


def denoising(model: CFEBM, classes: Any) -> dict[str, Any]:
    """Noise removed by a model that has learned to, and by filters."""
    images = images_of("test", classes, _RESTORED + 64)
    return evaluation.evaluate_denoising(
        model,
        images[64:],
        tuning_images=images[:64],
    ).figures


def translation(model: CFEBM, source: Any, target: Any) -> dict[str, Any]:
    """Test images of a class, in a tuple, translated to another."""
    classifier = evaluation.fashion_classifier()
    sources = images_of("test", source)
    return evaluation.evaluate_translation(
        np.clip(model.translate(sources, seed=0), -1, 1),
        sources,
        images_of("test", target),
        images_of("train", target),
        encoder=classifier.encoder,
        classifier=classifier,
        target_class=classifier.class_names.index(*target),
    ).figures


def detection(model: CFEBM, classes: Any, count: int) -> dict[str, Any]:
    """AUROC of the detector and of raw energy.

    The model's own detector is calibrated by all test images; so one is judged that is
    fitted in the same way to half of them, by the other half.
    """
    train = images_of("train", classes, 2 * count)
    held_out, normal = np.array_split(images_of("test", classes), 2)
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


def soundness(model: CFEBM, classes: Any) -> dict[str, Any]:
    """The verdicts of `cfebm diagnose`."""
    test, train = (
        datasets.load(datasets.EMBEDDED, split, resolution=32, fit="pad").subset(
            classes=classes
        )
        for split in ("test", "train")
    )
    encoder = evaluation.fashion_classifier().encoder
    return evaluation.diagnose(model, test, train, encoder).figures["checks"]


def measured(
    name: str, model: CFEBM, samples: int = 2000, reference: int = 2000
) -> dict[str, Any]:
    """All figures of a model.

    Args:
        name: str, its preset.
        model: `CFEBM`.
        samples: int, number of samples of each distance.
        reference: int, reference images of the detector that is judged.
    """
    config = configs.config(name)
    classes = config.data.classes
    figures: dict[str, Any] = {"check": checked(model)}
    if config.source is None:
        figures["generation"] = generation(model, classes, samples)
        if model.num_classes is not None:
            figures["guidance"] = guidance(model, samples)
        figures["inpainting"] = inpainting(model, classes)
        figures["soundness"] = soundness(model, classes)
    elif config.source_noise:
        figures["denoising"] = denoising(model, classes)
    else:
        figures["translation"] = translation(model, config.source.classes, classes)
    figures["detection"] = detection(model, classes, reference)
    return figures


def write(folder: pathlib.Path, figures: dict[str, Any]) -> None:
    """Writes figures.json, and the part of the card that shows them."""
    text = json.dumps(figures, indent=1, ensure_ascii=False)
    atomic_files.write_text(folder / "figures.json", text + "\n")
    card = folder / "README.md"
    head = card.read_text(encoding="utf-8").partition("\n## What it does\n")[0]
    atomic_files.write_text(card, head + "\n" + as_markdown(folder.name, figures))


def main(argv):
    """Measures and writes."""
    if len(argv) > 1:
        raise app.UsageError(f"Expected flags only, received {argv[1:]}.")
    folder = _FOLDER / flags.FLAGS.name
    model = load_ladder(folder / "model.keras")
    figures = measured(folder.name, model, flags.FLAGS.samples, flags.FLAGS.reference)
    write(folder, figures)


if __name__ == "__main__":
    keras.utils.disable_interactive_logging()
    flags.DEFINE_string("name", None, "Folder in saved_models.", required=True)
    flags.DEFINE_integer("samples", 2000, "Samples of each distance.", lower_bound=130)
    flags.DEFINE_integer("reference", 2000, "Of the detector.", lower_bound=64)
    app.run(main)
