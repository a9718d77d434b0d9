"""Random crops that are enlarged again: images a little nearer, off the centre."""

import math

import numpy as np
from PIL import Image

#: Attempts to draw a crop that fits into the image, before it is left whole.
_ATTEMPTS = 10


def random_crops(
    images: np.ndarray, smallest: float, rng: np.random.Generator
) -> np.ndarray:
    """Crops every image at random and resizes the crop to the size of the image.

    Args:
        images: float32 array `(n, side, side, channels)` in [-1, 1].
        smallest: float in (0, 1], share of the area that a crop has at least; its ratio
            of width to height is between this and 2 − this, on a logarithmic scale.
        rng: NumPy generator.

    Returns:
        float32 array of the same shape, bilinear.
    """
    side = images.shape[1]
    result = np.empty_like(images)
    for image, out in zip(images, result, strict=True):
        box = _box(side, smallest, rng)
        for channel in range(images.shape[-1]):
            plane = Image.fromarray(np.ascontiguousarray(image[..., channel]))
            plane = plane.resize((side, side), Image.Resampling.BILINEAR, box)
            out[..., channel] = np.asarray(plane)
    return result


def _box(side, smallest, rng):
    """(left, top, right, bottom) of a crop in whole pixels."""
    for _ in range(_ATTEMPTS):
        area = side**2 * rng.uniform(smallest, 1)
        ratio = math.exp(rng.uniform(math.log(smallest), math.log(2 - smallest)))
        width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < width <= side and 0 < height <= side:
            left = int(rng.integers(side - width + 1))
            top = int(rng.integers(side - height + 1))
            return left, top, left + width, top + height
    return 0, 0, side, side
