"""Learning rates that fall: at the end of a stage, or after a divergence."""

from typing import Any

import keras
import numpy as np
from keras import ops

_LAST = 0.01


@keras.saving.register_keras_serializable(package="keras_cfebm")
class DecayAtEnd(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that is constant, and then falls in a line to a hundredth.

    Args:
        learning_rate: float.
        decay_start: int, training step at which it begins to fall.
        decay_steps: int of at least 1, steps until it has fallen.
    """

    def __init__(self, learning_rate: float, decay_start: int, decay_steps: int):
        super().__init__()
        self.learning_rate = learning_rate
        self.decay_start, self.decay_steps = decay_start, decay_steps

    def __call__(self, step):
        left = self.decay_start + self.decay_steps - ops.cast(step, "float32")
        return self.learning_rate * ops.clip(left / self.decay_steps, _LAST, 1.0)

    def get_config(self):
        names = ("learning_rate", "decay_start", "decay_steps")
        return {name: getattr(self, name) for name in names}


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
