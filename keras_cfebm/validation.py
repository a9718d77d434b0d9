"""Checks of what users hand in; every message says what was expected and what came."""

import warnings

import numpy as np

_warned = set()


def warn_once(message):
    """Warns with a message that has not been given before in this process."""
    if message not in _warned:
        _warned.add(message)
        warnings.warn(message, stacklevel=3)


def check_images(images, image_shape=None, name="images"):
    """Returns images as a float32 array, or says why it cannot.

    Args:
        images: array of shape `(n, height, width, channels)`, float, in [-1, 1].
        image_shape: the shape `(height, width, channels)` wanted, or None for any.
        name: str, what the messages call them.

    Returns:
        float32 NumPy array.

    Raises:
        ValueError: wrong rank, shape or dtype, no image, or NaN or infinity inside.
    """
    images = np.asarray(images)
    wanted = image_shape or ("height", "width", "channels")
    described = f"Expected {name} of shape (n, {', '.join(map(str, wanted))})"
    if images.ndim != 4 or (image_shape and images.shape[1:] != tuple(image_shape)):
        raise ValueError(f"{described}. Received shape: {images.shape}")
    if images.dtype.kind != "f":
        raise ValueError(
            f"Expected float {name} in [-1, 1]. Received dtype {images.dtype}; for "
            "uint8 images use keras_cfebm.datasets.to_float."
        )
    if not len(images):
        raise ValueError(f"{described} and n of at least 1. Received none.")
    if not np.isfinite(images).all():
        raise ValueError(f"Expected finite {name}. Received NaN or infinite values.")
    low, high = images.min(), images.max()
    if low < -1.001 or high > 1.001:
        warn_once(
            f"Expected {name} in [-1, 1]. Received values from {low:.3g} to "
            f"{high:.3g}: was the scaling forgotten?"
        )
    return images.astype("float32", copy=False)


def check_labels(labels, count, num_classes):
    """Returns labels as an int32 array of shape `(count,)`, or None without classes.

    Args:
        labels: None, an int, or an integer array of shape `(count,)`.
        count: int, number of images.
        num_classes: int or None.

    Raises:
        ValueError: labels without classes or the reverse, wrong shape or range.
    """
    if num_classes is None:
        if labels is not None:
            raise ValueError(
                "This model has no classes, expected labels=None. "
                f"Received: labels={labels!r}"
            )
        return None
    array = np.asarray(labels if labels is not None else [])
    if array.ndim == 0 and array.dtype.kind in "iu":
        array = np.full(count, array)
    if array.shape != (count,) or array.dtype.kind not in "iu":
        raise ValueError(
            f"A model of {num_classes} classes needs labels: an integer or an integer "
            f"array of shape ({count},). Received: {labels!r}"
        )
    if array.min() < 0 or array.max() >= num_classes:
        raise ValueError(
            f"Expected labels from 0 to {num_classes - 1}. Received values from "
            f"{array.min()} to {array.max()}"
        )
    return array.astype("int32")
