"""Distances between two sets of images, in the features of an encoder: FID and KID."""

import warnings

import numpy as np

from keras_cfebm.evaluation.feature_statistics import FeatureStatistics
from keras_cfebm.utils.progress import progress_bar
from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_count, check_features, check_seed


def frechet_distance(first: FeatureStatistics, second: FeatureStatistics) -> float:
    """The Fréchet distance |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½).

    It is biased upwards by an amount that falls with the number of images: compare
    figures only at equal numbers.

    Args:
        first: `FeatureStatistics`.
        second: another, of the same encoder.

    Returns:
        float of at least 0; 0 for equal means and covariances.

    Raises:
        ValueError: if they are of different encoders or dimensions, or one of fewer
            than two images.

    Reference:
        Heusel et al., *GANs trained by a two time-scale update rule converge to a local
        Nash equilibrium*, NeurIPS 2017, equation 6.
    """
    for field in ("encoder_hash", "preprocessing"):
        one, other = (getattr(statistics, field) for statistics in (first, second))
        if one != other:
            raise ValueError(
                f"Expected the same {field} on both sides, received {one!r} "
                f"({first.name}) and {other!r} ({second.name})."
            )
    d = len(first.mean)
    if len(second.mean) != d:
        raise ValueError(
            f"Expected features of the same dimensions, received {d} ({first.name}) "
            f"and {len(second.mean)} ({second.name})."
        )
    cov1, cov2 = first.covariance, second.covariance
    for statistics in (first, second):
        if statistics.number <= d:
            warnings.warn(
                f"The covariance of {statistics.number} images ({statistics.name}) in "
                f"{d} dimensions is singular: at least {d + 1} are needed, and many "
                "more for a steady figure.",
                stacklevel=2,
            )
    # Σ₁Σ₂ has the eigenvalues of the symmetric Σ₁^½ Σ₂ Σ₁^½, so no general matrix root
    # (with its complex round-off) is needed: tr (Σ₁Σ₂)^½ = Σ √λ.
    values, vectors = np.linalg.eigh(cov1)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    product = root @ cov2 @ root
    eigenvalues = np.linalg.eigvalsh((product + product.T) / 2)
    shift = first.mean - second.mean
    distance = shift @ shift + np.trace(cov1) + np.trace(cov2)
    distance -= 2 * np.sqrt(np.maximum(eigenvalues, 0)).sum()
    return max(float(distance), 0.0)  # rounding may leave -1e-12 where it is 0


def kernel_distance(
    first: Tensor,
    second: Tensor,
    subset_size: int = 1000,
    subsets: int = 100,
    seed: int = 0,
) -> dict[str, float | None]:
    """The kernel distance: the squared MMD with the kernel (x·y / d + 1)³, unbiased.

    As in the literature, it is the mean over random subsets (without replacement within
    a subset). Unlike the Fréchet distance, its expectation does not depend on the
    number of images. Only one subset's Gram matrices are held in memory.

    Args:
        first: array `(n, d)` of features, such as `FeatureStatistics.features`.
        second: array `(m, d)` of features of the same encoder.
        subset_size: int of at least 2, rows per subset; lowered to min(n, m) where
            there are fewer.
        subsets: int, number of subsets. Only one is made where the subsets could not
            differ (n = m = subset size).
        seed: int, of the subsets.

    Returns:
        Dict of `mean` (may be slightly negative: it is unbiased), `std` over the
        subsets (None if there is only one), `subset_size` and `subsets` as used.

    Raises:
        ValueError: if a number is out of range, or features are malformed, of different
            dimensions or fewer than two.

    Reference:
        Bińkowski et al., *Demystifying MMD GANs*, ICLR 2018, section 4.
    """
    first = check_features(first, "first", minimum=2).astype("float64", copy=False)
    second = check_features(second, "second", first.shape[1], minimum=2)
    second = second.astype("float64", copy=False)
    check_count(subset_size, "subset_size", minimum=2)
    check_count(subsets, "subsets")
    size = min(subset_size, len(first), len(second))
    if len(first) == len(second) == size:
        subsets = 1
    rng = np.random.default_rng(check_seed(seed))
    estimates = []
    with progress_bar(subsets, "subset") as done:
        for _ in range(subsets):
            rows = [rng.choice(len(of), size, replace=False) for of in (first, second)]
            estimates.append(unbiased_squared_mmd(first[rows[0]], second[rows[1]]))
            done(1)
    return {
        "mean": float(np.mean(estimates)),
        "std": float(np.std(estimates)) if subsets > 1 else None,
        "subset_size": size,
        "subsets": subsets,
    }


def unbiased_squared_mmd(first: np.ndarray, second: np.ndarray) -> float:
    """Mean k(x, x') over x ≠ x', plus the same for y, minus 2 mean k(x, y); k is cubic.

    Of float64 arrays `(n, d)` and `(m, d)`, n and m of at least 2.
    """

    def kernel(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3

    def of_others(x):
        gram = kernel(x, x)
        return (gram.sum() - np.trace(gram)) / (len(x) * (len(x) - 1))

    return float(
        of_others(first) + of_others(second) - 2 * kernel(first, second).mean()
    )
