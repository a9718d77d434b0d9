"""How a tutorial's source, a .py file, becomes a notebook: cells, parameters, a run."""

import ast
import base64
import io
import json
import os
import pathlib
import re
import resource
import runpy
import tempfile
import time
from collections.abc import Mapping
from typing import Any

import jupytext
import nbclient
import nbformat
from PIL import Image

FOLDER = pathlib.Path(__file__).parent
# Without importing the package, and with it TensorFlow, for the sake of two strings.
_VERSION = runpy.run_path(str(FOLDER.parent / "keras_cfebm" / "utils" / "version.py"))
REPOSITORY_URL, PUBLISHED = _VERSION["REPOSITORY_URL"], _VERSION["PUBLISHED"]
TIMES = FOLDER / "times.json"
REDUCED = FOLDER / "reduced.json"
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_SOLUTION = "# @title Solution"

# Plain Python and the extra `eval` only: it works beside the TensorFlow that is there.
INSTALL = f"""\
# @title Install keras_cfebm where it is missing {{display-mode: "form"}}
import importlib.util
import pathlib
import subprocess
import sys

address = {REPOSITORY_URL if PUBLISHED else ""!r}  # of the repository, once it has one
if importlib.util.find_spec("keras_cfebm") is None:
    here = pathlib.Path.cwd()
    drive = here / "drive" / "MyDrive"
    folders = [f for top in (here, drive) for f in (top, *sorted(top.glob("*")))]
    wheels = [w for f in folders for w in sorted(f.glob("keras_cfebm-*.whl"))]
    checkouts = [f for f in folders if (f / "keras_cfebm" / "model.py").exists()]
    if address:
        package = f"keras_cfebm[eval] @ git+{{address}}"
    elif wheels:
        package = f"{{wheels[-1]}}[eval]"
    elif checkouts:
        package = f"{{checkouts[0]}}[eval]"
    else:
        sys.exit(
            "keras_cfebm has no public address yet. Build its wheel in a checkout by "
            "`pip wheel --no-deps .`, upload that here (the folder on the left), or "
            "mount a Drive that holds it or the checkout, and run this cell again."
        )
    command = [sys.executable, "-m", "pip", "install", "--quiet", package]
    subprocess.run(command, check=True)
    importlib.invalidate_caches()"""


def sources() -> list[pathlib.Path]:
    """The tutorials' sources, in the order of the syllabus."""
    return sorted(FOLDER.glob("[0-9][0-9]_*.py"))


def examples() -> list[pathlib.Path]:
    """Sources of notebooks that stand by themselves, in the form of keras.io's."""
    return sorted(FOLDER.glob("*_from_scratch.py"))


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """The values of a JSON file, none if it does not exist."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def title(source: pathlib.Path) -> str:
    """The title of a tutorial, its first heading."""
    heading = re.search(r"^# # (.+)$", source.read_text(encoding="utf-8"), re.M)
    if heading is None:
        raise ValueError(f"Expected a line '# # Title' in {source.name}, found none.")
    return heading[1]


def minutes_on(measured: dict[str, Any]) -> str:
    """How long a tutorial takes by the clock, and on how many cores."""
    cores = measured["cores"]
    return f"{measured['minutes']:.1f} minutes on {cores} CPU core{'s' * (cores > 1)}"


def timing(name: str) -> str:
    """What is known of the time that a tutorial takes, as a sentence."""
    measured = read_json(TIMES).get(name)
    if measured is None:
        return "**Time:** not measured yet."
    return (
        f"**Time:** {minutes_on(measured)} without a GPU, by the clock of a machine "
        f"with nothing else to do ({measured['core_minutes']:.1f} core-minutes of "
        f"work; {measured['date']})."
    )


def badge(name: str) -> str:
    """The badge that opens a tutorial in Colab, and its time, as Markdown.

    Raises:
        ValueError: if the repository is not on GitHub, from where Colab opens files.
    """
    if not PUBLISHED:
        return timing(name)
    host, repository = REPOSITORY_URL.rstrip("/").split("//")[-1].split("/", 1)
    if host != "github.com":
        raise ValueError(f"Expected a repository on GitHub, received {REPOSITORY_URL}.")
    address = f"https://colab.research.google.com/github/{repository}"
    return (
        "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
        f"({address}/blob/main/tutorials/{name}.ipynb)\n\n{timing(name)}"
    )


def assemble(source: pathlib.Path) -> nbformat.NotebookNode:
    """The notebook of a source, without outputs.

    Args:
        source: path of a .py file in jupytext's percent format.

    Returns:
        Notebook whose first two cells, badge and installation, the source does not
        have. Cells that are titled as solutions are folded.
    """
    cells = [
        nbformat.v4.new_markdown_cell(badge(source.stem)),
        nbformat.v4.new_code_cell(INSTALL, metadata={"cellView": "form"}),
        *jupytext.read(source, fmt="py:percent").cells,
    ]
    for index, cell in enumerate(cells):
        cell.id = f"cell-{index:02d}"
        if cell.source.startswith(_SOLUTION):
            cell.metadata.update(cellView="form", jupyter={"source_hidden": True})
    return nbformat.v4.new_notebook(cells=cells, metadata=_METADATA)


def parameters_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The cells tagged as holding the parameters."""
    return [c for c in notebook.cells if "parameters" in c.metadata.get("tags", ())]


def set_parameters(notebook: nbformat.NotebookNode, values: Mapping[str, Any]) -> None:
    """Changes values in the parameters cell, for a shorter run.

    Args:
        notebook: notebook to change.
        values: parameter → value.

    Raises:
        ValueError: if the cell has no such parameter.
    """
    (cell,) = parameters_cells(notebook)
    for name, value in values.items():
        line = rf"^{name} = .*?(?=  # ?@param)"
        cell.source, found = re.subn(
            line, lambda _, n=name, v=value: f"{n} = {v!r}", cell.source, flags=re.M
        )
        if not found:
            raise ValueError(f"Expected a parameter {name!r} in:\n{cell.source}")


def execute(notebook: nbformat.NotebookNode) -> dict[str, float]:
    """Runs a notebook in place, in an empty folder, without a GPU or the network.

    Args:
        notebook: notebook; its cells receive their outputs.

    Returns:
        Dict of `minutes` by the clock and `core_minutes` of all cores together.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    nowhere = "http://127.0.0.1:9"  # a port that nobody serves
    environment = {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), nowhere),
        "no_proxy": "localhost,127.0.0.1",
    }
    began, before = time.monotonic(), _children_seconds()
    with tempfile.TemporaryDirectory() as folder:
        client = nbclient.NotebookClient(
            notebook, timeout=None, resources={"metadata": {"path": folder}}
        )
        client.execute(env=environment)
    return {
        "minutes": (time.monotonic() - began) / 60,
        "core_minutes": (_children_seconds() - before) / 60,
    }


def _children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def strip(notebook: nbformat.NotebookNode) -> None:
    """Drops what differs from run to run, and warnings; makes its pictures small."""
    notebook.metadata = nbformat.from_dict(_METADATA)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = _joined(cell.outputs)
            for output in cell.outputs:
                data = output.get("data", {})
                data.pop("image/jpeg", None)  # IPython stores Pillow's images twice
                if "image/png" in data:
                    data["image/png"] = _in_few_colours(data["image/png"])
                if "execution_count" in output:
                    output.execution_count = None


def _in_few_colours(png):
    """A picture, as base64, with 128 colours, if that makes it smaller."""
    picture = Image.open(io.BytesIO(base64.b64decode(png)))
    small = io.BytesIO()
    few = picture.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    few.save(small, "PNG", optimize=True)
    return min(base64.b64encode(small.getvalue()).decode(), png, key=len)


def _joined(outputs):
    """Outputs without warnings and bars; what was printed in a row is one."""
    kept = []
    for output in outputs:
        if output.output_type == "stream":
            # In a notebook TensorFlow's Python side logs to the standard output. Of
            # progress bars every run has others, or none.
            output.text = re.sub(
                r"^[A-Z]+:tensorflow:.*\n+|^.*━.*\n?", "", output.text, flags=re.M
            )
            if output.name == "stderr" or not output.text.strip():
                continue
        if kept and output.output_type == kept[-1].output_type == "stream":
            kept[-1].text += output.text
        else:
            kept.append(output)
    return kept


def keep_outputs(
    notebook: nbformat.NotebookNode, before: nbformat.NotebookNode
) -> None:
    """Takes the outputs of an earlier run over, as long as no code has changed.

    Comments may change: those of a solution say why its output is what it is.

    Raises:
        ValueError: if a code cell has changed, so that its output may be another one.
    """
    new, old = (
        [cell for cell in n.cells[2:] if cell.cell_type == "code"]
        for n in (notebook, before)
    )
    if [_code(cell) for cell in new] != [_code(cell) for cell in old]:
        raise ValueError("Expected the code of the last run; it has to be run again.")
    for cell, earlier in zip(new, old, strict=True):
        cell.outputs = earlier.outputs


def _code(cell):
    """The code of a cell without its comments; a magic counts as a string."""
    return ast.dump(ast.parse(re.sub(r"^(%.*)$", r'"\1"', cell.source, flags=re.M)))
