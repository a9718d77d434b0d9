"""Writing files so that a crash, a full disk or a kill leaves the old one intact."""

import contextlib
import hashlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from keras_cfebm.utils.typing import PathLike


def sync_folder(path: PathLike) -> None:
    """Makes renames inside a folder durable, where the system can (not on Windows)."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(path: PathLike, text: str) -> None:
    """Replaces a text file as a whole: temporary name, sync, rename.

    Args:
        path: file to write.
        text: str.

    Raises:
        OSError: if it cannot be written; what was there before is still there.
    """
    path = pathlib.Path(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _share(temporary, 0o666)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)


def _share(path, mode):
    """Gives a temporary file or folder, made private, the usual permissions."""
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(path, mode & ~umask)


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
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                with file.open("rb+") as opened:  # Windows syncs writable ones only
                    os.fsync(opened.fileno())
        sync_folder(temporary)
        _share(temporary, 0o777)
        os.rename(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(path.parent)


def sha256(path: PathLike) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
