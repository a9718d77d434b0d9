"""Images from damaged ones (Sec. 4.2): denoise and inpaint."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_cfebm.backend import random
from keras_cfebm.datasets.pixels import downsample
from keras_cfebm.sampling import Langevin
from keras_cfebm.tasks.batches import (
    WHITE_NOISE,
    drawn_seed,
    run_batches,
    stream_keys,
)
from keras_cfebm.tasks.chain import Chain, chain_of
from keras_cfebm.tasks.masks import hole_masks
from keras_cfebm.tasks.translation import run_from, single_chain_of
from keras_cfebm.utils.validation import check_images, check_number

#: A few steps at the finest level; the paper takes 10 to 50.
DENOISING = Langevin(steps=20, noise_scale=0.005)
#: Missing pixels start from noise and have further to go.
INPAINTING = Langevin(steps=50)
#: From coarse to fine less is needed, and more drifts away from what is known.
LADDER_INPAINTING = Langevin(steps=(15, 10, 5), noise_scale=0.005)


def add_noise(
    images: np.ndarray, sigma: float, seed: int = 0, start: int = 0
) -> np.ndarray:
    """Adds white Gaussian noise, which `denoise` is to remove; nothing is clipped.

    Args:
        images: float array of shape `(n, h, w, c)` in [-1, 1].
        sigma: float of at least 0, standard deviation on that scale.
        seed: int, the stream of images; its noise is independent of that of chains.
        start: int, index in the stream of the first image.

    Returns:
        float32 NumPy array of the same shape, not confined to [-1, 1].

    Raises:
        ValueError: if `sigma` is negative or the images are not as described.
    """
    images = check_images(images)
    check_number(sigma, "sigma", "[0, inf)")
    keys = random.fold_in(stream_keys(seed, len(images), start), 0, WHITE_NOISE)
    noise = ops.convert_to_numpy(random.normal(keys, images.shape[1:]))
    return images + np.float32(sigma) * noise


def denoise(
    energy: Any,
    images: np.ndarray,
    seed: int | None = None,
    settings: Langevin | None = None,
    labels: Any = None,
    batch_size: int = 64,
    start: int = 0,
    *,
    saliency: bool = False,
    progress: bool | None = None,
) -> Any:
    """Removes noise: a few steps at the finest level that start at the noisy images.

    Args:
        energy: a model; or the finest energy, or a `Chain` of it.
        images: float array of noisy images `(n, h, w, c)`; they may leave [-1, 1].
        seed: int, the stream of images, or None for a fresh one, see `generate`; image
            `i` does not depend on the others.
        settings: `Langevin`; None for 20 steps with noise from 0.005 to 0, adapted to
            the model; or those of the training, where that began at images.
        labels: of conditional energies, an int or an integer array `(n,)`.
        batch_size: int, images per chain; it bounds the memory.
        start: int, index in the stream of the first image.
        saliency: bool, return the generative saliency too, see `generate`.
        progress: bool, show a progress bar; None shows one after two seconds.

    Returns:
        float32 NumPy array of shape `(n, h, w, c)` within `settings.clip`; with
        `saliency` a pair of it and of maps `(n, h, w)`.

    Raises:
        ValueError: if images or labels do not fit the energy.
    """
    chain = single_chain_of(energy, settings, DENOISING)
    images = check_images(images, chain.start_shape, "noisy images", in_range=False)
    return run_from(chain, images, seed, labels, batch_size, start, saliency, progress)


def inpaint(
    energy: Any,
    images: np.ndarray,
    mask: Any,
    seed: int | None = None,
    settings: Langevin | None = None,
    labels: Any = None,
    batch_size: int = 64,
    start: int = 0,
    *,
    fill: str = "noise",
    saliency: bool = False,
    progress: bool | None = None,
) -> Any:
    """Fills missing pixels: after each Langevin step the known ones are put back.

    **The mask is True where a pixel is missing**, as in OpenCV and scikit-image. Known
    pixels come back bit for bit as they came in (as float32).

    Args:
        energy: a model, or a ladder, coarsest first, to fill from coarse to fine; or
            the finest energy, as in the paper; or a `Chain` of either.
        images: float array of shape `(n, h, w, c)` in [-1, 1]. What it holds at missing
            pixels is of no influence unless `fill="image"`.
        mask: an array, a name or a path, see `hole_masks`.
        seed: int, the stream of images, or None for a fresh one, see `generate`; image
            `i` does not depend on the others.
        settings: `Langevin`; None for 50 steps, or up a ladder 15, 10 and then 5 at
            each finer level, adapted to a model.
        labels: of conditional energies, an int or an integer array `(n,)`.
        batch_size: int, images per chain; it bounds the memory.
        start: int, index in the stream of the first image.
        fill: where missing pixels start: `"noise"`, uniform as in `generate`, or
            `"image"`, what is there.
        saliency: bool, return the generative saliency too, see `generate`; it is 0 at
            known pixels.
        progress: bool, show a progress bar; None shows one after two seconds.

    Returns:
        float32 NumPy array of shape `(n, h, w, c)`; with `saliency` a pair of it and of
        maps `(n, h, w)`.

    Raises:
        ValueError: if images, mask or labels do not fit, or `fill` is unknown.
    """
    levels = getattr(energy, "sampling_ladder", energy)
    is_ladder = isinstance(levels, (list, tuple)) and len(levels) > 1
    chain = chain_of(energy, settings, LADDER_INPAINTING if is_ladder else INPAINTING)
    images = check_images(images, chain.image_shape)
    if fill not in ("noise", "image"):
        raise ValueError(f"Expected fill to be 'noise' or 'image', received {fill!r}.")
    seed = drawn_seed(seed)
    masks = hole_masks(mask, images.shape, seed, start)
    labels = chain.check_labels(labels, len(images))
    keys = chain.keys(seed, len(images), start)
    starts = starts_of(chain, images.shape[1:])

    def sample(images, masks, keys, labels):
        x = starts(keys, images if fill == "image" else None)
        result, maps = chain.run(x, keys, labels, known=(images, masks))
        return (result, maps) if saliency else result

    return run_batches(sample, (images, masks, keys, labels), batch_size, progress)


def starts_of(chain: Chain, image_shape: Sequence[int]) -> Callable:
    """How the chains of a restoration start.

    Args:
        chain: `Chain`.
        image_shape: shape of one of the finest images.

    Returns:
        Function of keys `(batch, 2)`, and of the finest images or None. It returns
        noise, or these images as the coarsest level of the chain sees them.

    Raises:
        ValueError: if the images cannot be halved down to that level.
    """
    halvings = len(chain.energies) - 1
    *sides, channels = image_shape
    if any(side % 2**halvings for side in sides):
        raise ValueError(
            f"Expected images whose sides {halvings} halvings divide, for a ladder of "
            f"{len(chain.energies)} energies, received images of shape {image_shape}."
        )
    coarsest = [side // 2**halvings for side in sides]

    def starts(keys, images):
        if images is None:
            return chain.noise(keys, (*coarsest, channels))
        return downsample(images, halvings)

    return starts
