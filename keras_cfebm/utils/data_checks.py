"""What a CFEBM accepts as data: checked before training, and while it is traced."""

import itertools
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_cfebm.utils.validation import check_image_shape, check_images, check_labels


class DataChecks:
    """The data side of `CFEBM`: checks what `fit`, `evaluate` and `predict` receive.

    The model offers `image_shape`, `num_classes` and `chain_start`.
    """

    def fit(self, x=None, y=None, *args, **kwargs):
        """Trains the finest network; see `keras.Model.fit`.

        Raises:
            ValueError: if the images (of a data set, its first batch) have
                another shape or dtype than the network's or hold NaN, or labels do not
                fit the classes, or source images are missing or of another shape.
        """
        self._check_data(x, y)
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """Energies of data and samples; see `keras.Model.evaluate` and `fit`."""
        self._check_data(x, y)
        try:
            return super().evaluate(x, y, *args, **kwargs)
        finally:
            self.test_batches.assign(0)

    def _check_data(self, x, y):
        if isinstance(x, np.ndarray):
            first = [(x, y)]
        elif hasattr(x, "take"):  # a tf.data.Dataset
            first = x.take(1)
        elif isinstance(x, keras.utils.PyDataset):
            first = itertools.islice(x, 1)
        else:
            first = []
        for batch in first:
            images, paired, _ = keras.utils.unpack_x_y_sample_weight(batch)
            self._check_arrays(images, paired)

    def _check_arrays(self, images, paired=None):
        images = check_images(images, self.image_shape)
        if self.num_classes is not None:
            check_labels(paired, len(images), self.num_classes)
        elif self.chain_start == "source" and paired is not None:
            # They may be noisy, where the model is to remove noise.
            check_images(paired, self.image_shape, "source images", in_range=False)

    def split(self, data: Any) -> tuple:
        """The images, labels or None, and source images or None of a batch."""
        images, paired, _ = keras.utils.unpack_x_y_sample_weight(data)
        check_image_shape(tuple(images.shape), self.image_shape)
        dtype = keras.backend.standardize_dtype(images.dtype)
        if "float" not in dtype:
            raise ValueError(f"Expected images as floats in [-1, 1], received {dtype}.")
        if self.chain_start == "source":
            if paired is None:
                raise ValueError(
                    "A model with chain_start='source' learns from pairs of target and "
                    "source images. Received: images only"
                )
            check_image_shape(tuple(paired.shape), self.image_shape, "source images")
            return images, None, paired
        if self.num_classes is None:
            return images, None, None
        if paired is None:
            raise ValueError(
                f"A model of {self.num_classes} classes learns from pairs of images "
                "and labels. Received: images only"
            )
        return images, ops.cast(paired, "int32"), None

    def predict(self, x, *args, **kwargs):
        """Energies `(n,)` of images, as a NumPy array; see `keras.Model.predict`."""
        arrays = x if isinstance(x, (tuple, list)) else (x,)
        if isinstance(arrays[0], np.ndarray):
            self._check_arrays(*arrays)
        return super().predict(x, *args, **kwargs)
