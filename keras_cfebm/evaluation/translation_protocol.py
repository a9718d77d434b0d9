"""Translation: does it arrive in the target domain, and what is kept of the source?"""

from typing import Any

import numpy as np

from keras_cfebm.evaluation.distances import frechet_distance
from keras_cfebm.evaluation.encoders import Encoder
from keras_cfebm.evaluation.fashion_classifier import FashionClassifier
from keras_cfebm.evaluation.feature_statistics import FeatureStatistics
from keras_cfebm.evaluation.image_quality import DATA_RANGE, mean_ssim
from keras_cfebm.evaluation.result import Evaluation
from keras_cfebm.utils.validation import check_images


def pixel_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson's correlation of the pixels of each pair of images.

    Args:
        first: float array `(n, h, w, c)`.
        second: float array of the same shape.

    Returns:
        float64 array `(n,)` in [-1, 1]; 0 where an image is constant.

    Raises:
        ValueError: if the shapes differ or the images are malformed.
    """
    # Heat maps are compared too: a correlation does not depend on the range.
    first = check_images(first, name="first images", in_range=False)
    shape, count = first.shape[1:], len(first)
    second = check_images(second, shape, "second images", count, in_range=False)
    a, b = (x.reshape(len(x), -1).astype("float64") for x in (first, second))
    a, b = (x - x.mean(axis=1, keepdims=True) for x in (a, b))
    scale = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.where(scale > 0, (a * b).sum(axis=1) / np.where(scale > 0, scale, 1), 0)


def _psnr_of_all(images, truths):
    """Not the mean of PSNRs, which one random target that is the true one decides."""
    error = np.square(images.astype("float64") - truths).mean()
    return float(10 * np.log10(DATA_RANGE**2 / error)) if error else None


def evaluate_translation(
    translations: np.ndarray,
    sources: np.ndarray,
    target_images: np.ndarray,
    reference: np.ndarray | None = None,
    *,
    encoder: Encoder | None = None,
    classifier: FashionClassifier | None = None,
    target_class: int | None = None,
    truths: np.ndarray | None = None,
    seed: int = 0,
) -> Evaluation:
    """Judges translations beside doing nothing, and beside ignoring the source.

    Args:
        translations: float array `(n, h, w, c)` in [-1, 1].
        sources: float array of the same shape, what was translated.
        target_images: float array of real images of the target domain, from which the
            random targets are drawn (again, where there are fewer than n).
        reference: float array of other real images of the target domain, to which the
            Fréchet distance is taken; with an encoder.
        encoder: optional `Encoder`, for the Fréchet distance.
        classifier: optional `FashionClassifier`, for `called_target`.
        target_class: int, the class of the target domain; with a classifier.
        truths: optional float array of the shape of `sources`, the true translation of
            each, where it is known. Training never sees pairs; judging may.
        seed: int, of the random targets.

    Returns:
        `Evaluation`; its figures are version (`translation`, `source`,
        `random_target`) → `called_target` (share that the classifier calls the target
        class), `frechet_distance` (both only if asked for), what is kept: `ssim` and
        `correlation` with the source, and with truths `true_psnr` (dB, of the mean
        squared error of all images) and `true_ssim`. SSIM is None below 11 pixels.

    Raises:
        ValueError: if images do not fit each other, encoder or classifier.
        ImportError: without the extra `eval` (scikit-image).
    """
    if encoder is not None and reference is None:
        raise ValueError("Expected a reference with an encoder, received None.")
    if classifier is not None and target_class is None:
        raise ValueError("Expected a target_class with a classifier, received None.")
    sources = check_images(sources, name="source images", strict=True)
    shape, count = sources.shape[1:], len(sources)
    translations = check_images(translations, shape, "translations", count, strict=True)
    target_images = check_images(target_images, shape, "target images", strict=True)
    if truths is not None:
        truths = check_images(truths, shape, "true translations", count, strict=True)
    rng = np.random.default_rng(seed)
    drawn = np.resize(rng.permutation(len(target_images)), count)
    versions = {
        "translation": translations,
        "source": sources,
        "random_target": target_images[drawn],
    }
    figures: dict[str, dict[str, Any]] = {name: {} for name in versions}
    statistics = None
    if encoder is not None:
        statistics = FeatureStatistics.from_images([reference], encoder, "targets")
    for name, images in versions.items():
        found = figures[name]
        if classifier is not None:
            called = classifier.predict_classes(images) == target_class
            found["called_target"] = float(called.mean())
        if encoder is not None and statistics is not None:
            own = FeatureStatistics.from_images([images], encoder, name)
            found["frechet_distance"] = frechet_distance(own, statistics)
        found["ssim"] = mean_ssim(images, sources)
        found["correlation"] = float(pixel_correlation(images, sources).mean())
        if truths is not None:
            found["true_psnr"] = _psnr_of_all(images, truths)
            found["true_ssim"] = mean_ssim(images, truths)
    shown = {name: versions[name] for name in ("source", "translation")}
    if truths is None:
        shown["random target"] = versions["random_target"]
    else:
        shown["true translation"] = truths
    return Evaluation(figures, shown)
