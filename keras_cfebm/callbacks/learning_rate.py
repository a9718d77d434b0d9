"""Lowers the learning rate of an optimizer, be it a number or a schedule."""

from typing import Any

import keras
import numpy as np


@keras.saving.register_keras_serializable(package="keras_cfebm")
class Scaled(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate schedule times a factor.

    Args:
        schedule: `keras.optimizers.schedules.LearningRateSchedule`, or its
            serialization.
        factor: float.
    """

    def __init__(self, schedule: Any, factor: float):
        super().__init__()
        if isinstance(schedule, dict):
            schedule = keras.optimizers.schedules.deserialize(schedule)
        self.schedule = schedule
        self.factor = factor

    def __call__(self, step):
        return self.factor * self.schedule(step)

    def get_config(self):
        schedule = keras.optimizers.schedules.serialize(self.schedule)
        return {"schedule": schedule, "factor": self.factor}


def scale_learning_rate(model: keras.Model, factor: float) -> float:
    """Multiplies the learning rate of a compiled model from now on.

    Args:
        model: compiled Keras model. With a schedule, its training step is compiled anew
            by the next `fit`.
        factor: float.

    Returns:
        float, the learning rate of the next step.
    """
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    rate = optimizer.get_config()["learning_rate"]
    if isinstance(rate, dict):
        optimizer.learning_rate = Scaled(rate, factor)
        model.train_function = None  # which has the old schedule built in
    else:
        optimizer.learning_rate = rate * factor
    return float(np.asarray(optimizer.learning_rate))
