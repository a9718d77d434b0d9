"""How much chains have mixed: R-hat and the effective sample size of a scalar.

Both compare what varies inside chains with what varies between them. Neither can show
that chains have reached their equilibrium: chains that are all stuck in one place, or
all drift alike, look mixed.

Reference:
    Gelman and Rubin, *Inference from iterative simulation using multiple sequences*,
    Statistical Science 1992; Vehtari, Gelman, Simpson, Carpenter and Bürkner,
    *Rank-normalization, folding, and localization: an improved R-hat for assessing
    convergence of MCMC*, Bayesian Analysis 2021, whose split chains and effective
    sample size these are, without ranks and folding.
"""

import math

import numpy as np

from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_features

#: Draws of a chain that can be split in two halves with a variance each.
MINIMUM_DRAWS = 4


def split_r_hat(draws: Tensor) -> float:
    """√(estimated variance of all draws / mean variance inside half chains).

    Args:
        draws: float array `(chains, n)` of a scalar along chains, n ≥ 4.

    Returns:
        float; about 1 where halves of chains cannot be told apart, and larger the
        further they are apart. Infinity for chains that do not move, and NaN if they
        also agree.

    Raises:
        ValueError: if there are too few draws, or they are not finite.

    Example:

    ```python
    draws = np.random.default_rng(0).normal(size=(8, 100))
    split_r_hat(draws)  # 1.00
    ```
    """
    halves = _halves(draws)
    length = halves.shape[1]
    within = halves.var(axis=1, ddof=1).mean()
    between = halves.mean(axis=1).var(ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.sqrt((length - 1) / length + between / within))


def effective_sample_size(draws: Tensor) -> float:
    """How many independent draws tell as much of the mean as these do.

    Args:
        draws: float array `(chains, n)` of a scalar along chains, n ≥ 4.

    Returns:
        float; NaN if all draws are the same.

    Raises:
        ValueError: if there are too few draws, or they are not finite.
    """
    halves = _halves(draws)
    chains, length = halves.shape
    means = halves.mean(axis=1, keepdims=True)
    centred = halves - means
    covariances = np.array(
        [
            (centred[:, lag:] * centred[:, : length - lag]).sum(axis=1).mean() / length
            for lag in range(length)
        ]
    )
    within = covariances[0] * length / (length - 1)
    with np.errstate(invalid="ignore"):
        variance = covariances[0] + means.var(ddof=1)
        correlations = 1 - (within - covariances) / variance
    correlations[0] = 1
    # Of a reversible chain, sums of neighbours are positive and fall (Geyer 1992): what
    # does not is noise.
    sums = correlations[: length // 2 * 2].reshape(-1, 2).sum(axis=1)
    sums = np.minimum.accumulate(sums[: np.argmax(np.append(sums < 0, True))])
    number = chains * length
    return float(number / max(2 * sums.sum() - 1, 1 / np.log10(number)))


def mixing_figures(traces: Tensor) -> dict[str, float]:
    """Both figures of the later half of traces, whose first half depends on the start.

    Args:
        traces: float array `(chains, n)`.

    Returns:
        Dict of `chains`, `draws` per chain, `r_hat` and `effective_draws`, which are
        NaN where there are fewer than 4 draws, or some that are not finite.
    """
    draws = traces[:, traces.shape[1] // 2 :]
    usable = draws.shape[1] >= MINIMUM_DRAWS and np.isfinite(draws).all()
    return {
        "chains": draws.shape[0],
        "draws": draws.shape[1],
        "r_hat": split_r_hat(draws) if usable else math.nan,
        "effective_draws": effective_sample_size(draws) if usable else math.nan,
    }


def _halves(draws):
    draws = check_features(draws, "draws").astype("float64", copy=False)
    length = draws.shape[1] // 2
    if draws.shape[1] < MINIMUM_DRAWS:
        raise ValueError(
            f"Expected draws of shape (chains, n), n >= {MINIMUM_DRAWS}, received "
            f"shape {draws.shape}."
        )
    return np.concatenate([draws[:, :length], draws[:, -length:]])
