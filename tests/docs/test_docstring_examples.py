"""Examples in docstrings run as they are written, on tiny models."""

import ast
import importlib
import json
import pathlib
import re
import textwrap

import numpy as np
import PIL.Image
import pytest

import keras_cfebm
from keras_cfebm import tasks
from keras_cfebm.datasets.embedded import CLASS_NAMES
from keras_cfebm.evaluation.encoders import Encoder, Expects
from keras_cfebm.layers import mean_pool
from keras_cfebm.model import CFEBM
from keras_cfebm.network import EnergyNetwork
from keras_cfebm.sampling import Langevin

PACKAGE = pathlib.Path(keras_cfebm.__file__).parent
#: What cannot run here, and why.
LEFT_OUT = {
    "assets/make_saved_model.py": "the text of a card",
    "callbacks/best_ladder.py": "a whole training",
    "ladder.py": "the same lines are in README, which is run",
    "model.py": "trains twice, as test_model does",
    "runs/run_folder.py": "needs a run of the demo",
    "tasks/reconstruction.py": "hundreds of chains",
    "visualization/style.py": "changes the figures of all tests",
    "utils/preset_folder.py": "needs a hub; see test_preset_folder",
}


def examples():
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        kinds = (ast.ClassDef, ast.FunctionDef, ast.Module)
        for node in ast.walk(tree):
            text = (isinstance(node, kinds) and ast.get_docstring(node)) or ""
            for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
                name = getattr(node, "name", "module")
                if place not in LEFT_OUT:
                    yield pytest.param(place, textwrap.dedent(code), id=name)


@pytest.fixture(scope="module")
def names(noise_images, make_network):
    """What examples take for granted."""
    images = noise_images(2, 8)
    data = keras_cfebm.datasets.from_arrays(noise_images(12, 8))
    arguments = {"channels": 1, "base_width": 1}
    return {
        "cf": keras_cfebm,
        "json": json,
        "load": keras_cfebm.datasets.load,
        "keras_cfebm": keras_cfebm,
        "np": np,
        "pathlib": pathlib,
        "tasks": tasks,
        "EnergyNetwork": lambda **given: EnergyNetwork(**{**given, **arguments}),
        "mean_pool": mean_pool,
        "images": images,
        "images_16x16": noise_images(2, 16),
        "training_images": noise_images(24, 8),
        "held_out_images": noise_images(24, 8, seed=1),
        "new_images": images,
        "x": images,
        "test": data,
        "train": data,
        "noisy": images,
        "restored": images,
        "batches": [noise_images(8, 8)],
        "encoder": Encoder(
            "pixels", lambda x: x[:, :2, 0, 0], "0" * 64, "none", Expects(None, (1,))
        ),
        "denoise": tasks.denoise,
        "add_noise": tasks.add_noise,
        "model": CFEBM(make_network(), Langevin(steps=1)),
        "conditional": CFEBM(
            make_network(num_classes=10), Langevin(steps=1), class_names=CLASS_NAMES
        ),
    }


@pytest.mark.parametrize(("place", "code"), list(examples()))
def test_an_example_runs(place, code, names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: None)
    module = importlib.import_module(
        "keras_cfebm." + place.removesuffix(".py").replace("/", ".")
    )
    space = {**vars(module), **names, "path": tmp_path / "state.json"}
    if re.search(r"label|class|Sandal|guided", code):
        space["model"] = names["conditional"]
    if place == "network.py":
        space["images"] = names["images_16x16"]
    if "encoder = keras_cfebm" in code:
        space["images"] = np.zeros((1, 32, 32, 1), "float32")
    if "atomic" in place:
        space |= {"image": PIL.Image.new("L", (1, 1)), "atomic_files": module}
    exec(compile(code, place, "exec"), space)
