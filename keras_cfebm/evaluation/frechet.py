"""The Fréchet distance between Gaussians fitted to features (Heusel et al. 2017)."""

import warnings

import numpy as np

from keras_cfebm.evaluation.distances import FeatureStatistics


def check_comparable(first: FeatureStatistics, second: FeatureStatistics) -> None:
    """Raises unless two `FeatureStatistics` came from the same encoder.

    Args:
        first: A `FeatureStatistics`.
        second: Another.

    Raises:
        ValueError: If encoder hashes, preprocessing or dimensions differ, or either has
            fewer than two samples.
    """
    for statistics in (first, second):
        if statistics.number < 2:
            raise ValueError(
                f"{statistics.name}: expected at least 2 samples, "
                f"received {statistics.number}."
            )
    for field in ("encoder_hash", "preprocessing"):
        if getattr(first, field) != getattr(second, field):
            raise ValueError(
                f"Expected the same {field} on both sides, received "
                f"{getattr(first, field)!r} ({first.name}) and "
                f"{getattr(second, field)!r} ({second.name})."
            )
    if first.mean.shape != second.mean.shape:
        raise ValueError(
            f"Expected features of the same dimensions, received {len(first.mean)} "
            f"({first.name}) and {len(second.mean)} ({second.name})."
        )


def frechet_distance(first: FeatureStatistics, second: FeatureStatistics) -> float:
    """Computes |μ₁ - μ₂|² + tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½).

    It is biased upwards by an amount that falls with the number of samples: compare
    figures only at equal numbers.

    Args:
        first: A `FeatureStatistics`.
        second: Another, of the same encoder.

    Returns:
        A float >= 0; 0 for equal means and covariances.

    Raises:
        ValueError: If the two cannot be compared (see `check_comparable`).

    Reference:
        Heusel et al., GANs trained by a two time-scale update rule converge to a local
        Nash equilibrium, NeurIPS 2017, equation 6.
    """
    check_comparable(first, second)
    dimensions = len(first.mean)
    for statistics in (first, second):
        if statistics.number < dimensions + 1:
            warnings.warn(
                f"{statistics.name}: {statistics.number} samples leave a covariance of "
                f"{dimensions} dimensions singular; at least {dimensions + 1} are "
                "needed, and many more for a steady figure.",
                stacklevel=2,
            )
    cov1, cov2 = first.covariance, second.covariance
    # Σ₁Σ₂ has the eigenvalues of the symmetric Σ₁^½ Σ₂ Σ₁^½, so no general matrix root
    # (with its complex round-off) is needed: tr (Σ₁Σ₂)^½ = Σ √λ.
    root1 = _symmetric_root(cov1)
    product = root1 @ cov2 @ root1
    eigenvalues = np.linalg.eigvalsh((product + product.T) / 2)
    trace = np.sqrt(np.maximum(eigenvalues, 0)).sum()
    shift = first.mean - second.mean
    distance = shift @ shift + np.trace(cov1) + np.trace(cov2) - 2 * trace
    return max(float(distance), 0.0)  # rounding may leave -1e-12 where it is 0


def _symmetric_root(matrix):
    eigenvalues, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(eigenvalues, 0))) @ vectors.T
