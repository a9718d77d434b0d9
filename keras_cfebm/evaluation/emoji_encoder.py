"""The colour encoder that ships with the package: it was trained to tell emoji apart.

No labels were used: each emoji is a class of its own, and the network has to know it
again when it is shifted, resized, mirrored, blurred or noisy (Dosovitskiy et al., 2014,
arXiv:1406.6909). So features change with what is drawn and in which colours, and little
with where. `keras_cfebm/assets/make_emoji_encoder.py` trains it; its distances compare
with nothing published.
"""

import functools

import keras
import numpy as np

from keras_cfebm.evaluation.encoders import Encoder, Expects
from keras_cfebm.evaluation.shipped_networks import inference, load

RESOLUTION = 64
_RESOLUTIONS = (16, 32, 64)
PREPROCESSING = (
    "colour float32 images in [-1, 1] at 64x64; smaller ones are enlarged by repeating "
    "pixels"
)


def enlarge(images: np.ndarray) -> np.ndarray:
    """Images `(n, h, h, 3)` at 64x64, by repeating pixels."""
    times = RESOLUTION // images.shape[1]
    return images.repeat(times, axis=1).repeat(times, axis=2)


@functools.cache
def emoji_encoder() -> Encoder:
    """Loads the encoder (once per process).

    Returns:
        `Encoder` of colour images of 16, 32 or 64 pixels to 64 features.

    Raises:
        ValueError: if the weights are not those that `emoji_encoder.json` describes.

    Example:

    ```python
    images = np.zeros((2, 32, 32, 3), "float32")  # in [-1, 1]
    features = emoji_encoder()(images)  # (2, 64)
    ```
    """
    model, card = load("emoji_encoder")
    features = inference(keras.Model(model.input, model.get_layer("features").output))
    return Encoder(
        name=card["name"],
        function=lambda images: features(enlarge(images)),
        hash=card["hash"],
        preprocessing=PREPROCESSING,
        expects=Expects(_RESOLUTIONS, (3,)),
    )
