"""StageProgress: what the terminal shows of a stage in training."""

import math
import sys
import time
from collections.abc import Mapping
from typing import Any

import keras

from keras_cfebm import backend
from keras_cfebm.configs.stages import Stage
from keras_cfebm.utils.terminal import say

_HEADINGS = ("stage", "beta", "step", "E(data)", "gap", "gradient", "images/s", "left")
_WIDTHS = (7, 6, 21, 12, 12, 12, 10, 11)
#: Seconds between two changes of the row of an epoch in training.
_PAUSE = 0.25


class StageProgress(keras.callbacks.Callback):
    """Prints a heading for the stage, and a row for every epoch.

        Stage 2 of 3: 16 × 16 pixels, 600 steps of 64 images, β from 0 to 1 in 150
          stage  beta     step  E(data)     gap  gradient  images/s     left
            2/3  0.67  100/600  -0.1234  0.5678    0.0912     1,234  0:05:13

    Energies, their gap (of samples over data) and the norm of the gradient are means
    over the epoch; β and the step are those of now. The time left is that of the stage,
    at the pace since its first step, which is left out: it compiles.

    Args:
        stage: `Stage`.
        index: int, its place among the stages, from 0.
        count: int, number of stages.
        steps: int, training steps of the stage, whole epochs.
        live: bool, whether the row of an epoch in training is shown and changes; on a
            terminal only.
    """

    def __init__(self, stage: Stage, index: int, count: int, steps: int, live: bool):
        super().__init__()
        self.stage = stage
        self.place = f"{index + 1}/{count}"
        self.steps = steps
        self.live = live and sys.stdout is not None and sys.stdout.isatty()
        self._headed = False
        self._timed = 0  # steps since the first of this process
        self._began: float | None = None
        self._shown = 0.0

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        self._silent = not backend.is_chief(self.model)
        if not self._headed:
            self._headed = True
            self._print(f"\n{self._heading()}\n{_row(_HEADINGS)}")

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        self._epoch_steps, self._epoch_began = 0, time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = time.monotonic()
        if self._began is None:
            self._began = self._epoch_began = now
        else:
            self._timed += 1
            self._epoch_steps += 1
        if self.live and now - self._shown > _PAUSE:
            self._shown = now
            self._print(self._figures(logs), end="\r")

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        self._print(self._figures(logs or {}))

    def _print(self, text: str, end: str = "\n") -> None:
        if not self._silent:
            say(text, end)

    def _heading(self) -> str:
        """What the stage is going to do."""
        number, count = self.place.split("/")
        side, fade_steps = self.stage.resolution, self.stage.fade_steps
        fades = self.model.network.fading and fade_steps > 0
        beta = f"β from 0 to 1 in {fade_steps:,}" if fades else "β = 1 throughout"
        begun = f", from {self.model.step:,} on" if self.model.step else ""
        return (
            f"Stage {number} of {count}: {side} × {side} pixels, {self.steps:,} steps "
            f"of {self.stage.batch_size} images{begun}, {beta}"
        )

    def _figures(self, logs: Mapping[str, Any]) -> str:
        """The row of now."""
        step, now = self.model.step, time.monotonic()
        images = self._epoch_steps * self.stage.batch_size
        rate = images / max(now - self._epoch_began, 1e-9)
        left = "-"
        if self._timed and self._began is not None:
            pace = (now - self._began) / self._timed
            left = _time((self.steps - step) * pace)
        names = ("data_energy", "gap", "gradient_norm")
        return _row(
            (
                self.place,
                f"{self.model.network.beta:.2f}",
                f"{step:,}/{self.steps:,}",
                *(f"{float(logs.get(name, math.nan)):.4g}" for name in names),
                f"{rate:,.0f}" if self._epoch_steps else "-",
                left,
            )
        )


def _row(cells: tuple[str, ...]) -> str:
    """One line of the table, of at most 100 columns."""
    pairs = zip(cells, _WIDTHS, strict=True)
    return "".join(cell.rjust(width) for cell, width in pairs)


def _time(seconds: float) -> str:
    """Seconds as 1:02:03."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}"
