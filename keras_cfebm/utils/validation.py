"""Checks of what callers hand in.

Each returns the value in the form its caller works with (float32 images, an int, …), or
raises a ValueError that says what was expected and what was received. NumPy only.
"""

import contextlib
import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_cfebm.utils.image_range import check_range, not_floating
from keras_cfebm.utils.labels import named_labels
from keras_cfebm.utils.shape_hints import shape_hint
from keras_cfebm.utils.typing import Tensor

#: The `image_shape` of what a screen can show.
GREY_OR_COLOUR = ("height", "width", (1, 3))
#: What is said of a batch that `accumulation` does not divide.
INDIVISIBLE = "Expected batches of a multiple of {parts} images, for accumulation"


def check_images(
    images: Tensor,
    image_shape: Sequence[int | str | tuple[int, ...]] | None = None,
    name: str = "images",
    minimum: int = 1,
    strict: bool = False,
    in_range: bool = True,
    once: bool = True,
) -> np.ndarray:
    """Returns images as a float32 array, or says why it cannot.

    Args:
        images: array of shape `(n, height, width, channels)`, floats in [-1, 1].
        image_shape: the shape of one image wanted; see `check_image_shape`.
        name: str, what the messages call them.
        minimum: int, the smallest n.
        strict: bool, whether what lies more than 1e-3 outside [-1, 1] is an error; see
            `keras_cfebm.utils.image_range.check_range`, also for what warns.
        in_range: bool, False allows any finite value, as noisy images have.
        once: bool, whether a warning is given once per process.

    Returns:
        float32 NumPy array of the same shape.

    Raises:
        ValueError: wrong rank, shape or dtype, too few images, NaN or infinity inside,
            or values of another range.
    """
    images = np.asarray(images)
    check_image_shape(images.shape, image_shape, name, minimum)
    if not is_floating(images.dtype):
        raise ValueError(not_floating(images.dtype, name))
    images = _finite_numbers(images, "float32", name)
    if in_range:
        check_range(images.min(), images.max(), name, strict, once)
    return images


def check_image_shape(
    shape: Sequence[int | None],
    image_shape: Sequence[int | str | tuple[int, ...]] | None = None,
    name: str = "images",
    minimum: int = 1,
) -> None:
    """Checks that a shape is that of enough images of the wanted shape.

    Args:
        shape: tuple of ints, with None for a size that is not known yet.
        image_shape: the shape `(height, width, channels)` of one image wanted, or None
            for any. In place of an int, a str allows any size and a tuple some.
        name: str, what the message calls the images.
        minimum: int, the smallest number of them.

    Raises:
        ValueError: if it is not.
    """
    wanted = image_shape or ("height", "width", "channels")
    fits = len(shape) == 4 and all(map(_fits, shape[1:], wanted))
    if not fits or (shape[0] is not None and shape[0] < minimum) or 0 in shape:
        sizes = [" or ".join(map(str, w)) if type(w) is tuple else w for w in wanted]
        raise ValueError(
            f"Expected {name} of shape (n, {', '.join(map(str, sizes))}), n >= "
            f"{minimum}, received shape {tuple(shape)}.{shape_hint(shape, wanted)}"
        )


def _fits(size, wanted):
    if size is None or isinstance(wanted, str):
        return True
    return size in wanted if isinstance(wanted, tuple) else size == wanted


def is_floating(dtype: np.dtype) -> bool:
    """Whether a type is one of floating-point numbers."""
    # bfloat16 and its kin are no sub-type of np.floating: ask for non-integers.
    return dtype.kind not in "biucOSUmM"


def check_labels(
    labels: Any,
    count: int,
    num_classes: int | None,
    class_names: Sequence[str] | None = None,
) -> np.ndarray | None:
    """Returns the labels of a model's images, or None for a model without classes.

    Args:
        labels: None, an int or a class name for all images, or an array of integers or
            of names of shape `(count,)`.
        count: int, number of images.
        num_classes: int, or None for a model without classes.
        class_names: sequence of str, one per class; None where classes have no names.

    Returns:
        int32 NumPy array of shape `(count,)`, or None.

    Raises:
        ValueError: labels without classes or the reverse, wrong shape or range, or a
            name of no class.
    """
    if num_classes is None:
        if labels is not None:
            raise ValueError(
                f"Expected labels=None of a model without classes, received {labels!r}."
            )
        return None
    if labels is None:
        raise ValueError(
            f"Expected labels from 0 to {num_classes - 1}, received None: this model "
            "has classes, and needs a label for each image."
        )
    labels = named_labels(labels, class_names, num_classes)
    if labels.ndim == 0:
        labels = np.full(count, labels)
    return check_label_array(labels, count, num_classes).astype("int32")


def check_label_array(
    labels: Tensor, count: int, num_classes: int | None = None
) -> np.ndarray:
    """Returns `labels` as an integer array, one for each image.

    Args:
        labels: integer array of shape `(count,)`.
        count: int, number of images.
        num_classes: int, which bounds the labels, or None.

    Returns:
        Integer NumPy array of shape `(count,)`.

    Raises:
        ValueError: wrong shape, dtype or range.
    """
    labels = np.asarray(labels)
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"Expected integer labels of shape ({count},), received {labels.dtype} of "
            f"shape {labels.shape}."
        )
    if num_classes is not None and not ((labels >= 0) & (labels < num_classes)).all():
        raise ValueError(
            f"Expected labels from 0 to {num_classes - 1}, received values from "
            f"{labels.min()} to {labels.max()}."
        )
    return labels


def check_count(
    value: int, name: str, minimum: int = 1, maximum: int | None = None
) -> int:
    """Returns `value` as an int; raises ValueError unless it is one in the range."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ValueError(f"Expected an integer {name}, received {value!r}.")
    if maximum is None:
        fits, bounds = value >= minimum, f"of at least {minimum}"
    else:
        fits, bounds = minimum <= value <= maximum, f"from {minimum} to {maximum}"
    if not fits:
        raise ValueError(f"Expected {name} {bounds}, received {value}.")
    return int(value)


def check_data_chains(share: float, chain_start: str = "noise") -> None:
    """Raises ValueError unless `data_chains` is one that chains of this start allow."""
    check_number(share, "data_chains", "[0, 0.5]")
    if share and abs(1 / share - round(1 / share)) > 1e-3:
        raise ValueError(f"Expected data_chains as 0, 1/2, 1/3 …, received {share}.")
    if share and chain_start != "noise":
        raise ValueError(
            "Expected data_chains in a model whose chains start at noise, received "
            f"{share} with chain_start={chain_start!r}."
        )


def check_seed(seed: int) -> int:
    """Returns `seed` as an int; raises ValueError unless in 0 … 2**63 - 1."""
    return check_count(seed, "seed", 0, 2**63 - 1)


def check_number(value: float, name: str, interval: str) -> float:
    """Returns a number as it is.

    Args:
        value: int or float; NaN lies in no interval, and an int beyond all floats is
            as good as infinite.
        name: str, what the message calls it.
        interval: str as in mathematics: `"[0, 1)"`, `"(0, inf)"`.

    Raises:
        ValueError: if it is no number in the interval.
    """
    low, high = map(float, interval[1:-1].split(","))
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    number = _nearest_float(value) if is_number else math.nan
    above = number >= low if interval[0] == "[" else number > low
    below = number <= high if interval[-1] == "]" else number < high
    if not (above and below):
        raise ValueError(f"Expected {name} in {interval}, received {value!r}.")
    return value


def _nearest_float(number):
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def check_scores(scores: Tensor, name: str) -> np.ndarray:
    """Returns scores as a float64 vector: at least one value, all finite.

    Args:
        scores: array of shape `(n,)`, or `(n, 1)` as some models return.
        name: str, what the messages call them.

    Returns:
        float64 NumPy array of shape `(n,)`.

    Raises:
        ValueError: another shape, no values, or NaN or infinity inside.
    """
    scores = np.asarray(scores)
    if not scores.size or scores.shape not in ((scores.size,), (scores.size, 1)):
        raise ValueError(
            f"Expected {name} of shape (n,), n >= 1, received shape {scores.shape}."
        )
    return _finite_numbers(scores.reshape(-1), "float64", name)


def check_features(
    features: Tensor,
    name: str = "features",
    dimensions: int | None = None,
    minimum: int = 1,
) -> np.ndarray:
    """Returns features as a floating matrix, or says why it cannot.

    Args:
        features: array of shape `(n, d)`.
        name: str, what the messages call them.
        dimensions: int, the d wanted, or None for any.
        minimum: int, the smallest n.

    Returns:
        NumPy array of shape `(n, d)`; its floating type is kept.

    Raises:
        ValueError: another shape, too few rows, or values that are not finite numbers.
    """
    features = np.asarray(features)
    wanted = "d" if dimensions is None else dimensions
    fits = features.ndim == 2 and _fits(features.shape[1], wanted)
    if not fits or len(features) < minimum or not features.size:
        raise ValueError(
            f"Expected {name} of shape (n, {wanted}), n >= {minimum}, received shape "
            f"{features.shape}."
        )
    dtype = features.dtype if is_floating(features.dtype) else "float64"
    return _finite_numbers(features, dtype, name)


def _finite_numbers(values, dtype, name):
    reals = None
    # Objects and text cannot be converted; what is too large becomes infinite.
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        if values.dtype.kind != "c":
            with np.errstate(over="ignore"):
                reals = values.astype(dtype, copy=False)
    if reals is None:
        raise ValueError(f"Expected {name} as real numbers, received {values.dtype}.")
    if not np.isfinite(reals).all():
        raise ValueError(f"Expected finite {name}, received NaN or infinity.")
    return reals


def check_mapping(mapping: dict[Any, Any], name: str) -> dict[Any, Any]:
    """Returns a dict as it is; raises ValueError if it is none or has no entries."""
    if not isinstance(mapping, dict) or not mapping:
        raise ValueError(
            f"Expected {name} as a dictionary of at least one entry, "
            f"received {type(mapping).__name__}: {mapping!r:.60}."
        )
    return mapping
