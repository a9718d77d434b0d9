"""Images from what was measured of them, judged beside classical methods."""

from typing import Any

import numpy as np
from keras import ops

from keras_cfebm import tasks
from keras_cfebm.evaluation.distances import frechet_distance
from keras_cfebm.evaluation.encoders import Encoder
from keras_cfebm.evaluation.feature_statistics import FeatureStatistics
from keras_cfebm.evaluation.filters import FILTERS, best_strength, filtered, inpainted
from keras_cfebm.evaluation.image_quality import mean_figures
from keras_cfebm.evaluation.result import Evaluation
from keras_cfebm.sampling import Langevin
from keras_cfebm.utils.validation import check_images, check_number


def baselines(
    operator: tasks.Operator,
    y: np.ndarray,
    known: np.ndarray,
    noise: float = 0.0,
    tuning_images: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """What there is without an energy.

    Args:
        operator: `Identity`, `Mask`, `MeanPool` or `Grey`.
        y: float array of measurements `(n, h, w, c)`.
        known: boolean array `(n, h, w, 1)`, where there are measurements.
        noise: float, standard deviation of the noise of y.
        tuning_images: float array of other images, on which the strength of a filter is
            chosen; None for its first one.
        seed: int, of the noise on these.

    Returns:
        Dict of name → float32 array of whole images in [-1, 1]: of a mask `mean` and
        `biharmonic`, of pooled images `nearest` and `bicubic`, of others `measured`,
        and with noise the filters of `FILTERS`.

    Raises:
        ImportError: of filters and `biharmonic`, without the extra `eval`.
    """
    y = np.clip(y, -1, 1) if noise == 0 else y
    if isinstance(operator, tasks.Mask):
        clipped = np.clip(y, -1, 1)
        return {
            name: inpainted(name, clipped, ~known) for name in ("mean", "biharmonic")
        }
    if isinstance(operator, tasks.MeanPool):
        height, width = (side * operator.factor for side in y.shape[1:3])
        enlarged = {
            name: ops.image.resize(
                y, (height, width), name, data_format="channels_last"
            )
            for name in ("nearest", "bicubic")
        }
        return {name: _image(images) for name, images in enlarged.items()}
    if isinstance(operator, tasks.Grey):
        return {"measured": _image(np.repeat(y, 3, axis=-1))}
    found = {"measured": _image(y)}
    if noise:
        for name, (_, strengths) in FILTERS.items():
            strength = strengths[0]
            if tuning_images is not None:
                noisy = tasks.add_noise(tuning_images, noise, seed, len(y))
                strength = best_strength(name, noisy, tuning_images, noise)
            found[name] = filtered(name, y, strength, noise)
    return found


def evaluate_restoration(
    energies: Any,
    images: np.ndarray,
    operator: tasks.Operator,
    noise: float = 0.0,
    *,
    initial: str | None = None,
    tuning_images: np.ndarray | None = None,
    encoder: Encoder | None = None,
    samples: int = 8,
    settings: Langevin | None = None,
    labels: Any = None,
    seed: int = 0,
    batch_size: int = 64,
    progress: bool | None = None,
) -> Evaluation:
    """Measures images, restores them, and compares with the originals.

    Args:
        energies: see `keras_cfebm.tasks.restore`.
        images: float array `(n, h, w, c)` in [-1, 1] that the energies were not trained
            on.
        operator: what is measured of them, see `keras_cfebm.tasks.operators`.
        noise: float, standard deviation of the noise of the measurements.
        initial: name of one of the `baselines` whose images the chains start from; None
            for noise.
        tuning_images: float array of other images, see `baselines`.
        encoder: optional `Encoder`, for the Fréchet distance to the originals.
        samples: int, chains of each image.
        settings: `Langevin`; None for the default of `tasks.restore`.
        labels: of conditional energies, an int or an integer array `(n,)`.
        seed: int, the stream of masks, noise and chains.
        batch_size: int, images per chain.
        progress: bool, show a progress bar; None shows one after two seconds.

    Returns:
        `Evaluation`; its figures are `methods`, name (`model`, a sample; `model_mean`,
        the mean of the samples; and the `baselines`) → `psnr`, `ssim` (None below 11
        pixels), both inside the hole of a mask, and with an encoder
        `frechet_distance`; and `deviation_correlation`, that of the standard deviation
        of the samples at a pixel with the error of their mean, the mean over images.

    Raises:
        ValueError: if images, operator or labels do not fit, or there is no such
            baseline.
        ImportError: without the extra `eval` (scikit-image).
    """
    images = check_images(images, strict=True)
    check_number(noise, "noise", "[0, inf)")
    y = ops.convert_to_numpy(operator.forward(images, seed))
    known = operator.known(y.shape, seed, 0)
    y = tasks.add_noise(y, noise, seed) if noise else y
    others = baselines(operator, y, known, noise, tuning_images, seed)
    if initial is not None and initial not in others:
        raise ValueError(
            f"Expected initial as None or one of {tuple(others)}, received {initial!r}."
        )
    found = tasks.restore(
        energies,
        y,
        operator,
        noise,
        samples,
        seed,
        settings,
        labels,
        batch_size,
        initial=None if initial is None else others[initial],
        image_shape=images.shape[1:],
        progress=progress,
    )
    versions = {"model": _image(found.sample), "model_mean": _image(found.mean)}
    versions |= others
    hole = None if known.all() else ~known
    methods: dict[str, dict[str, float | None]] = {
        name: mean_figures(version, images, hole) for name, version in versions.items()
    }
    if encoder is not None:
        originals = FeatureStatistics.from_images([images], encoder, "originals")
        for name, version in versions.items():
            own = FeatureStatistics.from_images([version], encoder, name)
            methods[name]["frechet_distance"] = frechet_distance(own, originals)
    error = np.abs(found.mean - images).mean(axis=-1)
    correlation = deviation_correlation(found.std, error, hole)
    shown = {"original": images, **versions, "deviation": _as_image(found.std)}
    return Evaluation({"methods": methods, "deviation_correlation": correlation}, shown)


def deviation_correlation(
    std: np.ndarray, error: np.ndarray, hole: np.ndarray | None = None
) -> float:
    """How well standard deviations tell where the errors are.

    Args:
        std: float array `(n, h, w)`.
        error: float array `(n, h, w)`, absolute errors.
        hole: optional boolean array `(n, h, w, 1)`, where pixels are judged.

    Returns:
        float in [-1, 1], the mean over images of Pearson's correlation over pixels; 0
        where one of the two is constant.
    """
    judged = np.ones(std.shape, bool) if hole is None else hole[..., 0]
    found = []
    for image_std, image_error, pixels in zip(std, error, judged, strict=True):
        a, b = image_std[pixels], image_error[pixels]
        both_vary = a.std() > 0 and b.std() > 0
        found.append(np.corrcoef(a, b)[0, 1] if both_vary else 0.0)
    return float(np.mean(found))


def _image(images):
    return np.clip(np.asarray(images, "float32"), -1, 1)


def _as_image(maps):
    """Maps of deviations as images: 0 is black, the largest of all white."""
    largest = max(float(maps.max()), 1e-12)
    return (2 * maps / largest - 1)[..., None].astype("float32")
