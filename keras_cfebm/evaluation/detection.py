"""How well scores find anomalies, beside two baselines that know no energy."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_cfebm.datasets.pixels import mean_pool
from keras_cfebm.evaluation.detection_figures import detection_figures, threshold_at
from keras_cfebm.tasks.anomaly import AnomalyDetector
from keras_cfebm.utils.optional import optional_import
from keras_cfebm.utils.validation import (
    check_features,
    check_label_array,
    check_mapping,
)

#: A function of images that returns one score per image, high = anomalous.
Score = Callable[[np.ndarray], np.ndarray]


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
    detectors: Mapping[str, AnomalyDetector | Score],
    held_out: np.ndarray,
    normal: np.ndarray,
    anomalies: Mapping[str, np.ndarray],
    false_positive_rate: float = 0.05,
) -> DetectionReport:
    """Fits thresholds on some normal images, and judges scores on others.

    Args:
        detectors: dict of name → `AnomalyDetector`, fitted here, or any function of
            images that returns scores, high = anomalous.
        held_out: float array of normal images `(n, h, w, c)` in [-1, 1] that nothing
            was trained on, for the thresholds.
        normal: float array of others, to judge by.
        anomalies: dict of name → float array of images of the same shape.
        false_positive_rate: float in [0, 1), for the thresholds.

    Returns:
        `DetectionReport`.

    Raises:
        ValueError: if images do not fit, or the rate is out of range.
        ImportError: without the extra `eval` (scikit-learn).
    """
    check_mapping(dict(detectors), "detectors")
    check_mapping(dict(anomalies), "anomalies")
    if "normal" in anomalies:
        raise ValueError("Expected another name for anomalies than 'normal'.")
    figures: dict[str, Any] = {name: {} for name in anomalies}
    thresholds, scores = {}, {}
    for name, detector in detectors.items():
        if isinstance(detector, AnomalyDetector):
            detector.fit(held_out, false_positive_rate)
            score, state = detector.scores, detector.state()
        else:
            score = detector
            state = {
                "threshold": threshold_at(score(held_out), false_positive_rate),
                "false_positive_rate": false_positive_rate,
                **(score.state() if isinstance(score, LadderScore) else {}),
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


class LadderScore:
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
                level.scores(mean_pool(images, times)).astype("float64")
                for level, times in zip(self._levels, halvings, strict=True)
            ],
            axis=1,
        )


def mahalanobis_score(
    encode: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    labels: np.ndarray | None = None,
) -> Score:
    """Distance to the nearest class in features, with one covariance for all classes.

    Args:
        encode: function of images that returns features `(n, d)`, such as an `Encoder`.
        images: float array of normal training images `(n, h, w, c)` in [-1, 1].
        labels: optional integer array `(n,)`; without, all images are one class.

    Returns:
        Function of images that returns squared distances, high = anomalous.

    Raises:
        ValueError: if features or labels are not as described.

    Reference:
        Lee et al., A simple unified framework for detecting out-of-distribution
        samples and adversarial attacks, NeurIPS 2018.
    """
    features = check_features(encode(images), minimum=2).astype("float64")
    count, dimensions = features.shape
    if labels is None:
        labels = np.zeros(count, int)
    labels = check_label_array(labels, count)
    classes, members = np.unique(labels, return_inverse=True)
    means = np.stack([features[labels == label].mean(axis=0) for label in classes])
    residuals = features - means[members]
    covariance = residuals.T @ residuals / count
    # Features that are always 0 would leave it singular.
    covariance += 1e-6 * np.trace(covariance) / dimensions * np.eye(dimensions)
    precision = np.linalg.inv(covariance)

    def score(images):
        difference = encode(images).astype("float64")[:, None] - means
        squares = np.einsum("nkd,de,nke->nk", difference, precision, difference)
        return squares.min(axis=1)

    return score


def pca_score(images: np.ndarray, components: int = 64, seed: int = 0) -> Score:
    """Squared error of the reconstruction from the leading principal components.

    Args:
        images: float array of normal training images `(n, h, w, c)` in [-1, 1].
        components: int, how many; fewer where there are fewer images or pixels.
        seed: int, of the randomised decomposition.

    Returns:
        Function of images that returns mean squared errors, high = anomalous.

    Raises:
        ImportError: without the extra `eval` (scikit-learn).
    """
    decomposition = optional_import("sklearn.decomposition", "eval")
    flat = images.reshape(len(images), -1)
    pca = decomposition.PCA(
        n_components=min(components, *flat.shape),
        svd_solver="randomized",
        random_state=seed % 2**32,
    ).fit(flat)

    def score(images):
        flat = images.reshape(len(images), -1)
        restored = pca.inverse_transform(pca.transform(flat))
        return np.square(flat - restored).mean(axis=1, dtype="float64")

    return score
