"""plot: images on the screen, or in a file, in one call."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot

from keras_cfebm.datasets.pixels import to_uint8
from keras_cfebm.utils.atomic_files import save
from keras_cfebm.utils.typing import PathLike, Tensor
from keras_cfebm.utils.validation import GREY_OR_COLOUR, check_count, check_image_shape
from keras_cfebm.visualization.sheet import (
    MINIMUM_TILE,
    PADDING,
    checked_captions,
    drawable,
)

_DPI = 100
_TITLE_HEIGHT = 20


def plot(
    images: Tensor,
    columns: int | None = None,
    scale: int | None = None,
    *,
    titles: Sequence[str] | None = None,
    path: PathLike | None = None,
) -> None:
    """Shows images by matplotlib, each pixel as a square of screen pixels.

    For a picture to work on, see `image_grid`.

    Args:
        images: float array `(n, height, width, channels)` in [-1, 1], or uint8 one,
            1 or 3 channels.
        columns: images per row; None for a square.
        scale: whole enlargement; None for the smallest that makes an image at least 64
            pixels wide and high.
        titles: one string per image, written above it; None for none.
        path: where to save the figure instead of showing it; the extension names the
            format.

    Raises:
        ValueError: if the images are not as described, or the titles not one for each.

    Example:

    ```python
    cf.plot(model.generate(4, labels=range(4)), titles=model.class_names[:4])
    ```
    """
    levels = _levels(images)
    titles = checked_captions(titles, len(levels), "titles")
    count, height, width = levels.shape[:3]
    columns = math.ceil(math.sqrt(count)) if columns is None else columns
    columns = min(check_count(columns, "columns"), count)
    if scale is None:
        scale = math.ceil(MINIMUM_TILE / min(height, width))
    scale = check_count(scale, "scale")
    tile = np.array([width, height]) * scale
    cell = tile + PADDING + np.array([0, _TITLE_HEIGHT * bool(titles)])
    page = cell * (columns, math.ceil(count / columns)) + PADDING

    figure = pyplot.figure(figsize=tuple(page / _DPI), dpi=_DPI)
    for index, image in enumerate(levels):
        row, column = divmod(index, columns)
        corner = np.array([column, 0]) * cell + PADDING
        corner[1] = page[1] - (row + 1) * cell[1]
        axes = figure.add_axes((*(corner / page), *(tile / page)))
        axes.imshow(image, interpolation="nearest")
        axes.axis("off")
        if titles:
            axes.set_title(titles[index], fontsize=9, pad=4)
    if path is None:
        pyplot.show()
        return
    save(figure.savefig, path, dpi=_DPI)
    pyplot.close(figure)


def _levels(images):
    """The images as uint8 in colour, unchanged if they are that already."""
    if getattr(images, "dtype", None) == np.uint8:
        check_image_shape(images.shape, GREY_OR_COLOUR)
    else:
        images = to_uint8(drawable(images))
    return np.broadcast_to(images, (*images.shape[:3], 3))
