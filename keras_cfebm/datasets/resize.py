"""Brings images of any size to one square resolution, always in a stated way."""

import numpy as np
from PIL import Image

from keras_cfebm.utils.validation import check_count

FITS = ("exact", "pad", "resize", "crop")


def check_fit(fit: str, resolution: int | None, crop_size: int | None = None) -> None:
    """Checks a way of fitting before any image is read.

    Args:
        fit: one of `FITS`.
        resolution: int, or None (keep the size; for `fit="exact"` only).
        crop_size: int or None; see `resize_images`.

    Raises:
        ValueError: if the combination makes no sense.
    """
    if fit not in FITS:
        raise ValueError(f"Expected fit to be one of {FITS}, received {fit!r}.")
    if resolution is None:
        if fit != "exact":
            raise ValueError(f"Expected a resolution with fit={fit!r}, received None.")
    else:
        check_count(resolution, "resolution")
    if crop_size is not None:
        check_count(crop_size, "crop_size")
        if fit != "crop":
            raise ValueError(
                f"Expected crop_size with fit='crop' only, received {crop_size} with "
                f"fit={fit!r}."
            )


def check_size(
    height: int,
    width: int,
    resolution: int | None,
    fit: str,
    crop_size: int | None = None,
) -> None:
    """Checks that one image size can be fitted.

    Args:
        height: int, pixels.
        width: int, pixels.
        resolution: int, or None with `fit="exact"`: any square.
        fit: see `resize_images`.
        crop_size: see `resize_images`.

    Raises:
        ValueError: if it cannot.
    """
    received = f"received {height} x {width} (height x width)"
    if fit == "exact":
        side = height if resolution is None else resolution
        if (height, width) != (side, side):
            raise ValueError(
                f"Expected {side} x {side} images with fit='exact', {received}. "
                f"Choose fit='pad', 'resize' or 'crop'."
            )
    elif fit == "pad" and resolution is not None and max(height, width) > resolution:
        raise ValueError(
            f"Expected images of at most {resolution} x {resolution} with fit='pad', "
            f"{received}. Choose fit='resize' or 'crop'."
        )
    elif fit == "crop" and crop_size is not None and crop_size > min(height, width):
        raise ValueError(
            f"Expected images of at least {crop_size} x {crop_size} with "
            f"crop_size={crop_size}, {received}."
        )


def resize_images(
    images: np.ndarray,
    resolution: int | None = None,
    fit: str = "exact",
    crop_size: int | None = None,
) -> np.ndarray:
    """Brings a batch of equally sized images to `resolution` x `resolution`.

    Args:
        images: `(batch, height, width, channels)`, uint8 or float32 in [-1, 1].
        resolution: int; None keeps the size of square images (`fit="exact"`).
        fit: `"exact"`: sizes must agree already;
            `"pad"`: centred on black (-1), never shrunk;
            `"resize"`: stretched to the square, antialiased (Lanczos);
            `"crop"`: the centred square, then resized as above.
        crop_size: side of the centred square of `fit="crop"` in pixels; None takes
            the largest one.

    Returns:
        `(batch, resolution, resolution, channels)`, dtype of `images`.

    Raises:
        ValueError: if the images do not fit in this way.
    """
    check_fit(fit, resolution, crop_size)
    height, width = images.shape[1:3]
    check_size(height, width, resolution, fit, crop_size)
    if fit == "pad":
        return _pad(images, resolution)
    if fit == "crop":
        images = _centre_crop(images, crop_size or min(height, width))
    return images if fit == "exact" else _resize(images, resolution)


def _pad(images, resolution):
    gaps = [resolution - size for size in images.shape[1:3]]
    borders = [(gap // 2, gap - gap // 2) for gap in gaps]
    black = 0 if images.dtype == np.uint8 else -1
    return np.pad(images, [(0, 0), *borders, (0, 0)], constant_values=black)


def _centre_crop(images, side):
    height, width = images.shape[1:3]
    top, left = (height - side) // 2, (width - side) // 2
    return images[:, top : top + side, left : left + side]


def _resize(images, resolution):
    if images.shape[1:3] == (resolution, resolution):
        return images
    shape = (len(images), resolution, resolution, images.shape[-1])
    resized = np.empty(shape, images.dtype)
    # Pillow has no three-channel float mode, so each channel goes alone.
    for image, out in zip(images, resized, strict=True):
        for channel in range(images.shape[-1]):
            plane = Image.fromarray(np.ascontiguousarray(image[..., channel]))
            plane = plane.resize((resolution,) * 2, Image.Resampling.LANCZOS)
            out[..., channel] = np.asarray(plane)
    # Lanczos overshoots at edges; Pillow clips bytes itself.
    return resized if images.dtype == np.uint8 else np.clip(resized, -1, 1)
