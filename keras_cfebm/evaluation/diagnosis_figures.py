"""The figures of a diagnosis: what is measured of a model, before it is judged."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_cfebm.datasets.image_data import ImageData
from keras_cfebm.evaluation.anomalies import anomaly_images
from keras_cfebm.evaluation.control_images import pixelate
from keras_cfebm.evaluation.distances import frechet_distance
from keras_cfebm.evaluation.encoders import Encoder
from keras_cfebm.evaluation.feature_statistics import FeatureStatistics
from keras_cfebm.evaluation.long_chains import LongChains, other_settings, saturated
from keras_cfebm.sampling import Langevin
from keras_cfebm.tasks.anomaly import AnomalyDetector
from keras_cfebm.tasks.energies import any_class
from keras_cfebm.tasks.generation import generate

#: Images of nothing.
NONSENSE = ("uniform", "constant")
#: Training images that distances are to.
_REFERENCE = 5000


class ChainFigures(NamedTuple):
    """What `Subject.chains` finds.

    Attributes:
        figures: `"noise"` and `"data"`, where chains start → multiple of the trained
            length → `steps`, `distance` and `saturated`.
        images: the same keys → float32 array `(n, h, w, c)`.
        energies: float32 array `(chains, draws)`, along all chains.
    """

    figures: dict[str, dict[int, dict[str, float]]]
    images: dict[str, dict[int, np.ndarray]]
    energies: np.ndarray


class Subject:
    """A model with the images that it is measured by.

    Args:
        model: `CFEBM` whose chains start at noise.
        held_out: `ImageData`, all of which is used.
        training: `ImageData`.
        encoder: `Encoder`.
        seed: int, of all noise and of the choice of training images.
        batch_size: int, images at a time.
        finished: function called with 1 after each part of the work.

    Attributes:
        images: float32 array `(n, h, w, c)`, the held-out images.
        samples: float32 array `(n, h, w, c)`, as many samples.

    Raises:
        ValueError: if samples are not finite.
    """

    def __init__(
        self,
        model: Any,
        held_out: ImageData,
        training: ImageData,
        encoder: Encoder,
        seed: int,
        batch_size: int,
        finished: Callable[[int], Any],
    ):
        training = training.subset(limit=_REFERENCE, seed=seed)
        self.model, self.images = model, held_out.images()
        self._known, self._encoder = training.images(), encoder
        self._reference = self._statistics(self._known, "training images")
        self._count, self._seed, self._batch_size = len(held_out), seed, batch_size
        self._finished = finished
        self._labels = self._sample_labels = None
        if model.num_classes is not None:
            self._labels = held_out.labels()
            self._sample_labels = np.resize(training.labels(), self._count)
        self.samples = model.generate(
            self._count, seed, self._sample_labels, batch_size
        )
        if not np.isfinite(self.samples).all():
            raise ValueError(
                "Expected a model of finite samples, received NaN or infinity."
            )
        finished(1)

    def distance(self, images: np.ndarray) -> float:
        """The Fréchet distance to training images; infinite if an image is not."""
        if not np.isfinite(images).all():
            return math.inf
        return frechet_distance(self._statistics(images, "images"), self._reference)

    def _statistics(self, images, name):
        return FeatureStatistics.from_images([images], self._encoder, name)

    def scale(self) -> dict[str, float]:
        """The distances of samples, and of held-out images as they are and worse."""
        side = self.model.resolution
        return {
            "samples": self.distance(self.samples),
            "held_out": self.distance(self.images),
            "half_resolution": self.distance(pixelate(self.images, side // 2)),
            "quarter_resolution": self.distance(pixelate(self.images, side // 4)),
        }

    def durations(self) -> dict[str, dict[str, float]]:
        """How far from real images whole chains of other steps end."""
        trained = self.model.langevin
        found = {"as_trained": self._duration(trained, self.samples)}
        for name, settings in other_settings(trained).items():
            images = generate(
                self.model.sampling_ladder,
                self._count,
                self._seed,
                settings,
                self._sample_labels,
                self._batch_size,
            )
            found[name] = self._duration(settings, images)
            self._finished(1)
        return found

    def _duration(self, settings: Langevin, images):
        levels = range(len(settings.of_chain(self.model.ladder)))
        steps = [settings.steps_at(level) for level in levels]
        sizes = [settings.step_size_at(level) for level in levels]
        return {
            "steps": sum(steps),
            "duration": float(np.dot(steps, sizes)),
            "distance": self.distance(images),
        }

    def chains(self, factors: Sequence[int]) -> ChainFigures:
        """Chains from samples and from held-out images that run on.

        Args:
            factors: ascending ints, their lengths as multiples of the trained one; of
                chains from held-out images 0 is added.
        """
        long = LongChains(self.model, factors[-1], self._batch_size)
        # A sample has its first length behind it, with the noise of the first images
        # of the stream: other ones follow.
        noise = long.run(
            self.samples,
            self._sample_labels,
            self._seed,
            self._count,
            [factor - 1 for factor in factors],
            self._finished,
        )
        data = long.run(
            self.images,
            self._labels,
            self._seed,
            2 * self._count,
            (0, *factors),
            self._finished,
        )
        images = {
            "noise": {factor + 1: some for factor, some in noise.images.items()},
            "data": data.images,
        }
        figures = {
            start: {
                factor: {
                    "steps": factor * long.trained_steps,
                    "distance": self.distance(some),
                    "saturated": saturated(some, self.model.langevin),
                }
                for factor, some in lengths.items()
            }
            for start, lengths in images.items()
        }
        energies = np.concatenate([noise.energies, data.energies])
        return ChainFigures(figures, images, energies)

    def energies(self) -> dict[str, np.ndarray]:
        """Energies of images of all kinds; with classes, those of any class."""
        network = self.model.sampling_network
        if self.model.num_classes is not None:
            network = any_class(network)
        detector = AnomalyDetector(network, "energy", self._batch_size)
        sets = {
            "training": self._known[: self._count],
            "held_out": self.images,
            "samples": self.samples,
        }
        for kind in NONSENSE:
            sets[kind] = anomaly_images(kind, self.images, self._count, self._seed)
        return {name: detector.scores(images) for name, images in sets.items()}
