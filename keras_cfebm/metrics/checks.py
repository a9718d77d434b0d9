"""Checks of what callers hand to the metrics, and the import of optional packages."""

import importlib

import numpy as np

# Resizing and pooling of [-1, 1] images may overshoot by float rounding only.
RANGE_TOLERANCE = 1e-4


def check_images(images, name="images", minimum=1):
    """Returns `images` as a float32 array, or says what is wrong with them.

    Args:
        images: Array-like of shape (n, height, width, channels), floats in [-1, 1].
        name: What the error message calls them.
        minimum: Smallest acceptable n.

    Returns:
        A float32 NumPy array of the same shape.

    Raises:
        ValueError: On another rank, an integer type, fewer than `minimum` images, a
            value that is not finite, or one outside [-1, 1].
    """
    images = np.asarray(images)
    if images.ndim != 4:
        raise ValueError(
            f"{name}: expected shape (n, height, width, channels), "
            f"received {images.shape}."
        )
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(
            f"{name}: expected floats in [-1, 1], received {images.dtype}; "
            "8-bit images convert with x / 127.5 - 1."
        )
    if images.shape[0] < minimum or images.size == 0:
        raise ValueError(
            f"{name}: expected at least {minimum} image(s), "
            f"received shape {images.shape}."
        )
    images = images.astype("float32", copy=False)
    low, high = images.min(), images.max()
    if not (np.isfinite(low) and np.isfinite(high)):  # min and max carry NaN through
        raise ValueError(f"{name}: expected finite values, received NaN or infinity.")
    if low < -1 - RANGE_TOLERANCE or high > 1 + RANGE_TOLERANCE:
        raise ValueError(
            f"{name}: expected values in [-1, 1], received [{low:.4g}, {high:.4g}]."
        )
    return images


def check_features(features, name="features", dimensions=None, minimum=1):
    """Returns `features` as a floating 2-D array, or says what is wrong with them.

    Args:
        features: Array-like of shape (n, d).
        name: What the error message calls them.
        dimensions: The d that is required, or `None` for any.
        minimum: Smallest acceptable n.

    Returns:
        A NumPy array of shape (n, d); its floating type is kept.

    Raises:
        ValueError: On another shape, fewer than `minimum` rows, or values that are not
            finite numbers.
    """
    features = np.asarray(features)
    if features.ndim != 2 or features.shape[1] == 0:
        raise ValueError(f"{name}: expected shape (n, d), received {features.shape}.")
    if dimensions is not None and features.shape[1] != dimensions:
        raise ValueError(
            f"{name}: expected {dimensions} dimensions, received {features.shape[1]}."
        )
    if features.shape[0] < minimum:
        raise ValueError(
            f"{name}: expected at least {minimum} row(s), received {features.shape[0]}."
        )
    if not np.issubdtype(features.dtype, np.floating):
        features = features.astype("float64")
    if not np.isfinite(features).all():
        raise ValueError(f"{name}: expected finite values, received NaN or infinity.")
    return features


def optional_import(module, extra):
    """Imports a module that only an optional extra installs.

    Args:
        module: Dotted name, such as `"sklearn.metrics"`.
        extra: The extra of this package that brings it.

    Returns:
        The module.

    Raises:
        ImportError: If it is missing; the message names the `pip install` to run.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{module} is not installed and this function needs it: "
            f'run pip install "keras_cfebm[{extra}]".'
        ) from error
