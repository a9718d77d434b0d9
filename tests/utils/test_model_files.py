"""Models on disk: what damaged files are told."""

import io
import zipfile

import h5py
import keras
import pytest

from keras_cfebm.utils.model_files import find_model, read_model


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "received 0 bytes that are none: the end of the file may be missing"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"PK\x03\x04 and no more", "which is a zip archive"),
    ],
    ids=["empty", "pointer", "truncated"],
)
def test_a_file_that_is_no_archive_is_told_so(tmp_path, content, message):
    file = tmp_path / "model.keras"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_model(file)


def test_an_archive_that_is_no_model_is_told_so(tmp_path):
    file = tmp_path / "model.keras"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(ValueError, match="cannot be read as a Keras model"):
        read_model(file)


@pytest.mark.parametrize("kind", ["HDF5", "zip"])
def test_a_file_that_declares_more_than_it_holds_is_not_unpacked(
    tmp_path, kind, monkeypatch
):
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        if kind == "HDF5":
            file.create_dataset("layers/kernel", (400_000_000,), "float32")
    bomb = tmp_path / "model.keras"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", weights.getvalue())
        if kind == "zip":
            archive.writestr("assets/zeros", bytes(2**27))
    assert bomb.stat().st_size < 161_000

    def refuse(*_, **__):
        raise AssertionError("it must not be read")

    monkeypatch.setattr(keras.saving, "load_model", refuse)
    with pytest.raises(ValueError, match="that declares 1"):
        read_model(bomb)


def test_a_model_is_found_by_file_folder_and_preset(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    assert find_model(run) is None
    (run / "ladder.keras").touch()
    assert find_model(run) == find_model(run / "ladder.keras") == run / "ladder.keras"
    assert find_model("fashion_mnist").parts[-2:] == ("fashion_mnist", "model.keras")
    assert find_model("no_such_preset") is None
