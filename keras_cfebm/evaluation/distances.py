"""Streaming mean and covariance of image features, saved, loaded and cached."""

import hashlib
import pathlib
from collections.abc import Callable, Iterable
from types import SimpleNamespace

import numpy as np

from keras_cfebm.evaluation.encoders import Encoder
from keras_cfebm.evaluation.reservoir import Reservoir
from keras_cfebm.utils import atomic_files
from keras_cfebm.utils.typing import PathLike, Tensor
from keras_cfebm.utils.validation import check_count, check_features

FORMAT = 1


class FeatureStatistics:
    """Mean and covariance of features, gathered batch by batch.

    Memory does not depend on the number of samples: besides the mean (d,) and the
    scatter matrix (d, d), in float64, at most `kept_features` feature rows stay, a
    uniform sample of the stream for `kernel_distance`. Batches are merged by the
    pairwise update, which does not cancel as a sum of squares would.

    Args:
        encoder: The `Encoder` of the features; its name, hash and preprocessing are
            recorded.
        name: What the images are, such as `"fashion-mnist train 32"`.
        kept_features: Rows kept for the kernel distance (float32, 4·d bytes each).
        seed: Seed of the choice of those rows.

    Attributes:
        number: Samples seen.
        mean: Float64 array (d,).
        name, encoder_name, encoder_hash, preprocessing: Strings.

    Example:

    ```python
    statistics = FeatureStatistics.from_images(batches, encoder, "my test set")
    statistics.save("test_set.npz")
    ```

    Reference:
        Chan, Golub, LeVeque, Updating formulae and a pairwise algorithm for computing
        sample variances, 1979.
    """

    def __init__(
        self, encoder: Encoder, name: str, kept_features: int = 10_000, seed: int = 0
    ) -> None:
        self.name = name
        self.encoder_name = encoder.name
        self.encoder_hash = encoder.hash
        self.preprocessing = encoder.preprocessing
        self.number = 0
        self.mean = None
        self._scatter = None
        self._loaded = False
        self._reservoir = Reservoir(kept_features, seed)

    @classmethod
    def from_images(
        cls,
        batches: Iterable[Tensor],
        encoder: Encoder,
        name: str,
        kept_features: int = 10_000,
        seed: int = 0,
    ) -> "FeatureStatistics":
        """Encodes batches of images and gathers their statistics.

        Args:
            batches: Iterable of float arrays (n, R, R, c) in [-1, 1].
            encoder: An `Encoder`.
            name: What the images are.
            kept_features: As in the constructor.
            seed: As in the constructor.

        Returns:
            A `FeatureStatistics`.

        Raises:
            ValueError: If there are no batches, or the encoder refuses one.
        """
        statistics = cls(encoder, name, kept_features, seed)
        for images in batches:
            statistics.update(encoder(images))
        if statistics.number == 0:
            raise ValueError(f"{name}: expected batches of images, received none.")
        return statistics

    def update(self, features: Tensor) -> None:
        """Adds a batch.

        Args:
            features: Array (n, d), n >= 1, of finite numbers.

        Raises:
            ValueError: On another shape, NaN, a d other than in earlier batches, or if
                these statistics were loaded from a file.
        """
        if self._loaded:
            raise ValueError(
                f"{self.name}: statistics loaded from a file take no further batches, "
                "since the uniform choice of kept rows cannot go on; gather them anew."
            )
        dimensions = None if self.mean is None else len(self.mean)
        features = check_features(features, self.name, dimensions, minimum=1)
        self._reservoir.update(features)
        features = features.astype("float64")
        mean = features.mean(axis=0)
        centred = features - mean
        scatter = centred.T @ centred
        if self.mean is None:
            self.number, self.mean, self._scatter = len(features), mean, scatter
            return
        total = self.number + len(features)
        shift = mean - self.mean
        weight = self.number * len(features) / total
        self._scatter += scatter + weight * np.outer(shift, shift)
        self.mean = self.mean + shift * (len(features) / total)
        self.number = total

    @property
    def covariance(self) -> np.ndarray:
        """Float64 array (d, d): the unbiased estimate (divided by n - 1).

        Raises:
            ValueError: With fewer than two samples.
        """
        if self.number < 2:
            raise ValueError(
                f"{self.name}: a covariance expects at least 2 samples, "
                f"received {self.number}."
            )
        return self._scatter / (self.number - 1)

    @property
    def features(self) -> np.ndarray:
        """Float32 array (m, d): the uniform sample of rows that was kept."""
        return self._reservoir.rows

    def save(self, path: PathLike) -> None:
        """Writes everything except the state of the sampler, atomically, as `.npz`.

        Args:
            path: File to write. Exactly this name; nothing is appended.

        Raises:
            ValueError: If no batch was added yet.
        """
        if self.number == 0:
            raise ValueError(f"{self.name}: expected samples to save, received none.")
        with atomic_files.replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                format=FORMAT,
                number=self.number,
                mean=self.mean,
                scatter=self._scatter,
                features=self.features,
                name=self.name,
                encoder_name=self.encoder_name,
                encoder_hash=self.encoder_hash,
                preprocessing=self.preprocessing,
            )

    @classmethod
    def load(cls, path: PathLike) -> "FeatureStatistics":
        """Reads what `save` wrote. Nothing is unpickled.

        Args:
            path: File to read.

        Returns:
            A `FeatureStatistics` for comparing; it takes no further batches.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is not a file of feature statistics.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                values = {key: archive[key] for key in archive.files}
            version = int(values["format"])
            if version != FORMAT:
                raise ValueError(f"expected format {FORMAT}, received {version}.")
            return cls._from_values(values)
        except FileNotFoundError:
            raise
        except Exception as error:  # damaged archives fail in many ways
            raise ValueError(
                f"{path}: expected a file written by FeatureStatistics.save: {error}"
            ) from error

    @classmethod
    def _from_values(cls, values):
        encoder = SimpleNamespace(
            name=str(values["encoder_name"]),
            hash=str(values["encoder_hash"]),
            preprocessing=str(values["preprocessing"]),
        )
        statistics = cls(encoder, str(values["name"]), len(values["features"]))
        statistics.number = check_count(int(values["number"]), "number of samples")
        mean = check_features(values["mean"][None], "mean")[0]
        statistics.mean = mean
        statistics._scatter = check_features(values["scatter"], "scatter", len(mean))
        rows = values["features"]
        if rows.shape[1:] != mean.shape or not np.isfinite(rows).all():
            raise ValueError(f"expected finite rows of {len(mean)} features.")
        statistics._reservoir.rows = rows
        statistics._loaded = True
        return statistics


def cached_statistics(
    key: str, compute: Callable[[], FeatureStatistics], cache_dir: PathLike
) -> FeatureStatistics:
    """Returns statistics of a reference set, computed once and kept on disk.

    Args:
        key: String that names everything the statistics depend on: data set, split,
            resolution, number of images and the encoder's hash.
        compute: Callable without arguments that returns a `FeatureStatistics`.
        cache_dir: Folder of the cache; made if missing.

    Returns:
        A `FeatureStatistics`; always read back from the file, so that a first and a
        second call return the same.

    Raises:
        ValueError: If the cached file is damaged; the message names it.

    Example:

    ```python
    statistics = cached_statistics(
        f"fashion-mnist/train/32/{encoder.hash}",
        lambda: FeatureStatistics.from_images(batches, encoder, "fashion-mnist train"),
        cache_dir="cache",
    )
    ```
    """
    folder = pathlib.Path(cache_dir)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"statistics-{hashlib.sha256(key.encode()).hexdigest()[:24]}.npz"
    if not path.exists():
        compute().save(path)
    return FeatureStatistics.load(path)
