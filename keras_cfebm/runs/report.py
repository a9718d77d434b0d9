"""The page of a run: its head, its sections, and the file it is written to."""

import datetime
import importlib.resources
import pathlib
import string

from keras_cfebm.runs import report_sections
from keras_cfebm.runs.report_markup import Markup, element, markup
from keras_cfebm.runs.report_tables import text_of
from keras_cfebm.runs.report_training import planned_steps, read_json, read_metrics
from keras_cfebm.runs.run_folder import RunError, RunFolder
from keras_cfebm.utils import atomic_files
from keras_cfebm.utils.typing import PathLike
from keras_cfebm.utils.version import __version__


def write_report(folder: PathLike, output: PathLike | None = None) -> pathlib.Path:
    """Writes the page of a run, as a whole or not at all.

    Args:
        folder: path of the run folder; the run may be unfinished.
        output: HTML file to write; None for `report.html` in the run folder.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        RunError: see `run_report`.
        OSError: if the page cannot be written.
    """
    output = pathlib.Path(folder, "report.html") if output is None else output
    output = pathlib.Path(output)
    page = run_report(folder)
    output.parent.mkdir(parents=True, exist_ok=True)
    atomic_files.write_text(output, page)
    return output


def run_report(folder: PathLike) -> str:
    """The page of a run.

    Args:
        folder: path of the run folder. What an unfinished run does not have yet is
            named as missing.

    Returns:
        str, an HTML document without scripts that loads nothing; its pictures are in
        it.

    Raises:
        RunError: if it is not a run folder, or a JSON file or the log in it cannot be
            read.
    """
    run = RunFolder(folder)
    if not run.config.is_file():
        raise RunError(
            f"Expected a run folder, with the config.json that cfebm train writes. "
            f"Received: {run.path}"
        )
    config = run.read_config()
    rows = read_metrics(run)
    now = datetime.datetime.now().astimezone()
    date = element(
        "time", f"{now:%Y-%m-%d %H:%M %Z}", datetime=f"{now:%Y-%m-%dT%H:%M%z}"
    )
    parts = [
        report_sections.samples(run, config),
        report_sections.figures(run),
        report_sections.chains(run, config),
        report_sections.training(run, rows),
        *report_sections.tasks(run),
        report_sections.settings(config),
        report_sections.versions(run, date),
    ]
    links = [
        element("li", element("a", part.title, href=f"#{part.anchor}"))
        for part in parts
    ]
    name = run.path.resolve().name or "run"
    assets = importlib.resources.files("keras_cfebm.assets")
    template = string.Template((assets / "report.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=markup(f"{name} – CF-EBM run"),
        style=(assets / "report.css").read_text(encoding="utf-8"),
        name=markup(name),
        summary=_summary(config),
        status=_status(run, config, rows),
        highlights=_highlights(run, config, rows),
        contents=markup(links),
        sections=markup(_rendered(part) for part in parts),
        version=markup(__version__),
        date=date,
    )


def _rendered(section):
    heading = element("h2", section.title, id=f"{section.anchor}-title")
    return element(
        "section",
        heading,
        section.content,
        id=section.anchor,
        aria_labelledby=f"{section.anchor}-title",
    )


def _summary(config):
    sizes = " → ".join(str(stage.resolution) for stage in config.stages)
    kind = "Class-conditional energy" if config.network.conditional else "Energy"
    parts = [f"{kind} of ", _short_name(config.data)]
    if config.source is not None:
        parts += [", to translate ", _short_name(config.source)]
    return markup([*parts, f", learned from coarse to fine: {sizes} pixels"])


def _short_name(data):
    """The name of an image set; of a path, its last part (the settings have it all)."""
    return element("strong", pathlib.PurePath(data.name).name or data.name)


def _status(run, config, rows):
    if run.ladder.is_file():
        return element("span", "Finished", class_="status finished")
    done = int(rows[-1]["step"]) if rows else 0
    text = f"Unfinished: {done:,} of {planned_steps(config):,} training steps"
    return element("span", text, class_="status unfinished")


def _chain_steps(config):
    """Steps of a whole chain; of a translation, which has one level, of that."""
    own = [stage.langevin for stage in config.stages if stage.langevin is not None]
    langevin = own[-1] if own else config.langevin
    levels = len(config.stages)
    if config.source is not None:
        return langevin.steps_at(levels - 1)
    return langevin.total_steps(levels)


def _highlights(run, config, rows):
    """The few figures that one wants first."""
    shown = {}
    path = run.path / "figures.json"
    values = read_json(path) if path.is_file() else {}
    if isinstance(values, dict) and isinstance(values.get("classifier_fid"), dict):
        distances = values["classifier_fid"]
        shown["Classifier FID"] = distances.get("samples")
        shown["Classifier FID of test images"] = distances.get("test")
    if rows:
        shown["Training steps"] = int(rows[-1]["step"])
        shown["Minutes of training"] = round(
            sum(row["seconds"] for row in rows) / 60, 1
        )
    shown["Langevin steps per image"] = _chain_steps(config)
    pairs = [
        element("div", element("dt", name), element("dd", text_of(value)))
        for name, value in shown.items()
        if value is not None
    ]
    return element("dl", pairs, class_="highlights") if pairs else Markup("")
