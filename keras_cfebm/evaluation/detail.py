"""Whether samples have the detail that the finest level alone can give."""

import numpy as np

from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_images

#: Share of the detail of real images below which samples are called blind to it.
ENOUGH = 0.5


def finest_detail(images: Tensor) -> float:
    """Root mean square of the differences from the mean, inside blocks of 2×2 pixels.

    Mean pooling removes exactly this, so no coarser level of a ladder has an influence
    on it.

    Args:
        images: float array of shape `(n, h, w, c)` in [-1, 1], of even sides.

    Returns:
        float; 0 for images enlarged from half the size.

    Raises:
        ValueError: if the images are malformed or a side is odd.
    """
    images = check_images(images)
    count, height, width, channels = images.shape
    if height % 2 or width % 2:
        raise ValueError(f"Expected even sides, received {height}×{width}.")
    blocks = images.reshape(count, height // 2, 2, width // 2, 2, channels)
    return float(np.sqrt(np.mean(blocks.var(axis=(2, 4), dtype="float64"))))


def blind_to_detail(samples: Tensor, images: Tensor) -> str | None:
    """What to say of samples that lack the finest detail of real images.

    Args:
        samples: float array `(n, h, w, c)` in [-1, 1].
        images: real ones, of the same resolution.

    Returns:
        A sentence, or None if the samples have at least half of the images' detail.
    """
    drawn, real = finest_detail(samples), finest_detail(images)
    if drawn >= ENOUGH * real:
        return None
    return (
        f"The samples vary by {drawn:.3f} inside blocks of 2×2 pixels, real images by "
        f"{real:.3f}: the finest level of this model has learned little. Did training "
        "roll back (guard.json), or end early?"
    )
