"""What all tasks share: arrays in batches, and a key of random numbers per image."""

import math
import random as python_random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops, tree

from keras_cfebm.backend import random
from keras_cfebm.utils.progress import progress_bar
from keras_cfebm.utils.validation import check_count, check_images, check_labels

#: Streams of an image's key; those of chains and training are in `sampling`, `model`.
MASK, WHITE_NOISE, SMOOTHING, SAMPLE, POOL = 8, 9, 10, 11, 12


def run_batches(
    function: Callable,
    arrays: Sequence[Any],
    batch_size: int,
    progress: bool | None = None,
) -> Any:
    """Calls a function on equal batches of arrays and puts the results together.

    The arrays are cut into as few batches as possible, all of one size, so that a
    compiled function is traced once: 100 images at a batch size of 64 are two batches
    of 50. The last one repeats its last row where rows are missing.

    Args:
        function: of one tensor per array, of shape `(batch, …)`, that returns a tensor
            or a structure of tensors of shape `(batch, …)`. What is put together is
            NumPy arrays of shape `(n, …)`.
        arrays: NumPy arrays of shape `(n, …)`, the first of which is not None; in place
            of the others, None is handed through.
        batch_size: int of at least 1, the largest number of rows of one call.
        progress: bool, whether a progress bar is shown, see `progress_bar`.
    """
    count = len(arrays[0])
    batch_size = check_count(batch_size, "batch_size")
    size = math.ceil(count / math.ceil(count / batch_size))
    results = None
    with progress_bar(count, shown=progress) as done:
        for first in range(0, count, size):
            rows = np.minimum(np.arange(first, first + size), count - 1)
            batch = [a if a is None else ops.convert_to_tensor(a[rows]) for a in arrays]
            outputs = tree.map_structure(ops.convert_to_numpy, function(*batch))
            if results is None:
                results = tree.map_structure(
                    lambda output: np.empty((count, *output.shape[1:]), output.dtype),
                    outputs,
                )
            end = min(first + size, count)
            parts = zip(tree.flatten(results), tree.flatten(outputs), strict=True)
            for result, output in parts:
                result[first:end] = output[: end - first]
            done(end - first)
    return results


def drawn_seed(seed: int | None) -> int:
    """The seed itself, or, for None, a fresh one.

    As those of Keras, it comes from Python's global generator, which
    `keras.utils.set_random_seed` sets.

    Args:
        seed: int or None.

    Returns:
        int; a fresh one is in [0, 2**31).
    """
    return python_random.getrandbits(31) if seed is None else seed


def stream_keys(seed: int, count: int, start: int) -> np.ndarray:
    """Keys, uint32 `(count, 2)`, of the images from `start` on of the stream `seed`.

    Raises:
        ValueError: if `seed` is not in [0, 2**63), or `start` below 0.
    """
    start = check_count(start, "start", 0)
    return ops.convert_to_numpy(random.image_keys(seed, count, start))


def check_energy_inputs(energy: Any, images: np.ndarray, labels: Any) -> tuple:
    """Images and labels that fit an energy; see `check_images`, `check_labels_of`."""
    images = check_images(images, getattr(energy, "image_shape", None))
    return images, check_labels_of(energy, labels, len(images))


def check_labels_of(energy: Any, labels: Any, count: int) -> np.ndarray | None:
    """Labels as an energy takes them, int32 `(count,)` or None.

    Args:
        energy: function of images, or of images and labels. If it has the attributes
            `num_classes` and `class_names`, they tell which labels fit it.
        labels: None, an int or a class name for all images, or an array of integers or
            of names `(count,)`.
        count: int, number of images.

    Raises:
        ValueError: if the labels do not fit.
    """
    if hasattr(energy, "num_classes"):
        names = getattr(energy, "class_names", None)
        return check_labels(labels, count, energy.num_classes, names)
    # A plain function does not tell whether it wants labels.
    return None if labels is None else check_labels(labels, count, 2**31 - 1)
