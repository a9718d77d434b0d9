"""The script that reads the package's structure finds what it looks for."""

import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[2]

SOUND = {
    "__init__.py": "from .model import CFEBM\n",
    "model.py": "from made_up import layers\nfrom made_up.utils import files\n",
    "layers/__init__.py": "from made_up.layers.blocks import Block\n",
    "layers/blocks.py": "import numpy\n\nfrom ..utils import files\n",
    "utils/__init__.py": "",
    "utils/files.py": "import os\n",
    "cli/__init__.py": "def run():\n    import made_up.model\n",
}


@pytest.fixture
def report(monkeypatch, tmp_path, capsys):
    """A function that returns the exit status and the report of a package's files."""
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import structure

    def run(files):
        for name, text in files.items():
            path = tmp_path / "made_up" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        status = structure.main(["--package", str(tmp_path / "made_up")])
        return status, capsys.readouterr().out

    return run


def test_a_sound_package_passes_and_its_path_is_counted(report):
    status, shown = report(SOUND)
    assert status == 0
    assert "0 circles" in shown and "0 imports that run upwards" in shown
    # model, layers, layers.blocks and utils.files, and nothing of cli
    assert "4 files, 7 lines are imported by made_up.model" in shown
    assert "2 modules at the top level" in shown
    assert [row for row in shown.splitlines() if row.split()[:1] == ["layers"]] == [
        "  layers             2 files      4 lines"
    ]


def test_what_is_read_for_the_step_is_what_it_calls(report):
    model = (
        "from made_up import layers\nfrom made_up.utils import files\n"
        "class CFEBM:\n"
        "    def train_step(self):\n"
        "        return self.loss() + layers.Block().bind()\n"
        "    def loss(self):\n        return 1\n"
        "    def save(self):\n        return files.write()\n"
    )
    blocks = "class Block:\n    def bind(self):\n        return 2\n"
    files = {"model.py": model, "layers/blocks.py": blocks}
    files["utils/files.py"] = "def write():\n    return 3\n"
    _, shown = report({**SOUND, **files})
    assert "2 files, 6 lines on the path to train_step" in shown
    assert "4 of    9  made_up.model" in shown
    assert "2 of    3  made_up.layers.blocks" in shown


@pytest.mark.parametrize("kind", ["at the top", "in a function", "in a stub"])
def test_a_circle_is_found(report, kind):
    late = "def write():\n    from made_up.layers import blocks\n"
    changed = {
        "at the top": {"utils/files.py": "from made_up.layers.blocks import Block\n"},
        "in a function": {"utils/files.py": late},
        "in a stub": {"utils/files.pyi": "from made_up.layers.blocks import Block\n"},
    }
    status, shown = report({**SOUND, **changed[kind]})
    assert status == 1
    assert "made_up.layers.blocks ↔ made_up.utils.files" in shown
    assert "  layers ↔ utils" in shown
    assert "made_up.utils.files → made_up.layers.blocks" in shown


def test_folders_that_import_each_other_are_a_circle_without_one_of_modules(report):
    files = {
        "tasks/one.py": "from made_up.configs import two\n",
        "configs/two.py": "",
        "configs/three.py": "from made_up.tasks import one\n",
    }
    status, shown = report({**SOUND, **files})
    assert status == 1
    assert "1 circles of imports\n  configs ↔ tasks\n" in shown
    assert "0 imports that run upwards" in shown


def test_an_upward_import_is_found_without_a_circle(report):
    status, shown = report({**SOUND, "sampling.py": "import made_up.cli\n"})
    assert status == 1
    assert "0 circles" in shown
    assert "1 imports that run upwards\n  made_up.sampling → made_up.cli\n" in shown


def test_a_module_needs_a_place_in_the_order(report):
    files = {"helpers.py": "", "model.py": "import made_up.helpers\n"}
    status, shown = report({**SOUND, **files})
    assert status == 1
    assert "made_up.model → made_up.helpers" in shown
