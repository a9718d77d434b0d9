"""Where decoded images are kept: in memory, or in a memory-mapped file."""

import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable

import numpy as np

from keras_cfebm.utils import atomic_files
from keras_cfebm.utils.paths import user_path
from keras_cfebm.utils.typing import PathLike

#: Bytes of decoded images that are kept in memory unless told otherwise: 2 GiB.
MEMORY_LIMIT = 2**31


def default_cache_dir() -> pathlib.Path:
    """Returns `~/.cache/keras_cfebm`, or its place under `XDG_CACHE_HOME`."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if root.startswith("~"):  # a user without any home, as in some containers
        root = tempfile.gettempdir()
    return pathlib.Path(root) / "keras_cfebm"


def decode_once(
    fill: Callable[[np.ndarray], np.ndarray | None],
    shape: tuple[int, ...],
    key: str,
    memory_limit: int = MEMORY_LIMIT,
    cache_dir: PathLike | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Decodes a set into memory, or, where it is too large, into a file.

    The file is mapped, not read: any image can be had at once, so large sets are
    shuffled and resumed exactly as small ones are. It is kept for the next run.

    Args:
        fill: function that writes all images into a uint8 array of `shape` and
            returns their labels, or None.
        shape: `(n, resolution, resolution, channels)`.
        key: str, names the set, its version and everything that decides its pixels;
            a valid file name.
        memory_limit: bytes; beyond it the file is used.
        cache_dir: folder for the file; None for `default_cache_dir()`.

    Returns:
        `(pixels, labels)`: uint8 array or memory map of `shape`; int array or None.

    Raises:
        OSError: if the disk has no room for the file.
    """
    num_bytes = int(np.prod(shape, dtype=np.int64))
    if num_bytes <= memory_limit:
        pixels = np.empty(shape, np.uint8)
        return pixels, fill(pixels)
    cache_dir = user_path(cache_dir or default_cache_dir())
    folder = cache_dir / key
    if not folder.is_dir():
        try:
            cache_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(
                f"Cannot write to {cache_dir}, where {key} of {num_bytes:,} bytes is "
                f"to be kept: {error.strerror}. Choose another cache_dir, or set "
                "XDG_CACHE_HOME."
            ) from error
        free = shutil.disk_usage(cache_dir).free
        if free < num_bytes:
            raise OSError(
                f"Expected {num_bytes:,} free bytes in {cache_dir} for {key}, found "
                f"{free:,}. Choose another cache_dir or a lower resolution."
            )
        _write(fill, shape, folder)
    labels = folder / "labels.npy"
    return (
        np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False),
        np.load(labels, allow_pickle=False) if labels.exists() else None,
    )


def _write(fill, shape, folder):
    try:
        with atomic_files.new_folder(folder) as draft:
            pixels = np.lib.format.open_memmap(
                draft / "images.npy", mode="w+", dtype=np.uint8, shape=shape
            )
            labels = fill(pixels)
            pixels.flush()
            if labels is not None:
                np.save(draft / "labels.npy", labels)
    except OSError:
        # Another process may have been faster; its set is the same.
        if not folder.is_dir():
            raise
