"""Statistics of the features of a set of images: gathered, saved, loaded and cached."""

import hashlib
import pathlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from keras_cfebm.evaluation.encoders import Encoder
from keras_cfebm.utils import atomic_files
from keras_cfebm.utils.typing import PathLike, Tensor
from keras_cfebm.utils.validation import check_count, check_features, check_seed

#: Of the files that `FeatureStatistics.save` writes.
FORMAT = 1


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """Mean and covariance of the features of a set, and a uniform sample of them.

    Made by `from_images`, `from_features` or `load`.

    Attributes:
        name: str, what the images are, such as `"fashion-mnist train 32"`.
        encoder_name: str, see `Encoder`.
        encoder_hash: str, see `Encoder`.
        preprocessing: str, see `Encoder`.
        number: int, how many images there are.
        mean: float64 array `(d,)`.
        scatter: float64 array `(d, d)`, (number − 1) times the covariance.
        features: float32 array `(m, d)`, the rows kept for `kernel_distance`.

    Raises:
        ValueError: if the arrays do not fit each other or are not finite.

    Example:

    ```python
    statistics = FeatureStatistics.from_images(batches, encoder, "my test set")
    statistics.save("test_set.npz")
    ```
    """

    name: str
    encoder_name: str
    encoder_hash: str
    preprocessing: str
    number: int
    mean: np.ndarray
    scatter: np.ndarray
    features: np.ndarray

    def __post_init__(self):
        check_count(self.number, "number of images")
        d = self.mean.size
        shapes = {"mean": (d,), "scatter": (d, d), "features": (len(self.features), d)}
        for field, shape in shapes.items():
            array = getattr(self, field)
            if array.shape != shape or not np.isfinite(array).all():
                raise ValueError(
                    f"Expected a finite {field} of shape {shape}, received "
                    f"{array.dtype} of shape {array.shape}."
                )

    @classmethod
    def from_images(
        cls,
        batches: Iterable[Tensor],
        encoder: Encoder,
        name: str,
        kept_features: int = 10_000,
        seed: int = 0,
    ) -> "FeatureStatistics":
        """Encodes batches of images `(n, h, w, c)` in [-1, 1]; see `from_features`.

        Raises:
            ValueError: if there are no batches, or the encoder refuses one.
        """
        features = map(encoder, batches)
        return cls.from_features(features, encoder, name, kept_features, seed)

    @classmethod
    def from_features(
        cls,
        batches: Iterable[Tensor],
        encoder: Encoder,
        name: str,
        kept_features: int = 10_000,
        seed: int = 0,
    ) -> "FeatureStatistics":
        """Gathers the statistics of batches of features.

        Memory does not depend on the number of images, of which LSUN has millions.
        Batches are merged by the pairwise update, which does not cancel as a sum of
        squares would. Each row draws a number, and those of the smallest are kept: a
        choice that does not depend on how the rows are batched.

        Args:
            batches: iterable of arrays `(n, d)` of finite numbers.
            encoder: `Encoder` that made them.
            name: str, what the images are.
            kept_features: int, rows kept for the kernel distance.
            seed: int, of the choice of those rows.

        Raises:
            ValueError: if there are no batches, or one is malformed.

        Reference:
            Chan, Golub and LeVeque, *Updating formulae and a pairwise algorithm for
            computing sample variances*, 1979; Vitter, *Random sampling with a
            reservoir*, 1985.
        """
        check_count(kept_features, "kept_features", 0)
        rng = np.random.default_rng(check_seed(seed))
        number, mean, scatter = 0, np.zeros(()), np.zeros(())
        draws = np.empty(0)
        kept: list[np.ndarray] = []
        for features in batches:
            d = kept[0].shape[1] if kept else None
            features = check_features(features, name, d)
            draws = np.concatenate([draws, rng.random(len(features))])
            chosen = np.argsort(draws)[:kept_features]
            draws = draws[chosen]
            kept = [np.concatenate([*kept, features.astype("float32")])[chosen]]

            features = features.astype("float64")
            count, total = len(features), number + len(features)
            own_mean = features.mean(axis=0)
            centred, shift = features - own_mean, own_mean - mean
            between = number * count / total * np.outer(shift, shift)
            scatter = scatter + (centred.T @ centred + between)
            mean = mean + shift * (count / total)
            number = total
        if not number:
            raise ValueError(f"Expected batches of images of {name}, received none.")
        identity = (encoder.name, encoder.hash, encoder.preprocessing)
        return cls(name, *identity, number, mean, scatter, kept[0])

    @property
    def covariance(self) -> np.ndarray:
        """Float64 `(d, d)`, divided by n − 1; ValueError with fewer than two images."""
        if self.number < 2:
            raise ValueError(
                f"Expected at least 2 images of {self.name} for a covariance, "
                f"received {self.number}."
            )
        return self.scatter / (self.number - 1)

    def save(self, path: PathLike) -> None:
        """Writes the statistics as `.npz` to exactly this path: all, or nothing."""
        with atomic_files.replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, format=FORMAT, **vars(self))

    @classmethod
    def load(cls, path: PathLike) -> "FeatureStatistics":
        """Reads what `save` wrote. Nothing is unpickled.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is not a file of feature statistics.
        """
        try:
            # Opened here, because np.load leaves a damaged file open.
            with open(path, "rb") as file, np.load(file) as archive:
                values = {k: v if v.ndim else v.item() for k, v in archive.items()}
            if values.pop("format") != FORMAT:
                raise ValueError(f"Expected format {FORMAT}.")
            return cls(**values)
        except FileNotFoundError:
            raise
        except Exception as error:  # damaged archives fail in many ways
            raise ValueError(
                "Expected a file written by FeatureStatistics.save, received "
                f"{path}: {error}"
            ) from error


def cached_statistics(
    key: str, compute: Callable[[], FeatureStatistics], cache_dir: PathLike
) -> FeatureStatistics:
    """Returns statistics of a reference set, computed once and kept on disk.

    Args:
        key: str that names everything the statistics depend on: data set, split,
            resolution, number of images and the encoder's hash.
        compute: function without arguments that returns `FeatureStatistics`.
        cache_dir: folder of the cache; made if missing.

    Returns:
        `FeatureStatistics`, always read back from the file, so that a first and a
        second call return the same.

    Raises:
        ValueError: if the cached file is damaged; the message names it.
    """
    folder = pathlib.Path(cache_dir)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"statistics-{hashlib.sha256(key.encode()).hexdigest()[:24]}.npz"
    if not path.exists():
        compute().save(path)
    return FeatureStatistics.load(path)
