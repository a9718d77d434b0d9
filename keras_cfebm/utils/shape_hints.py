"""What to do about images of another shape, for messages to end with."""

from collections.abc import Sequence
from typing import Any


def shape_hint(shape: Sequence[int | None], image_shape: Sequence[Any]) -> str:
    """A sentence with the code that mends a shape, or nothing.

    Args:
        shape: tuple of ints or None, that of the images.
        image_shape: `(height, width, channels)` wanted. What are no ints is open, and
            only the number of axes is spoken of.
    """
    if len(shape) == 3:
        return " For one image add [None], for grey ones [..., None]."
    if len(shape) != 4 or not all(isinstance(size, int) for size in image_shape):
        return ""
    size, channels = tuple(image_shape[:2]), image_shape[2]
    if tuple(shape[2:]) == size and shape[1] == channels:
        return " Channels come last: keras.ops.transpose(images, (0, 2, 3, 1))."
    if tuple(shape[1:3]) == size:
        code = {
            (3, 1): "keras.ops.image.rgb_to_grayscale(images) makes them grey",
            (1, 3): "keras.ops.repeat(images, 3, axis=-1) gives them three channels",
            (4, 3): "images[..., :3] leaves the transparency out",
        }.get((shape[3] or 0, channels))
        return f" {code}." if code else ""
    if shape[3] == channels:
        return f" keras.ops.image.resize(images, {size}) resizes them."
    return ""
