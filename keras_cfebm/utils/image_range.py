"""The range of images, [-1, 1], and which scaling other values have been left without.

The one check of every door through which images come in; what a model is given goes
through `value_range` first.
"""

import warnings

#: The range in which energies know images.
INNER = (-1.0, 1.0)
#: How far rounding may leave [-1, 1].
RANGE_TOLERANCE = 1e-3
#: Noise and resizing lead a little out of the range, on both sides. What is never
#: negative and above this are the levels of a file.
_LARGEST = 2.0
#: What maps the levels of a file to the range, bytes too, arrays and batches alike.
_SCALING = "keras.layers.Rescaling(1 / 127.5, offset=-1)"

_warned: set[str] = set()


def not_floating(dtype: object, name: str = "images") -> str:
    """What is said of images that are no floating-point numbers."""
    message = f"Expected {name} as floats in [-1, 1], received {dtype}"
    if not str(dtype).startswith(("bool", "int", "uint")):
        return f"{message}."
    return (
        f"{message}; keras_cfebm.datasets.to_float converts it, and a data set of "
        "bytes " + _mapped(_SCALING)
    )


def check_range(
    low: float,
    high: float,
    name: str = "images",
    strict: bool = False,
    once: bool = True,
    bright: bool = False,
) -> None:
    """Checks by the extremes of some images that they can be in [-1, 1].

    - From 0 up to more than 2 they are the levels of a file: an error.
    - Otherwise outside [-1, 1] they may be noisy: a warning, or an error if strict.
    - From 0 up to more than 0.5 they lie inside, but are nowhere darker than grey, as
      images in [0, 1] are: a warning. Of constant images nothing can be told.

    Args:
        low: float, the smallest value.
        high: float, the largest value.
        name: str, what the messages call the images.
        strict: bool, see above.
        once: bool, whether a warning is given once per process.
        bright: bool, whether images may be nowhere darker than grey.

    Raises:
        ValueError: see above.
    """
    message = (
        f"Expected {name} in [-1, 1], received values from {low:.4g} to {high:.4g}: "
        "was the scaling forgotten?"
    )
    if low >= 0 and high > _LARGEST:
        raise ValueError(f"{message} From 0 … 255 it is {_mapped(_SCALING)}")
    if low < -1 - RANGE_TOLERANCE or high > 1 + RANGE_TOLERANCE:
        if strict:
            raise ValueError(message)
        kind = "outside"
    elif not bright and 0 <= low < high and high > 0.5:
        kind = "half"
        message += (
            " From [0, 1] it is 2 * images - 1, of a data set "
            "dataset.map(lambda x, *y: (2 * x - 1, *y))."
        )
    else:
        return
    if not (once and kind in _warned):
        _warned.add(kind)
        warnings.warn(message, stacklevel=3)


def _mapped(scaling):
    return f"dataset.map(lambda x, *y: (scale(x), *y)) with scale = {scaling}."
