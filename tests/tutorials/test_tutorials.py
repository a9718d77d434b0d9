"""Every tutorial keeps its form, is what its source says, and runs to its end."""

import base64
import gzip
import io
import pathlib
import re
import sys

import nbformat
import numpy as np
import PIL.Image
import pytest
import quick_graphs

from keras_cfebm.utils.version import REPOSITORY_URL

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from tutorials import build, notebooks  # noqa: E402

SOURCES = notebooks.sources()
OWN_IMAGES = "07_your_own_images"
#: Those that train: a few steps are sooner taken than their graphs are made.
TRAINING = ("01_coarse_to_fine", OWN_IMAGES, "cfebm_from_scratch")
MOST_BYTES = 500_000
MOST_MINUTES = 5
#: What an example of its own may take: it trains with plain Keras layers.
MOST_MINUTES_OF_AN_EXAMPLE = 10

each_tutorial = pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.stem)
each_notebook = pytest.mark.parametrize(
    "source", [*SOURCES, *notebooks.examples()], ids=lambda s: s.stem
)


def exercises_of(texts):
    """How many exercises the notebook sets."""
    (text,) = [text for text in texts if "## Exercises" in text]
    return len(re.findall(r"^\d+\. ", text.split("## Exercises")[1], re.M))


def solutions_of(texts):
    """The numbers of the exercises that cells are titled as solutions of."""
    titles = "\n".join(text.splitlines()[0] for text in texts if text.startswith("# @"))
    return [
        number
        for first, last in re.findall(r"Solutions? (\d+)(?: (?:and|to) (\d+))?", titles)
        for number in range(int(first), int(last or first) + 1)
    ]


@each_tutorial
def test_source_has_the_form_of_a_lesson(source):
    notebook = notebooks.assemble(source)
    texts = [cell.source for cell in notebook.cells]
    assert len(notebook.cells) <= 25
    assert len(notebooks.parameters_cells(notebook)) == 1
    assert "goals" in texts[2]
    assert 3 <= exercises_of(texts) <= 5
    assert solutions_of(texts) == list(range(1, exercises_of(texts) + 1))
    assert texts[-1].startswith("## What to remember")


@each_notebook
def test_notebook_is_the_one_of_its_source(source):
    assert build.up_to_date(source), f"run `python tutorials/build.py {source.stem}`"


@each_notebook
def test_notebook_has_small_outputs_and_a_stated_time(source):
    notebook = build.written(source)
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", ())
    ]
    assert pictures
    assert source.with_suffix(".ipynb").stat().st_size < MOST_BYTES
    took = notebooks.read_json(notebooks.TIMES)[source.stem]
    lesson = source in SOURCES
    limit = MOST_MINUTES if lesson else MOST_MINUTES_OF_AN_EXAMPLE
    assert took["core_minutes"] / took["cores"] < limit


def test_outputs_are_kept_while_the_code_is_the_same():
    before, after = (notebooks.assemble(SOURCES[4]) for _ in range(2))
    (solution,) = (c for c in after.cells if "Solution 5" in c.source)
    solution.source += "\n# Why: a comment."
    notebooks.keep_outputs(after, before)
    solution.source += "\nprint(1)"
    with pytest.raises(ValueError, match="has to be run again"):
        notebooks.keep_outputs(after, before)


def test_pictures_are_kept_small():
    sheet = np.random.default_rng(0).integers(0, 256, (64, 64, 1), np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(sheet.repeat(3, axis=2)).save(buffer, "PNG")
    png = base64.b64encode(buffer.getvalue()).decode()
    output = nbformat.v4.new_output("display_data", {"image/png": png})
    cell = nbformat.v4.new_code_cell(outputs=[output])
    notebooks.strip(nbformat.v4.new_notebook(cells=[cell]))
    kept = cell.outputs[0].data["image/png"]
    assert len(kept) < len(png) / 2
    shown = PIL.Image.open(io.BytesIO(base64.b64decode(kept))).convert("L")
    assert np.abs(np.asarray(shown, int) - sheet[..., 0]).max() <= 4


def test_a_badge_stands_where_the_repository_can_be_had(monkeypatch):
    assert "colab" not in notebooks.badge("00_x")
    monkeypatch.setattr(notebooks, "PUBLISHED", True)
    badge = notebooks.badge("00_x")
    assert REPOSITORY_URL.removeprefix("https://github.com/") in badge
    assert "00_x.ipynb" in badge


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """A function that runs the cell of installation; what it would give to pip."""
    monkeypatch.chdir(tmp_path)
    commands = []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("subprocess.run", lambda c, check: commands.append(c))

    def run(address=""):
        cell = notebooks.INSTALL.replace("address = ''", f"address = {address!r}")
        exec(compile(cell, "cell", "exec"), {})
        (command,) = commands
        assert command[1:4] == ["-m", "pip", "install"]
        return command[-1]

    return run


def test_the_installation_takes_a_wheel_a_checkout_or_the_address(installed, tmp_path):
    model = tmp_path / "drive" / "MyDrive" / "source" / "keras_cfebm" / "model.py"
    model.parent.mkdir(parents=True)
    model.touch()
    assert installed() == f"{tmp_path}/drive/MyDrive/source[eval]"


def test_the_installation_prefers_a_wheel(installed, tmp_path):
    (tmp_path / "keras_cfebm-0.1.0-py3-none-any.whl").touch()
    assert installed() == f"{tmp_path}/keras_cfebm-0.1.0-py3-none-any.whl[eval]"


def test_the_installation_prefers_the_address(installed):
    assert installed(REPOSITORY_URL) == f"keras_cfebm[eval] @ git+{REPOSITORY_URL}"


def test_the_installation_says_what_is_missing(installed):
    with pytest.raises(SystemExit, match=r"no public address yet.*pip wheel"):
        installed()


@pytest.fixture
def data_of_keras(tmp_path, monkeypatch):
    """Stands in for the Fashion-MNIST files that Keras would download."""
    folder = tmp_path / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype=np.uint8)
    for part in ("train", "t10k"):
        for name, header, values in (
            ("images-idx3", 16, images),
            ("labels-idx1", 8, np.zeros(40, np.uint8)),
        ):
            data = gzip.compress(bytes(header) + values.tobytes())
            (folder / f"{part}-{name}-ubyte.gz").write_bytes(data)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))


def start(source):
    """A cell that makes a notebook quick, before its own ones."""
    text = quick_graphs.EAGERLY if source.stem in TRAINING else quick_graphs.IMPORT
    return nbformat.v4.new_code_cell(text)


@pytest.mark.parametrize(
    "source",
    # That of own images runs on own images, below.
    [s for s in [*SOURCES, *notebooks.examples()] if s.stem != OWN_IMAGES],
    ids=lambda s: s.stem,
)
def test_notebook_runs_with_reduced_parameters(source, data_of_keras):
    notebook = notebooks.assemble(source)
    reduced = notebooks.read_json(notebooks.REDUCED)[source.stem]
    notebooks.set_parameters(notebook, reduced)
    notebook.cells.insert(0, start(source))
    notebooks.execute(notebook)


def test_own_images_take_two_lines(tmp_path):
    """Class folders without splits, 39 files in colour: the model is where it ran."""
    rng = np.random.default_rng(0)
    for number in range(39):
        folder = tmp_path / "photos" / ("cats" if number % 3 else "dogs")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (40, 48, 3), "uint8")
        PIL.Image.fromarray(pixels).save(folder / f"{number}.jpg")
    (source,) = (source for source in SOURCES if source.stem == OWN_IMAGES)
    notebook = notebooks.assemble(source)
    reduced = notebooks.read_json(notebooks.REDUCED)[source.stem]
    notebooks.set_parameters(notebook, reduced)
    (lines,) = (cell for cell in notebook.cells if "own_photos = None" in cell.source)
    photos = str(tmp_path / "photos")
    lines.source = lines.source.replace("= None  # the", f"= {photos!r}  # the")
    lines.source = lines.source.replace(
        '{"fit": "pad", "channels": 1}', '{"fit": "crop", "channels": 3}'
    )
    check = "pathlib.Path('cfebm_run/ladder.keras').is_file(), encoder.name"
    notebook.cells.insert(0, start(source))
    notebook.cells.append(nbformat.v4.new_code_cell(f"print({check})"))
    notebooks.execute(notebook)
    assert notebook.cells[-1].outputs[0].text == "True random-filters-3\n"
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 39


def test_readme_lists_every_tutorial_with_its_time():
    assert build.table() in build.README.read_text(encoding="utf-8")


def test_reduced_values_are_of_parameters_that_exist():
    assert set(notebooks.read_json(notebooks.REDUCED)) == {
        s.stem for s in [*SOURCES, *notebooks.examples()]
    }
    with pytest.raises(ValueError, match="no_such_parameter"):
        notebooks.set_parameters(
            notebooks.assemble(SOURCES[0]), {"no_such_parameter": 1}
        )
