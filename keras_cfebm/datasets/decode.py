"""Decodes image files of strangers into bytes, or says why not."""

import contextlib
import functools
import pathlib
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from keras_cfebm.datasets.pixels import to_uint8

#: What is decoded, whatever the file is called. Pillow reads more; left out are formats
#: without a mark at their start, and those that run other programs.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "JPEG2000", "PPM")
#: Files called so are taken for images, and are damaged if they are none.
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".dib"),
    *(".gif", ".tif", ".tiff", ".avif", ".jp2", ".j2k", ".ppm", ".pgm", ".pbm"),
)
#: 8192 x 8192. A file of a few bytes may declare any size, and decoding allocates it.
MAX_PIXELS = 2**26
GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N")


@functools.cache
def _formats():
    """Those of `FORMATS` that this Pillow has: AVIF came with 11.3."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@contextlib.contextmanager
def _opened(file):
    # Opening a pipe or a device would wait for ever.
    if isinstance(file, pathlib.Path) and file.exists() and not file.is_file():
        raise ValueError("Expected a regular file, received a pipe or device.")
    # The format is recognised by content, not by suffix.
    with Image.open(file, formats=_formats()) as image:
        if image.mode == "F":
            raise ValueError(
                "Expected pixels of at most 16 bits, received floating-point ones, "
                "whose range is not known."
            )
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(
                f"Expected at most {MAX_PIXELS:,} pixels, received a file that "
                f"declares {image.width} x {image.height} pixels."
            )
        yield image


def read_header(path: pathlib.Path) -> tuple[int, int, bool]:
    """Reads what a file says about itself, without decoding it.

    Args:
        path: `pathlib.Path` of an image file.

    Returns:
        `(width, height, is_grey)`. The EXIF rotation is not applied.

    Raises:
        Exception: whatever Pillow raises for a damaged file, `UnidentifiedImageError`
            for one of no format in `FORMATS`; ValueError if it declares more than
            `MAX_PIXELS`, or its pixels are floating-point numbers.
    """
    with _opened(path) as image:
        return image.width, image.height, image.mode in GREY_MODES


def decode(
    file: pathlib.Path | BinaryIO,
    channels: int,
    background: float | Sequence[float] = 1.0,
) -> np.ndarray:
    """Decodes one image file: first frame, upright.

    Args:
        file: `pathlib.Path` of an image file, or one opened for reading bytes.
        channels: 1 or 3.
        background: see `as_channels`.

    Returns:
        uint8 `(height, width, channels)`.

    Raises:
        Exception: as `read_header`.
    """
    with _opened(file) as image:
        return as_channels(ImageOps.exif_transpose(image), channels, background)


def as_channels(
    image: Image.Image, channels: int, background: float | Sequence[float] = 1.0
) -> np.ndarray:
    """Converts a Pillow image of any mode.

    Args:
        image: `PIL.Image.Image`; 16 bits are reduced to 8, palettes resolved.
        channels: 1 (grey) or 3 (RGB).
        background: what shows through transparent pixels: a grey, or three numbers
            (red, green, blue), in [-1, 1].

    Returns:
        uint8 `(height, width, channels)`.
    """
    if image.mode.startswith("I"):
        image = _reduce_grey(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        colour = np.broadcast_to(
            to_uint8(np.asarray(background, np.float32)), 3
        ).tolist()
        canvas = Image.new("RGBA", image.size, (*colour, 255))
        image = Image.alpha_composite(canvas, image)
    pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels)


def reduce_16_bits(pixels: np.ndarray) -> np.ndarray:
    """Rounds 0 … 65535 to 0 … 255; returns uint8 of the same shape."""
    return np.rint(np.clip(pixels, 0, 65535) / 257).astype(np.uint8)


def _reduce_grey(image):
    pixels = np.asarray(image)
    reduced = Image.fromarray(reduce_16_bits(pixels))
    transparent = image.info.get("transparency")
    if transparent is None:
        return reduced
    opaque = Image.fromarray(np.uint8(255) * (pixels != transparent))
    return Image.merge("LA", (reduced, opaque))
