"""The code of README: it runs as it is written, with smaller numbers."""

import pathlib
import re
import shlex

import numpy as np
import PIL.Image
import pytest

from keras_cfebm.cli.commands import COMMANDS
from keras_cfebm.cli.main import parsed

ROOT = pathlib.Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
#: What takes long, and what stands in its place.
REDUCED = {
    "epochs=20": "epochs=1",
    "base_width=16": "base_width=1",
    "generate(16)": "generate(2)",
    "generate(64,": "generate(2,",
    "images(64)": "images(2)",
}


def test_all_code_is_looked_at():
    assert {language for language, _ in BLOCKS} == {"python", "bash", "bibtex"}


def test_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: None)
    rng = np.random.default_rng(0)
    pathlib.Path("photos").mkdir()
    for number in range(4):
        pixels = rng.integers(0, 256, (20, 24, 3), "uint8")
        PIL.Image.fromarray(pixels).save(f"photos/{number}.png")

    code = "\n".join(block for language, block in BLOCKS if language == "python")
    for number, smaller in REDUCED.items():
        assert number in code
        code = code.replace(number, smaller)
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["samples"].shape == (2, 32, 32, 1)
    assert names["energies"].shape == names["flagged"].shape == (2,)
    test = names["test"].images(2)
    np.testing.assert_array_equal(names["filled"][:, 0], test[:, 0])  # known pixels
    assert pathlib.Path("samples.png").stat().st_size > 1000


@pytest.mark.parametrize(
    "line",
    [
        line
        for language, block in BLOCKS
        if language == "bash"
        for line in block.replace("\\\n", "").splitlines()
        if line.startswith("cfebm ")
    ],
)
def test_commands_are_understood(line):
    _, name, *arguments = shlex.split(line, comments=True)
    assert parsed(COMMANDS[name], arguments)


def test_targets_of_make_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\S+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
