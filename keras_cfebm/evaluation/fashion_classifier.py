"""The Fashion-MNIST classifier that ships with the package, as a feature encoder.

Inception features need three channels, 299 pixels and a download. For small grey images
a small network trained on the same kind of image is the better yardstick and costs
nothing; the price is that its Fréchet distance ("classifier FID") compares with nothing
published. `keras_cfebm/assets/make_classifier.py` trains it.
"""

import dataclasses
import functools
from typing import Any

import keras
import numpy as np

from keras_cfebm.datasets.embedded import CLASS_NAMES
from keras_cfebm.evaluation.encoders import Encoder, Expects, weights_hash
from keras_cfebm.evaluation.shipped_networks import inference, load
from keras_cfebm.utils.typing import Tensor

RESOLUTION = 32
PREPROCESSING = (
    "grey float32 images in [-1, 1] at 32x32; images at 28x28 are padded with -1 "
    "(black) by 2 pixels on each side; no resizing"
)


def pad_to_32(images: np.ndarray) -> np.ndarray:
    """Pads 28x28 images `(n, 28, 28, c)` with black to 32x32; others pass through."""
    if images.shape[1] != 28:
        return images
    return np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=-1.0)


class FashionClassifier:
    """A trained Fashion-MNIST classifier and the encoder made of its last hidden layer.

    Args:
        model: `keras.Model` from images `(n, 32, 32, 1)` in [-1, 1] to 10
            probabilities, with a layer named `"features"`.
        card: dict that tells how it was trained (accuracy, date, settings).

    Attributes:
        card: as above.
        class_names: names of the 10 classes, in the order of the probabilities.
        encoder: `Encoder` named `"fashion-classifier"`: 32x32 or 28x28 grey images to
            the activations of `"features"`.
    """

    def __init__(self, model: keras.Model, card: dict[str, Any]) -> None:
        self.card = card
        self.class_names = CLASS_NAMES
        self._probabilities = Encoder(
            name="fashion-classifier",
            function=_inference(model),
            hash=weights_hash(model.get_weights()),
            preprocessing=PREPROCESSING,
            expects=Expects(resolutions=(28, RESOLUTION), channels=(1,)),
        )
        features = keras.Model(model.input, model.get_layer("features").output)
        self.encoder = dataclasses.replace(
            self._probabilities, function=_inference(features)
        )

    def predict_probabilities(self, images: Tensor) -> np.ndarray:
        """Class probabilities, float32 `(n, 10)` in the order of `class_names`.

        Args:
            images: float array `(n, 32, 32, 1)` or `(n, 28, 28, 1)` in [-1, 1].

        Raises:
            ValueError: if the images are of another shape or range.
        """
        return self._probabilities(images)

    def predict_classes(self, images: Tensor) -> np.ndarray:
        """The most probable classes, int64 `(n,)`; see `predict_probabilities`."""
        return self.predict_probabilities(images).argmax(axis=1)


def _inference(model):
    outputs = inference(model)
    return lambda images: outputs(pad_to_32(images))


@functools.cache
def fashion_classifier() -> FashionClassifier:
    """Loads the shipped classifier (once per process).

    Raises:
        ValueError: if the weights are not those that `classifier.json` describes.
    """
    return FashionClassifier(*load("classifier"))
