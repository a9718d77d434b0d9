"""The figures of a generative model, streamed over its samples, and their controls."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_cfebm.evaluation.distances import FeatureStatistics
from keras_cfebm.evaluation.encoders import Encoder
from keras_cfebm.evaluation.frechet import frechet_distance
from keras_cfebm.evaluation.kernel import kernel_distance
from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_count, check_images, check_seed


def evaluate_samples(
    sample_batches: Iterable[Tensor],
    reference: FeatureStatistics,
    encoder: Encoder,
    limit: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Compares samples of a model with a reference set.

    Args:
        sample_batches: Iterable of float arrays (n, R, R, c) in [-1, 1], such as a
            generator of sampled batches; consumed batch by batch, never held at once.
        reference: `FeatureStatistics` of real images, of the same encoder.
        encoder: The `Encoder`.
        limit: Optional number of samples after which to stop.
        seed: Seed of the subsets of the kernel distance.

    Returns:
        A dict ready for JSON: `metric` (the honest name: "FID" only with the Inception
        network of the literature, "classifier FID" with the shipped classifier),
        `frechet_distance`, `kernel_distance` (see there), `samples`, `reference`,
        `reference_samples`, `encoder`, `encoder_hash`, `preprocessing`.

    Raises:
        ValueError: If encoder and reference do not belong together, there are fewer
            than two samples, a limit below 2, or a batch the encoder refuses.
    """
    if limit is not None:
        check_count(limit, "limit", minimum=2)
    if reference.encoder_hash != encoder.hash:
        # Said before the samples are drawn: those may cost hours.
        raise ValueError(
            f"Expected reference statistics of encoder {encoder.hash}, received those "
            f"of {reference.encoder_hash} ({reference.name})."
        )
    samples = FeatureStatistics.from_images(
        _take(sample_batches, limit), encoder, "samples", seed=seed
    )
    return {
        "metric": encoder.frechet_name,
        "frechet_distance": frechet_distance(samples, reference),
        "kernel_distance": kernel_distance(
            samples.features, reference.features, seed=seed
        ),
        "samples": samples.number,
        "reference": reference.name,
        "reference_samples": reference.number,
        "encoder": encoder.name,
        "encoder_hash": encoder.hash,
        "preprocessing": encoder.preprocessing,
    }


def controls(
    test_images: Tensor, encoder: Encoder, reference: FeatureStatistics, seed: int = 0
) -> dict[str, float]:
    """Measures the Fréchet distance of images whose quality is known.

    They give a figure its scale: below "test" is overfitting or luck; a model should be
    well under "pixelated to 8", which is what upsampling without learning gives.

    Args:
        test_images: Array (n, R, R, c) of held-out real images, floats in [-1, 1], R a
            multiple of 16.
        encoder: The `Encoder`.
        reference: `FeatureStatistics` of the training images.
        seed: Seed of the noise.

    Returns:
        A dict of floats: `test`, `pixelated_to_16`, `pixelated_to_8` (mean pooling,
        then enlarged by nearest neighbour), `noise_0.3` (white noise of standard
        deviation 0.3 added, clipped), `uniform_noise`.

    Raises:
        ValueError: On malformed images or a resolution that 16 does not divide.
    """
    images = check_images(test_images, name="test_images", minimum=2, strict=True)
    if images.shape[1] % 16 or images.shape[2] % 16:
        raise ValueError(
            "test_images: expected a height and width that are multiples of 16 "
            f"(28x28 pads to 32x32), received {images.shape}."
        )
    random = np.random.default_rng(check_seed(seed))
    noise = random.normal(0, 0.3, images.shape).astype("float32")
    variants = {
        "test": images,
        "pixelated_to_16": pixelate(images, 16),
        "pixelated_to_8": pixelate(images, 8),
        "noise_0.3": np.clip(images + noise, -1, 1),
        "uniform_noise": random.uniform(-1, 1, images.shape).astype("float32"),
    }
    return {
        name: frechet_distance(
            FeatureStatistics.from_images([variant], encoder, name), reference
        )
        for name, variant in variants.items()
    }


def pixelate(images: np.ndarray, resolution: int) -> np.ndarray:
    """Mean-pools images to a resolution and enlarges them back by nearest neighbour.

    Args:
        images: Array (n, R, R, c).
        resolution: Divisor of R.

    Returns:
        Array of the shape of `images`, constant in blocks.
    """
    n, height, width, channels = images.shape
    rows, columns = height // resolution, width // resolution
    blocks = images.reshape(n, resolution, rows, resolution, columns, channels)
    means = blocks.mean(axis=(2, 4), keepdims=True)
    return np.broadcast_to(means, blocks.shape).reshape(images.shape)


def _take(batches, limit):
    if limit is None:
        yield from batches
        return
    remaining = limit
    for batch in batches:
        batch = np.asarray(batch)[:remaining]
        remaining -= len(batch)
        yield batch
        if remaining == 0:  # before the next batch is drawn, which costs a chain
            return
