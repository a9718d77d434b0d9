"""Numbers of flags, tables and JSON files."""

import json

import pytest

from keras_cfebm.cli.text import as_number, print_table, write_json


def test_a_number_that_is_none_names_its_flag():
    assert as_number(int, "steps", "3") == 3
    assert as_number(float, "sigma", "1e-1") == 0.1
    with pytest.raises(ValueError, match="--steps as an integer, received"):
        as_number(int, "steps", "3.5")
    with pytest.raises(ValueError, match="--sigma as a number, received 'much'"):
        as_number(float, "sigma", "much")


def test_a_table_has_text_on_the_left_and_numbers_on_the_right(capsys):
    print_table(
        ["method", "PSNR", "steps", "data"],
        [("model", 23.5, 1200, "a"), ("non_local_means", 5.25, None, "bc")],
    )
    assert capsys.readouterr().out.splitlines() == [
        "method             PSNR  steps  data",
        "model            23.500  1,200  a",
        "non_local_means   5.250      –  bc",
    ]


def test_a_json_file_keeps_letters_as_they_are(tmp_path):
    write_json(tmp_path / "figures.json", {"σ": [1.5, None]})
    text = (tmp_path / "figures.json").read_text(encoding="utf-8")
    assert "σ" in text and text.endswith("}\n")
    assert json.loads(text) == {"σ": [1.5, None]}
