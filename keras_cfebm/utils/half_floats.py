"""Numbers of half precision, where no bit is lost."""

import numpy as np


def halved(array: np.ndarray) -> np.ndarray:
    """A float32 array as float16 if that is exact; any other array as it is."""
    if array.dtype != np.float32:
        return array
    with np.errstate(over="ignore"):
        half = array.astype("float16")
    return half if np.array_equal(half, array) else array
