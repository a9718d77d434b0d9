"""The range of a model's images: declared, checked, and brought to [-1, 1].

A user declares it, as of Keras' own layers, by `value_range`. Every method of a model
that is given images asks this module; energies and tasks know [-1, 1] only.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_cfebm.utils.image_range import INNER, check_range
from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_image_shape, check_images, is_floating

Range = tuple[float, float]
#: What follows the name of a model in the line that messages ask for.
_LINE = "model.value_range = "


def check_value_range(value_range: Any) -> Range | None:
    """Returns a declared range as a pair of floats, or None where there is none.

    Raises:
        ValueError: if it is no pair of finite numbers, the smaller one first.
    """
    if value_range is None:
        return None
    try:
        low, high = map(float, value_range)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not -np.inf < low < high < np.inf:
        raise ValueError(
            "Expected value_range as (smallest, largest), such as (0, 255), received "
            f"{value_range!r}."
        )
    return low, high


def rescaled(images: Tensor, value_range: Range | None) -> Tensor:
    """Images of a declared range as images in [-1, 1].

    Args:
        images: NumPy array, or tensor, of a graph too.
        value_range: pair of floats, or None.

    Returns:
        The images themselves if they are in that range, else float32 ones.
    """
    if value_range in (None, INNER):
        return images
    if isinstance(images, np.ndarray):
        images = images.astype("float32")
    else:
        images = ops.cast(images, "float32")
    low, high = value_range
    return images / ((high - low) / 2) - (high + low) / (high - low)


def preprocessed(network: keras.Model, value_range: Range | None) -> keras.Model:
    """An `EnergyNetwork` of images of a declared range: a Rescaling stands before it.

    Args:
        network: `EnergyNetwork`.
        value_range: pair of floats, or None.

    Returns:
        `keras.Model` of the same inputs, the network itself if there is nothing to do.
    """
    if value_range in (None, INNER):
        return network
    low, high = value_range
    inputs = tuple(
        keras.Input(x.shape[1:], dtype=x.dtype, name=x.name) for x in network.inputs
    )
    scale, offset = 2 / (high - low), -(high + low) / (high - low)
    images = keras.layers.Rescaling(scale, offset, dtype="float32")(inputs[0])
    given = (images, *inputs[1:]) if inputs[1:] else images
    return keras.Model(inputs if inputs[1:] else inputs[0], network(given))


def check_dtype(dtype: Any, value_range: Range | None, name: str = "images") -> None:
    """Checks that images are floats, or, of a declared range of levels, integers.

    Raises:
        ValueError: if they are not.
    """
    dtype = np.dtype(keras.backend.standardize_dtype(dtype))
    takes_levels = value_range is not None and value_range[1] - value_range[0] > 2
    if is_floating(dtype) or (dtype.kind in "iu" and takes_levels):
        return
    hint = f": {_LINE}(0, 255) takes bytes" if dtype.kind in "iu" else ""
    raise ValueError(f"Expected {name} as floats in [-1, 1], received {dtype}{hint}.")


def check_inputs(
    images: Any,
    image_shape: tuple[int, int, int],
    value_range: Range | None,
    name: str = "images",
    noisy: bool = False,
    once: bool = True,
) -> np.ndarray:
    """Returns images that a model is given in [-1, 1], or says what is wrong with them.

    What can be told of a range that has not been declared, or of another one than was,
    is an error that names the line to add. What lies a little outside is warned of.

    Args:
        images: array or tensor of shape `(n, height, width, channels)`.
        image_shape: tuple of ints, shape of one image.
        value_range: pair of floats, or None.
        name: str, what the messages call the images.
        noisy: bool, whether images may lie outside of their range.
        once: bool, whether a warning is given once per process.

    Returns:
        float32 NumPy array of the same shape.

    Raises:
        ValueError: if they do not fit.
    """
    images = np.asarray(images)
    check_image_shape(images.shape, image_shape, name)
    check_dtype(images.dtype, value_range, name)
    found = _range_like(images.min(), images.max(), value_range)
    if found is not None:
        low, high = INNER if value_range is None else value_range
        bright = value_range is None and found == (0, 1)
        raise ValueError(
            f"Expected {name} in [{low:g}, {high:g}], received values from "
            f"{images.min():.4g} to {images.max():.4g}: declare what they are by "
            f"{_LINE}{found}"
            + bright * ", or (-1, 1) for images without anything dark"
            + "."
        )
    images = rescaled(images.astype("float32", copy=False), value_range)
    images = check_images(images, name=name, in_range=False)
    if not noisy:
        check_range(images.min(), images.max(), name, once=once, bright=True)
    return images


def _range_like(low, high, declared):
    """The range that the extremes speak of, against the declared one; or None.

    Nothing is said of constant images, NaN, or ranges of other numbers.
    """
    if not low < high:
        return None
    inside = low >= -1 and high <= 1
    if declared is None or declared == INNER:
        if low >= 0 and high > 2:
            return 0, 255
        return (0, 1) if declared is None and low >= 0 and 0.5 < high <= 1 else None
    if declared == (0, 1):
        if low >= 0 and high > 2:
            return 0, 255
        return (-1, 1) if low < -0.5 and inside else None
    if declared == (0, 255) and inside:
        return (-1, 1) if low < 0 else (0, 1)
    return None
