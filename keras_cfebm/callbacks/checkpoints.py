"""Checkpoints: everything a run needs to go on bitwise as if never interrupted."""

import json
import pathlib
import shutil
import tempfile
import warnings
from collections.abc import Iterable
from typing import NamedTuple

import keras
import numpy as np

from keras_cfebm import backend
from keras_cfebm.utils import atomic_files
from keras_cfebm.utils.typing import PathLike

_MODEL, _STATE, _ARRAYS = "model.keras", "state.json", "companions.npz"
_SUMS = "SHA256SUMS"


class CheckpointError(Exception):
    """No checkpoint of a run can be used, or one could not be written."""


class Restored(NamedTuple):
    """A checkpoint read back: index of the stage, and its compiled model."""

    stage: int
    model: keras.Model


class Checkpoints(keras.callbacks.Callback):
    """Saves the run at the end of every epoch and finds the last good save again.

    A checkpoint is a numbered folder: `model.keras` (weights of all levels, their
    average, β, power-iteration vectors, noise key, optimizer), `state.json` (stage,
    and the state of `companions`), `companions.npz` (their arrays) and `SHA256SUMS`,
    which `sha256sum -c` can check. It is written under a temporary name, synced, and
    renamed. As the order of the images and all noise are functions of the seed and the
    step, nothing else is needed.

    Args:
        folder: where the checkpoints go.
        keep: int, how many of the newest are kept; at least 1.
        companions: callbacks that travel along. `get_state()` returns plain data,
            `get_arrays()` a dict of arrays, and `set_state(state, arrays)` takes both.
        every: int, epochs between two checkpoints; the end of a stage has one too.

    Raises:
        ValueError: if `keep` or `every` is below 1.
    """

    def __init__(
        self,
        folder: PathLike,
        keep: int = 3,
        companions: Iterable[keras.callbacks.Callback] = (),
        every: int = 1,
    ):
        super().__init__()
        if keep < 1 or every < 1:
            raise ValueError(
                f"Expected keep and every of at least 1, received {keep} and {every}."
            )
        self.folder = pathlib.Path(folder)
        self.keep = keep
        self.companions = tuple(companions)
        self.every = every

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every == 0 or epoch + 1 == self.params["epochs"]:
            self.save()

    def save(self) -> pathlib.Path | None:
        """Writes a checkpoint of the model in training now.

        Returns:
            Its path; None in a worker that is not the chief, which writes nothing.

        Raises:
            CheckpointError: if it cannot be written, for example on a full disk. The
                checkpoints before it are intact.
        """
        if not backend.is_chief(self.model):
            # Within a strategy's scope saving makes variables: a work of all workers.
            with tempfile.TemporaryDirectory() as folder:
                self.model.save(pathlib.Path(folder) / _MODEL)
            return None
        paths = self.paths()
        number = int(paths[-1].name.split("_")[0]) + 1 if paths else 1
        step = self.model.step
        path = self.folder / f"{number:06d}_{self.model.resolution:04d}px_step_{step}"
        state = {
            "stage": self.model.stage,
            "companions": [companion.get_state() for companion in self.companions],
        }
        arrays = {
            f"{place}/{name}": value
            for place, companion in enumerate(self.companions)
            for name, value in companion.get_arrays().items()
        }
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_files.new_folder(path) as folder:
                self.model.save(folder / _MODEL)
                (folder / _STATE).write_text(json.dumps(state), encoding="utf-8")
                np.savez(folder / _ARRAYS, **arrays)
                (folder / _SUMS).write_text(_sums(folder), encoding="utf-8")
        except OSError as error:
            raise CheckpointError(
                f"The checkpoint {path} could not be written: {error}. Earlier "
                "checkpoints are intact; the same command goes on from the last one."
            ) from error
        for old in self.paths()[: -self.keep]:
            shutil.rmtree(old, ignore_errors=True)
        return path

    def paths(self) -> list[pathlib.Path]:
        """Folders of all checkpoints, oldest first."""
        return sorted(self.folder.glob("[0-9]*_step_*"))

    def restore(self) -> Restored | None:
        """Reads the newest intact checkpoint.

        Damaged ones are named in a warning and passed over.

        Returns:
            `Restored`, or None if there is no checkpoint at all.

        Raises:
            CheckpointError: if there are checkpoints but none is intact.
        """
        for leftover in self.folder.glob(".[0-9]*_step_*"):  # of a kill, half-written
            shutil.rmtree(leftover, ignore_errors=True)
        paths = self.paths()
        for path in reversed(paths):
            try:
                return self._read(path)
            except (OSError, ValueError, KeyError) as error:
                warnings.warn(
                    f"The checkpoint {path} is damaged and is passed over: {error}",
                    stacklevel=2,
                )
        if paths:
            raise CheckpointError(
                f"None of the {len(paths)} checkpoints in {self.folder} is intact. "
                "Move the folder away to start from the beginning."
            )
        return None

    def _read(self, path):
        if (path / _SUMS).read_text(encoding="utf-8") != _sums(path):
            raise ValueError(f"the files do not have the checksums in {_SUMS}")
        state = json.loads((path / _STATE).read_text(encoding="utf-8"))
        model = keras.saving.load_model(path / _MODEL)
        if len(state["companions"]) != len(self.companions):
            raise CheckpointError(
                f"Expected the {len(state['companions'])} companions with which {path} "
                f"was saved, received {len(self.companions)}."
            )
        with np.load(path / _ARRAYS, allow_pickle=False) as archive:
            for place, companion in enumerate(self.companions):
                own = [name for name in archive if name.startswith(f"{place}/")]
                arrays = {name.partition("/")[2]: archive[name] for name in own}
                companion.set_state(state["companions"][place], arrays)
        return Restored(state["stage"], model)


def _sums(folder):
    """Checksums of a checkpoint's files, in the format of `sha256sum`."""
    names = (_MODEL, _STATE, _ARRAYS)
    return "".join(f"{atomic_files.sha256(folder / name)}  {name}\n" for name in names)
