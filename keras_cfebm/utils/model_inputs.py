"""What a model is given: images of a declared range, labels by number or by name."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_cfebm.utils.labels import named_labels
from keras_cfebm.utils.validation import check_labels
from keras_cfebm.utils.value_range import Range, check_inputs, check_value_range


class ModelInputs:
    """Makes sense of what the methods of a `keras.Model` are given, and checks it."""

    image_shape: Any
    num_classes: Any
    class_names: Sequence[str] | None
    chain_start: str
    _value_range: Range | None = None

    @property
    def value_range(self) -> Range | None:
        """The range of the images that the model is given; None if not declared."""
        return self._value_range

    @value_range.setter
    def value_range(self, value_range: Range | None) -> None:
        self._value_range = check_value_range(value_range)
        # What is compiled scales by the range of before.
        self.train_function = self.test_function = self.predict_function = None

    def numbered(self, labels: Any) -> Any:
        """Labels, names of classes among them replaced by their numbers.

        Args:
            labels: array or list of `fit`, `predict` or `evaluate`, or anything else,
                which is returned as it is.

        Raises:
            ValueError: if a name is of no class.
        """
        if self.num_classes is None or not isinstance(labels, (np.ndarray, list)):
            return labels
        return named_labels(labels, self.class_names, self.num_classes)

    def check_arrays(self, images: Any, paired: Any = None, once: bool = True) -> None:
        """Checks images and what stands beside them: labels, or source images.

        Args:
            images: array or tensor of shape `(n, resolution, resolution, channels)`.
            paired: integers of shape `(n,)`, or images; None where nothing is.
            once: bool, whether a warning is given once per process.

        Raises:
            ValueError: if they do not fit the network, or hold NaN.
        """
        check = functools.partial(
            check_inputs, image_shape=self.image_shape, value_range=self.value_range
        )
        images = check(images, once=once)
        if self.num_classes is not None:
            check_labels(paired, len(images), self.num_classes)
        elif self.chain_start == "source" and paired is not None:
            # They may be noisy, where the model is to remove noise.
            check(paired, name="source images", noisy=True)
