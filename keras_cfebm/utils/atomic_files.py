"""Writing files so that a crash, a full disk or a kill leaves the old one intact."""

import contextlib
import hashlib
import os
import pathlib
import shutil
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from keras_cfebm.utils.typing import PathLike


@contextlib.contextmanager
def replacing(path: PathLike) -> Iterator[pathlib.Path]:
    """A file that is replaced as a whole or not at all.

    Args:
        path: file to write; its folder must exist.

    Yields:
        `pathlib.Path` of a hidden name beside it, with the same extension; write the
        file there. At the end it is synced and renamed.

    Raises:
        OSError: if it cannot be written; what was there before is still there.

    Example:

    ```python
    with atomic_files.replacing("picture.png") as temporary:
        image.save(temporary)
    ```
    """
    path = pathlib.Path(path)
    temporary = _beside(path)
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def save(write: Callable[..., Any], path: PathLike, **options: Any) -> None:
    """Replaces a file whose extension names its format, and makes missing folders.

    Args:
        write: function of a path and the options, such as the `save` of a picture.
        path: file to write.
        **options: for `write`.

    Raises:
        ValueError: without an extension.
        OSError: see `replacing`.
    """
    path = pathlib.Path(path)
    if not path.suffix:
        raise ValueError(
            f"Expected a path with an extension, such as .png, received {str(path)!r}."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        write(temporary, **options)


def write_text(path: PathLike, text: str) -> None:
    """Replaces a text file as a whole, in UTF-8; see `replacing`.

    What is no text, as the bytes of an odd file name, is written as JSON spells it.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


@contextlib.contextmanager
def new_folder(path: PathLike) -> Iterator[pathlib.Path]:
    """A folder that appears under its name complete or not at all.

    Args:
        path: folder to make; it must not exist.

    Yields:
        `pathlib.Path` of a temporary folder beside it; fill it. At the end its files
        are synced and it is renamed.

    Raises:
        OSError: if it cannot be written; then nothing is left behind.
    """
    path = pathlib.Path(path)
    temporary = _beside(path)
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _sync(file)
        sync_folder(temporary)
        os.rename(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(path.parent)


def _beside(path):
    """A hidden name that nothing else has; the extension may decide the format."""
    return path.with_name(f".{path.stem}-{uuid.uuid4().hex}{path.suffix}")


def _sync(file):
    with file.open("rb+") as opened:  # Windows syncs writable files only
        os.fsync(opened.fileno())


def sync_folder(path: PathLike) -> None:
    """Makes renames inside a folder durable, where the system can (not on Windows)."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sha256(path: PathLike) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
