"""The names of the package."""

import pathlib
import re
import subprocess
import sys

import pytest

import keras_cfebm

ROOT = pathlib.Path(__file__).parents[1]
MODEL = ROOT / "saved_models" / "fashion_mnist" / "model.keras"

NAMES = [
    "CFEBM",
    "DataConfig",
    "EnergyHead",
    "EnergyNetwork",
    "ExpandBlock",
    "FadeBlock",
    "Langevin",
    "NetworkConfig",
    "PrimalBlock",
    "ResidualBlock",
    "RunConfig",
    "SpectralConv2D",
    "Stage",
    "__version__",
    "coarse_to_fine",
    "datasets",
    "default_stages",
    "evaluation",
    "export_saved_model",
    "fit_progressively",
    "langevin",
    "langevin_step",
    "load_ladder",
    "plot",
    "tasks",
    "train",
    "upload_preset",
    "visualization",
]


def test_the_public_names_and_no_other_are_shown():
    assert dir(keras_cfebm) == keras_cfebm.__all__ == NAMES
    for name in NAMES:
        assert getattr(keras_cfebm, name) is not None


def test_help_begins_with_what_a_newcomer_needs():
    rows = re.findall(r"^    \w[\w ,]+  +(\w.*)$", keras_cfebm.__doc__, re.MULTILINE)
    named = {name.strip() for row in rows[1:] for name in row.split(",")}
    assert named < set(NAMES) and {"CFEBM", "tasks", "plot"} < named


@pytest.mark.parametrize("imports", ["keras_cfebm, keras", "keras, keras_cfebm"])
def test_keras_loads_a_saved_model_once_the_package_is_imported(imports):
    code = f"import {imports}; print(type(keras.saving.load_model({str(MODEL)!r})))"
    command = [sys.executable, "-c", code]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "keras_cfebm.model.CFEBM" in shown.stdout, shown.stderr
