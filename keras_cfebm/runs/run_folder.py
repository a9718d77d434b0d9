"""The folder of a training run, and reading what is in it."""

import contextlib
import csv
import dataclasses
import hashlib
import json
import math
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from keras_cfebm.configs.run_config import RunConfig
from keras_cfebm.model import CFEBM
from keras_cfebm.utils import atomic_files
from keras_cfebm.utils.model_files import find_model
from keras_cfebm.utils.paths import user_path
from keras_cfebm.utils.typing import PathLike
from keras_cfebm.visualization.curves import KEYS

#: Columns that a log of training has.
_LOGGED = (*KEYS, "stage_step", "seconds")


class RunError(Exception):
    """A run folder cannot be used for what was asked."""


class RunFolder:
    """Where everything of one run lies.

        config.json        recreates the run
        metrics.csv        one row per epoch, see `EnergyLog`
        guard.json         rollbacks of the `DivergenceGuard`, if there were any
        energies.png       its curves
        tensorboard/       the same for TensorBoard, one run per stage
        checkpoints/       see `Checkpoints`
        samples/           grids of samples, one per epoch
        chain.png, .gif    chains from noise to image
        ladder.keras       the trained model
        .finished          checksums of the configurations that it is trained by

    Args:
        path: the folder; made when missing.
    """

    def __init__(self, path: PathLike):
        self.path = user_path(path)
        self.config = self.path / "config.json"
        self.metrics = self.path / "metrics.csv"
        self.guard = self.path / "guard.json"
        self.energies = self.path / "energies.png"
        self.tensorboard = self.path / "tensorboard"
        self.checkpoints = self.path / "checkpoints"
        self.samples = self.path / "samples"
        self.chain = self.path / "chain.png"
        self.film = self.path / "chain.gif"
        self.ladder = self.path / "ladder.keras"
        self.finished = self.path / ".finished"

    def read_config(self) -> RunConfig:
        """The `RunConfig` of the run.

        Raises:
            RunError: if there is none, or it cannot be read.
        """
        try:
            return RunConfig.from_json(self.config.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{self.config} is not a run's config: {error}") from error

    def prepare(self, config: RunConfig, replace_config: bool = False) -> None:
        """Makes the folder, or checks that it belongs to the same configuration.

        One without checkpoints, as of a first command that was refused, is as new.

        Args:
            config: `RunConfig`.
            replace_config: bool, whether another configuration is replaced by this one.
                The network is that of the checkpoints, if there are any, and the
                stages go at least as far.

        Raises:
            RunError: if the folder cannot be written, or holds another configuration,
                or checkpoints of another network or a finer stage.
        """
        if replace_config:
            self.check_network(config)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            begun = self.ladder.exists() or any(self.checkpoints.glob("*"))
            if begun and self.config.exists() and not replace_config:
                own = self.read_config().to_dict()
                if differences := _differences(own, config.to_dict()):
                    raise RunError(
                        f"{self.path} holds a run of another configuration:\n"
                        f"{differences}\nUse another folder, or --replace_config to go "
                        "on in this one with the new values."
                    )
            else:
                self.finished.unlink(missing_ok=True)
                atomic_files.write_text(self.config, config.to_json())
        except OSError as error:
            raise RunError(f"Cannot write to {self.path}: {error}") from error

    def is_finished(self, config: RunConfig) -> bool:
        """Whether the run has been trained to its end by this configuration."""
        try:
            done = self.finished.read_text(encoding="utf-8").split()
        except OSError:
            return False
        return self.ladder.is_file() and _checksum(config) in done

    def finish(self, *configs: RunConfig) -> None:
        """Notes that the run has been trained to its end.

        Args:
            *configs: `RunConfig`s that lead to it: as asked for, and as used.
        """
        text = "".join(f"{_checksum(config)}\n" for config in configs)
        atomic_files.write_text(self.finished, text)

    def check_network(self, config: RunConfig) -> None:
        """Checks that checkpoints, if there are any, can go on with a configuration.

        Raises:
            RunError: if they are of another network or a finer stage.
        """
        if not any(self.checkpoints.glob("*")):
            return
        own, new = (
            {
                **dataclasses.asdict(settings.network),
                "translates": settings.source is not None,
                "first resolution": settings.stages[0].resolution,
            }
            for settings in (self.read_config(), config)
        )
        if differences := _differences(own, new):
            raise RunError(
                f"{self.path} holds checkpoints of another network, which "
                f"--replace_config cannot change:\n{differences}\nUse another folder."
            )
        newest = max(self.checkpoints.glob("[0-9]*px_step_*"), default=None)
        reached = int(newest.name.split("_")[1].removesuffix("px")) if newest else 0
        if reached > config.stages[-1].resolution:
            raise RunError(
                f"Expected stages up to at least {reached} pixels, where {self.path} "
                f"is already, received stages up to {config.stages[-1].resolution}: "
                "use another folder."
            )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second process out of the folder.

        Raises:
            RunError: if another process is in it.
        """
        try:
            import fcntl
        except ImportError:  # Windows
            yield
            return
        with contextlib.ExitStack() as stack:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                # A link that a stranger has put there is not followed.
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
                lock = os.open(self.path / ".lock", flags, 0o666)
                stack.callback(os.close, lock)
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunError(
                    f"Another process is training in {self.path}; wait for it or use "
                    "another folder."
                ) from error
            except OSError as error:
                raise RunError(f"Cannot write to {self.path}: {error}") from error
            yield

    def load(self) -> CFEBM:
        """The trained ladder, a `CFEBM`; see `load_ladder`."""
        return load_ladder(self.ladder)


def load_ladder(path: PathLike) -> CFEBM:
    """Reads a trained model.

    Args:
        path: a run folder, a `.keras` file, a folder of `saved_models`, or the name of
            a preset that comes with weights.

    Raises:
        RunError: if there is no such model, or its file is damaged or of another.

    Example:

    ```python
    model = load_ladder("runs/demo")
    model = load_ladder("fashion_mnist")
    ```
    """
    try:
        return CFEBM.from_preset(model_file(path))
    except (OSError, ValueError) as error:
        raise RunError(str(error)) from error


def model_file(path: PathLike) -> pathlib.Path:
    """The file of a trained model; see `load_ladder`.

    Raises:
        RunError: if there is none.
    """
    file = find_model(path)
    if file is None and RunFolder(path).config.is_file():
        raise RunError(
            f"Expected a trained model in {path}, found a run that is not finished: "
            f"cfebm train --run_dir={path} goes on with it."
        )
    if file is None:
        raise RunError(
            f"Expected a trained model at {path}, found none. A model is a run folder, "
            "a .keras file, a folder of saved_models, or the name of a preset that "
            "comes with weights (cfebm presets)."
        )
    return file


def read_json(path: pathlib.Path) -> Any:
    """The value in a JSON file; RunError if it cannot be read as JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(
            f"Expected a JSON file at {path}, as cfebm writes it: {error}"
        ) from error


def read_metrics(run: RunFolder) -> list[dict[str, float]]:
    """The rows of `metrics.csv`, see `keras_cfebm.callbacks.EnergyLog`.

    Empty where nothing has been logged yet. What the log left open is NaN.

    Raises:
        RunError: if the file is not such a log.
    """
    if not run.metrics.is_file():
        return []
    try:
        with open(run.metrics, encoding="utf-8", newline="") as file:
            return [
                {name: float(row[name] or math.nan) for name in (*_LOGGED, *row)}
                for row in csv.DictReader(file)
            ]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise RunError(
            f"Expected numbers under the columns {', '.join(_LOGGED)} in "
            f"{run.metrics}: {error!r}"
        ) from error


def _checksum(config):
    return hashlib.sha256(config.to_json().encode()).hexdigest()


def _differences(old, new, place=""):
    """A text that says, line by line, where two configurations differ."""
    if old == new:
        return ""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return f"  {place}: {old!r} there, {new!r} now"
    names = sorted({*old, *new}, key=str)
    dot = place and f"{place}."
    texts = [_differences(old.get(n), new.get(n), f"{dot}{n}") for n in names]
    return "\n".join(filter(None, texts))
