"""Models on disk: what damaged files are told."""

import zipfile

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


def test_a_model_is_found_by_file_folder_and_preset(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    assert find_model(run) is None
    (run / "ladder.keras").touch()
    assert find_model(run) == find_model(run / "ladder.keras") == run / "ladder.keras"
    assert find_model("fashion_mnist").parts[-2:] == ("fashion_mnist", "model.keras")
    assert find_model("no_such_preset") is None
