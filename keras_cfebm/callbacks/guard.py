"""DivergenceGuard: turns a run that blows up back, and goes on more gently."""

import json
import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from absl import logging

from keras_cfebm.callbacks.learning_rate import scale_learning_rate
from keras_cfebm.utils import atomic_files
from keras_cfebm.utils.typing import PathLike

_LOGS = ("gap", "gradient_norm", "data_energy")
_FIGURES = ("energy gap", "gradient norm", "change of the data energy per step")
#: What travels with a checkpoint: attributes, but for their underscore.
_STATE = (
    "place",
    "rollbacks",
    "history",
    "block",
    "energy",
    "worst",
    "reason",
    "good_step",
    "good_history",
)
#: Steps per block: single steps are too noisy to be judged.
_BLOCK = 10
#: Share of the usual gradient norm below which a network is dead.
_DEAD = 1e-3
#: So that the very first steps of a fade-in can be divided by β.
_SMALLEST_BETA = 1e-3
#: Blocks that "the run's own history" goes back.
_MEMORY = 100


class DivergenceError(Exception):
    """Training diverged again after every allowed rollback."""


class DivergenceGuard(keras.callbacks.Callback):
    """Rolls a diverging run back to its last good epoch.

    Every ten steps the means of |energy gap|, gradient norm and |change of the data
    energy from one step to the next|, over β, with which they grow, are held against
    their medians over the stage's last thousand steps, which a few steps of growth do
    not move. Beyond `tolerance` times the median, or at the first figure that is not
    finite, the run is diverging: weights, average and optimizer become those of the
    last good epoch again, the learning rate (or its schedule) is multiplied by
    `learning_rate_factor`, the noise is drawn from a new key, and training goes on. An
    epoch is good if it has stayed within √tolerance: one that is already on its way up
    is no place to return to.

    A gradient norm below a thousandth of its usual is diverging too: such a network is
    dead, its energy the same for all images. The jumps of the energy tell where
    spectral normalisation keeps gap and gradients of a broken model within bounds.

    Args:
        path: JSON file that lists the rollbacks, or None.
        tolerance: float above 1.
        learning_rate_factor: float in (0, 1).
        max_rollbacks: int, how many in a row, without a good epoch between them, before
            giving up.
        warmup: int, blocks of a stage before figures other than non-finite ones are
            judged; at least 1.

    Attributes:
        events: list of dicts, one per rollback: resolution, step, back_to_step, reason,
            learning_rate (the new one).

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        path: PathLike | None = None,
        tolerance: float = 10.0,
        learning_rate_factor: float = 0.5,
        max_rollbacks: int = 8,
        warmup: int = 3,
    ):
        super().__init__()
        in_range = tolerance > 1 and 0 < learning_rate_factor < 1
        if not in_range or max_rollbacks < 0 or warmup < 1:
            raise ValueError(
                "Expected tolerance > 1, 0 < learning_rate_factor < 1, max_rollbacks "
                f">= 0 and warmup >= 1, received {tolerance}, {learning_rate_factor}, "
                f"{max_rollbacks} and {warmup}."
            )
        self.path = path
        self.tolerance = tolerance
        self.learning_rate_factor = learning_rate_factor
        self.max_rollbacks = max_rollbacks
        self.warmup = warmup
        self.recovering = False
        self.events: list[dict] = []
        self._optimizer = None  # whose stage is being watched
        # Stage and resolution: a resolution may have several stages.
        self._place: list[int] | None = None
        self._resumed_at: list[int] | None = None
        self._new_stage()

    def _new_stage(self) -> None:
        self._rollbacks = 0  # since the last good epoch
        self._history: list[list[float]] = []  # means of blocks
        self._block: list[list[float]] = []  # steps of the block that is not full yet
        self._energy: float | None = None  # of the data, at the last step
        self._worst = 0.0  # this epoch's largest figure, in multiples of its median
        self._reason: str | None = None
        self._good: list[np.ndarray] = []  # nothing yet
        self._good_step = -1
        self._good_history: list[list[float]] = []

    # --- Travelling with checkpoints ------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback, as plain data."""
        state = {name: getattr(self, f"_{name}") for name in _STATE}
        return {"events": self.events, **state}

    def get_arrays(self) -> dict[str, np.ndarray]:
        """The last good state, where it is not the one that is being saved anyway."""
        if self._optimizer is None or self._good_step == self.model.step:
            return {}
        return {f"{index:06d}": value for index, value in enumerate(self._good)}

    def set_state(self, state: Mapping, arrays: Mapping[str, np.ndarray]) -> None:
        """Restores what `get_state` and `get_arrays` returned."""
        self._optimizer = None
        self.events = list(state["events"])
        state = {"place": None, **state}  # of older checkpoints: another stage's
        for name in _STATE:
            setattr(self, f"_{name}", state[name])
        self._resumed_at = self._place
        self._good = [arrays[name] for name in sorted(arrays)]

    # --- Watching -------------------------------------------------------------------

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        self.recovering = False
        if self.model.optimizer is self._optimizer:
            return  # the same stage goes on
        place = [self.model.stage, self.model.resolution]
        if self._resumed_at != place:
            self._new_stage()
        self._resumed_at, self._place = None, place
        self._optimizer = self.model.optimizer
        if not self._good:
            self._remember(self.snapshot())
        if self.events:
            self._write()

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        self._count, self._sums = 0, [0.0] * len(_LOGS)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        wrong = (f"{k} is {v}" for k, v in logs.items() if not math.isfinite(v))
        self._reason = self._reason or next(wrong, None)
        if self._reason is None:
            # Keras reports running means over the epoch; their differences are steps.
            self._count += 1
            sums = [self._count * float(logs[name]) for name in _LOGS]
            gap, norm, energy = (s - t for s, t in zip(sums, self._sums, strict=True))
            jump = 0.0 if self._energy is None else energy - self._energy
            self._sums, self._energy = sums, energy
            figures = (abs(gap), norm, abs(jump))
            beta = max(self.model.network.beta, _SMALLEST_BETA)
            self._block.append([figure / beta for figure in figures])
            if len(self._block) == _BLOCK:
                self._judge_block()
        if self._reason is not None:
            self.model.stop_training = True  # at once, not at the end of the epoch

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        if self._reason is None and self._block:
            self._judge_block()
        if self._reason is None and self._worst <= math.sqrt(self.tolerance):
            values = self.snapshot()
            if all(np.isfinite(value).all() for value in values):
                self._remember(values)
                self._rollbacks = 0
            else:
                self._reason = "a weight is not finite"
        self._worst = 0.0
        if self._reason is not None:
            self._roll_back()

    def _judge_block(self) -> None:
        means = np.mean(self._block, axis=0).tolist()
        self._block = []
        if len(self._history) >= self.warmup:
            medians = np.median(self._history, axis=0).tolist()
            norm, usual_norm = means[1], medians[1]
            for name, mean, usual in zip(_FIGURES, means, medians, strict=True):
                ratio = mean / usual if usual > 0 else 0.0
                self._worst = max(self._worst, ratio)
                if ratio > self.tolerance and self._reason is None:
                    self._reason = (
                        f"the {name} over β is {mean:.4g}, more than "
                        f"{self.tolerance:g} times its usual {usual:.4g}"
                    )
            if norm < _DEAD * usual_norm and self._reason is None:
                self._reason = (
                    f"the gradient norm over β is {norm:.4g}, less than a thousandth "
                    f"of its usual {usual_norm:.4g}"
                )
        self._history = [*self._history, means][-_MEMORY:]

    # --- Turning back ---------------------------------------------------------------

    def _remember(self, good: list[np.ndarray]) -> None:
        self._good, self._good_step = good, self.model.step
        self._good_history = list(self._history)

    def _variables(self) -> list:
        return [*self.model.variables, *self.model.optimizer.variables]

    def snapshot(self) -> list[np.ndarray]:
        """Copies of all variables of model and optimizer: what a rollback restores."""
        return [np.asarray(v).copy() for v in self._variables()]

    def _roll_back(self) -> None:
        step, reason = self.model.step, self._reason
        for variable, value in zip(self._variables(), self._good, strict=True):
            variable.assign(value)
        self._history, self._block = list(self._good_history), []
        self._reason = self._energy = None
        if self._rollbacks >= self.max_rollbacks:
            raise DivergenceError(
                f"Training at {self.model.resolution} pixels diverged at step {step} "
                f"({reason}), after {self._rollbacks} rollbacks in a row. The model is "
                "that of the last good epoch. Try a smaller learning rate or step "
                "size, more data noise, or an L2 penalty on the energies."
            )
        self._rollbacks += 1
        rate = scale_learning_rate(self.model, self.learning_rate_factor)
        self.model.renew_noise(self._rollbacks)
        self._good = self.snapshot()
        event = {
            "resolution": self.model.resolution,
            "step": step,
            "back_to_step": self.model.step,
            "reason": reason,
            "learning_rate": rate,
        }
        self.events.append(event)
        self._write()
        logging.warning("Divergence, rolled back: %s", event)
        self.recovering = True
        self.model.stop_training = True

    def _write(self) -> None:
        if self.path is not None:
            text = json.dumps(self.events, indent=2) + "\n"
            atomic_files.write_text(self.path, text)
