"""How well scores find anomalies."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_cfebm.datasets.pixels import downsample
from keras_cfebm.evaluation.detection_baselines import Score
from keras_cfebm.tasks.anomaly import AnomalyDetector, threshold_at
from keras_cfebm.tasks.ladder_detector import LadderDetector
from keras_cfebm.utils.optional import optional_import
from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_mapping, check_scores


class DetectionReport(NamedTuple):
    """What `evaluate_detection` finds.

    Attributes:
        figures: dict that JSON can hold: anomaly → score → `auroc`, `aupr`, `fpr95`
            (see `detection_figures`) and `found`, the share above the threshold.
        thresholds: dict that JSON can hold: score → `threshold`, `false_positive_rate`
            as asked for, `false_positives` as found on the test images, and of an
            energy's scores what `AnomalyDetector.from_state` needs.
        scores: score → set → array of scores; the normal images are set `"normal"`.
    """

    figures: dict[str, Any]
    thresholds: dict[str, Any]
    scores: dict[str, dict[str, np.ndarray]]


def evaluate_detection(
    detectors: Mapping[str, AnomalyDetector | LadderDetector | Score],
    held_out: np.ndarray,
    normal: np.ndarray,
    anomalies: Mapping[str, np.ndarray],
    false_positive_rate: float = 0.05,
) -> DetectionReport:
    """Fits thresholds on some normal images, and judges scores on others.

    Args:
        detectors: dict of name → `AnomalyDetector`, fitted here; fitted
            `LadderDetector`, which brings its p-values; or any function of images that
            returns scores, high = anomalous.
        held_out: float array of normal images `(n, h, w, c)` in [-1, 1] that nothing
            was trained on, for the thresholds.
        normal: float array of others, to judge by.
        anomalies: dict of name → float array of images of the same shape.
        false_positive_rate: float in [0, 1), for the thresholds.

    Raises:
        ValueError: if images do not fit, the rate is out of range, or a set of
            anomalies is called `"normal"`.
        ImportError: without the extra `eval` (scikit-learn).
    """
    check_mapping(dict(detectors), "detectors")
    check_mapping(dict(anomalies), "anomalies")
    if "normal" in anomalies:
        raise ValueError(
            "Expected another name for a set of anomalies than 'normal', the name of "
            f"the normal images, received {list(anomalies)}."
        )
    figures: dict[str, Any] = {name: {} for name in anomalies}
    thresholds, scores = {}, {}
    score: Score
    for name, detector in detectors.items():
        if isinstance(detector, LadderDetector):
            detector.false_positive_rate = false_positive_rate
            score, state = detector.scores, detector.state()
        elif isinstance(detector, AnomalyDetector):
            detector.fit(held_out, false_positive_rate)
            score, state = detector.scores, detector.state()
        else:
            score = detector
            state = {
                "threshold": threshold_at(score(held_out), false_positive_rate),
                "false_positive_rate": false_positive_rate,
                **(score.state() if isinstance(score, EnergySum) else {}),
            }
        found = {"normal": score(normal)}
        for kind, images in anomalies.items():
            found[kind] = score(images)
            above = found[kind] > state["threshold"]
            figures[kind][name] = {
                **detection_figures(found["normal"], found[kind]),
                "found": float(above.mean()),
            }
        false_positives = float((found["normal"] > state["threshold"]).mean())
        thresholds[name] = {**state, "false_positives": false_positives}
        scores[name] = found
    return DetectionReport(figures, thresholds, scores)


def detection_figures(
    normal_scores: Tensor, anomaly_scores: Tensor
) -> dict[str, float]:
    """How well scores separate anomalies (the positive class) from normal images.

    Args:
        normal_scores: array `(n,)` of scores of normal images, high = anomalous.
        anomaly_scores: array `(m,)` of scores of anomalies.

    Returns:
        Dict of floats in [0, 1]: `auroc`, the probability that an anomaly scores
        higher than a normal image (ties count half); `aupr`, the average precision,
        whose chance level is m / (n + m); `fpr95`, the share of normal images flagged
        at the highest threshold that flags at least 95 % of the anomalies.

    Raises:
        ValueError: if a side is empty, of another shape, or holds NaN or infinity.
        ImportError: without the extra `eval` (scikit-learn).

    Reference:
        Hendrycks and Gimpel, *A baseline for detecting misclassified and
        out-of-distribution examples*, ICLR 2017.
    """
    normal = check_scores(normal_scores, "normal_scores")
    anomaly = check_scores(anomaly_scores, "anomaly_scores")
    metrics = optional_import("sklearn.metrics", "eval")
    labels = np.repeat([0, 1], [len(normal), len(anomaly)])
    scores = np.concatenate([normal, anomaly])
    flagged, found, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
    return {
        "auroc": float(metrics.roc_auc_score(labels, scores)),
        "aupr": float(metrics.average_precision_score(labels, scores)),
        "fpr95": float(flagged[np.argmax(found >= 0.95)]),
    }


class EnergySum:
    """The energies of all levels together: sum of standardised E⁽ˢ⁾(pooled images).

    The finest energy has learned what to add to coarse images and knows little of what
    is wrong with them: it can prefer white noise. The coarser ones see that.

    Args:
        energies: sequence of energies, coarsest first, each of twice the resolution of
            the one before.
        normal_images: float array of held-out normal images `(n, h, w, c)` in [-1, 1],
            for the mean and standard deviation of each level.
        batch_size: int, images at a time.

    Attributes:
        means, deviations: float64 arrays, one entry per level.

    Raises:
        ValueError: if images do not fit the energies.
    """

    def __init__(
        self, energies: Sequence[Any], normal_images: np.ndarray, batch_size: int = 64
    ):
        self._levels = [
            AnomalyDetector(energy, "energy", batch_size) for energy in energies
        ]
        energies_of_normal = self._energies(normal_images)
        self.means = energies_of_normal.mean(axis=0)
        self.deviations = np.maximum(energies_of_normal.std(axis=0), 1e-12)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Scores `(n,)` of images, high = anomalous."""
        standardised = (self._energies(images) - self.means) / self.deviations
        return standardised.sum(axis=1)

    def state(self) -> dict[str, Any]:
        """What was found on the normal images, as a dict that JSON can hold."""
        return {"means": self.means.tolist(), "deviations": self.deviations.tolist()}

    def _energies(self, images):
        halvings = range(len(self._levels) - 1, -1, -1)
        return np.stack(
            [
                level.scores(downsample(images, times)).astype("float64")
                for level, times in zip(self._levels, halvings, strict=True)
            ],
            axis=1,
        )
