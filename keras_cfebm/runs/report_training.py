"""What a run has logged, read from its folder: rows of metrics, stages, the model."""

import csv
import io
import json
import math
import pathlib
import re
import zipfile
from collections.abc import Sequence
from typing import Any

from keras_cfebm import visualization
from keras_cfebm.configs.run_config import RunConfig
from keras_cfebm.runs.run_folder import RunError, RunFolder
from keras_cfebm.visualization.curves import KEYS

_NEEDED = (*KEYS, "stage_step", "seconds")
_GRID_NAME = re.compile(r"0*(\d+)px_epoch_0*(\d+)")


def read_json(path: pathlib.Path) -> Any:
    """The value in a JSON file.

    Raises:
        RunError: if it cannot be read as JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(
            f"Expected a JSON file at {path}, as cfebm writes it: {error}"
        ) from error


def read_metrics(run: RunFolder) -> list[dict[str, float]]:
    """The rows of `metrics.csv`.

    Args:
        run: `RunFolder`.

    Returns:
        List of dicts of floats, see `keras_cfebm.callbacks.EnergyLog`; empty where
        nothing has been logged yet. What the log left open is NaN.

    Raises:
        RunError: if the file is not such a log.
    """
    if not run.metrics.is_file():
        return []
    try:
        with open(run.metrics, encoding="utf-8", newline="") as file:
            return [
                {name: float(row[name] or math.nan) for name in (*_NEEDED, *row)}
                for row in csv.DictReader(file)
            ]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise RunError(
            f"Expected numbers under the columns {', '.join(_NEEDED)} in "
            f"{run.metrics}: {error!r}"
        ) from error


def curves_picture(
    run: RunFolder, rows: Sequence[dict[str, float]]
) -> pathlib.Path | bytes:
    """The PNG file of the energy curves; drawn from the rows while there is none yet.

    Args:
        run: `RunFolder`.
        rows: what `read_metrics` returned, at least one.

    Returns:
        Path, or bytes.
    """
    if run.energies.is_file():
        return run.energies
    png = io.BytesIO()
    visualization.energy_curves(rows).savefig(png, format="png", dpi=150)
    return png.getvalue()


def planned_steps(config: RunConfig) -> int:
    """Training steps of a finished run of a configuration."""
    epochs = [stage.epochs(config.report_steps) for stage in config.stages]
    return sum(count * steps for count, steps in epochs)


def stage_rows(rows: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    """The course of training in one row per resolution.

    Args:
        rows: what `read_metrics` returned.

    Returns:
        Dict of "8 px" -> dict of figures; energies are those of the last epoch.
    """
    stages: dict[int, list[dict[str, float]]] = {}
    for row in rows:
        stages.setdefault(int(row["resolution"]), []).append(row)
    last = ("data_energy", "sample_energy", "gap", "gradient_norm")
    return {
        f"{resolution} px": {
            "epochs": len(epochs),
            "steps": int(epochs[-1]["stage_step"]),
            "minutes": sum(row["seconds"] for row in epochs) / 60,
            **{name: epochs[-1][name] for name in last},
        }
        for resolution, epochs in stages.items()
    }


def sample_grids(run: RunFolder) -> dict[int, dict[int, pathlib.Path]]:
    """The grids of samples that were drawn during training.

    Args:
        run: `RunFolder`.

    Returns:
        Dict of resolution -> dict of epoch -> path, both ascending.
    """
    grids: dict[int, dict[int, pathlib.Path]] = {}
    for path in run.samples.glob("*.png"):
        if match := _GRID_NAME.fullmatch(path.stem):
            resolution, epoch = map(int, match.groups())
            grids.setdefault(resolution, {})[epoch] = path
    return {level: dict(sorted(grids[level].items())) for level in sorted(grids)}


def saved_model(run: RunFolder) -> dict[str, Any]:
    """When and with what the trained model was saved.

    Args:
        run: `RunFolder`.

    Returns:
        Dict of str -> str, as Keras keeps it in the file; empty where there is no
        model, or its file does not say.
    """
    try:
        with zipfile.ZipFile(run.ladder) as archive:
            values = json.loads(archive.read("metadata.json"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return {}
    return values if isinstance(values, dict) else {}
