"""Grids of images: samples, comparisons row by row, and saliency over its images."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from PIL import Image

from keras_cfebm.utils.typing import PathLike, Tensor
from keras_cfebm.utils.validation import check_mapping, check_number
from keras_cfebm.visualization.sheet import (
    PADDING,
    compose,
    drawable,
    in_rows,
    to_tiles,
)


def image_grid(
    images: Tensor,
    columns: int | None = None,
    scale: int | None = None,
    padding: int = PADDING,
    *,
    row_captions: Sequence[str] | None = None,
    column_captions: Sequence[str] | None = None,
    path: PathLike | None = None,
) -> Image.Image:
    """Lays images out in a grid, row by row.

    Args:
        images: float array `(n, height, width, channels)` in [-1, 1], 1 or 3 channels.
        columns: images per row; None for a square grid.
        scale: whole enlargement of each image, without smoothing; None for the
            smallest that makes a tile at least 64 pixels wide and high.
        padding: white pixels between tiles and around them.
        row_captions: one string per row, written to its left.
        column_captions: one string per column, written under it.
        path: where to save the picture as well; the extension names the format.

    Raises:
        ValueError: if the images are not as described (up to 1e-3 outside [-1, 1] is
            clipped), or the captions are not one per row or column.
    """
    [tiles] = to_tiles([drawable(images)], scale)
    rows = in_rows(tiles, columns)
    return compose(rows, padding, row_captions, column_captions, path=path)


def comparison_grid(
    batches: dict[str, Tensor],
    scale: int | None = None,
    padding: int = PADDING,
    *,
    column_captions: Sequence[str] | None = None,
    path: PathLike | None = None,
) -> Image.Image:
    """Shows versions of the same images under each other, one labelled row each.

    Args:
        batches: dict of label -> float array `(n, height, width, channels)` in
            [-1, 1], with the same `n` each. Grey and colour may be mixed, and
            resolutions too: coarse ones are enlarged to the finest.
        scale: whole enlargement; None for tiles of at least 64 pixels.
        padding: white pixels between tiles and around them.
        column_captions: one string per image, written under its column.
        path: where to save the picture as well.

    Returns:
        An RGB `PIL.Image.Image` of `len(batches)` rows and `n` columns.

    Raises:
        ValueError: if a batch is not as described, the counts differ, or a
            resolution does not divide the finest.

    Example:

    ```python
    comparison_grid({"original": x, "noisy": noisy, "restored": restored})
    ```
    """
    batches = {
        str(label): drawable(images, f"batches[{label!r}]")
        for label, images in check_mapping(batches, "batches").items()
    }
    counts = {label: len(images) for label, images in batches.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"Expected batches of as many images each, received {counts}.")
    rows = to_tiles(batches.values(), scale)
    return compose(rows, padding, list(batches), column_captions, path=path)


def saliency_overlay(
    images: Tensor,
    maps: Tensor,
    alpha: float = 0.8,
    colormap: str = "inferno",
    *,
    normalization: str = "image",
    scale: int | None = None,
    padding: int = PADDING,
    column_captions: Sequence[str] | None = None,
    path: PathLike | None = None,
) -> Image.Image:
    """Shows images, their saliency maps, and the maps laid over the images.

    The heat is as opaque as the map is high (`alpha` at its maximum), so that the
    image stays visible where nothing happens.

    Args:
        images: float array `(n, height, width, channels)` in [-1, 1].
        maps: non-negative float array `(n, height, width)`, for instance the
            generative saliency Σ_k |x_{k+1} − x_k| averaged over channels.
        alpha: opacity of the heat where a map has its maximum, in [0, 1].
        colormap: name of a matplotlib colour map.
        normalization: "image" divides each map by its own maximum; "joint" divides
            all by the largest, so that images can be compared with each other.
        scale: whole enlargement; None for tiles of at least 64 pixels.
        padding: white pixels between tiles and around them.
        column_captions: one string per image, written under its column.
        path: where to save the picture as well.

    Returns:
        An RGB `PIL.Image.Image` with rows "image", "saliency" and "overlay".

    Raises:
        ValueError: if images or maps are not as described, or an option is unknown.

    Reference: Zhao, Xie, Li, ICLR 2021, generative saliency.
    """
    images = drawable(images)
    check_number(alpha, "alpha", "[0, 1]")
    if colormap not in matplotlib.colormaps:
        raise ValueError(
            "Expected colormap as one that matplotlib knows, such as 'inferno', "
            f"received {colormap!r}."
        )
    heights = _normalized_maps(maps, images.shape[:3], normalization)
    heat = 2.0 * matplotlib.colormaps[colormap](heights)[..., :3] - 1.0
    opacity = alpha * heights[..., None]
    overlay = (1.0 - opacity) * images + opacity * heat
    rows = {"image": images, "saliency": heat, "overlay": overlay}
    return comparison_grid(
        rows, scale, padding, column_captions=column_captions, path=path
    )


def _normalized_maps(maps, shape, normalization):
    """The checked maps in [0, 1]; a map of zeros stays zero."""
    maps = np.asarray(maps).astype("float32")
    if maps.shape != shape:
        raise ValueError(
            f"Expected maps of the images' shape {shape}, received {maps.shape}."
        )
    # `not >=` also catches NaN.
    if not (maps.min() >= 0 and np.isfinite(maps).all()):
        raise ValueError(
            "Expected finite and non-negative maps, received values from "
            f"{maps.min():.4g} to {maps.max():.4g}."
        )
    if normalization not in ("image", "joint"):
        raise ValueError(
            f"Expected normalization 'image' or 'joint', received {normalization!r}."
        )
    axes = (1, 2) if normalization == "image" else None
    peak = maps.max(axis=axes, keepdims=True)
    return maps / np.where(peak > 0, peak, 1.0)
