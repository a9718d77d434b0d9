"""Anomaly detection: scores of images, HIGH = anomalous, and a threshold (Sec. 4.3)."""

from typing import Any

import numpy as np
from keras import ops

from keras_cfebm import backend
from keras_cfebm.sampling import bind
from keras_cfebm.tasks.batches import check_energy_inputs, run_batches
from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_number, check_scores

#: What `anomaly_scores` can compute.
SCORES = ("energy", "gradient_norm", "typicality")
_NOT_FITTED = (
    "Expected a fitted detector, received one without a threshold: call "
    "fit(normal_images)."
)


def anomaly_scores(
    energy: Any,
    images: np.ndarray,
    score: str = "energy",
    labels: Any = None,
    batch_size: int = 64,
    *,
    reference: float | None = None,
    progress: bool | None = None,
) -> np.ndarray:
    """Scores images by how unlike the training data they are: **high = anomalous**.

    - `"energy"`: E(x), the paper's score; −log p(x) up to a constant.
    - `"gradient_norm"`: ‖∂E/∂x‖₂, small where p has a local maximum (Grathwohl et al.,
      ICLR 2020, "approximate mass"). In the authors' code large norms are normal: its
      AUROC is 1 minus that of this score.
    - `"typicality"`: |E(x) − reference|, which also calls anomalous what is *more*
      likely than normal data, such as constant images (Nalisnick et al. 2019).

    This compiles at each call; an `AnomalyDetector` compiles once.

    Args:
        energy: function of images that returns energies, low = likely.
        images: float array of shape `(n, h, w, c)` in [-1, 1].
        score: one of the three.
        labels: of a conditional energy, an int or an integer array `(n,)`.
        batch_size: int, images at a time; it bounds the memory.
        reference: float, of `"typicality"` only: the mean energy of normal data that
            the energy was not trained on. `AnomalyDetector` fits it.
        progress: bool, show a progress bar; None shows one after two seconds.

    Returns:
        float32 NumPy array of shape `(n,)`.

    Raises:
        ValueError: if the images or labels do not fit the energy, the score is unknown,
            or `reference` is missing or not wanted.
    """
    detector = AnomalyDetector(energy, score, batch_size)
    if (reference is None) == (score == "typicality"):
        raise ValueError(
            "Expected a reference, the mean energy of held-out normal data, with "
            f"score='typicality' and only then, received score={score!r} and "
            f"reference={reference!r}."
        )
    detector.reference = reference
    return detector.scores(images, labels, progress=progress)


def threshold_at(normal_scores: Tensor, false_positive_rate: float) -> float:
    """The lowest threshold that keeps to a false positive rate.

    Args:
        normal_scores: array `(n,)` of scores of normal images, high = anomalous.
        false_positive_rate: float in [0, 1), the share of them that may be called
            anomalous.

    Returns:
        float, one of the scores: `score > threshold` flags at most that share of
        `normal_scores`.

    Raises:
        ValueError: if scores are empty or malformed, or the rate is out of range.
    """
    scores = np.sort(check_scores(normal_scores, "normal_scores"))
    check_number(false_positive_rate, "false_positive_rate", "[0, 1)")
    # The tiny term undoes rounding such as 0.29 * 100 = 28.999999999999996.
    flagged = int(np.floor(false_positive_rate * len(scores) + 1e-9))
    return float(scores[len(scores) - 1 - flagged])


class AnomalyDetector:
    """Tells anomalies from normal images by a score and a threshold fitted to it.

    Args:
        energy: function of images that returns energies, low = likely.
        score: `"energy"`, `"gradient_norm"` or `"typicality"`, see `anomaly_scores`.
        batch_size: int, images at a time; it bounds the memory.

    Attributes:
        threshold: float; an image whose score is above it is anomalous. None before
            `fit`.
        reference: float, mean energy of the normal images, of `"typicality"`.
        false_positive_rate: float, the rate asked for.

    Raises:
        ValueError: if the score is unknown.

    Example:

    ```python
    detector = AnomalyDetector(model.sampling_network, score="typicality")
    detector.fit(held_out_images, false_positive_rate=0.05)
    flagged = detector.detect(new_images)
    path.write_text(json.dumps(detector.state()))
    ```
    """

    def __init__(self, energy: Any, score: str = "energy", batch_size: int = 64):
        if score not in SCORES:
            raise ValueError(f"Expected a score, one of {SCORES}, received {score!r}.")
        self.energy = energy
        self.score = score
        self.batch_size = batch_size
        self.threshold: float | None = None
        self.reference: float | None = None
        self.false_positive_rate: float | None = None
        self._compiled = backend.compiled(backend.in_parallel(self._computed))

    def fit(
        self,
        normal_images: np.ndarray,
        false_positive_rate: float = 0.05,
        labels: Any = None,
    ) -> "AnomalyDetector":
        """Fits the threshold, and the reference energy if the score has one.

        Args:
            normal_images: float array of shape `(n, h, w, c)` in [-1, 1] of normal
                images that the energy was **not** trained on.
            false_positive_rate: float in [0, 1), the share of them that may be called
                anomalous.
            labels: of a conditional energy, an int or an integer array `(n,)`.

        Raises:
            ValueError: if the rate is out of range or the images do not fit.
        """
        check_number(false_positive_rate, "false_positive_rate", "[0, 1)")
        scores = self._run(normal_images, labels)
        if self.score == "typicality":
            self.reference = float(scores.mean(dtype="float64"))
        self.threshold = threshold_at(self._typical(scores), false_positive_rate)
        self.false_positive_rate = float(false_positive_rate)
        return self

    def scores(
        self, images: np.ndarray, labels: Any = None, *, progress: bool | None = None
    ) -> np.ndarray:
        """Scores `(n,)` of images, high = anomalous; see `anomaly_scores`."""
        return self._typical(self._run(images, labels, progress))

    def tensor_scores(self, images: Any, labels: Any = None) -> Any:
        """Scores of one batch of tensors, nothing checked: for compiled functions."""
        return self._typical(self._computed(images, labels))

    def detect(self, images: np.ndarray, labels: Any = None) -> np.ndarray:
        """Whether each image is anomalous, bool `(n,)`: its score above the threshold.

        Arguments and errors are those of `scores`; also a ValueError before `fit`.
        """
        self._require_fit()
        return self.scores(images, labels) > self.threshold

    def state(self) -> dict[str, Any]:
        """What `fit` found, as a dict that JSON can hold; ValueError before `fit`."""
        self._require_fit()
        return {
            "score": self.score,
            "threshold": self.threshold,
            "reference": self.reference,
            "false_positive_rate": self.false_positive_rate,
        }

    @classmethod
    def from_state(
        cls, energy: Any, state: dict[str, Any], batch_size: int = 64
    ) -> "AnomalyDetector":
        """The fitted detector again, of the same energy and what `state()` returned."""
        detector = cls(energy, state["score"], batch_size)
        detector.threshold = state["threshold"]
        detector.reference = state["reference"]
        detector.false_positive_rate = state["false_positive_rate"]
        return detector

    def _run(self, images, labels, progress=None):
        arrays = check_energy_inputs(self.energy, images, labels)
        return run_batches(self._compiled, arrays, self.batch_size, progress)

    def _computed(self, images, labels):
        """Energies, or the norms of their gradients."""
        energy = bind(self.energy, labels)
        if self.score != "gradient_norm":
            return energy(images)
        _, gradient = backend.value_and_input_gradient(energy, images)
        return ops.sqrt(ops.sum(ops.square(gradient), axis=(1, 2, 3)))

    def _typical(self, scores):
        """The scores that are meant: of typicality, distances from the reference."""
        if self.score != "typicality":
            return scores
        if self.reference is None:
            raise ValueError(_NOT_FITTED)
        return abs(scores - np.float32(self.reference))

    def _require_fit(self):
        if self.threshold is None:
            raise ValueError(_NOT_FITTED)
