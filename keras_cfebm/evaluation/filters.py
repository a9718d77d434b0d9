"""Classical restoration to measure against: filters, and ways to fill holes."""

import functools
from collections.abc import Callable

import numpy as np

from keras_cfebm.evaluation.image_quality import psnr
from keras_cfebm.utils.optional import optional_import
from keras_cfebm.utils.progress import progress_bar


def _gaussian(image, strength, sigma):
    filters = optional_import("skimage.filters", "eval")
    return filters.gaussian(image, strength, mode="nearest", channel_axis=-1)


def _median(image, strength, sigma):
    filters = optional_import("skimage.filters", "eval")
    footprint = optional_import("skimage.morphology", "eval").disk(strength)
    channels = np.moveaxis(image, -1, 0)
    return np.stack([filters.median(c, footprint) for c in channels], axis=-1)


def _non_local_means(image, strength, sigma):
    restoration = optional_import("skimage.restoration", "eval")
    return restoration.denoise_nl_means(
        image,
        patch_size=5,
        patch_distance=6,
        h=strength * sigma,
        sigma=sigma,
        fast_mode=True,
        channel_axis=-1,
    )


#: name → (function of image, strength and σ; strengths to choose from). They are: the
#: Gaussian's standard deviation in pixels, the radius of the median's disk, and the
#: cut-off of non-local means in units of σ.
FILTERS: dict[str, tuple[Callable, tuple]] = {
    "gaussian": (_gaussian, (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2)),
    "median": (_median, (1, 2, 3)),
    "non_local_means": (_non_local_means, (0.4, 0.6, 0.8, 1.0, 1.2)),
}


def filtered(
    name: str, images: np.ndarray, strength: float, sigma: float
) -> np.ndarray:
    """Removes noise by a classical filter.

    Args:
        name: a key of `FILTERS`.
        images: float array of noisy images `(n, h, w, c)`.
        strength: see `FILTERS`.
        sigma: float above 0, standard deviation of the noise.

    Returns:
        float32 array of the same shape, clipped to [-1, 1].

    Raises:
        ImportError: without the extra `eval` (scikit-image).
    """
    function, _ = FILTERS[name]
    result = []
    with progress_bar(len(images)) as done:
        for image in images:
            result.append(function(image.astype("float64"), strength, sigma))
            done(1)
    # scikit-image drops an axis of one channel here and there.
    return np.clip(np.stack(result), -1, 1).astype("float32").reshape(images.shape)


def best_strength(
    name: str, noisy: np.ndarray, clean: np.ndarray, sigma: float
) -> float:
    """The strength in `FILTERS` with the highest mean PSNR on images that are known."""

    def quality(strength):
        quality = psnr(filtered(name, noisy, strength, sigma), clean).mean()
        done(1)
        return quality

    strengths = FILTERS[name][1]
    with progress_bar(len(strengths), "strength") as done:
        return max(strengths, key=quality)


def inpainted(name: str, images: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """Fills missing pixels by a classical method.

    Args:
        name: `"mean"`, of the known pixels of the image, or `"biharmonic"`.
        images: float array `(n, h, w, c)` in [-1, 1].
        holes: boolean array `(n, h, w, 1)`, True where a pixel is missing.

    Returns:
        float32 array of the same shape, in [-1, 1]; known pixels as they were.

    Raises:
        ValueError: if the name is unknown.
        ImportError: of `"biharmonic"`, without the extra `eval` (scikit-image).
    """
    if name == "mean":
        known = np.where(holes, 0.0, images).sum(axis=(1, 2), keepdims=True)
        count = (~holes).sum(axis=(1, 2), keepdims=True)
        filling = np.broadcast_to(known / count, images.shape)
    elif name == "biharmonic":
        restoration = optional_import("skimage.restoration", "eval")
        fill = functools.partial(restoration.inpaint_biharmonic, channel_axis=-1)
        known = np.where(holes, 0.0, images).astype("float64")
        masks = np.array(holes[..., 0], order="C")  # must be writable
        filling = np.empty_like(known)
        with progress_bar(len(images)) as done:
            for index in range(len(images)):
                filling[index] = fill(known[index], masks[index])
                done(1)
    else:
        raise ValueError(f"Expected 'mean' or 'biharmonic', received {name!r}.")
    return np.where(holes, np.clip(filling, -1, 1), images).astype("float32")
