"""Trains the shipped Fashion-MNIST classifier, the yardstick of `evaluation`.

    python -m keras_cfebm.assets.make_classifier --source DIR

DIR holds the four files of Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, MIT license)
as published; they are checked by SHA-256. Writes `classifier.keras` and
`classifier.json` beside this file, in a few minutes on two cores. Seeds are fixed, but
multi-threaded sums are not: a rerun gives other weights (so another hash) of about the
same accuracy, and figures measured on the old features do not compare with new ones.
"""

import argparse
import datetime
import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from keras_cfebm.assets.make_fashion_mnist import read_split
from keras_cfebm.datasets.embedded import CLASS_NAMES
from keras_cfebm.datasets.pixels import to_float
from keras_cfebm.evaluation.encoders import weights_hash
from keras_cfebm.evaluation.fashion_classifier import PREPROCESSING, pad_to_32
from keras_cfebm.utils.typing import PathLike

SETTINGS: dict[str, Any] = {
    "seed": 20260,
    "epochs": 8,
    "batch_size": 128,
    "learning_rate": 2e-3,
    "largest_shift": 1,
    "largest_noise": 0.05,
    "dropout": 0.2,
}
FEATURES = 64


def augmented_batches(
    images: np.ndarray, labels: np.ndarray, random: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Shuffled batches of shifted, slightly noisy images, without end.

    What shifts into an image is black. Each image gets white noise of a standard
    deviation drawn from 0 to `largest_noise`, small on purpose: features blind to noise
    could not judge it.

    Args:
        images: float array `(n, 32, 32, 1)` in [-1, 1].
        labels: integer array `(n,)` of classes.
        random: of order, shifts and noise.

    Yields:
        Pairs of images and labels of a batch.
    """
    margin, size = SETTINGS["largest_shift"], images.shape[1]
    border = ((0, 0), (margin, margin), (margin, margin))
    while True:
        for rows in _batches_of(random.permutation(len(images))):
            padded = np.pad(images[rows, :, :, 0], border, constant_values=-1.0)
            windows = sliding_window_view(padded, (size, size), axis=(1, 2))
            dy, dx = random.integers(0, 2 * margin + 1, (2, len(rows)))
            shifted = windows[np.arange(len(rows)), dy, dx][..., None]
            scale = random.uniform(0, SETTINGS["largest_noise"], (len(rows), 1, 1, 1))
            noisy = shifted + scale * random.standard_normal(shifted.shape)
            yield np.clip(noisy, -1, 1).astype("float32"), labels[rows]


def _batches_of(rows):
    size = SETTINGS["batch_size"]
    return rows[: len(rows) // size * size].reshape(-1, size)


def build_classifier(
    input_shape: tuple[int, int, int] = (32, 32, 1),
    widths: Sequence[int] = (24, 48, 96),
    classes: int = len(CLASS_NAMES),
    name: str = "fashion_classifier",
) -> keras.Model:
    """An untrained network from images to probabilities of classes `(n, classes)`.

    Args:
        input_shape: shape of an image.
        widths: channels of each block, which halves the images.
        classes: int, number of classes.
        name: str, of the model.

    Returns:
        `keras.Model` whose layer `"features"` has 64 outputs.
    """
    inputs = keras.Input(input_shape, name="images")
    x = inputs
    for width in widths:
        x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.Activation("relu")(x)
        x = keras.layers.MaxPooling2D()(x)
    # Flattened rather than averaged: where something is, is part of what is judged.
    x = keras.layers.Flatten()(x)
    # Normalised and smooth, so that no feature dies (with a plain ReLU two thirds did)
    # and each counts about alike in a distance.
    x = keras.layers.Dense(FEATURES, use_bias=False)(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Activation("swish", name="features")(x)
    x = keras.layers.Dropout(SETTINGS["dropout"])(x)
    outputs = keras.layers.Dense(classes, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs, outputs, name=name)


def train(
    model: keras.Model,
    batches: Iterator[tuple[np.ndarray, np.ndarray]],
    steps: int,
    epochs: int,
) -> None:
    """Trains a classifier with Adam and a rate that falls as a cosine.

    Args:
        model: as `build_classifier` makes it.
        batches: pairs of images and labels, without end.
        steps: int, batches of an epoch.
        epochs: int.
    """
    schedule = keras.optimizers.schedules.CosineDecay(
        SETTINGS["learning_rate"], epochs * steps
    )
    model.compile(
        keras.optimizers.Adam(schedule),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,  # XLA is slow at convolutions on a CPU
    )
    model.fit(batches, steps_per_epoch=steps, epochs=epochs, shuffle=False, verbose=2)


def write(model: keras.Model, card: dict[str, Any], path: pathlib.Path) -> None:
    """Writes a network without its optimizer, and its card beside it.

    Args:
        model: `keras.Model`.
        card: dict, what is particular to it; what all have in common is added.
        path: ends in `.keras`; the card's name ends in `.json`.
    """
    # A model that was never compiled has no optimizer to save: a third of the size.
    keras.Model(model.input, model.output, name=model.name).save(path)
    card = {
        **card,
        "feature_dimensions": FEATURES,
        "hash": weights_hash(model.get_weights()),
        "date": datetime.date.today().isoformat(),
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
    }
    text = json.dumps(card, indent=2) + "\n"
    path.with_suffix(".json").write_text(text, encoding="utf-8")


def load_split(source: PathLike, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    """A published split, see `read_split`, as float images `(n, 32, 32, 1)`."""
    images, labels = read_split(source, prefix)
    return pad_to_32(to_float(images[..., None])), labels.astype("int64")


def main() -> None:
    """Trains, evaluates on the 10,000 test images, and writes the two files."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path(__file__).parent
    )
    arguments = parser.parse_args()

    keras.utils.set_random_seed(SETTINGS["seed"])
    images, labels = load_split(arguments.source, "train")
    model = build_classifier()
    batches = augmented_batches(images, labels, np.random.default_rng(SETTINGS["seed"]))
    train(model, batches, len(images) // SETTINGS["batch_size"], SETTINGS["epochs"])
    test_images, test_labels = load_split(arguments.source, "t10k")
    accuracy = model.evaluate(test_images, test_labels, batch_size=500, verbose=0)[1]
    card = {
        "name": "fashion-classifier",
        "task": "Fashion-MNIST, 60,000 training images, 10 classes",
        "test_accuracy": round(float(accuracy), 4),
        "preprocessing": PREPROCESSING,
        "settings": SETTINGS,
    }
    write(model, card, arguments.output / "classifier.keras")
    print(f"test accuracy {accuracy:.4f}, {model.count_params():,} parameters")


if __name__ == "__main__":
    main()
