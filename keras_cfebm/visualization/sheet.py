"""The sheet of captioned tiles under every picture made of images."""

import functools
import math
import pathlib
from collections.abc import Iterable, Sequence

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_cfebm.datasets.pixels import to_uint8
from keras_cfebm.utils.atomic_files import save
from keras_cfebm.utils.typing import PathLike, Tensor
from keras_cfebm.utils.validation import GREY_OR_COLOUR, check_count, check_images

PADDING = 4
MINIMUM_TILE = 64
INK = (40, 40, 40)
CAPTION_GAP = 6
ROW_CAPTION_WIDTH = 160


def drawable(images: Tensor, name: str = "images") -> np.ndarray:
    """Checked images of 1 or 3 channels; rounding outside [-1, 1] is clipped."""
    return np.clip(check_images(images, GREY_OR_COLOUR, name, strict=True), -1, 1)


def to_tiles(
    batches: Iterable[np.ndarray], scale: int | None = None
) -> list[np.ndarray]:
    """Batches of images as uint8 tiles of one size, enlarged without smoothing."""
    batches = list(batches)
    height, width = max(images.shape[1:3] for images in batches)
    if scale is None:
        scale = math.ceil(MINIMUM_TILE / min(height, width))
    check_count(scale, "scale")
    rows = []
    for images in batches:
        h, w = images.shape[1:3]
        if height % h or width != w * (height // h):
            raise ValueError(
                "Expected images that enlarge to the finest by one whole factor, "
                f"received {h}×{w} beside {height}×{width}."
            )
        factor = scale * height // h
        rows.append(to_uint8(images).repeat(factor, axis=1).repeat(factor, axis=2))
    return rows


def in_rows(tiles: np.ndarray, columns: int | None = None) -> list[np.ndarray]:
    """Deals tiles out into rows of `columns`, by default as many as make a square."""
    if columns is None:
        columns = math.ceil(math.sqrt(len(tiles)))
    columns = check_count(columns, "columns")
    return [tiles[i : i + columns] for i in range(0, len(tiles), columns)]


def compose(
    rows: Sequence[np.ndarray | Sequence[np.ndarray]],
    padding: int,
    row_captions: Sequence[str] | None = None,
    column_captions: Sequence[str] | None = None,
    font: ImageFont.FreeTypeFont | None = None,
    path: PathLike | None = None,
) -> Image.Image:
    """Lays tiles of one size out on white paper; see `image_grid` for the captions.

    Long captions are broken into lines; a word wider than its column widens all.
    """
    padding = check_count(padding, "padding", minimum=0)
    height, width = rows[0][0].shape[:2]
    font = font or caption_font(width)
    row_texts = checked_captions(row_captions, len(rows), "row_captions")
    column_texts = checked_captions(column_captions, len(rows[0]), "column_captions")

    row_texts = [wrapped(text, font, ROW_CAPTION_WIDTH) for text in row_texts]
    text_width, text_height = _room_for(row_texts, font)
    cell_height = max(height, text_height)
    cell_width = max(width, _room_for(" ".join(column_texts).split(), font)[0])
    column_texts = [wrapped(text, font, cell_width) for text in column_texts]
    left = padding + text_width
    right = left + len(rows[0]) * (cell_width + padding)
    bottom = padding + len(rows) * (cell_height + padding)
    below = _room_for(column_texts, font)[1]

    xs = range(left + (cell_width - width) // 2, right, cell_width + padding)
    ys = range(padding + (cell_height - height) // 2, bottom, cell_height + padding)
    pixels = np.full((bottom + below, right, 3), 255, "uint8")
    for y, row in zip(ys, rows, strict=True):
        for x, tile in zip(xs, row, strict=False):
            pixels[y : y + height, x : x + width] = tile
    paper = Image.fromarray(pixels)
    draw = ImageDraw.Draw(paper)
    for y, text in zip(ys, row_texts, strict=False):
        place = (xs[0] - CAPTION_GAP, y + height // 2)
        draw.text(place, text, INK, font, anchor="rm", align="right")
    for x, text in zip(xs, column_texts, strict=False):
        place = (x + width // 2, bottom)
        draw.text(place, text, INK, font, anchor="ma", align="center")
    if path is not None:
        save(paper.save, path)
    return paper


def checked_captions(
    captions: Sequence[str] | None, count: int, name: str
) -> list[str]:
    """The captions as a list of `count` strings; an empty one for None."""
    if captions is None:
        return []
    if isinstance(captions, str) or len(captions) != count:
        raise ValueError(f"Expected {name} as {count} strings, received {captions!r}.")
    return [str(caption) for caption in captions]


def check_picture(path: PathLike, name: str) -> None:
    """Raises ValueError unless a path names a picture, by the ending of its format.

    Args:
        path: of a file that is to be written.
        name: str, what the message calls it.

    Raises:
        ValueError: if it is a folder, or Pillow writes no such format.
    """
    path = pathlib.Path(path)
    writable = Image.registered_extensions().get(path.suffix.lower()) in Image.SAVE
    if path.is_dir() or not writable:
        raise ValueError(
            f"Expected {name} as the file of a picture, such as samples.png, received "
            f"{str(path)!r}."
        )


@functools.cache
def caption_font(tile_width: int) -> ImageFont.FreeTypeFont:
    """The caption font that suits tiles of this width.

    It is the DejaVu Sans that comes with matplotlib: the same on every machine, and
    unlike Pillow's own it has the σ, β and → of this field.
    """
    file = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return ImageFont.truetype(str(file), min(max(tile_width // 7, 12), 20))


def _room_for(texts, font):
    """Width and height that hold the widest and the tallest text, and a gap."""
    draw = ImageDraw.Draw(Image.new("1", (1, 1)))
    boxes = [draw.textbbox((0, 0), text, font) for text in texts]
    return [
        max((math.ceil(box[side]) + CAPTION_GAP for box in boxes), default=0)
        for side in (2, 3)
    ]


def wrapped(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Breaks a caption into lines of at most `width` pixels, where it can.

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
