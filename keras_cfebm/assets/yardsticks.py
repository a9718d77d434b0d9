"""What a shipped model is judged by: images of its kind, and features of them."""

import dataclasses

import numpy as np

from keras_cfebm import datasets, evaluation
from keras_cfebm.configs.run_config import DataConfig
from keras_cfebm.runs.train import held_out_split, load_data

#: Sets of which a part comes with the package, and can be judged by anyone.
_GARMENTS = (datasets.EMBEDDED, "fashion_mnist")
#: Test images of which a detector's p-values and its judgement need as many at least.
_LEAST_FOR_DETECTION = 100


@dataclasses.dataclass(frozen=True)
class Yardstick:
    """Images and an encoder for a model that was trained on `data`.

    Garments are judged by the images in this package, all others by the set itself.

    Args:
        data: `DataConfig` of the training.
    """

    data: DataConfig

    def image_data(self, split: str, data: DataConfig | None = None):
        """The `ImageData` of a split, `"train"` or `"test"`, of this set or another."""
        data = data or self.data
        if data.name in _GARMENTS:
            data = dataclasses.replace(data, name=datasets.EMBEDDED)
        held_out = held_out_split(data) if split == "test" else data.split
        return load_data(data, held_out)

    def images(
        self, split: str, limit: int | None = None, data: DataConfig | None = None
    ) -> np.ndarray:
        """Images of a split in [-1, 1], `limit` of them drawn at random."""
        return self.image_data(split, data).subset(limit=limit, seed=0).images()

    @property
    def of_garments(self) -> bool:
        """Whether the images are those of Fashion-MNIST."""
        return self.data.name in _GARMENTS

    @property
    def has_all(self) -> bool:
        """Whether all training images are at hand."""
        return self.data.name == datasets.EMBEDDED or not self.of_garments

    @property
    def judges_detection(self) -> bool:
        """Whether there are test images enough for a detector, and to judge it."""
        return len(self.image_data("test")) >= _LEAST_FOR_DETECTION

    @property
    def encoder(self) -> evaluation.Encoder:
        """The features in which samples and images are compared."""
        if self.of_garments:
            return evaluation.fashion_classifier().encoder
        return evaluation.emoji_encoder()

    def reference(self) -> evaluation.FeatureStatistics:
        """Statistics of the training images."""
        return evaluation.FeatureStatistics.from_images(
            [self.images("train")], self.encoder, "training images"
        )
