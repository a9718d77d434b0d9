"""PSNR and SSIM of restored images, over the image or inside a hole only."""

import numpy as np

from keras_cfebm.utils.optional import optional_import
from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_images

DATA_RANGE = 2.0  # images live in [-1, 1]


def psnr(restored: Tensor, originals: Tensor, hole: Tensor | None = None) -> np.ndarray:
    """Computes the peak signal-to-noise ratio of each image, in decibels.

    Args:
        restored: Array (n, R, R, c), floats in [-1, 1].
        originals: Array of the same shape.
        hole: Optional bool array (n, R, R, 1), or (R, R, 1) for all images alike;
            `True` where pixels are judged (the part that was filled in).

    Returns:
        A float64 array (n,): 10 log₁₀(2² / mean squared error); infinity where the
        images are equal.

    Raises:
        ValueError: On malformed images, different shapes, or a hole that is not bool,
            has another shape, or is empty in some image.
    """
    restored, originals = _check_pair(restored, originals)
    weights = _hole_weights(hole, restored.shape)
    error = np.square(restored.astype("float64") - originals)
    mean = (error * weights).sum(axis=(1, 2, 3))
    mean /= weights.sum(axis=(1, 2, 3)) * restored.shape[-1]
    with np.errstate(divide="ignore"):
        return 10 * np.log10(DATA_RANGE**2 / mean)


def _from_black(image):
    """An image in [0, 1], 0 for black."""
    return (image.astype("float64") + 1.0) / 2.0


def ssim(restored: Tensor, originals: Tensor, hole: Tensor | None = None) -> np.ndarray:
    """Computes the structural similarity of each image.

    Of the images in [0, 1], because it takes 0 for black: around a grey 0 the means
    that it compares would have signs. Gaussian window of σ = 1.5 (11x11), as in the
    paper. Without a hole the mean leaves
    out the border of half a window; inside a hole the map is averaged over the hole's
    pixels, whose windows reach into the known surroundings.

    Args:
        restored: Array (n, R, R, c), floats in [-1, 1], R >= 11.
        originals: Array of the same shape.
        hole: As in `psnr`.

    Returns:
        A float64 array (n,) of values in [-1, 1]; 1 for equal images.

    Raises:
        ValueError: As in `psnr`, and on images smaller than the window.
        ImportError: Without the extra `eval` (scikit-image).

    Reference:
        Wang et al., Image quality assessment: from error visibility to structural
        similarity, IEEE TIP 2004.
    """
    restored, originals = _check_pair(restored, originals)
    weights = _hole_weights(hole, restored.shape)
    if min(restored.shape[1:3]) < 11:
        raise ValueError(
            "SSIM has an 11x11 window: expected larger images, "
            f"received {restored.shape}."
        )
    skimage_metrics = optional_import("skimage.metrics", "eval")
    values = []
    for image, original, weight in zip(restored, originals, weights, strict=True):
        mean, similarity = skimage_metrics.structural_similarity(
            _from_black(image),
            _from_black(original),
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


def _check_pair(restored, originals):
    restored = check_images(restored, name="restored", strict=True)
    originals = check_images(originals, name="originals", strict=True)
    if restored.shape != originals.shape:
        raise ValueError(
            "Expected restored and originals of the same shape, received "
            f"{restored.shape} and {originals.shape}."
        )
    return restored, originals


def _hole_weights(hole, shape):
    """Returns float64 weights (n, R, R, 1): 1 in the hole; without a hole, all 1."""
    if hole is None:
        return np.ones((*shape[:3], 1))
    hole = np.asarray(hole)
    expected = (*shape[:3], 1)
    if hole.dtype != bool or hole.shape not in (expected, expected[1:]):
        raise ValueError(
            f"hole: expected bool of shape {expected} or {expected[1:]}, "
            f"received {hole.dtype} of shape {hole.shape}."
        )
    weights = np.broadcast_to(hole, expected).astype("float64")
    if (weights.sum(axis=(1, 2, 3)) == 0).any():
        raise ValueError("hole: expected a judged pixel in each image, received none.")
    return weights
