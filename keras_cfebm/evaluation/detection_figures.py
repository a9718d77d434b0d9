"""Figures for anomaly detection. Scores: HIGH = anomalous, as energies are."""

import numpy as np

from keras_cfebm.utils.optional import optional_import
from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_number, check_scores


def detection_figures(
    normal_scores: Tensor, anomaly_scores: Tensor
) -> dict[str, float]:
    """Computes how well scores separate anomalies (the positive class) from normals.

    Args:
        normal_scores: Array (n,) of scores of normal samples; high = anomalous.
        anomaly_scores: Array (m,) of scores of anomalies.

    Returns:
        A dict of floats in [0, 1]: `auroc`, the probability that an anomaly scores
        higher than a normal sample (ties count half); `aupr`, the average precision,
        whose chance level is m / (n + m); `fpr95`, the fraction of normal samples
        flagged at the highest threshold that flags at least 95 % of the anomalies.

    Raises:
        ValueError: If a side is empty, not 1-D, or holds NaN or infinity.
        ImportError: Without the extra `eval` (scikit-learn).

    Reference:
        Hendrycks, Gimpel, A baseline for detecting misclassified and
        out-of-distribution examples, ICLR 2017.
    """
    normal = check_scores(normal_scores, "normal_scores")
    anomaly = check_scores(anomaly_scores, "anomaly_scores")
    sklearn_metrics = optional_import("sklearn.metrics", "eval")
    labels = np.concatenate([np.zeros(len(normal)), np.ones(len(anomaly))])
    scores = np.concatenate([normal, anomaly])
    false_positive, true_positive, _ = sklearn_metrics.roc_curve(
        labels, scores, drop_intermediate=False
    )
    return {
        "auroc": float(sklearn_metrics.roc_auc_score(labels, scores)),
        "aupr": float(sklearn_metrics.average_precision_score(labels, scores)),
        "fpr95": float(false_positive[np.argmax(true_positive >= 0.95)]),
    }


def threshold_at(normal_scores: Tensor, false_positive_rate: float) -> float:
    """Returns the lowest threshold that keeps to a false positive rate.

    Args:
        normal_scores: Array (n,) of scores of normal samples; high = anomalous.
        false_positive_rate: Fraction in [0, 1) of normal samples that may be flagged.

    Returns:
        A float, one of the scores: `score > threshold` flags at most that fraction of
        `normal_scores`.

    Raises:
        ValueError: On empty or malformed scores, or a rate outside [0, 1).
    """
    scores = np.sort(check_scores(normal_scores, "normal_scores"))
    check_number(false_positive_rate, "false_positive_rate", "[0, 1)")
    # The tiny term undoes rounding such as 0.29 * 100 = 28.999999999999996.
    flagged = int(np.floor(false_positive_rate * len(scores) + 1e-9))
    return float(scores[len(scores) - 1 - flagged])
