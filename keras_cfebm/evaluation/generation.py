"""Samples: their distance to real images, and whether they are copies of them."""

import hashlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_cfebm.datasets.cache import default_cache_dir
from keras_cfebm.datasets.image_data import ImageData
from keras_cfebm.evaluation.distances import FeatureStatistics, cached_statistics
from keras_cfebm.evaluation.encoders import Encoder
from keras_cfebm.evaluation.neighbours import nearest_neighbours
from keras_cfebm.evaluation.result import Evaluation
from keras_cfebm.evaluation.sample_figures import evaluate_samples
from keras_cfebm.utils.typing import PathLike
from keras_cfebm.utils.validation import check_count, check_images

#: Images whose pixels tell one reference set from another in the cache.
_FINGERPRINT = 256


def reference_statistics(
    data: ImageData, encoder: Encoder, name: str, cache_dir: PathLike | None = None
) -> FeatureStatistics:
    """Feature statistics of a real set, computed once and kept on disk.

    Args:
        data: `ImageData`.
        encoder: `Encoder`.
        name: str, what the images are, for the record.
        cache_dir: folder; None for `statistics` in the package's cache folder.

    Returns:
        `FeatureStatistics`.

    Raises:
        ValueError: if the encoder refuses the images.
    """
    if cache_dir is None:
        cache_dir = default_cache_dir() / "statistics"
    # Of a shuffled few: sets are often stored by class.
    few = data.subset(limit=_FINGERPRINT, seed=0).images()
    pixels = hashlib.sha256(few.tobytes()).hexdigest()
    parts = (name, len(data), data.resolution, data.channels, pixels)
    key = "/".join(map(str, (*parts, encoder.hash, encoder.preprocessing)))

    def compute():
        size = min(encoder.batch_size, len(data))
        batches = data.batches(
            batch_size=size, repeat=False, shuffle=False, as_numpy=True
        )
        return FeatureStatistics.from_images(batches, encoder, name)

    return cached_statistics(key, compute, cache_dir)


def evaluate_generation(
    model: Any,
    count: int,
    encoder: Encoder,
    reference: FeatureStatistics,
    *,
    labels: np.ndarray | None = None,
    seed: int = 0,
    batch_size: int = 64,
    shown: int = 64,
    progress: bool = False,
) -> Evaluation:
    """Fréchet and kernel distance of samples, drawn and encoded batch by batch.

    Args:
        model: `CFEBM`, or anything with its `generate`.
        count: int of at least 2, number of samples; 50,000 in published figures.
        encoder: `Encoder`.
        reference: `FeatureStatistics` of real images, of the same encoder.
        labels: of a conditional model, integer array `(count,)`.
        seed: int, the stream of samples.
        batch_size: int, images per chain; it bounds the memory.
        shown: int, how many of the first samples are returned.
        progress: bool, show a progress bar.

    Returns:
        `Evaluation`; its figures are those of `evaluate_samples`.

    Raises:
        ValueError: if a number is out of range, or the encoder refuses the samples.
    """
    check_count(count, "count", 2)
    first: list[np.ndarray] = []

    def batches() -> Iterator[np.ndarray]:
        bar = keras.utils.Progbar(count, unit_name="image") if progress else None
        for start in range(0, count, batch_size):
            # Always whole batches, so that nothing is compiled twice.
            end = min(start + batch_size, count)
            rows = np.minimum(np.arange(start, start + batch_size), count - 1)
            images = model.generate(
                batch_size,
                seed=seed,
                labels=None if labels is None else labels[rows],
                batch_size=batch_size,
                start=start,
            )[: end - start]
            if start < shown:
                first.append(images[: shown - start])
            yield images
            if bar is not None:
                bar.update(end)

    figures = evaluate_samples(batches(), reference, encoder, seed=seed)
    return Evaluation(figures, {"samples": np.concatenate(first)})


def evaluate_neighbours(
    samples: np.ndarray,
    training_images: np.ndarray,
    test_images: np.ndarray,
    encoder: Encoder | None = None,
    k: int = 3,
) -> Evaluation:
    """Compares samples with the training images that are nearest to them.

    A model that had memorised would be much nearer to the training images than other
    real images, those of the test set, are.

    Args:
        samples: float array `(n, h, w, c)` in [-1, 1].
        training_images: float array `(m, h, w, c)`.
        test_images: float array of real images that were not trained on.
        encoder: optional `Encoder`, to compare in its features too.
        k: int, neighbours shown per sample.

    Returns:
        `Evaluation`; its figures are space (`pixels`, and `features` with an encoder) →
        `samples` and `test`, the median distances to the nearest training image, their
        `ratio`, and `copies`, the share of samples nearer than 99 % of test images are.

    Raises:
        ValueError: if images do not fit each other, or `k` is out of range.
    """
    samples = check_images(samples, training_images.shape[1:], "samples", strict=True)
    figures, shown = {}, {"sample": samples}
    for space, encode in (("pixels", None), ("features", encoder)):
        if space == "features" and encode is None:
            continue
        rows, distances = nearest_neighbours(samples, training_images, k, encode)
        _, real = nearest_neighbours(test_images, training_images, 1, encode)
        own, usual = np.median(distances[:, 0]), np.median(real)
        figures[space] = {
            "samples": float(own),
            "test": float(usual),
            "ratio": float(own / usual) if usual > 0 else None,
            "copies": float((distances[:, 0] < np.quantile(real, 0.01)).mean()),
        }
        for place in range(k):
            shown[f"{space} · {place + 1}"] = training_images[rows[:, place]]
    return Evaluation(figures, shown)


def evaluate_interpolations(images: np.ndarray) -> dict[str, float]:
    """How smooth rows of interpolations are.

    Args:
        images: float array `(rows, columns, h, w, c)`, see `tasks.interpolate`.

    Returns:
        Dict of `ends`, the mean root mean square difference of the two ends of a row;
        `step`, that of neighbours; and `largest_step`, the mean over rows of their
        largest one. A smooth row of n columns has steps well below `ends`.
    """

    def distance(a, b):
        return np.sqrt(np.square(a - b).mean(axis=(-3, -2, -1), dtype="float64"))

    steps = distance(images[:, 1:], images[:, :-1])
    return {
        "ends": float(distance(images[:, 0], images[:, -1]).mean()),
        "step": float(steps.mean()),
        "largest_step": float(steps.max(axis=1).mean()),
    }
