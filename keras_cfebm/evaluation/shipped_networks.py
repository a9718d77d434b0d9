"""Small trained networks that come with the package, as yardsticks of images."""

import importlib.resources
import json
from collections.abc import Callable
from typing import Any

import keras

from keras_cfebm import backend
from keras_cfebm.evaluation.encoders import weights_hash


def load(name: str) -> tuple[keras.Model, dict[str, Any]]:
    """Loads a network and its card, the files `<name>.keras` and `<name>.json`.

    Raises:
        ValueError: if the weights are not those that the card describes.
    """
    assets = importlib.resources.files("keras_cfebm.assets")
    card = json.loads((assets / f"{name}.json").read_text(encoding="utf-8"))
    with importlib.resources.as_file(assets / f"{name}.keras") as path:
        model = keras.saving.load_model(path, compile=False)
    found = weights_hash(model.get_weights())
    if found != card["hash"]:
        raise ValueError(
            f"Expected {name}.keras with weights of hash {card['hash']}, "
            f"received {found}."
        )
    return model, card


def inference(model: keras.Model) -> Callable:
    """A compiled function of images in NumPy, for what a network says of each."""
    outputs = backend.compiled(backend.in_parallel(lambda x: model(x, training=False)))

    def function(images):
        images = keras.ops.convert_to_tensor(images)
        return keras.ops.convert_to_numpy(outputs(images))

    return function
