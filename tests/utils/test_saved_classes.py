"""Saved models load in a process that has imported the package and nothing of it."""

import pathlib
import subprocess
import sys

import keras
import pytest

import keras_cfebm
from keras_cfebm.utils.saved_classes import SAVED, Late

ROOT = pathlib.Path(__file__).parents[2]
MODEL = ROOT / "saved_models" / "fashion_mnist" / "model.keras"


@pytest.mark.parametrize(
    "imports",
    ["keras_cfebm, keras", "keras, keras_cfebm", "keras_cfebm.layers, keras"],
)
def test_a_saved_model_loads(imports):
    code = f"import {imports}; print(type(keras.saving.load_model({str(MODEL)!r})))"
    command = [sys.executable, "-c", code]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "keras_cfebm.model.CFEBM" in shown.stdout, shown.stderr


def test_every_registered_class_is_known_before_it_is_imported():
    for name in dir(keras_cfebm):
        getattr(keras_cfebm, name)
    registered = {
        name: found
        for name, found in keras.saving.get_custom_objects().items()
        if name.startswith("keras_cfebm>")
    }
    places = [(module, name) for module, names in SAVED.items() for name in names]
    assert set(registered) == {f"keras_cfebm>{name}" for _, name in places}
    for module, name in places:
        found = registered[f"keras_cfebm>{name}"]
        assert (found.__module__, found.__name__) == (module, name)


def test_a_function_is_imported_when_it_is_called():
    late = Late("keras_cfebm.layers.activations", "swish")
    assert late(keras.ops.zeros(1)).shape == (1,)
