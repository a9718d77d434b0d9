"""Folders of models: what is written is read again, from a disk or from a hub."""

import json
import pathlib
import shutil
import sys
import types

import numpy as np
import pytest

from keras_cfebm.cli.task import config_beside
from keras_cfebm.model import CFEBM
from keras_cfebm.sampling import Langevin
from keras_cfebm.utils.model_files import find_model
from keras_cfebm.utils.preset_folder import upload_preset


@pytest.fixture(scope="module")
def model(make_network):
    network = make_network(num_classes=2)
    model = CFEBM(
        network, Langevin(steps=3), class_names=["cat", "dog"], value_range=(0, 255)
    )
    model.compile()
    model.ema_network.head.embedding.embeddings.assign([[3.0] * 4, [-2.0] * 4])
    return model


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "new" / "animals"
    model.save_to_preset(folder)
    return folder


@pytest.fixture
def hubs(monkeypatch, tmp_path):
    """Doubles of the clients, whose hubs are folders of `tmp_path`."""

    def place(*names):
        return tmp_path.joinpath(*names)

    def fetch(path):
        if not path.is_dir():
            raise OSError(f"404: {path.name}")
        return str(path)

    def put(path, source):
        shutil.copytree(source, path, dirs_exist_ok=True)

    hugging_face = types.ModuleType("huggingface_hub")
    hugging_face.create_repo = lambda repo_id, exist_ok: place("hf", repo_id).mkdir(
        parents=True, exist_ok=exist_ok
    )
    hugging_face.upload_folder = lambda repo_id, folder_path: put(
        fetch(place("hf", repo_id)), folder_path
    )
    hugging_face.snapshot_download = lambda repo_id: fetch(place("hf", repo_id))
    kaggle = types.ModuleType("kagglehub")
    kaggle.model_upload = lambda handle, folder: put(place("kaggle", handle), folder)
    kaggle.model_download = lambda handle: fetch(place("kaggle", handle))
    for module in (hugging_face, kaggle):
        monkeypatch.setitem(sys.modules, module.__name__, module)


def test_a_folder_is_laid_out_as_keras_hubs(folder):
    names = ["config.json", "metadata.json", "model.weights.h5"]
    assert sorted(path.name for path in folder.iterdir()) == names
    config, metadata = (json.loads((folder / n).read_text()) for n in names[:2])
    assert config["class_name"] == "CFEBM" and "compile_config" not in config
    assert metadata["parameter_count"] > 0 and metadata["keras_cfebm_version"]


def test_the_model_of_a_folder_is_the_one_that_was_saved(model, folder):
    loaded = CFEBM.from_preset(folder)
    assert loaded.get_config() == model.get_config() and not loaded.compiled
    assert loaded.class_names == ("cat", "dog") and loaded.value_range == (0, 255)
    for ours, theirs in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert config_beside(find_model(folder), str(folder)) is None


def test_what_is_there_is_not_overwritten(model, folder):
    before = (folder / "config.json").read_bytes()
    with pytest.raises(FileExistsError, match="never overwritten"):
        model.save_to_preset(folder)
    assert (folder / "config.json").read_bytes() == before


def test_a_damaged_folder_is_told_so(folder, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    (damaged / "config.json").write_text("{")
    with pytest.raises(ValueError, match="as save_to_preset writes it"):
        CFEBM.from_preset(damaged)


@pytest.mark.parametrize("address", ["hf://me/cats", "kaggle://me/cats/keras/small"])
def test_a_model_goes_to_a_hub_and_comes_back(model, folder, hubs, address):
    with pytest.raises(ValueError, match=f"model at {address}, which could .*404"):
        CFEBM.from_preset(address)
    upload_preset(address, folder)
    loaded = CFEBM.from_preset(address)
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


def test_what_no_hub_can_have_is_refused(folder, tmp_path, hubs):
    with pytest.raises(ValueError, match=r"received .* without config\.json"):
        upload_preset("hf://me/cats", tmp_path)
    for address in ("hf://", "me/cats"):
        with pytest.raises(ValueError, match="address such as hf://user/name"):
            upload_preset(address, folder)


def test_a_client_that_is_missing_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"keras_cfebm\[hub\]"):
        upload_preset("hf://me/cats", folder)


def test_presets_are_described():
    about = CFEBM.presets["fashion_mnist"]
    assert about["pretrained"] and about["resolution"] == 32 and about["description"]
    assert not CFEBM.presets["cifar10"]["pretrained"]
    shipped = {name for name, about in CFEBM.presets.items() if about["pretrained"]}
    folders = (pathlib.Path(__file__).parents[2] / "saved_models").iterdir()
    assert shipped == {path.name for path in folders}
