"""EnergyLog: one row of figures per epoch, over all stages, as a CSV file."""

import csv
import io
import time

import keras

from keras_cfebm import files

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
    "seconds",
)


class EnergyLog(keras.callbacks.Callback):
    """Collects the epochs of every stage and keeps them in a CSV file.

    The whole file is replaced at each epoch, so it is never half written, and after a
    resume it holds each epoch once.

    Args:
        path: file to write, or None to collect only.

    Attributes:
        rows: list of dicts with the keys `COLUMNS`. `step` counts the training steps
            of all stages, `stage_step` those of the current one; the energies are
            means over the epoch.
    """

    def __init__(self, path=None):
        super().__init__()
        self.path = path
        self.rows = []

    def get_state(self):
        """What a checkpoint keeps of this callback, as plain data."""
        return {"rows": self.rows}

    def set_state(self, state):
        """Restores what `get_state` returned."""
        self.rows = [dict(row) for row in state["rows"]]

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        stage_step = int(self.model.optimizer.iterations)
        resolution = self.model.resolution
        # Rows of this stage that a rollback has undone are no longer part of the run.
        self.rows = [
            row
            for row in self.rows
            if row["resolution"] != resolution or row["stage_step"] < stage_step
        ]
        before = [row["step"] for row in self.rows if row["resolution"] != resolution]
        row = {
            "step": stage_step + max(before, default=0),
            "stage": len({row["resolution"] for row in self.rows} - {resolution}) + 1,
            "resolution": resolution,
            "epoch": epoch,
            "stage_step": stage_step,
            "learning_rate": float(self.model.optimizer.learning_rate),
            "seconds": round(time.monotonic() - self._began, 3),
        }
        row |= {name: float(value) for name, value in (logs or {}).items()}
        self.rows.append({name: row.get(name) for name in COLUMNS})
        if self.path is not None:
            self.write()

    def write(self):
        """Writes the rows to `path`."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        files.write_text(self.path, text.getvalue())
