"""`--label`: a class by name or number; without it, all classes in rows."""

from collections.abc import Sequence

import numpy as np

from keras_cfebm.configs.run_config import RunConfig
from keras_cfebm.datasets import EMBEDDED
from keras_cfebm.datasets.embedded import CLASS_NAMES
from keras_cfebm.model import CFEBM


def class_names(model: CFEBM, config: RunConfig | None) -> list[str]:
    """Names of a model's classes: its own, or those of its data, or numbers.

    Args:
        model: `CFEBM` with classes.
        config: `RunConfig` of its training, if that is known.

    Returns:
        List of `model.num_classes` str.
    """
    names: Sequence[str] | None = getattr(model, "class_names", None)
    if names is None and config is not None:
        names = CLASS_NAMES if config.data.name in (EMBEDDED, "fashion_mnist") else None
    count = model.num_classes or 0
    return list(names or map(str, range(count)))[:count]


def labels_of(
    model: CFEBM, config: RunConfig | None, label: str | None, count: int
) -> np.ndarray | None:
    """The labels of images to draw.

    Args:
        model: `CFEBM`.
        config: `RunConfig` of its training, if that is known.
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
    names = class_names(model, config)
    number = names.index(label) if label in names else label
    if str(number) not in map(str, range(model.num_classes)):
        raise ValueError(
            f"Expected --label as one of {', '.join(names)}, or a number from 0 to "
            f"{model.num_classes - 1}, received {label!r}."
        )
    return np.full(count, int(number))


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
