"""The page of a run: one HTML file that holds its pictures and loads nothing."""

import datetime
import importlib.metadata
import io
import json
import math
import pathlib
import platform
import re
import zipfile

import jinja2
import keras

from keras_cfebm import visualization
from keras_cfebm.runs import report_data
from keras_cfebm.runs.report_data import pairs, table, tables, text_of
from keras_cfebm.runs.run_folder import RunError, RunFolder, read_json, read_metrics
from keras_cfebm.utils import atomic_files
from keras_cfebm.utils.typing import PathLike
from keras_cfebm.utils.version import __version__

_GRID_NAME = re.compile(r"0*(\d+)_0*(\d+)px_epoch_0*(\d+)")
# Not allowed in HTML, not encodable, or able to reverse the text around them.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)
# Names of image sets, classes and files come from outside: the template escapes all.
_PAGES = jinja2.Environment(
    loader=jinja2.PackageLoader("keras_cfebm", "assets"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGES.globals["picture"] = report_data.picture
_PAGES.filters["label"] = report_data.label
# Of an image set that is a path, its last part: the settings have it all.
_PAGES.filters["name"] = lambda data: pathlib.PurePath(data.name).name or data.name


def write_report(folder: PathLike, output: PathLike | None = None) -> pathlib.Path:
    """Writes the page of a run, as a whole or not at all.

    Args:
        folder: path of the run folder; the run may be unfinished.
        output: HTML file to write; None for `report.html` in the run folder.

    Raises:
        RunError: see `run_report`.
        OSError: if the page cannot be written.
    """
    output = pathlib.Path(output or pathlib.Path(folder, "report.html"))
    page = run_report(folder)
    output.parent.mkdir(parents=True, exist_ok=True)
    atomic_files.write_text(output, page)
    return output


def run_report(folder: PathLike) -> str:
    """The page of a run: HTML without scripts, which loads nothing.

    Args:
        folder: path of the run folder. What an unfinished run does not have yet is
            named as missing.

    Raises:
        RunError: if it is not a run folder, or a JSON file or the log in it cannot be
            read.
    """
    run = RunFolder(folder)
    if not run.config.is_file():
        raise RunError(
            "Expected a run folder, with the config.json that cfebm train writes, "
            f"received {run.path}."
        )
    now = datetime.datetime.now().astimezone()
    config = run.read_config()
    rows = read_metrics(run)
    path = run.path / "figures.json"
    figures = read_json(path) if path.is_file() else None
    page = _PAGES.get_template("report.html").render(
        run=run,
        config=config,
        name=run.path.resolve().name or "run",
        step=int(rows[-1]["step"]) if rows else 0,
        planned=sum(math.prod(s.epochs(config.report_steps)) for s in config.stages),
        highlights=report_data.highlights(config, rows, figures, _verdict(run)),
        samples=run.path / "samples.png",
        grids=_sample_grids(run),
        figures=_figures(figures) if path.is_file() else None,
        curves=_curves(run, rows) if rows else None,
        stages=_stages(rows),
        tasks=_tasks(run),
        settings=_settings(config),
        versions=_versions(run, now),
        version=__version__,
        now=now,
    )
    return _UNSAFE.sub("\ufffd", page)


def _verdict(run):
    """That of `cfebm diagnose`, or None."""
    path = run.path / "tasks" / "diagnose" / "figures.json"
    record = read_json(path) if path.is_file() else None
    figures = record.get("figures") if isinstance(record, dict) else None
    return figures.get("verdict") if isinstance(figures, dict) else None


def _sample_grids(run):
    """The grids drawn in training: (stage, resolution) -> epoch -> path, ascending."""
    grids: dict[tuple[int, int], dict] = {}
    for path in run.samples.glob("*.png"):
        if match := _GRID_NAME.fullmatch(path.stem):
            stage, resolution, epoch = map(int, match.groups())
            grids.setdefault((stage, resolution), {})[epoch] = path
    return {
        place: dict(sorted(epochs.items())) for place, epochs in sorted(grids.items())
    }


def _figures(values):
    """The tables of what `cfebm demo` has measured: with bars, and others."""
    bars = []
    if isinstance(values, dict):
        values = dict(values)
        reference = text_of(values.get("reference", "the training images"))
        captions = {
            "classifier_fid": f"Classifier FID against {reference}: the samples, and "
            "controls that give it a scale. 0 is best.",
            "classes": "How many samples the shipped classifier puts into each class.",
        }
        for name, caption in captions.items():
            if isinstance(values.get(name), dict):
                bars += report_data.bars(caption, values.pop(name))
    return bars, tables("How they were measured", values) if values else []


def _curves(run, rows):
    """The energy curves as a PNG; drawn from the rows while there is no file yet."""
    if run.energies.is_file():
        return run.energies
    png = io.BytesIO()
    visualization.energy_curves(rows).savefig(png, format="png", dpi=150)
    return png.getvalue()


def _stages(rows):
    """The course of training in one row per stage."""
    stages: dict[tuple[int, int], list] = {}
    for row in rows:
        place = int(row["stage"]), int(row["resolution"])
        stages.setdefault(place, []).append(row)
    last = ("data_energy", "sample_energy", "gap", "gradient_norm")
    records = {
        f"{number}: {resolution} px": {
            "epochs": len(epochs),
            "steps": int(epochs[-1]["stage_step"]),
            "minutes": sum(row["seconds"] for row in epochs) / 60,
            **{name: epochs[-1][name] for name in last},
        }
        for (number, resolution), epochs in stages.items()
    }
    return tables("Stages; energies are those of the last epoch", records)


def _tasks(run):
    """The folders of `tasks`: name -> checks, tables of its JSON files, pictures."""
    folder = run.path / "tasks"
    tasks = {}
    for task in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not task.is_dir() or task.name.startswith("."):
            continue
        # Files that are being written begin with a dot.
        paths = sorted(p for p in task.iterdir() if not p.name.startswith("."))
        values = {
            path.stem: read_json(path) for path in paths if path.suffix == ".json"
        }
        checks = {k: c for value in values.values() for k, c in _checks(value).items()}
        records = [_record(*item) for item in values.items()]
        pictures = [p for p in paths if p.suffix in (".png", ".gif")]
        tasks[task.name] = checks, records, pictures
    return tasks


def _checks(value):
    """The verdicts of `cfebm diagnose`, by name; they are taken out of the record."""
    figures = value.get("figures") if isinstance(value, dict) else None
    if not isinstance(figures, dict) or not isinstance(figures.get("checks"), dict):
        return {}
    keys = [
        isinstance(check, dict) and {*check} for check in figures["checks"].values()
    ]
    known = all(found == {"verdict", "meaning"} for found in keys)
    return figures.pop("checks") if known else {}


def _record(stem, value):
    """A JSON file of a task: its figures first, then what was done to get them."""
    name, found = report_data.label(stem), []
    if isinstance(value, dict) and "figures" in value:
        found = tables("Figures", value.pop("figures"))
        name = "How they were measured"
    return found + tables(name, value) if value or not found else found


def _settings(config):
    """The configuration: a table of stages, then one for each group of settings."""
    values = config.to_dict()
    stages = values.pop("stages")
    groups = {
        "Data": values.pop("data"),
        "Energy network": values.pop("network"),
        "Langevin sampling": values.pop("langevin"),
    }
    if source := values.pop("source"):
        groups["Source images"] = source
    # A seed is a name, not a quantity, so its digits are not grouped.
    groups["Training"] = values | {"seed": str(values["seed"])}
    # A column that no stage sets only takes room.
    used = [name for name in stages[0] if any(s[name] is not None for s in stages)]
    used.remove("resolution")
    rows = [(f"{s['resolution']} px", [s[name] for name in used]) for s in stages]
    columns = list(map(report_data.label, used))
    whole = table("Stages, coarsest first", rows, columns)
    return whole, [pairs(caption, group) for caption, group in groups.items()]


def _versions(run, now):
    """What this page was made with, and what Keras says about the model's file."""
    backend = keras.backend.backend()
    made = {
        "Date": f"{now:%Y-%m-%d %H:%M %Z}",
        "keras_cfebm": __version__,
        "Keras": f"{keras.__version__} on {backend}",
        **{p: importlib.metadata.version(p) for p in (backend, "numpy", "matplotlib")},
        "Python": platform.python_version(),
        "System": f"{platform.system()} {platform.machine()}",
    }
    found = [table("This page", [(name, [text]) for name, text in made.items()])]
    try:
        with zipfile.ZipFile(run.ladder) as archive:
            saved = json.loads(archive.read("metadata.json"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        saved = {}  # no model yet, or its file does not say
    if isinstance(saved, dict) and saved:
        found += tables("The trained model, ladder.keras", saved)
    return found
