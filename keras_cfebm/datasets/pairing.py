"""Pairs of images of two domains, for translation: drawn, not matched."""

import itertools
from typing import Any

import numpy as np

from keras_cfebm.datasets.image_data import ImageData
from keras_cfebm.datasets.pipeline import as_dataset
from keras_cfebm.utils.validation import check_count, check_number, check_seed

#: Sources are drawn in another order than targets, even from one and the same set.
_SOURCE = 0x2545F4914F6CDD1D


def pairs(
    source_data: ImageData,
    target_data: ImageData,
    resolution: int | None = None,
    batch_size: int = 64,
    seed: int = 0,
    start: int = 0,
    flip: bool = False,
    source_noise: float = 0.0,
    as_numpy: bool = False,
    random_crop: float = 1.0,
) -> Any:
    """Reads batches of target and source images, without end, for translation.

    Each side is shuffled on its own: what stands side by side has nothing to do with
    each other. The same arguments always give the same batches.

    Args:
        source_data: `ImageData` of the domain that is to be translated.
        target_data: `ImageData` of the domain that is translated to.
        resolution: height and width of the batches, which 2×2 mean pooling reaches from
            both sets; None for that of the sets, which are then of one resolution.
        batch_size: int, at most the number of images of the smaller set.
        seed: int in 0 … 2**63 - 1; decides order and flips.
        start: number of batches to skip, as after a resume.
        flip: mirror each image left to right with probability 1/2.
        source_noise: float of at least 0. Each source image gets white noise of a
            standard deviation drawn uniformly from 0 up to this, so that noisy images
            are translated to clean ones. Nothing is clipped.
        as_numpy: True returns a plain iterator of pairs of NumPy arrays.
        random_crop: see `ImageData.batches`; of either side.

    Returns:
        A `tf.data.Dataset`, on other backends than TensorFlow `Batches`, of pairs
        **(targets, sources)**, what `CFEBM(..., chain_start="source")` learns from:
        each float32 `(batch_size, resolution, resolution, channels)` in [-1, 1].

    Raises:
        ValueError: if the sets differ in channels, or in resolution where none is
            given; and as `ImageData.batches`.
    """
    check_seed(seed)
    check_number(source_noise, "source_noise", "[0, inf)")
    if source_data.channels != target_data.channels:
        raise ValueError(
            "Expected source and target images of the same number of channels, "
            f"received {source_data.channels} and {target_data.channels}."
        )
    if resolution is None and source_data.resolution != target_data.resolution:
        raise ValueError(
            "Expected a resolution, as source and target images differ in theirs: "
            f"{source_data.resolution} and {target_data.resolution}, received None."
        )
    check_count(start, "start", minimum=0)
    side = target_data.resolution if resolution is None else resolution

    def noisy(place, images):
        if not source_noise:
            return images
        rng = np.random.default_rng([seed, place])
        sigmas = source_noise * rng.random((len(images), 1, 1, 1))
        return (images + sigmas * rng.standard_normal(images.shape)).astype("float32")

    def generate(first=0):
        first += start
        targets, sources = (
            data.batches(
                side,
                batch_size,
                order,
                flip,
                start=first,
                as_numpy=True,
                random_crop=random_crop,
            )
            for data, order in ((target_data, seed), (source_data, seed ^ _SOURCE))
        )
        return zip(targets, map(noisy, itertools.count(first), sources), strict=True)

    batches = generate()  # here, so that bad arguments are refused here
    if as_numpy:
        return batches
    shape = (batch_size, side, side, target_data.channels)
    return as_dataset(generate, [(shape, "float32")] * 2)
