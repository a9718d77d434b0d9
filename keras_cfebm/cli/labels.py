"""`--label`: a class by name or number; without it, all classes in rows."""

import pathlib

import numpy as np

from keras_cfebm.model import CFEBM
from keras_cfebm.utils.labels import class_index
from keras_cfebm.visualization import image_grid


def labels_of(model: CFEBM, label: str | None, count: int) -> np.ndarray | None:
    """The labels of images to draw.

    Args:
        model: `CFEBM`.
        label: str, the value of --label; None for all classes, one after the other and
            each as often, but for a rest.
        count: int, number of images.

    Returns:
        int array `(count,)`; None for a model without classes.

    Raises:
        ValueError: if there is no such class, or there are no classes.
    """
    if model.num_classes is None:
        if label is not None:
            raise ValueError(
                "Expected no --label for a model without classes, received "
                f"--label={label}."
            )
        return None
    if label is None:
        return np.sort(np.arange(count) % model.num_classes)
    try:
        return np.full(count, class_index(label, model.class_names, model.num_classes))
    except ValueError as error:
        raise ValueError(f"--label: {error}") from error


def in_rows(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Images in rows of one class each, shorter rows filled up with white.

    Args:
        images: float array `(n, h, w, c)`, sorted by class.
        labels: int array `(n,)`.

    Returns:
        Pair of float array `(rows * columns, h, w, c)` and the number of columns.
    """
    numbers, counts = np.unique(labels, return_counts=True)
    columns = int(counts.max())
    grid = np.ones((len(numbers), columns, *images.shape[1:]), images.dtype)
    for row, number in zip(grid, numbers, strict=True):
        own = images[labels == number]
        row[: len(own)] = own
    return grid.reshape(-1, *images.shape[1:]), columns


def class_grid(
    model: CFEBM, images: np.ndarray, labels: np.ndarray, path: pathlib.Path
) -> None:
    """Writes a grid with a row of images for each class, and its name beside it.

    Args:
        model: `CFEBM` with classes, whose names are written.
        images: float array `(n, h, w, c)` in [-1, 1], sorted by class.
        labels: int array `(n,)`.
        path: where the picture goes.
    """
    names = dict(enumerate(model.class_names or ()))
    captions = [names.get(number, str(number)) for number in np.unique(labels)]
    image_grid(*in_rows(images, labels), row_captions=captions, path=path)
