"""What the drawing functions accept, and the errors for everything else."""

import numpy as np

# Sampling clips to [-1, 1] in floating point, so a rounding error is not an error.
RANGE_TOLERANCE = 1e-3


def checked_images(images, name="images"):
    """Returns `images` as a float32 array in [-1, 1], or says what is wrong with it.

    Args:
        images: Float array `(n, height, width, channels)`, 1 or 3 channels, in
            [-1, 1]; up to 1e-3 outside is clipped.
        name: What the caller calls this argument, for the error.

    Returns:
        A float32 NumPy array of the same shape.

    Raises:
        ValueError: On another rank, channel count, dtype or range, on no images at
            all, and on NaN or infinite pixels.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"{name} must have shape (n, height, width, 1 or 3); got {images.shape}."
        )
    if images.size == 0:
        raise ValueError(f"{name} must hold at least one pixel; got {images.shape}.")
    if images.dtype.kind in "iub":
        raise ValueError(
            f"{name} must be floats in [-1, 1]; got {images.dtype}. "
            "datasets.pixels.to_float rescales bytes."
        )
    images = images.astype("float32")
    if not np.isfinite(images).all():
        count = int(np.count_nonzero(~np.isfinite(images)))
        raise ValueError(
            f"{name} must be finite; {count} of {images.size} pixels are NaN or "
            "infinite (a diverged chain?)."
        )
    low, high = float(images.min()), float(images.max())
    if low < -1 - RANGE_TOLERANCE or high > 1 + RANGE_TOLERANCE:
        raise ValueError(f"{name} must lie in [-1, 1]; got [{low:.4g}, {high:.4g}].")
    return np.clip(images, -1.0, 1.0)


def checked_scores(scores, name):
    """Returns `scores` as a float64 vector: at least one value, all finite.

    Args:
        scores: Array `(n,)`, or anything of one axis longer than 1, as `(n, 1)`.
        name: What the caller calls this argument, for the error.

    Returns:
        A float64 NumPy array `(n,)`.

    Raises:
        ValueError: On no values, more than one real axis, and NaN or infinity.
    """
    scores = np.asarray(scores)
    if scores.size == 0 or max(scores.shape, default=0) != scores.size:
        raise ValueError(
            f"{name} must have shape (n,) with n >= 1; got {scores.shape}."
        )
    scores = scores.astype("float64").reshape(-1)
    if not np.isfinite(scores).all():
        count = int(np.count_nonzero(~np.isfinite(scores)))
        raise ValueError(
            f"{name} must be finite; {count} of {scores.size} values are not."
        )
    return scores


def checked_mapping(mapping, name):
    """Returns `mapping` if it is a dictionary with entries, else raises ValueError."""
    if not isinstance(mapping, dict):
        raise ValueError(
            f"{name} must be a dictionary of label -> values; "
            f"got {type(mapping).__name__}."
        )
    if not mapping:
        raise ValueError(f"{name} must have at least one entry; got none.")
    return mapping


def checked_captions(captions, count, name):
    """Returns `captions` as a list of `count` strings, or None for None."""
    if captions is None:
        return None
    if isinstance(captions, str) or len(captions) != count:
        raise ValueError(f"{name} must be {count} strings; got {captions!r}.")
    return [str(caption) for caption in captions]


def checked_count(value, name, minimum=1):
    """Returns `value` as an int, or raises ValueError if it is not whole or too low."""
    if isinstance(value, bool) or value != int(value) or value < minimum:
        raise ValueError(f"{name} must be a whole number >= {minimum}; got {value!r}.")
    return int(value)
