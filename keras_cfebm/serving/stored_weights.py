"""Weights as a SavedModel stores them: as float16 where that is exact."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_cfebm.utils.half_floats import halved


class StoredWeights:
    """Variables that stand for weights: half the size, where no bit is lost.

    Args:
        weights: Keras variables, whose values are copied.

    Attributes:
        variables: list of `tf.Variable`, float16 where all values are float16's.
    """

    def __init__(self, weights: Iterable[keras.Variable]):
        weights = list(weights)
        self.variables = [tf.Variable(halved(np.array(weight))) for weight in weights]
        self._stored = dict(zip(map(id, weights), self.variables, strict=True))

    def read_by(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function of tensors, which reads `variables` instead of the weights."""

        def reading(*tensors: tf.Tensor) -> Any:
            with _Reading(self._stored):
                return function(*tensors)

        return reading


class _Reading(keras.StatelessScope):
    """Converts what is read, and nothing else, to the weights' dtype."""

    def __init__(self, stored):
        super().__init__()
        self._stored = stored

    def get_current_value(self, variable):
        stored = self._stored.get(id(variable))
        return None if stored is None else tf.cast(stored, variable.dtype)
