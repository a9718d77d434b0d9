"""DivergenceGuard: turns a run that blows up back, and goes on more gently."""

import math

import keras
import numpy as np
from absl import logging
from keras import ops

from keras_cfebm import random


class DivergenceError(Exception):
    """Training diverged again after every allowed rollback."""


class DivergenceGuard(keras.callbacks.Callback):
    """Rolls a diverging run back to its last good epoch.

    An epoch is bad if a figure is not finite, or if its energy gap or gradient norm
    (epoch means, and the running mean inside the epoch) exceeds `tolerance` times the
    largest value of the stage's good epochs so far. Then weights, average and optimizer
    are those of the last good epoch again, the learning rate is multiplied by
    `learning_rate_factor`, the noise is drawn from a new key, and training goes on.

    Args:
        tolerance: float above 1.
        learning_rate_factor: float in (0, 1).
        max_rollbacks: int, how many in one stage before giving up.
        warmup: int, good epochs of a stage before figures other than non-finite ones
            are judged.

    Attributes:
        events: list of dicts, one per rollback: resolution, step, reason, new learning
            rate.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self, tolerance=10.0, learning_rate_factor=0.5, max_rollbacks=5, warmup=1
    ):
        super().__init__()
        if tolerance <= 1 or not 0 < learning_rate_factor < 1 or max_rollbacks < 0:
            raise ValueError(
                "Expected tolerance > 1, 0 < learning_rate_factor < 1 and "
                f"max_rollbacks >= 0. Received: {tolerance}, {learning_rate_factor}, "
                f"{max_rollbacks}"
            )
        self.tolerance = tolerance
        self.learning_rate_factor = learning_rate_factor
        self.max_rollbacks = max_rollbacks
        self.warmup = warmup
        self.recovering = False
        self.events = []
        self._history = []
        self._resolution = None

    def get_state(self):
        """What a checkpoint keeps of this callback, as plain data."""
        return {
            "events": self.events,
            "history": self._history,
            "resolution": self._resolution,
        }

    def set_state(self, state):
        """Restores what `get_state` returned."""
        self.events = list(state["events"])
        self._history = [tuple(figures) for figures in state["history"]]
        self._resolution = state["resolution"]

    def on_train_begin(self, logs=None):
        self.recovering = False
        self._reason = None
        if self._resolution != self.model.resolution:
            self._resolution = self.model.resolution
            self._history = []
        self._good = self._snapshot()

    def on_epoch_begin(self, epoch, logs=None):
        self._batch = 0

    def on_train_batch_end(self, batch, logs=None):
        self._batch += 1
        # The mean of a few batches is too noisy for anything but non-finite values.
        if self._reason is None:
            self._reason = self._judge(logs, self.tolerance if self._batch > 9 else 100)
            if self._reason is not None:
                self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        self._reason = self._reason or self._judge(logs, self.tolerance)
        if self._reason is None:
            self._history.append((abs(logs["gap"]), logs["gradient_norm"]))
            self._good = self._snapshot()
        else:
            self._roll_back()

    def _judge(self, logs, tolerance):
        """The reason why these figures are bad, or None."""
        for name, value in logs.items():
            if not math.isfinite(value):
                return f"{name} is {value}"
        if len(self._history) < self.warmup:
            return None
        for place, name in enumerate(("gap", "gradient_norm")):
            limit = tolerance * max(figures[place] for figures in self._history)
            if abs(logs[name]) > limit:
                return f"|{name}| is {abs(logs[name]):.4g}, above {limit:.4g}"
        return None

    def _variables(self):
        return [*self.model.variables, *self.model.optimizer.variables]

    def _snapshot(self):
        return [np.array(ops.convert_to_numpy(v)) for v in self._variables()]

    def _roll_back(self):
        here = [e for e in self.events if e["resolution"] == self.model.resolution]
        step = int(self.model.optimizer.iterations)
        for variable, value in zip(self._variables(), self._good, strict=True):
            variable.assign(value)
        if len(here) >= self.max_rollbacks:
            raise DivergenceError(
                f"Training at {self.model.resolution} pixels diverged at step {step} "
                f"({self._reason}), after {len(here)} rollbacks. The model is that of "
                "the last good epoch. Try a smaller learning rate or step size, more "
                "data noise, or an L2 penalty on the energies."
            )
        optimizer = self.model.optimizer
        rate = float(optimizer.learning_rate) * self.learning_rate_factor
        optimizer.learning_rate.assign(rate)
        key = ops.convert_to_tensor(self.model.noise_key)
        self.model.noise_key.assign(random.fold_in(key, len(here) + 1))
        event = {
            "resolution": self.model.resolution,
            "step": step,
            "back_to_step": int(optimizer.iterations),
            "reason": self._reason,
            "learning_rate": rate,
        }
        self.events.append(event)
        logging.warning("Divergence, rolled back: %s", event)
        self.recovering = True
        self.model.stop_training = True
