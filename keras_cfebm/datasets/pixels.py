"""Pixels: the [-1, 1] convention, and how images become coarser.

The only module that knows how bytes become floats. Everything else asks it.
"""

import numpy as np

from keras_cfebm.utils.typing import Tensor


def from_levels(levels: Tensor) -> Tensor:
    """Maps grey levels 0 … 255, as floats of any tensor type, to [-1, 1]."""
    return levels / np.float32(127.5) - np.float32(1)


def to_levels(images: Tensor) -> Tensor:
    """Maps [-1, 1] to grey levels 0 … 255, not yet rounded."""
    return (images + np.float32(1)) * np.float32(127.5)


def to_float(images: np.ndarray) -> np.ndarray:
    """Converts integers to the range every public function uses.

    Args:
        images: array of any shape: bool; uint8, 0 … 255; uint16, 0 … 65,535; or any
            other integers, which are to hold bytes, 0 … 255.

    Returns:
        float32 array of the same shape, in [-1, 1]: 0 → -1, the largest → 1.

    Raises:
        ValueError: if `images` are no integers, or not in that range.

    Example:

    ```python
    to_float(np.array([0, 255], "uint8"))       # [-1.0, 1.0]
    to_float(np.array([0, 65_535], "uint16"))   # [-1.0, 1.0]
    ```
    """
    images = np.asarray(images)
    if images.dtype.kind not in "biu":
        raise ValueError(f"Expected images as integers, received {images.dtype}.")
    if images.dtype == np.uint8:
        return from_levels(images.astype(np.float32))
    largest = {"bool": 1, "uint16": 65_535}.get(images.dtype.name, 255)
    if images.size and not (images.min() >= 0 and images.max() <= largest):
        raise ValueError(
            f"Expected {images.dtype} images from 0 to {largest}, received values from "
            f"{images.min()} to {images.max()}."
        )
    return from_levels(images.astype(np.float32) * np.float32(255 / largest))


def to_uint8(images: Tensor) -> np.ndarray:
    """Converts images to bytes; the inverse of `to_float`.

    Args:
        images: floating-point array or tensor of any shape. Values outside [-1, 1]
            are clipped.

    Returns:
        uint8 NumPy array of the same shape.

    Raises:
        ValueError: if `images` is not floating-point or holds NaN or infinity.
    """
    images = np.asarray(images)
    # bfloat16 and its kin are no sub-type of np.floating: ask for non-integers.
    if images.dtype.kind in "biuOSU":
        raise ValueError(f"Expected floating-point images, received {images.dtype}.")
    images = images.astype(np.float32)
    if not np.isfinite(images).all():
        raise ValueError("Expected finite images, received NaN or infinity.")
    return np.rint(to_levels(np.clip(images, -1, 1))).astype(np.uint8)


def downsample(images: Tensor, times: int = 1) -> Tensor:
    """Halves height and width by 2×2 mean pooling, once or several times.

    The counterpart of `keras_cfebm.sampling.upsample`.

    Args:
        images: floating-point array or tensor `(batch, height, width, channels)`. Any
            type with slices and arithmetic: NumPy, TensorFlow, JAX, PyTorch.
        times: how often to halve; 0 returns `images` itself.

    Returns:
        `(batch, height / 2^times, width / 2^times, channels)`, same type as `images`.

    Raises:
        ValueError: if height or width cannot be halved that often.

    Reference:
        Zhao, Xie, Li, ICLR 2021: x^(s-1) is the 2×2 mean pooling of x^(s).
    """
    height, width = images.shape[1:3]
    if times < 0 or height % 2**times or width % 2**times:
        raise ValueError(
            f"Expected sizes divisible by 2^{times}, received {height} x {width}."
        )
    for _ in range(times):
        top = images[:, 0::2, 0::2] + images[:, 0::2, 1::2]
        bottom = images[:, 1::2, 0::2] + images[:, 1::2, 1::2]
        images = (top + bottom) * 0.25
    return images
