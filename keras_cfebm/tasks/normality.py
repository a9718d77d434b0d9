"""Normality: what normal images are like, the memory of a `LadderDetector`."""

from typing import Any, NamedTuple, Self

import keras
import numpy as np
from keras import ops

from keras_cfebm.utils.optional import optional_import
from keras_cfebm.utils.typing import Tensor

#: Points of a curve from scores to −log p.
_POINTS = 65
#: Share of the held-out scores beyond which a curve is a straight line, or as many
#: scores as are needed to know its slope.
_TAIL, _LEAST_IN_TAIL = 0.02, 5
_TINY = 1e-6
#: Principal components of the features, at most: on Fashion-MNIST they have 98 % of the
#: variance, and detect as well as all features do.
_DIRECTIONS = 64
#: A feature that hardly varies is divided by this share of its mean at least: by less,
#: its rounding alone would be larger than all that other features say.
_LEAST_SPREAD = 0.01


class Measurements(NamedTuple):
    """What energies say of images.

    Attributes:
        statistics: float array or tensor `(n, s)`, see `LadderDetector`.
        quarters: float array or tensor `(n, q)`, features of places.
        heads: float array or tensor `(n, h)`, features of whole images.
    """

    statistics: Tensor
    quarters: Tensor
    heads: Tensor

    @property
    def features(self) -> Tensor:
        """Those of both kinds, a tensor `(n, q + h)`."""
        return ops.concatenate([self.quarters, self.heads], axis=-1)


@keras.saving.register_keras_serializable(package="keras_cfebm")
class Normality(keras.layers.Layer):
    """From measurements of images to −log p, how surprising they would be if normal.

    Two scores: the negative log-density of the statistics under a Gaussian mixture, and
    the distance of the features to the nearest of those of reference images. Features
    are divided by their deviations, and both kinds count the same, whatever their
    number. Of the references the principal components are kept; what these leave out of
    an image adds to its distance. Either score becomes −log p, where p is the share of
    held-out normal images that score as high. Their sum (Fisher's method) becomes
    −log p in the same way, as the two are not independent.

    All that is learned are weights that no optimizer trains: they are saved with a
    model, and computed with by any backend.

    Args:
        statistics: int, number of statistics of an image.
        features: int, number of features of an image.
        directions: int, number of principal components of the features.
        components: int, number of Gaussians.
        references: int, number of reference images.

    Call arguments:
        measurements: `Measurements` of tensors.

    Returns:
        float32 tensor `(n,)`, −log p, at least 0.
    """

    def __init__(
        self,
        statistics: int,
        features: int,
        directions: int,
        components: int,
        references: int,
        **kwargs: Any,
    ):
        super().__init__(**{"trainable": False, "dtype": "float32", **kwargs})
        self.statistics = statistics
        self.features = features
        self.directions = directions
        self.components = components
        self.references = references
        shapes = {
            "centre": (statistics,),
            "spread": (statistics,),
            "whitening": (components, statistics, statistics),
            "whitened_means": (components, statistics),
            "log_peaks": (components,),
            "feature_centre": (features,),
            "feature_spread": (features,),
            "principal": (features, directions),
            "reference_features": (references, directions),
            "curves": (3, 3, _POINTS),
        }
        for name, shape in shapes.items():
            # Distances to 2,000 images need no more than half precision to be stored.
            dtype = "float16" if name == "reference_features" else "float32"
            weight = self.add_weight(shape, "zeros", dtype, trainable=False, name=name)
            setattr(self, name, weight)
        self.built = True

    @classmethod
    def learned(
        cls,
        density: Measurements,
        reference: Measurements,
        held_out: Measurements,
        components: int = 4,
        seed: int = 0,
    ) -> Self:
        """Learns from measurements, arrays, of three disjoint sets of normal images.

        Args:
            density: for the mixture.
            reference: for the nearest neighbours.
            held_out: for the p-values. (With a half for those of the two scores and a
                half for those of their sum, rates are further from what was asked for.)
            components: int, number of Gaussians.
            seed: int, of the mixture's start.

        Raises:
            ImportError: without the extra `eval` (scikit-learn).
        """
        statistics = density.statistics.astype("float64")
        features = ops.convert_to_numpy(reference.features).astype("float64")
        directions = min(_DIRECTIONS, *features.shape)
        found = cls(
            statistics.shape[1],
            features.shape[1],
            directions,
            components,
            len(features),
        )
        centre = statistics.mean(axis=0)
        spread = np.maximum(statistics.std(axis=0), _TINY)
        mixture = optional_import("sklearn.mixture", "eval").GaussianMixture(
            components, reg_covar=1e-3, random_state=seed % 2**32
        )
        mixture.fit((statistics - centre) / spread)
        whitening = mixture.precisions_cholesky_
        determinants = np.log(np.diagonal(whitening, axis1=1, axis2=2)).sum(axis=1)
        feature_centre = features.mean(axis=0)
        least = np.maximum(_LEAST_SPREAD * np.abs(feature_centre), _TINY)
        feature_spread = np.maximum(features.std(axis=0), least)
        kinds = [reference.quarters.shape[1], reference.heads.shape[1]]
        feature_spread *= np.sqrt(np.repeat(kinds, kinds))
        scaled = (features - feature_centre) / feature_spread
        _, _, rows = np.linalg.svd(scaled, full_matrices=False)
        principal = rows[:directions].T
        values = {
            "centre": centre,
            "spread": spread,
            "whitening": whitening,
            "whitened_means": np.einsum("ks,ksd->kd", mixture.means_, whitening),
            "log_peaks": np.log(mixture.weights_) + determinants,
            "feature_centre": feature_centre,
            "feature_spread": feature_spread,
            "principal": principal,
            "reference_features": scaled @ principal,
        }
        for name, value in values.items():
            getattr(found, name).assign(value)
        scores = found.scores(held_out)
        curves = [curve(ops.convert_to_numpy(part)) for part in scores]
        found.curves.assign(np.stack([*curves, curves[0]]))
        total = ops.convert_to_numpy(found.combined(held_out))
        found.curves.assign(np.stack([*curves, curve(total)]))
        return found

    def scores(self, measurements: Measurements) -> tuple[Tensor, Tensor]:
        """Negative log-densities and nearest distances, tensors `(n,)` each."""
        x = (measurements.statistics - self.centre) / self.spread
        whitened = ops.einsum("ns,ksd->nkd", x, self.whitening) - self.whitened_means
        squares = ops.sum(ops.square(whitened), axis=-1)
        densities = -ops.logsumexp(self.log_peaks - 0.5 * squares, axis=-1)
        y = (measurements.features - self.feature_centre) / self.feature_spread
        references = ops.cast(self.reference_features, "float32")
        products = ops.matmul(ops.matmul(y, self.principal), ops.transpose(references))
        squares = ops.min(ops.sum(ops.square(references), -1) - 2 * products, axis=-1)
        # The square of what is left out is that of all less that of the components.
        squares = squares + ops.sum(ops.square(y), axis=-1)
        return densities, ops.sqrt(ops.maximum(squares, 0.0))

    def combined(self, measurements: Measurements) -> Tensor:
        """The sum of −log p of both scores, tensor `(n,)`."""
        density, distance = self.scores(measurements)
        return along(self.curves[0], density) + along(self.curves[1], distance)

    def call(self, measurements: Measurements) -> Tensor:
        return along(self.curves[2], self.combined(measurements))

    def get_config(self):
        return {
            **super().get_config(),
            "statistics": self.statistics,
            "features": self.features,
            "directions": self.directions,
            "components": self.components,
            "references": self.references,
        }


def curve(scores: np.ndarray) -> np.ndarray:
    """The curve from scores to −log(share of these scores that are as high).

    Beyond the highest scores the share falls exponentially, as fast as among them: no
    two anomalies are alike because both are beyond all that was held out.

    Args:
        scores: array `(n,)` of scores of held-out normal images.

    Returns:
        float64 array `(3, points)`: scores, increasing; −log p; slopes to their right.
    """
    scores = np.sort(scores.astype("float64"))
    tail = max(_TAIL, min(_LEAST_IN_TAIL / len(scores), 0.5))
    shares = np.geomspace(1.0, tail, _POINTS)
    points, surprises = np.quantile(scores, 1.0 - shares), -np.log(shares)
    beyond = scores[scores > points[-1]] - points[-1]
    widths = np.append(np.diff(points), beyond.sum() / max(len(beyond), 1))
    slopes = np.append(np.diff(surprises), 1.0) / np.maximum(widths, _TINY)
    return np.stack([points, surprises, slopes])


def along(curve: Tensor, scores: Tensor) -> Tensor:
    """−log p of scores by a curve, at least 0; nothing is checked."""
    curve, scores = map(ops.convert_to_tensor, (curve, scores))
    points, surprises, slopes = curve[0], curve[1], curve[2]
    # Counted, as `searchsorted` of Keras 3.8 takes no tensors of unknown length.
    below = ops.cast(ops.expand_dims(scores, -1) >= points, "int32")
    index = ops.clip(ops.sum(below, axis=-1) - 1, 0, _POINTS - 1)
    beyond = (scores - ops.take(points, index)) * ops.take(slopes, index)
    return ops.maximum(ops.take(surprises, index) + beyond, 0.0)
