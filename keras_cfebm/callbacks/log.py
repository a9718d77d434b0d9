"""EnergyLog: one row of figures per epoch, over all stages, as a CSV file."""

import csv
import io
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_cfebm.callbacks.guard import DivergenceGuard
from keras_cfebm.utils import atomic_files
from keras_cfebm.utils.typing import PathLike

COLUMNS = (
    "step",
    "stage",
    "resolution",
    "epoch",
    "stage_step",
    "beta",
    "loss",
    "data_energy",
    "sample_energy",
    "gap",
    "gradient_norm",
    "learning_rate",
    "rollbacks",
    "seconds",
    "cpu_seconds",
)
_TIMES = ("seconds", "cpu_seconds")


class EnergyLog(keras.callbacks.Callback):
    """Collects the epochs of every stage and keeps them in a CSV file.

    The whole file is replaced at each epoch, so it is never half written, and after a
    resume it holds each epoch once.

    Args:
        path: file to write, or None to collect only.
        guard: optional `DivergenceGuard`, whose rollbacks are counted.

    Attributes:
        rows: list of dicts with the keys `COLUMNS`. `step` counts the training steps
            of all stages, `stage_step` those of the current one; the energies are
            means over the epoch, `rollbacks` are those of the run so far, and
            `cpu_seconds` is the time of all cores together. The times are those since
            the row before, epochs that a rollback has undone included.
    """

    def __init__(
        self, path: PathLike | None = None, guard: DivergenceGuard | None = None
    ):
        super().__init__()
        self.path = path
        self.guard = guard
        self.rows: list[dict] = []
        # Of an epoch that a checkpoint has cut in two: figures of the first part.
        self._before: dict[str, float] = {}
        self._so_far: dict[str, float] = {}

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback, as plain data."""
        return {"rows": self.rows, "epoch_so_far": self._so_far}

    def get_arrays(self) -> dict:
        """No arrays belong to the state."""
        return {}

    def set_state(self, state: Mapping, arrays: Mapping) -> None:
        """Restores what `get_state` returned."""
        self.rows = [dict(row) for row in state["rows"]]
        self._before = dict(state["epoch_so_far"])

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        self._first_step = self.model.step
        self._began = time.monotonic(), time.process_time()
        self._count = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._count += 1
        self._so_far = self._whole(logs)

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        figures = self._whole(logs or {})
        figures.pop("batches")
        self._before, self._so_far = {}, {}
        stage_step = self.model.step
        resolution = self.model.resolution
        # A loop of one's own, without `fit_progressively`, counts no stages.
        others = {row["resolution"] for row in self.rows} - {resolution}
        stage = max(self.model.stage, len(others)) + 1
        # Rows of this stage that a rollback has undone are no longer part of the run.
        last = min(self._first_step + 1, stage_step)
        kept = [
            row
            for row in self.rows
            if row["stage"] != stage or row["stage_step"] < last
        ]
        # The time that they took is part of it.
        for row in self.rows[len(kept) :]:
            for name in _TIMES:
                figures[name] = round(figures[name] + (row[name] or 0.0), 3)
        self.rows = kept
        before = [row["step"] for row in self.rows if row["stage"] != stage]
        row = {
            "step": stage_step + max(before, default=0),
            "stage": stage,
            "resolution": resolution,
            "epoch": epoch,
            "stage_step": stage_step,
            "learning_rate": float(np.asarray(self.model.optimizer.learning_rate)),
            "rollbacks": len(self.guard.events) if self.guard else 0,
            **figures,
        }
        self.rows.append({name: row.get(name) for name in COLUMNS})
        self.write()

    def _whole(self, logs: Mapping[str, float]) -> dict[str, float]:
        """Figures of the epoch up to now, the part before a resume included."""
        before, here = self._before.get("batches", 0), self._count
        whole = {"batches": before + here}
        for name, value in logs.items():
            value = float(value)
            if before and name in self._before:
                total = before * self._before[name] + here * value
                value = total / (before + here)
            whole[name] = value
        clocks = (time.monotonic(), time.process_time())
        for name, now, began in zip(_TIMES, clocks, self._began, strict=True):
            whole[name] = round(now - began + self._before.get(name, 0.0), 3)
        return whole

    def write(self) -> None:
        """Writes the rows to `path`, if there is one."""
        if self.path is None:
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        atomic_files.write_text(self.path, text.getvalue())
