"""Masks of inpainting: True where a pixel is MISSING and is to be filled.

This is the convention of OpenCV, scikit-image and most inpainting models: white is
painted over, black is kept.
"""

import pathlib
from typing import Any

import numpy as np
from keras import ops

from keras_cfebm.backend import random
from keras_cfebm.datasets.decode import decode
from keras_cfebm.tasks.batches import MASK, stream_keys

#: Masks that `hole_masks` knows by name.
MASKS = ("center", "left_half", "random_25")


def hole_masks(
    mask: Any, shape: tuple[int, ...], seed: int = 0, start: int = 0
) -> np.ndarray:
    """Makes the masks of a batch of images, **True = missing**, to be filled.

    Args:
        mask: one of
            `"center"`: the central square of half the side (a quarter of the image);
            `"left_half"`: the left half;
            `"random_25"`: 25 % of the pixels, drawn for each image from its key;
            a path of a black-and-white image file (`str` ending in a suffix, or
            `pathlib.Path`), white where pixels are missing;
            an array of shape `(h, w)`, `(n, h, w)` or `(n, h, w, 1)`, boolean or of
            zeros and ones.
        shape: shape `(n, h, w, c)` of the images.
        seed: int, the stream of images, for random masks.
        start: int, index in the stream of the first image.

    Returns:
        Boolean NumPy array of shape `(n, h, w, 1)`.

    Raises:
        ValueError: for an unknown name, another shape or values, or a mask that leaves
            an image without missing pixels or without known ones.
        FileNotFoundError: if there is no file at the path.
    """
    count, height, width, _ = shape
    if isinstance(mask, str) and mask in MASKS:
        masks = _named(mask, count, height, width, seed, start)
    elif isinstance(mask, (str, pathlib.Path)):
        masks = _from_file(pathlib.Path(mask))
    else:
        masks = np.asarray(mask)
    if masks.shape == (count, height, width, 1):
        masks = masks[..., 0]
    if masks.shape not in ((height, width), (count, height, width)):
        raise ValueError(
            f"Expected a mask of shape {(height, width)}, {(count, height, width)} or "
            f"{(count, height, width, 1)}, received shape {masks.shape}."
        )
    if not np.isin(masks, (0, 1)).all():
        raise ValueError(
            "Expected a boolean mask or one of zeros and ones, True where pixels are "
            f"missing, received {masks.dtype} from {masks.min()} to {masks.max()}."
        )
    masks = np.broadcast_to(masks.astype(bool), (count, height, width))
    missing = masks.mean(axis=(1, 2))
    for share, said in ((0.0, "no pixel to fill"), (1.0, "no known pixel")):
        if share in missing:
            raise ValueError(
                "Expected a mask that is True where pixels are missing and False where "
                f"they are known, received one with {said} in image "
                f"{int(np.argmax(missing == share))}."
            )
    return masks[..., None]


def _named(mask, count, height, width, seed, start):
    hole = np.zeros((height, width), bool)
    if mask == "left_half":
        hole[:, : width // 2] = True
        return hole
    if mask == "center":
        top, left = height // 4, width // 4
        hole[top : top + height // 2, left : left + width // 2] = True
        return hole
    keys = random.fold_in(stream_keys(seed, count, start), 0, MASK)
    draws = ops.convert_to_numpy(random.uniform(keys, (height * width,)))
    ranks = draws.argsort(axis=1, kind="stable").argsort(axis=1)
    return (ranks < round(height * width / 4)).reshape(count, height, width)


def _from_file(path):
    if not path.is_file():
        raise FileNotFoundError(
            f"Expected a mask, one of {MASKS} or an image file, received {path}, where "
            "there is no file."
        )
    try:
        return decode(path, channels=1)[..., 0] >= 128
    except Exception as error:  # Pillow raises many types for damaged files
        raise ValueError(
            f"Expected an image file as mask, received {path}: {error}"
        ) from error
