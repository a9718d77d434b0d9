"""The sections of a run's page, each a function of what the run folder holds."""

import dataclasses
import importlib.metadata
import platform
from collections.abc import Sequence

import keras

from keras_cfebm.configs.run_config import RunConfig
from keras_cfebm.runs.report_markup import Markup, element, figure, markup, note
from keras_cfebm.runs.report_tables import (
    bar_table,
    label,
    pair_table,
    table,
    tables,
    text_of,
)
from keras_cfebm.runs.report_training import (
    curves_picture,
    read_json,
    sample_grids,
    saved_model,
    stage_rows,
)
from keras_cfebm.runs.run_folder import RunFolder
from keras_cfebm.utils.version import __version__

_PICTURES = (".png", ".gif")


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page.

    Args:
        anchor: str, its id in the page.
        title: str.
        content: `Markup`.
    """

    anchor: str
    title: str
    content: Markup


def samples(run: RunFolder, config: RunConfig) -> Section:
    """The final samples, and the grids of each resolution as training went on."""
    final = run.path / "samples.png"
    grids = sample_grids(run)
    parts = []
    if final.is_file():
        caption = f"Samples of the trained model; chains start at {_start(config)}."
        parts.append(figure(final, caption, "Grid of samples of the trained model"))
    if not grids:
        parts.append(note("No sample grids yet: training draws one after each epoch."))
    for resolution, epochs in grids.items():
        parts.append(element("h3", f"{resolution} × {resolution} pixels"))
        parts.append(
            element("div", _first_middle_last(resolution, epochs), class_="row")
        )
    return Section("samples", "Samples", markup(parts))


def _start(config):
    return "noise" if config.source is None else "source images"


def _first_middle_last(resolution, epochs):
    numbers = list(epochs)
    shown = dict.fromkeys([numbers[0], numbers[len(numbers) // 2], numbers[-1]])
    for epoch in shown:
        alt = f"Samples at {resolution} pixels after epoch {epoch}"
        yield figure(epochs[epoch], f"Epoch {epoch} of {numbers[-1]}", alt)


def figures(run: RunFolder) -> Section:
    """`figures.json`, as `cfebm demo` writes it: classifier FID beside controls."""
    path = run.path / "figures.json"
    if not path.is_file():
        content = note("No figures yet: cfebm demo judges the samples of its run.")
        return Section("figures", "Figures", content)
    values = read_json(path)
    parts = []
    if isinstance(values, dict):
        values = dict(values)
        distances, classes = values.get("classifier_fid"), values.get("classes")
        if isinstance(distances, dict):
            del values["classifier_fid"]
            reference = text_of(values.get("reference", "the training images"))
            caption = (
                f"Classifier FID against {reference}: the samples, and controls that "
                "give it a scale. 0 is best."
            )
            parts.append(bar_table(distances, caption))
        if isinstance(classes, dict):
            del values["classes"]
            caption = "How many samples the shipped classifier puts into each class."
            parts.append(bar_table(classes, caption))
        parts = [element("div", parts, class_="columns")]
    if values:
        parts.append(tables(values, "How they were measured"))
    return Section("figures", "Figures", markup(parts))


def chains(run: RunFolder, config: RunConfig) -> Section:
    """The chains of the trained model, as a strip and as a film."""
    start, parts = _start(config), []
    if run.chain.is_file():
        caption = f"Chains that start at {start}, a row each; time goes to the right."
        parts.append(figure(run.chain, caption, f"Langevin chains from {start}"))
    if run.film.is_file():
        caption = "The same chains as a film."
        alt = f"Film of Langevin chains from {start}"
        parts.append(figure(run.film, caption, alt, class_="film"))
    missing = note("No chains yet: they are drawn when training has finished.")
    content = element("div", parts, class_="columns") if parts else missing
    return Section("chains", "Chains", content)


def training(run: RunFolder, rows: Sequence[dict[str, float]]) -> Section:
    """The curves, and a table of the stages."""
    if not rows:
        content = note("Nothing logged yet: the first epoch has not finished.")
        return Section("training", "Training", content)
    caption = (
        "Mean energy of data and samples, the gap between the two, and the norm of the "
        "gradient. A gap around 0 says that samples are as likely as data."
    )
    alt = f"Energies, gap and gradient norm over {rows[-1]['step']:.0f} training steps"
    stages = tables(stage_rows(rows), "Stages; energies are those of the last epoch")
    curves = figure(curves_picture(run, rows), caption, alt, class_="plot")
    content = markup([curves, stages])
    return Section("training", "Training", content)


def tasks(run: RunFolder) -> list[Section]:
    """One section per folder of `tasks`: its figures, then its pictures.

    Args:
        run: `RunFolder`.

    Returns:
        List of `Section`s.
    """
    folder = run.path / "tasks"
    folders = sorted(folder.iterdir()) if folder.is_dir() else []
    sections = []
    for number, task in enumerate(filter(_is_visible, folders), start=1):
        if not task.is_dir():
            continue
        title = label(task.name)
        paths = sorted(filter(_is_visible, task.iterdir()))
        records = [path for path in paths if path.suffix == ".json"]
        pictures = [path for path in paths if path.suffix in _PICTURES]
        parts = [_record(read_json(path), label(path.stem)) for path in records]
        shown = [
            figure(path, label(path.stem), alt=f"{title}: {label(path.stem)}")
            for path in pictures
        ]
        if shown:
            parts.append(element("div", shown, class_="pictures"))
        missing = note("No figures or pictures in this folder yet.")
        sections.append(Section(f"task-{number}", title, markup(parts or missing)))
    return sections


def _record(value, name):
    """A JSON file of a task: its figures first, then what was done to get them."""
    parts = []
    if isinstance(value, dict) and "figures" in value:
        parts.append(tables(value["figures"], "Figures"))
        value = {key: item for key, item in value.items() if key != "figures"}
        name = "How they were measured"
    if value or not parts:
        parts.append(tables(value, name))
    return element("div", parts, class_="columns")


def _is_visible(path):
    """Whether a file is a finished one: those being written begin with a dot."""
    return not path.name.startswith(".")


def settings(config: RunConfig) -> Section:
    """The configuration in tables, and as the JSON that recreates the run."""
    values = config.to_dict()
    groups = {
        "Data": values.pop("data"),
        "Energy network": values.pop("network"),
        "Langevin sampling": values.pop("langevin"),
    }
    if source := values.pop("source"):
        groups["Source images"] = source
    stages = values.pop("stages")
    groups["Training"] = values
    pairs = [
        pair_table({n: _setting(n, item) for n, item in group.items()}, caption)
        for caption, group in groups.items()
    ]
    # A column that no stage sets only takes room.
    used = [name for name in stages[0] if any(s[name] is not None for s in stages)]
    used.remove("resolution")
    rows = [(f"{s['resolution']} px", [s[name] for name in used]) for s in stages]
    whole = element(
        "details",
        element("summary", "config.json"),
        element("p", "cfebm train --config=config.json --run_dir=… trains it again."),
        element("pre", element("code", config.to_json())),
    )
    content = [
        table(rows, [label(name) for name in used], "Stages, coarsest first"),
        element("div", pairs, class_="columns"),
        whole,
    ]
    return Section("settings", "Settings", markup(content))


def _setting(name, value):
    """A seed is a name, not a quantity, so its digits are not grouped."""
    return str(value) if name == "seed" else value


def versions(run: RunFolder, date: Markup) -> Section:
    """What this page was made with, and what Keras says about the model's file."""
    packages = {
        name: importlib.metadata.version(name)
        for name in (keras.backend.backend(), "numpy", "matplotlib")
    }
    made = {
        "Date": date,
        "keras_cfebm": __version__,
        "Keras": f"{keras.__version__} on {keras.backend.backend()}",
        **packages,
        "Python": platform.python_version(),
        "System": f"{platform.system()} {platform.machine()}",
    }
    rows = [(name, [text]) for name, text in made.items()]
    parts = [table(rows, None, "This page")]
    if saved := saved_model(run):
        parts.append(tables(saved, "The trained model, ladder.keras"))
    return Section("versions", "Versions", element("div", parts, class_="columns"))
