"""How good samples are: their distance to real images, drawn batch by batch."""

import hashlib
import pathlib
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from keras_cfebm.datasets.cache import default_cache_dir
from keras_cfebm.datasets.image_data import ImageData
from keras_cfebm.evaluation.distances import frechet_distance, kernel_distance
from keras_cfebm.evaluation.encoders import Encoder
from keras_cfebm.evaluation.feature_statistics import (
    FeatureStatistics,
    cached_statistics,
)
from keras_cfebm.evaluation.result import Evaluation
from keras_cfebm.utils.progress import progress_bar
from keras_cfebm.utils.typing import PathLike, Tensor
from keras_cfebm.utils.validation import check_count

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
        cache_dir: folder; None for `statistics` in the package's cache folder. One that
            cannot be written is done without, with a warning.

    Raises:
        ValueError: if the encoder refuses the images.
    """
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
        with progress_bar(len(data)) as done:
            counted = _calling(done, batches)
            return FeatureStatistics.from_images(counted, encoder, name)

    folder = default_cache_dir() / "statistics" if cache_dir is None else cache_dir
    try:
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        warnings.warn(
            f"The statistics of {name} are not kept, as {folder} cannot be written "
            f"({error.strerror}). --cache_dir, or cache_dir=, names another folder.",
            stacklevel=2,
        )
        return compute()
    return cached_statistics(key, compute, folder)


def evaluate_samples(
    sample_batches: Iterable[Tensor],
    reference: FeatureStatistics,
    encoder: Encoder,
    limit: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Compares samples of a model with a reference set.

    Args:
        sample_batches: iterable of float arrays `(n, h, w, c)` in [-1, 1], such as a
            generator of sampled batches; consumed batch by batch, never held at once.
        reference: `FeatureStatistics` of real images, of the same encoder.
        encoder: `Encoder`.
        limit: int of at least 2, number of samples after which to stop; None for all.
        seed: int, of the subsets of the kernel distance.

    Returns:
        Dict that JSON can hold: `metric` (the honest name: "FID" only with the
        Inception network of the literature, "classifier FID" with the shipped
        classifier), `frechet_distance`, `kernel_distance` (see there), `samples`,
        `reference`, `reference_samples`, `encoder`, `encoder_hash`, `preprocessing`.

    Raises:
        ValueError: if encoder and reference do not belong together, there are fewer
            than two samples, the limit is out of range, or the encoder refuses a batch.
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
        _first(sample_batches, limit), encoder, "samples", seed=seed
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


def _calling(done, batches):
    for batch in batches:
        yield batch
        done(len(batch))


def _first(batches, limit):
    for batch in batches:
        batch = np.asarray(batch)[:limit]
        yield batch
        if limit is not None:
            limit -= len(batch)
            if limit == 0:  # before the next batch is drawn, which costs a chain
                return


def evaluate_generation(
    model: Any,
    count: int,
    encoder: Encoder,
    reference: FeatureStatistics,
    *,
    labels: Any = None,
    seed: int = 0,
    batch_size: int = 64,
    shown: int = 64,
    progress: bool | None = None,
    **options: Any,
) -> Evaluation:
    """Fréchet and kernel distance of samples, drawn and encoded batch by batch.

    Args:
        model: `CFEBM`, or anything with its `generate`.
        count: int of at least 2, number of samples; 50,000 in published figures.
        encoder: `Encoder`.
        reference: `FeatureStatistics` of real images, of the same encoder.
        labels: of a conditional model, an int or the name of a class, or an array of
            either of shape `(count,)`.
        seed: int, the stream of samples.
        batch_size: int, images per chain; it bounds the memory.
        shown: int, how many of the first samples are returned.
        progress: bool, show a progress bar; None shows one after two seconds.
        **options: further arguments of `model.generate`, such as its speed.

    Returns:
        `Evaluation`; its figures are those of `evaluate_samples`. Images are clipped to
        [-1, 1].

    Raises:
        ValueError: if a number is out of range, or the encoder refuses the samples.
    """
    check_count(count, "count", 2)
    first: list[np.ndarray] = []
    labels = None if labels is None else np.broadcast_to(labels, (count,))

    def batches() -> Iterator[np.ndarray]:
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
                **options,
            )[: end - start]
            # A chain may be one that does not clip.
            images = np.clip(images, -1.0, 1.0)
            if start < shown:
                first.append(images[: shown - start])
            yield images
            done(end - start)

    with progress_bar(count, shown=progress) as done:
        figures = evaluate_samples(batches(), reference, encoder, seed=seed)
    return Evaluation(figures, {"samples": np.concatenate(first)})


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
