"""Trains the shipped colour encoder, the yardstick of models of emoji.

    python -m keras_cfebm.assets.make_emoji --output=emoji
    python -m keras_cfebm.assets.make_emoji_encoder --source=emoji

writes `emoji_encoder.keras` and `emoji_encoder.json` beside this file, in some minutes
on a core. Each emoji of the training part is a class of its own, see
`keras_cfebm.evaluation.emoji_encoder`. As with the classifier of garments, a rerun
gives other weights of about the same accuracy.
"""

import argparse
import pathlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_cfebm.assets.make_classifier import build_classifier, train, write
from keras_cfebm.datasets import downsample, load
from keras_cfebm.evaluation.emoji_encoder import PREPROCESSING, RESOLUTION, enlarge

SETTINGS: dict[str, Any] = {
    "seed": 20261,
    "epochs": 40,
    "batch_size": 64,
    "widths": (24, 48, 96, 96),
    "largest_shift": 0.06,
    "largest_zoom": 0.12,
    "largest_noise": 0.1,
}
_WHITE = 1.0


def augmented_batches(
    images: np.ndarray, random: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Shuffled batches of changed images and their numbers, without end.

    Each batch is mirrored, shifted and resized image by image on white; half of the
    batches are shown at 32 or 16 pixels; and each image gets white noise of a standard
    deviation between 0 and `largest_noise`.

    Args:
        images: float array `(n, 64, 64, 3)` in [-1, 1].
        random: of order, sizes and noise.

    Yields:
        Pairs of images and of their places among the images.
    """
    shift, zoom = SETTINGS["largest_shift"], SETTINGS["largest_zoom"]
    ground = {"fill_mode": "constant", "fill_value": _WHITE}
    moved = keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal", seed=SETTINGS["seed"]),
            keras.layers.RandomTranslation(
                shift, shift, **ground, seed=SETTINGS["seed"]
            ),
            keras.layers.RandomZoom(zoom, **ground, seed=SETTINGS["seed"]),
        ]
    )
    size = SETTINGS["batch_size"]
    while True:
        order = random.permutation(len(images))
        for first in range(0, len(images) - size + 1, size):
            rows = order[first : first + size]
            some = keras.ops.convert_to_numpy(moved(images[rows], training=True))
            some = enlarge(downsample(some, int(random.choice([0, 0, 1, 2]))))
            scale = random.uniform(0, SETTINGS["largest_noise"], (size, 1, 1, 1))
            some = some + scale * random.standard_normal(some.shape)
            yield np.clip(some, -1, 1).astype("float32"), rows


def main() -> None:
    """Trains, judges on changes that were not trained on, and writes the two files."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path(__file__).parent
    )
    arguments = parser.parse_args()

    keras.utils.set_random_seed(SETTINGS["seed"])
    images = load(
        arguments.source / "groups",
        split="train",
        resolution=RESOLUTION,
        fit="crop",
        channels=3,
    ).images()
    model = build_classifier(
        images.shape[1:], SETTINGS["widths"], len(images), "emoji_encoder"
    )
    steps = len(images) // SETTINGS["batch_size"]
    train(
        model,
        augmented_batches(images, np.random.default_rng(SETTINGS["seed"])),
        steps,
        SETTINGS["epochs"],
    )
    unseen = augmented_batches(images, np.random.default_rng(SETTINGS["seed"] + 1))
    accuracy = model.evaluate(unseen, steps=steps, verbose=0)[1]
    card = {
        "name": "emoji-encoder",
        "task": f"{len(images):,} emoji, each a class of its own, known again changed",
        "accuracy_on_new_changes": round(float(accuracy), 4),
        "preprocessing": PREPROCESSING,
        "settings": SETTINGS,
    }
    features = keras.Model(model.input, model.get_layer("features").output)
    write(
        keras.Model(model.input, features.output, name=model.name),
        card,
        arguments.output / "emoji_encoder.keras",
    )
    print(f"accuracy {accuracy:.4f} among {len(images):,} emoji")


if __name__ == "__main__":
    main()
