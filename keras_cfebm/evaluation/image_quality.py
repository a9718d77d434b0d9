"""PSNR and SSIM of restored images, over the image or inside a hole only."""

import math

import numpy as np

from keras_cfebm.utils.image_range import check_range
from keras_cfebm.utils.optional import optional_import
from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_images

DATA_RANGE = 2.0  # images live in [-1, 1]
#: Side of the Gaussian window of SSIM, cut at 3.5 σ as scikit-image does.
_WINDOW = 11


def mean_figures(
    restored: np.ndarray, originals: np.ndarray, hole: np.ndarray | None = None
) -> dict[str, float | None]:
    """Mean PSNR (dB) and SSIM of restored images.

    Args:
        restored: float array `(n, h, w, c)` in [-1, 1].
        originals: float array of the same shape.
        hole: optional boolean array, where pixels are judged; see `psnr`.

    Returns:
        Dict of `psnr`, None where an image is restored without any error, and `ssim`,
        see `mean_ssim`.

    Raises:
        ValueError: see `psnr` and `ssim`.
        ImportError: without the extra `eval` (scikit-image).
    """
    mean = float(np.mean(psnr(restored, originals, hole)))
    return {
        "psnr": mean if math.isfinite(mean) else None,
        "ssim": mean_ssim(restored, originals, hole),
    }


def mean_ssim(
    restored: np.ndarray, originals: np.ndarray, hole: np.ndarray | None = None
) -> float | None:
    """Mean SSIM of restored images; None below the 11 pixels of its window.

    Args:
        restored: float array `(n, h, w, c)` in [-1, 1].
        originals: float array of the same shape.
        hole: optional boolean array, where pixels are judged; see `psnr`.

    Returns:
        float or None.

    Raises:
        ValueError: see `ssim`.
        ImportError: without the extra `eval` (scikit-image).
    """
    if min(np.shape(restored)[1:3]) < _WINDOW:
        return None
    return float(np.mean(ssim(restored, originals, hole)))


def psnr(restored: Tensor, originals: Tensor, hole: Tensor | None = None) -> np.ndarray:
    """The peak signal-to-noise ratio of each image, in decibels.

    Args:
        restored: float array `(n, h, w, c)` in [-1, 1].
        originals: float array of the same shape.
        hole: optional boolean array `(n, h, w, 1)`, or `(h, w, 1)` for all images
            alike; True where pixels are judged (the part that was filled in).

    Returns:
        float64 array `(n,)`: 10 log₁₀(2² / mean squared error); infinity where the
        images are equal.

    Raises:
        ValueError: if images are malformed or of different shapes, or a hole is not
            boolean, has another shape, or is empty in some image.
    """
    restored, originals, weights = _checked(restored, originals, hole)
    error = np.square(restored.astype("float64") - originals)
    mean = (error * weights).sum(axis=(1, 2, 3))
    mean /= weights.sum(axis=(1, 2, 3)) * restored.shape[-1]
    with np.errstate(divide="ignore"):
        return 10 * np.log10(DATA_RANGE**2 / mean)


def ssim(restored: Tensor, originals: Tensor, hole: Tensor | None = None) -> np.ndarray:
    """The structural similarity of each image, by scikit-image.

    It compares means and takes 0 for black, so images are scaled to [0, 1] first. The
    window is Gaussian with σ = 1.5 (11×11), as in the paper. Without a hole, the mean
    leaves out the border of half a window; inside a hole, the map is averaged over the
    hole's pixels, whose windows reach into the known surroundings.

    Args:
        restored: float array `(n, h, w, c)` in [-1, 1], h and w of at least 11.
        originals: float array of the same shape.
        hole: see `psnr`.

    Returns:
        float64 array `(n,)` of values in [-1, 1]; 1 for equal images.

    Raises:
        ValueError: see `psnr`; also if the images are smaller than the window.
        ImportError: without the extra `eval` (scikit-image).

    Reference:
        Wang et al., *Image quality assessment: from error visibility to structural
        similarity*, IEEE TIP 2004.
    """
    restored, originals, weights = _checked(restored, originals, hole)
    if min(restored.shape[1:3]) < _WINDOW:
        raise ValueError(
            f"Expected images of at least the {_WINDOW}x{_WINDOW} window of SSIM, "
            f"received shape {restored.shape}."
        )
    metrics = optional_import("skimage.metrics", "eval")
    values = []
    for image, original, weight in zip(restored, originals, weights, strict=True):
        mean, similarity = metrics.structural_similarity(
            (image.astype("float64") + 1) / 2,
            (original.astype("float64") + 1) / 2,
            data_range=1.0,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )
        if hole is not None:
            mean = (similarity * weight).sum() / (weight.sum() * image.shape[-1])
        values.append(mean)
    return np.asarray(values, "float64")


def _checked(restored, originals, hole):
    """Both images, and float64 weights `(n, h, w, 1)`: 1 where a pixel is judged."""
    restored = check_images(restored, name="restored", in_range=False)
    originals = check_images(originals, name="originals", in_range=False)
    if restored.shape != originals.shape:
        raise ValueError(
            "Expected restored and originals of the same shape, received "
            f"{restored.shape} and {originals.shape}."
        )
    # Together: what was restored may well be bright all over.
    low = min(restored.min(), originals.min())
    high = max(restored.max(), originals.max())
    check_range(low, high, "restored images and originals", strict=True)
    shape = (*restored.shape[:3], 1)
    if hole is None:
        return restored, originals, np.ones(shape)
    hole = np.asarray(hole)
    if hole.dtype != bool or hole.shape not in (shape, shape[1:]):
        raise ValueError(
            f"Expected a boolean hole of shape {shape} or {shape[1:]}, received "
            f"{hole.dtype} of shape {hole.shape}."
        )
    weights = np.broadcast_to(hole, shape).astype("float64")
    if not weights.any(axis=(1, 2, 3)).all():
        raise ValueError(
            "Expected a hole with a judged pixel in each image, received an empty one."
        )
    return restored, originals, weights
