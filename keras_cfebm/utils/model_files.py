"""Trained models on disk: found by the name or path that a user gives, and read."""

import os
import pathlib
import zipfile

import keras

from keras_cfebm.utils import hub, preset_folder
from keras_cfebm.utils.paths import user_path
from keras_cfebm.utils.typing import PathLike

_PACKAGE = pathlib.Path(__file__).parents[1]
#: Where `<preset>/model.keras` may lie: in an installed package, or in a checkout.
PRETRAINED = (_PACKAGE / "saved_models", _PACKAGE.parent / "saved_models")
#: The file of a model in its folder: in that of a run, in one of `saved_models`.
_NAMES = ("ladder.keras", "model.keras", preset_folder.WEIGHTS)
_LFS_POINTER = b"version https://git-lfs"


def find_model(model: PathLike) -> pathlib.Path | None:
    """The file of a trained model.

    Args:
        model: what is tried, in this order: an address on a hub, which is fetched; a
            file; a run folder or one of `saved_models` or `save_to_preset`; the name of
            a preset that comes with weights.

    Returns:
        `pathlib.Path`, or None if there is no such model. A folder of `save_to_preset`
        is named by the file of its weights.

    Raises:
        ValueError: if what a hub is asked for cannot be fetched.
        ImportError: if the client of the hub is not installed.
    """
    if hub.is_remote(model):
        model = hub.download(str(model))
    path = user_path(model)
    if os.path.isfile(path):
        return path
    folders = [path]
    if path.name == str(path):  # a name, no path
        folders += [root / path for root in PRETRAINED]
    files = [folder / name for folder in folders for name in _NAMES]
    return next((file for file in files if os.path.isfile(file)), None)


def is_pretrained(name: str) -> bool:
    """Whether weights of a preset come with the package."""
    return any((root / name / "model.keras").is_file() for root in PRETRAINED)


def preset_of(file: pathlib.Path) -> str | None:
    """The name of the preset whose pretrained model a file is, or None."""
    roots = [root.resolve() for root in PRETRAINED]
    folder = file.resolve().parent
    return folder.name if folder.parent in roots else None


def read_model(file: pathlib.Path) -> keras.Model:
    """Reads a `.keras` file or a folder of `save_to_preset`, uncompiled.

    Args:
        file: `pathlib.Path`, see `find_model`.

    Returns:
        `keras.Model`.

    Raises:
        ValueError: if it is damaged or no such file; the message says how.
        OSError: if it cannot be opened.
    """
    if file.name == preset_folder.WEIGHTS:
        return preset_folder.read(file.parent)
    with file.open("rb") as opened:
        start = opened.read(len(_LFS_POINTER))
    received = f"received {file.stat().st_size:,} bytes that are none"
    expected = f"Expected a .keras file, which is a zip archive, at {file}, {received}"
    if start == _LFS_POINTER:
        raise ValueError(
            f"{expected} but a pointer of Git LFS: `git lfs pull` fetches the file."
        )
    if not zipfile.is_zipfile(file):
        raise ValueError(f"{expected}: the end of the file may be missing.")
    if file.suffix != ".keras":
        raise ValueError(f"Expected a file that ends in .keras, received {file}.")
    try:
        return keras.saving.load_model(file, compile=False)
    except Exception as error:  # Keras lets zip, HDF5 and JSON errors of many types out
        raise ValueError(f"{file} cannot be read as a Keras model: {error}") from error
