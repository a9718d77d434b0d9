"""The table of commands and flags: complete, and in step with the library."""

import dataclasses
import importlib
import inspect

import pytest

from keras_cfebm import configs
from keras_cfebm.cli.commands import COMMANDS
from keras_cfebm.cli.config import DEFAULT_PRESET, config_from_flags
from keras_cfebm.cli.config_flags import CONFIG_FLAGS
from keras_cfebm.cli.main import main
from keras_cfebm.configs.run_config import DataConfig, NetworkConfig, RunConfig
from keras_cfebm.configs.stages import Stage
from keras_cfebm.datasets import resize
from keras_cfebm.evaluation import KNOWN_ANOMALIES, SIGMAS
from keras_cfebm.evaluation.diagnosis import FACTORS
from keras_cfebm.layers import activations
from keras_cfebm.sampling import Langevin
from keras_cfebm.serving import export, image_files
from keras_cfebm.tasks import MeanPool, operator_of, restore
from keras_cfebm.tasks.anomaly import SCORES
from keras_cfebm.tasks.masks import MASKS


def flag(command, name):
    (row,) = [row for row in COMMANDS[command].rows if row.name == name]
    return row


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_each_flag_with_its_default(name, capsys):
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: cfebm {name} ")
    assert all(len(line) <= 80 for line in shown.splitlines())
    for row in COMMANDS[name].rows:
        (text,) = [
            part
            for part in shown.replace("[no]", "").split("\n  --")[1:]
            if part.split()[0] == row.name
        ]
        if row.required:
            assert "(required)" in text
        elif row.default is not None or row.usual is not None:
            assert "default: " in " ".join(text.split())


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_a_module_that_does_it(name):
    assert callable(importlib.import_module(f"keras_cfebm.cli.{name}").main)


@pytest.mark.parametrize(
    ("section", "described", "without"),
    [
        ("network", NetworkConfig, {"widths"}),
        ("langevin", Langevin, {"clip"}),
        ("stages", Stage, {"resolution", "langevin"}),
    ],
)
def test_each_value_of_a_configuration_has_its_flag(section, described, without):
    fields = {field.name for field in dataclasses.fields(described)}
    assert {row.name for row in CONFIG_FLAGS[section]} == fields - without


def test_each_value_of_a_run_has_its_flag():
    own = {row.name for row in CONFIG_FLAGS["training"]}
    fields = {field.name for field in dataclasses.fields(RunConfig)}
    parts = {"data", "source", "network", "langevin", "stages"}
    of_stages = {"data_chains", "data_chain_steps", "data_chain_noise"}
    assert own == fields - parts - {"source_noise"} - of_stages
    assert "source_noise" in {row.name for row in CONFIG_FLAGS["source"]}


def test_choices_and_defaults_are_those_of_the_library():
    assert flag("export", "max_steps").default == export.MAX_STEPS
    assert flag("export", "max_rows").default == export.MAX_ROWS
    assert tuple(flag("export", "image_fit").limits["enum_values"]) == image_files.FITS
    assert tuple(flag("export", "score").limits["enum_values"]) == ("ladder", *SCORES)
    assert tuple(map(float, flag("denoise", "sigma").default)) == SIGMAS
    assert tuple(map(int, flag("diagnose", "factors").default)) == FACTORS
    assert flag("inpaint", "mask").default == MASKS[0]
    samples = inspect.signature(restore).parameters["samples"].default
    assert flag("restore", "samples").default == samples
    assert isinstance(operator_of(flag("restore", "operator").default), MeanPool)
    for row, names in [
        (flag("inpaint", "mask"), MASKS),
        (flag("detect", "against"), KNOWN_ANOMALIES),
        (flag("detect", "fit"), resize.FITS),
        (flag("train", "fit"), resize.FITS),
        (flag("train", "activation"), activations.ACTIVATIONS),
    ]:
        assert all(name in row.text for name in names)


def test_the_defaults_of_training_are_those_of_images_of_ones_own():
    values = COMMANDS["train"].flag_values()
    values(["cfebm", "--data=photos", "--resolution=512"])
    config = config_from_flags(values)
    usual = {row.name: row.usual for rows in CONFIG_FLAGS.values() for row in rows}
    assert {name for name, text in usual.items() if text is None} == {
        "preset",
        "config",
        "data",
        "source_split",
    }
    for section in (config, config.network, config.langevin):
        for field in dataclasses.fields(section):
            if field.name in usual and field.name not in ("data", "source"):
                value = getattr(section, field.name)
                text = str(value).lower() if isinstance(value, bool) else str(value)
                assert usual[field.name] == text, field.name
    for name in ("batch_size", "learning_rate"):
        pairs = [
            f"{stage.resolution}:{getattr(stage, name)}" for stage in config.stages
        ]
        assert usual[name] == ",".join(pairs)
    first, *others = config.stages
    assert (first.fade_images, first.stabilise_images) == (0, 1_000_000)
    assert {(s.fade_images, s.stabilise_images) for s in others} == {(500_000,) * 2}
    assert all(
        usual[n].startswith("500000") for n in ("fade_images", "stabilise_images")
    )
    values(["cfebm", "--data=photos"])
    assert usual["resolution"] == str(DataConfig("photos").resolution)


def test_the_preset_that_the_help_names_is_the_default():
    assert DEFAULT_PRESET in configs.PRESETS
    assert DEFAULT_PRESET in flag("train", "preset").text
