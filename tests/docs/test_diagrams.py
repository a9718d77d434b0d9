"""The diagrams of the docs are what their script draws."""

import pathlib
import re
import sys

import pytest

DOCS = pathlib.Path(__file__).parents[2] / "docs"
sys.path.insert(0, str(DOCS))
import diagrams  # noqa: E402


def words(path):
    return re.findall(r">([^<>]*\w[^<>]*)</", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["expand", "chain", "training_step", "tasks"])
def test_a_diagram_is_drawn_by_its_script(name, tmp_path, monkeypatch):
    monkeypatch.setattr(diagrams, "FOLDER", tmp_path)
    drawn = getattr(diagrams, name)()
    assert len(words(drawn)) > 4
    assert words(drawn) == words(DOCS / "images" / f"{name}.svg")
    assert drawn.stat().st_size < 50_000
