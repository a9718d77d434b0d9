"""LadderDetector: tells anomalies by what all levels of a ladder make of an image.

The energy of the finest level alone is a poor score: it may be low for uniform noise
and for garments of classes that were left out. Two things are better, and need no
labels either: whether an image moves on the energies' surfaces as normal images do, and
whether the features that the energies have of it, of each of its quarters and of all of
it, are near those of a normal image. Those in the networks' heads, of all of it, are
not enough: they are sums over places, and tell less the longer a network is trained.
"""

import dataclasses
import math
import warnings
from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from keras_cfebm import backend
from keras_cfebm.datasets.pixels import downsample
from keras_cfebm.network import EnergyNetwork
from keras_cfebm.sampling import Langevin, langevin_step
from keras_cfebm.tasks.batches import run_batches
from keras_cfebm.tasks.normality import Measurements, Normality
from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_images, check_number, check_seed

#: Langevin steps, without noise, that an image is followed for.
STEPS = 5
#: Statistics of an image at each level.
STATISTICS = ("energy", "log gradient norm", "log length", "energy change")
#: Images, at most, that a density or the features that are kept are of.
MOST = 2000
#: Shares of the images for the density and the reference; the rest is held out.
_SHARES = (0.35, 0.35)
#: Images that are needed at least.
_LEAST = 20


class LadderDetector:
    """Tells anomalies from normal images by all levels of a ladder, without labels.

    At each level, of the mean-pooled image, are measured its energy, the logarithms of
    the norm of ∂E/∂x and of the length of the way that five Langevin steps without
    noise take, the energy that they change, the means of the first block's features
    over each quarter of the image, and the features in the network's head. `Normality`
    learns what is normal of them. A score is −log p, p the share of normal images that
    are as unusual, so that the threshold is −log(false_positive_rate).

    With classes, energies are those of any class, −log Σ_y exp(−E(x, y)): a new image
    has no label.

    Args:
        energies: sequence of `EnergyNetwork`s, coarsest first, each of twice the
            resolution of the one before; or a single one.
        settings: `Langevin`, for its step sizes and clip; None for the defaults.
        batch_size: int, images at a time; it bounds the memory.
        normality: `Normality` that another such detector has learned; None to `fit`.

    Attributes:
        normality: what `fit` has learned; None before.
        false_positive_rate: float; which images `detect` flags. It may be set.

    Raises:
        ValueError: if the energies are no `EnergyNetwork`s.

    Example:

    ```python
    detector = LadderDetector(model.sampling_ladder, model.langevin)
    detector.fit(training_images, held_out=held_out_images)
    flagged = detector.detect(new_images)
    model.detector = detector                  # is saved with the model
    ```
    """

    def __init__(
        self,
        energies: EnergyNetwork | Sequence[EnergyNetwork],
        settings: Langevin | None = None,
        batch_size: int = 64,
        normality: Normality | None = None,
    ):
        is_one = hasattr(energies, "bind_features")
        self.energies: list[Any] = [energies] if is_one else list(energies)
        if not self.energies or not all(
            hasattr(energy, "bind_features") for energy in self.energies
        ):
            raise ValueError(
                "Expected EnergyNetworks, whose features are needed, received "
                f"{energies!r}."
            )
        self.settings = Langevin() if settings is None else settings
        self.batch_size = batch_size
        self.normality = normality
        self.false_positive_rate = 0.05
        self._compiled = backend.compiled(backend.in_parallel(self._measured))

    @property
    def threshold(self) -> float:
        """An image whose score is above it is flagged: −log(false_positive_rate)."""
        rate = self.false_positive_rate
        return math.inf if rate == 0 else -math.log(rate)

    def fit(
        self,
        normal_images: np.ndarray,
        false_positive_rate: float = 0.05,
        *,
        held_out: np.ndarray | None = None,
        seed: int = 0,
    ) -> Self:
        """Learns what is normal, and how often normal images are unusual.

        Args:
            normal_images: float array of shape `(n, h, w, c)` in [-1, 1]: one half for
                the density, one for the features that are kept; 2,000 of each at most.
                The energies may have been trained on them if there is `held_out`.
            false_positive_rate: float in [0, 1), the share of normal images that may be
                called anomalous.
            held_out: such an array of images that nothing was trained on, for the
                p-values: 1,000 of them bring the rate of false alarms to within about
                0.01 of 0.05. None to keep three tenths of `normal_images` for that.
            seed: int, of how the images are parted.

        Raises:
            ValueError: if images do not fit, there are fewer than 20 of a kind, or the
                rate is out of range.
            ImportError: without the extra `eval` (scikit-learn).
        """
        check_number(false_positive_rate, "false_positive_rate", "[0, 1)")
        rng = np.random.default_rng(check_seed(seed))
        images = self._check(normal_images, "normal_images", _LEAST)
        images = images[rng.permutation(len(images))]
        if held_out is None:
            ends = np.cumsum(_SHARES) * len(images)
            parts = np.split(images, ends.astype(int))
        else:
            held_out = self._check(held_out, "held_out", _LEAST)
            parts = [*np.array_split(images, 2), held_out]
        parts[:2] = parts[0][:MOST], parts[1][:MOST]
        density, reference, others = map(self.measurements, parts)
        self.normality = Normality.learned(density, reference, others, seed=seed)
        self.false_positive_rate = float(false_positive_rate)
        return self

    def measurements(
        self, images: np.ndarray, *, progress: bool | None = None
    ) -> Measurements:
        """What is measured of images `(n, h, w, c)`, as NumPy arrays.

        Statistics are `(n, 4 · levels)`, those of `STATISTICS` of the coarsest level
        first; quarters `(n, 4 · channels of all first blocks)`, of each level the upper
        two first; heads `(n, sum of the widths of the heads)`.
        """
        arrays = (self._check(images),)
        found = run_batches(self._compiled, arrays, self.batch_size, progress)
        return Measurements(*found)

    def scores(
        self, images: np.ndarray, labels: None = None, *, progress: bool | None = None
    ) -> np.ndarray:
        """Scores −log p of images, high = anomalous.

        Args:
            images: float array of shape `(n, h, w, c)` in [-1, 1].
            labels: None, as other detectors have it.
            progress: bool, show a progress bar; None shows one after two seconds.

        Returns:
            float32 NumPy array of shape `(n,)`.

        Raises:
            ValueError: if the images do not fit, or before `fit`.
        """
        normality = self._learned()
        measured = self.measurements(images, progress=progress)
        return run_batches(lambda *m: normality(Measurements(*m)), measured, 1024)

    def p_values(self, images: np.ndarray) -> np.ndarray:
        """The share of normal images that are as unusual, `(n,)`; see `scores`."""
        return np.exp(-self.scores(images))

    def detect(self, images: np.ndarray, labels: None = None) -> np.ndarray:
        """Whether each image is anomalous, bool `(n,)`; see `scores`."""
        return self.scores(images, labels) > self.threshold

    def tensor_scores(self, images: Tensor, labels: None = None) -> Tensor:
        """Scores of one batch of tensors, nothing checked: for compiled functions."""
        return self._learned()(Measurements(*self._measured(images)))

    def state(self) -> dict[str, Any]:
        """Threshold and rate, as a dict that JSON can hold; ValueError before `fit`."""
        self._learned()
        return {
            "score": "ladder",
            "threshold": self.threshold,
            "false_positive_rate": self.false_positive_rate,
        }

    def get_config(self) -> dict[str, Any]:
        """What is saved beside the energies and the weights of `normality`."""
        return {
            "settings": dataclasses.asdict(self.settings),
            "false_positive_rate": self.false_positive_rate,
            "normality": keras.saving.serialize_keras_object(self.normality),
        }

    @classmethod
    def of_config(
        cls, energies: Sequence[EnergyNetwork], config: dict[str, Any]
    ) -> Self | None:
        """The detector of these energies that `get_config()` describes.

        None, with a warning, of one that compared features of whole images only, as
        those before 2026-12 did: it has to be fitted again.
        """
        if "directions" not in config["normality"]["config"]:
            warnings.warn(
                "Left out the detector of the file, which was fitted by an earlier "
                "version. Fit a LadderDetector again, and save the model with it.",
                stacklevel=2,
            )
            return None
        normality = keras.saving.deserialize_keras_object(config["normality"])
        settings = Langevin(**config["settings"])
        detector = cls(energies, settings, normality=normality)
        detector.false_positive_rate = config["false_positive_rate"]
        return detector

    def _check(self, images, name="images", minimum=1):
        return check_images(images, self.energies[-1].image_shape, name, minimum)

    def _learned(self):
        if self.normality is None:
            raise ValueError(
                "Expected a fitted detector, received one that has seen no normal "
                "images: call fit(normal_images)."
            )
        return self.normality

    def _measured(self, images):
        finest = len(self.energies) - 1
        levels = [
            _of_level(
                energy,
                downsample(images, finest - level),
                self.settings.at_level(level),
            )
            for level, energy in enumerate(self.energies)
        ]
        kinds = zip(*levels, strict=True)
        return tuple(ops.concatenate(of_levels, axis=-1) for of_levels in kinds)


def _of_level(network, x, settings):
    """Statistics `(batch, 4)`, and features of the quarters and of the head."""
    features_of = network.bind_features()
    step_size = settings.step_size_at(0)

    def energy(x):
        return features_of(x)[-1]

    def step(_, carry):
        x, length = carry
        moved, _ = langevin_step(energy, x, 0.0, step_size, 0.0)
        return moved, length + _norm(moved - x)

    maps, head, first = features_of(x)
    _, gradient = backend.value_and_input_gradient(energy, x)
    norm = _norm(gradient)
    start = (x - step_size * gradient, step_size * norm)
    end, length = ops.fori_loop(0, STEPS - 1, step, start)
    last = energy(settings.clipped(end))
    logs = ops.log(ops.stack([norm, length], axis=-1) + 1e-12)
    statistics = [first[:, None], logs, (last - first)[:, None]]
    return ops.concatenate(statistics, axis=-1), _means_of_quarters(maps), head


def _means_of_quarters(x):
    """Means `(batch, 4 · channels)`; a middle row or column counts to both sides."""
    half = (x.shape[1] + 1) // 2
    halves = slice(half), slice(-half, None)
    quarters = [x[:, rows, columns] for rows in halves for columns in halves]
    return ops.concatenate([ops.mean(q, axis=(1, 2)) for q in quarters], axis=-1)


def _norm(x):
    return ops.sqrt(ops.sum(ops.square(x), axis=(1, 2, 3)))
