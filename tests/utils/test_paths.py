"""What a user calls a file or folder may be no path at all."""

import pytest

from keras_cfebm.datasets import test_split as judged_split
from keras_cfebm.utils.model_files import find_model
from keras_cfebm.utils.paths import is_image_folder, user_path


def test_home_is_written_out(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/models") == tmp_path / "models"
    assert is_image_folder("~")


@pytest.mark.parametrize("name", ["1" * 5000, "a\0b", "~nobody_of_this_name/x"])
def test_a_name_that_no_path_can_have_is_no_folder(name):
    assert not is_image_folder(name)
    assert find_model(name) is None
    assert judged_split(name + ".npz") == "test"


@pytest.mark.parametrize("written", ["config.json", ".lock"])
def test_a_run_called_like_its_images_is_not_taken_for_them(
    written, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fashion_mnist" / "train").mkdir(parents=True)
    assert is_image_folder("fashion_mnist")
    (tmp_path / "fashion_mnist" / written).touch()
    assert not is_image_folder("fashion_mnist")
    assert judged_split("fashion_mnist") == "test"
