"""Encoders: the feature maps in which generated and real images are compared."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from keras import ops

from keras_cfebm.utils.progress import progress_bar
from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_features, check_images

#: Published "FID" numbers are comparable only in that network; see `inception.py`.
FRECHET_NAMES = {"inception-2015-12-05": "FID", "fashion-classifier": "classifier FID"}


class Expects(NamedTuple):
    """The images an encoder takes: heights (= widths) and numbers of channels.

    Attributes:
        resolutions: tuple of accepted resolutions, or None for any.
        channels: tuple of accepted numbers of channels.
    """

    resolutions: tuple[int, ...] | None
    channels: tuple[int, ...]


@dataclass(frozen=True)
class Encoder:
    """A fixed map from images to features, with all that identifies it.

    Distances between feature distributions mean something only relative to their
    encoder. So it travels with its name, its weights' hash and its preprocessing, and
    statistics of different encoders refuse to be compared.

    Args:
        name: str. Only `"inception-2015-12-05"` yields figures named "FID".
        function: maps float32 images `(n, h, w, c)` in [-1, 1] to features `(n, d)`. It
            does the preprocessing and gets at most `batch_size` images.
        hash: str, hexadecimal SHA-256 of the weights (see `weights_hash`).
        preprocessing: str, what `function` does to the images first, in words.
        expects: `Expects`, accepted resolutions and channels.
        batch_size: int, images encoded at a time; it bounds the memory.

    Example:

    ```python
    encoder = keras_cfebm.evaluation.fashion_classifier().encoder
    features = encoder(images)  # (n, 32, 32, 1) in [-1, 1] -> (n, 64)
    ```
    """

    name: str
    function: Callable
    hash: str
    preprocessing: str
    expects: Expects
    batch_size: int = 256

    @property
    def frechet_name(self) -> str:
        """What the Fréchet distance on these features may be called."""
        return FRECHET_NAMES.get(self.name, f"Fréchet distance on {self.name}")

    def check(self, images: Tensor) -> np.ndarray:
        """Returns images as float32; ValueError unless they are what `expects` says."""
        images = check_images(images, strict=True)
        height, width, channels = images.shape[1:]
        accepted = self.expects.resolutions
        if height != width or (accepted is not None and height not in accepted):
            raise ValueError(
                f"Expected square images of resolution {accepted or 'any'} for "
                f"{self.name}, received {height}x{width}."
            )
        if channels not in self.expects.channels:
            raise ValueError(
                f"Expected images of {self.expects.channels} channels for {self.name}, "
                f"received {channels}."
            )
        return images

    def __call__(self, images: Tensor) -> np.ndarray:
        """Encodes images `(n, h, w, c)` to float32 `(n, d)`, `batch_size` at a time.

        Raises:
            ValueError: if the images are not what the encoder expects, or the features
                are not finite or not 2-D.
        """
        images = self.check(images)
        blocks = []
        with progress_bar(len(images)) as done:
            for start in range(0, len(images), self.batch_size):
                some = images[start : start + self.batch_size]
                blocks.append(ops.convert_to_numpy(self.function(some)))
                done(len(some))
        features = check_features(np.concatenate(blocks), f"features of {self.name}")
        return features.astype("float32", copy=False)


def weights_hash(weights: Iterable[Tensor]) -> str:
    """Hashes weights, arrays in a fixed order: the identity of an encoder.

    It is the hexadecimal SHA-256 of their shapes and float32 values (little endian, so
    that it does not depend on the machine).
    """
    digest = hashlib.sha256()
    for weight in weights:
        weight = np.asarray(weight)
        digest.update(repr(tuple(int(n) for n in weight.shape)).encode())
        digest.update(np.ascontiguousarray(weight, dtype="<f4").tobytes())
    return digest.hexdigest()
