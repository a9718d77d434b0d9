"""Files and folders appear complete or not at all, and leave nothing else behind."""

import json
import os
import stat

import pytest

from keras_cfebm.utils import atomic_files


def names(folder):
    return [path.name for path in folder.iterdir()]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask():
    """A umask that lets the group write."""
    before = os.umask(0o002)
    yield
    os.umask(before)


@pytest.mark.parametrize("name", ["picture.png", "häuser.tar.gz", "no_extension"])
def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path, name):
    path = tmp_path / name
    path.write_text("old")
    with atomic_files.replacing(path) as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == path.suffix
        assert temporary.name.startswith(".")
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failure_keeps_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(error), atomic_files.replacing(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_a_file_that_was_never_written_is_an_error(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), atomic_files.replacing(path):
        pass
    assert path.read_text() == "old"


def test_a_failed_rename_leaves_nothing_behind(tmp_path):
    path = tmp_path / "taken"
    (path / "inside").mkdir(parents=True)
    with pytest.raises(OSError), atomic_files.replacing(path) as temporary:
        temporary.write_text("new")
    assert names(tmp_path) == ["taken"] and names(path) == ["inside"]


def test_writers_at_the_same_time_do_not_meet(tmp_path):
    path = tmp_path / "file.txt"
    with (
        atomic_files.replacing(path) as first,
        atomic_files.replacing(path) as second,
    ):
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # the outer one is renamed last
    assert names(tmp_path) == ["file.txt"]


def test_text_is_written_in_utf_8(tmp_path):
    path = tmp_path / "text.txt"
    atomic_files.write_text(str(path), "σ → β\n")
    assert path.read_bytes() == "σ → β\n".encode()


def test_a_format_is_chosen_by_the_extension(tmp_path):
    def write(temporary, text):
        temporary.write_text(f"{temporary.suffix} {text}")

    path = tmp_path / "new" / "file.gif"
    atomic_files.save(write, path, text="written")
    assert path.read_text() == ".gif written"
    with pytest.raises(ValueError, match="a path with an extension"):
        atomic_files.save(write, tmp_path / "other" / "file", text="written")
    assert names(tmp_path) == ["new"]


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        atomic_files.write_text(tmp_path / "missing" / "text.txt", "text")
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_files_and_folders_have_the_usual_permissions(tmp_path, umask):
    atomic_files.write_text(tmp_path / "text.txt", "text")
    with atomic_files.new_folder(tmp_path / "folder") as folder:
        (folder / "inside").touch()
    assert mode(tmp_path / "text.txt") == 0o664
    assert mode(tmp_path / "folder") == 0o775


def test_a_folder_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "folder.d"
    with atomic_files.new_folder(path) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_text("text")
        assert not path.exists()
    assert (path / "deep" / "file").read_text() == "text"
    assert names(tmp_path) == ["folder.d"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_half_a_folder_never_appears(tmp_path, error):
    with (
        pytest.raises(error),
        atomic_files.new_folder(tmp_path / "folder") as folder,
    ):
        (folder / "file").write_text("half")
        raise error
    assert names(tmp_path) == []


def test_a_folder_is_never_merged_into_another(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").touch()
    with (
        pytest.raises(OSError),
        atomic_files.new_folder(tmp_path / "folder") as folder,
    ):
        (folder / "new").touch()
    assert names(tmp_path) == ["folder"] and names(tmp_path / "folder") == ["old"]


def test_the_bytes_of_an_odd_file_name_are_no_reason_not_to_write(tmp_path):
    atomic_files.write_text(tmp_path / "a.json", '{"data": "σ\udcff"}')
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"data": "σ\udcff"}


def test_a_checksum_is_that_of_the_bytes(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert atomic_files.sha256(path) == expected
