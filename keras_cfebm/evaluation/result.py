"""Evaluation: what every function of this package returns."""

import math
from typing import Any, NamedTuple

import numpy as np

from keras_cfebm.evaluation.image_quality import psnr, ssim


class Evaluation(NamedTuple):
    """Figures of a task, and images to look at.

    Attributes:
        figures: dict that JSON can hold.
        images: dict of label → float32 array `(n, h, w, c)` in [-1, 1], the rows of a
            `keras_cfebm.visualization.comparison_grid`.
    """

    figures: dict[str, Any]
    images: dict[str, np.ndarray]


def mean_figures(
    restored: np.ndarray, originals: np.ndarray, hole: np.ndarray | None = None
) -> dict[str, float | None]:
    """Mean PSNR (dB) and SSIM of restored images.

    Args:
        restored: float array `(n, h, w, c)` in [-1, 1].
        originals: float array of the same shape.
        hole: optional boolean array, where pixels are judged; see `psnr`.

    Returns:
        Dict with the keys `psnr`, None where an image is restored without any error,
        and `ssim`.

    Raises:
        ValueError: see `keras_cfebm.evaluation.psnr`.
    """
    mean = float(np.mean(psnr(restored, originals, hole)))
    return {
        "psnr": mean if math.isfinite(mean) else None,
        "ssim": float(np.mean(ssim(restored, originals, hole))),
    }
