"""The kernel distance (KID) between two sets of features (Bińkowski et al. 2018)."""

import numpy as np

from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_count, check_features, check_seed


def kernel_distance(
    first: Tensor,
    second: Tensor,
    subset_size: int = 1000,
    subsets: int = 100,
    seed: int = 0,
) -> dict[str, float | None]:
    """Estimates the squared MMD with the kernel (x·y / d + 1)³, without bias.

    As in the literature: the mean over random subsets (without replacement within a
    subset) of the unbiased estimate. Unlike the Fréchet distance its expectation does
    not depend on the number of samples. Memory is bounded by the caller:
    `FeatureStatistics.features` is a uniform sample of at most `kept_features` rows of
    a stream, and one subset's Gram matrices are all that is made here.

    Args:
        first: Array (n, d) of features.
        second: Array (m, d) of features of the same encoder.
        subset_size: Rows per subset; lowered to min(n, m) where there are fewer.
        subsets: Number of subsets. Only one is made where the subsets could not differ
            (n = m = subset size).
        seed: Seed of the subsets.

    Returns:
        A dict: `mean` (may be slightly negative: it is unbiased), `std` over the
        subsets (`None` if there is one only), `subset_size` and `subsets` as used.

    Raises:
        ValueError: On mismatched dimensions, fewer than two rows on a side, a
            `subset_size` below 2, `subsets` below 1, or values that are not finite.

    Reference:
        Bińkowski et al., Demystifying MMD GANs, ICLR 2018, section 4.
    """
    first = check_features(first, "first", minimum=2).astype("float64", copy=False)
    second = check_features(second, "second", first.shape[1], minimum=2)
    second = second.astype("float64", copy=False)
    check_count(subset_size, "subset_size", minimum=2)
    check_count(subsets, "subsets")
    size = min(subset_size, len(first), len(second))
    if len(first) == len(second) == size:
        subsets = 1
    random = np.random.default_rng(check_seed(seed))
    estimates = [
        unbiased_squared_mmd(
            first[random.choice(len(first), size, replace=False)],
            second[random.choice(len(second), size, replace=False)],
        )
        for _ in range(subsets)
    ]
    return {
        "mean": float(np.mean(estimates)),
        "std": float(np.std(estimates)) if subsets > 1 else None,
        "subset_size": size,
        "subsets": subsets,
    }


def unbiased_squared_mmd(first: np.ndarray, second: np.ndarray) -> float:
    """Computes the unbiased estimate of the squared MMD, cubic kernel, of two sets.

    Args:
        first: Float64 array (n, d), n >= 2.
        second: Float64 array (m, d), m >= 2.

    Returns:
        A float: mean k(x, x') over x ≠ x', plus the same for y, minus 2 mean k(x, y).
    """
    return float(
        _mean_off_diagonal(_cubic_kernel(first, first))
        + _mean_off_diagonal(_cubic_kernel(second, second))
        - 2 * _cubic_kernel(first, second).mean()
    )


def _cubic_kernel(x, y):
    return (x @ y.T / x.shape[1] + 1) ** 3


def _mean_off_diagonal(gram):
    n = len(gram)
    return (gram.sum() - np.trace(gram)) / (n * (n - 1))
