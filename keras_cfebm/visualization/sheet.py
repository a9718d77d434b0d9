"""The sheet of captioned tiles under every picture made of images."""

import functools
import math
import pathlib
from collections.abc import Iterable, Sequence

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_cfebm.datasets.pixels import to_uint8
from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import GREY_OR_COLOUR, check_count, check_images

MINIMUM_TILE = 64
PAPER = (255, 255, 255)
INK = (40, 40, 40)
CAPTION_GAP = 6
ROW_CAPTION_WIDTH = 160


def drawable(images: Tensor, name: str = "images") -> np.ndarray:
    """Returns images of 1 or 3 channels, inside [-1, 1] to the last digit.

    Sampling clips in floating point, so up to 1e-3 outside is a rounding error.

    Args:
        images: float array `(n, height, width, 1 | 3)` in [-1, 1].
        name: What the caller calls this argument, for the error.

    Returns:
        A float32 NumPy array of the same shape.

    Raises:
        ValueError: On anything else; see `keras_cfebm.utils.validation.check_images`.
    """
    return np.clip(check_images(images, GREY_OR_COLOUR, name, strict=True), -1, 1)


def drawable_captions(
    captions: Sequence[str] | None, count: int, name: str
) -> list[str] | None:
    """Returns `captions` as a list of `count` strings, or None for None."""
    if captions is None:
        return None
    if isinstance(captions, str) or len(captions) != count:
        raise ValueError(f"Expected {name} as {count} strings, received {captions!r}.")
    return [str(caption) for caption in captions]


def default_scale(height: int, width: int) -> int:
    """Returns the smallest whole enlargement that makes a tile 64 pixels or more."""
    return math.ceil(MINIMUM_TILE / min(height, width))


def finest_size(batches: Iterable[np.ndarray]) -> tuple[int, int]:
    """Returns the largest `(height, width)` among batches of images."""
    return max(batch.shape[1:3] for batch in batches)


def to_tiles(
    images: np.ndarray, size: tuple[int, int], scale: int | None = None
) -> np.ndarray:
    """Turns checked images into RGB tiles, enlarged without smoothing.

    Args:
        images: Float array `(n, height, width, 1 | 3)` in [-1, 1].
        size: `(height, width)` to enlarge to first, a whole multiple of the images'.
        scale: Whole enlargement on top; None for `default_scale(*size)`.

    Returns:
        A uint8 array `(n, size[0] * scale, size[1] * scale, 3)`.

    Raises:
        ValueError: If `size` is no whole multiple, or `scale` no whole number >= 1.
    """
    scale = default_scale(*size) if scale is None else check_count(scale, "scale")
    height, width = images.shape[1:3]
    factor = size[0] // height
    if (height * factor, width * factor) != tuple(size):
        raise ValueError(
            "Images of several resolutions must enlarge to the finest by one whole "
            f"factor; got {height}x{width} and {size[0]}x{size[1]}."
        )
    tiles = to_uint8(images).repeat(factor * scale, axis=1)
    tiles = tiles.repeat(factor * scale, axis=2)
    return np.broadcast_to(tiles, (*tiles.shape[:3], 3))


def in_rows(tiles: np.ndarray, columns: int | None = None) -> list[np.ndarray]:
    """Deals tiles out into rows of `columns`, by default as many as make a square."""
    if columns is None:
        columns = math.ceil(math.sqrt(len(tiles)))
    columns = min(check_count(columns, "columns"), len(tiles))
    return [tiles[i : i + columns] for i in range(0, len(tiles), columns)]


def compose(
    rows: Sequence[np.ndarray | Sequence[np.ndarray]],
    padding: int,
    row_captions: Sequence[str] | None = None,
    column_captions: Sequence[str] | None = None,
) -> Image.Image:
    """Pastes tiles on white paper, with captions left of rows and under columns.

    Args:
        rows: List of rows; a row is a sequence of uint8 tiles `(height, width, 3)`, all
            of one size. The last row may be shorter.
        padding: Pixels between tiles and around them.
        row_captions: One string per row, or None.
        column_captions: One string per column, or None. Long captions are broken
            into lines; a word wider than its column widens all columns.

    Returns:
        An RGB `PIL.Image.Image`.
    """
    padding = check_count(padding, "padding", minimum=0)
    height, width = rows[0][0].shape[:2]
    font = caption_font(width)
    cell_width, cell_height, left, below = width, height, padding, 0
    if row_captions:
        row_captions = [wrapped(text, font, ROW_CAPTION_WIDTH) for text in row_captions]
        caption_width, caption_height = largest_text(row_captions, font)
        left += caption_width + CAPTION_GAP
        cell_height = max(height, caption_height)
    if column_captions:
        words = " ".join(column_captions).split() or [""]
        cell_width = max(width, largest_text(words, font)[0])
        column_captions = [wrapped(text, font, cell_width) for text in column_captions]
        below = largest_text(column_captions, font)[1] + CAPTION_GAP

    def corner(i, j):
        return left + j * (cell_width + padding), padding + i * (cell_height + padding)

    right, bottom = corner(len(rows), len(rows[0]))
    paper = Image.new("RGB", (right, bottom + below), PAPER)
    draw = ImageDraw.Draw(paper)
    for i, row in enumerate(rows):
        for j, tile in enumerate(row):
            x, y = corner(i, j)
            place = (x + (cell_width - width) // 2, y + (cell_height - height) // 2)
            paper.paste(Image.fromarray(np.ascontiguousarray(tile)), place)
    for i, text in enumerate(row_captions or []):
        middle = corner(i, 0)[1] + cell_height // 2
        place = (left - CAPTION_GAP + (cell_width - width) // 2, middle)
        draw.multiline_text(place, text, INK, font, anchor="rm", align="right")
    for j, text in enumerate(column_captions or []):
        place = (corner(0, j)[0] + cell_width // 2, bottom)
        draw.multiline_text(place, text, INK, font, anchor="ma", align="center")
    return paper


@functools.cache
def caption_font(tile_width: int) -> ImageFont.FreeTypeFont:
    """Returns the caption font that suits tiles of this width.

    It is the DejaVu Sans that comes with matplotlib: the same on every machine, and
    unlike Pillow's own it has the σ, β and → of this field.
    """
    fonts = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf")
    return ImageFont.truetype(
        fonts / "DejaVuSans.ttf", min(max(tile_width // 7, 12), 20)
    )


def largest_text(texts: Iterable[str], font: ImageFont.FreeTypeFont) -> tuple[int, int]:
    """Returns the width of the widest and the height of the tallest text, in pixels."""
    draw = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    boxes = [draw.multiline_textbbox((0, 0), text, font) for text in texts]
    return math.ceil(max(b[2] for b in boxes)), math.ceil(max(b[3] for b in boxes))


def wrapped(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Breaks `text` into lines of at most `width` pixels, where it can.

    It breaks at " · " first, so that "8 px · step 5" becomes "8 px" over "step 5", and
    then between words.
    """
    if font.getlength(text) <= width:
        return text
    lines = []
    for part in text.split(" · "):
        lines.append("")
        for word in part.split():
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and font.getlength(longer) > width:
                lines.append(word)
            else:
                lines[-1] = longer
    return "\n".join(lines)
