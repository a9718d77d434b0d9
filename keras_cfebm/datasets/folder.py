"""Image folders: whatever is in them, decoded once in parallel or on demand."""

import collections
import os
import pathlib
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_cfebm.datasets.cache import MEMORY_LIMIT
from keras_cfebm.datasets.decode import SUFFIXES, decode, read_header
from keras_cfebm.datasets.image_data import ImageData
from keras_cfebm.datasets.resize import check_fit, check_size, fit_images
from keras_cfebm.utils.typing import PathLike

#: How many file names a message lists.
NUM_NAMED = 5


class FolderImages:
    """Image files that look like one uint8 array, decoded as they are asked for.

    Args:
        paths: list of image files.
        shape: `(n, resolution, resolution, channels)`.
        fit: see `fit_images`.
        crop_size: see `fit_images`.
        background: see `as_channels`.
        workers: number of decoding threads.
    """

    def __init__(
        self,
        paths: Sequence[pathlib.Path],
        shape: tuple[int, int, int, int],
        fit: str,
        crop_size: int | None,
        background: float | Sequence[float],
        workers: int,
    ) -> None:
        self.paths = paths
        self.shape = shape
        self.workers = workers
        self._fit = fit
        self._crop_size = crop_size
        self._background = background

    def decode(self, index: int) -> np.ndarray:
        """Returns image `index` as uint8 `(resolution, resolution, channels)`."""
        _, resolution, _, channels = self.shape
        image = decode(self.paths[index], channels, self._background)
        return fit_images(image[None], resolution, self._fit, self._crop_size)[0]

    def __getitem__(self, indices: Iterable[int]) -> np.ndarray:
        def read(index):
            try:
                return self.decode(index)
            except FileNotFoundError as error:
                raise FileNotFoundError(
                    f"{self.paths[index]} was there when its folder was read, and is "
                    f"gone now."
                ) from error
            except Exception as error:
                raise ValueError(f"Could not read {self.paths[index]}: {error}") from (
                    error
                )

        with ThreadPoolExecutor(self.workers) as pool:
            return np.stack(list(pool.map(read, indices)))


def from_folder(
    path: PathLike,
    split: str | None = None,
    resolution: int | None = None,
    fit: str = "exact",
    crop_size: int | None = None,
    channels: int | None = None,
    background: float | Sequence[float] = 1.0,
    on_error: str = "skip",
    memory_limit: int = MEMORY_LIMIT,
    workers: int | None = None,
) -> ImageData:
    """Makes an image set of a folder of JPEG, PNG, WebP, BMP or GIF files.

    Files are found at any depth (hidden ones and links to folders are passed over) and
    recognised by content. Animations give their first frame, EXIF rotation is
    applied, 16 bits become 8. If all images lie in sub-folders, those of the first
    level are the classes, in alphabetical order.

    Every file is decoded once here, so that damaged ones are known from the start.
    What fits into `memory_limit` is kept; otherwise files are decoded again as batches
    are read.

    Args:
        path: the folder.
        split: name of a sub-folder to use as the root, such as "train"; None for
            `path` itself.
        resolution: height and width to bring the images to; None keeps the size of
            square images that are all alike.
        fit: `"exact"`, `"pad"`, `"resize"` or `"crop"`, see `fit_images`.
        crop_size: side of the square of `fit="crop"` in pixels, default the largest.
        channels: 1 (grey) or 3 (RGB); None is 1 where every file is grey, else 3.
        background: what shows through transparent pixels: a grey, or three numbers
            (red, green, blue), in [-1, 1]. Default white.
        on_error: `"skip"` leaves damaged files out with one warning; `"raise"` stops.
            Files that declare more than 2^26 pixels are never decoded.
        memory_limit: bytes that decoded images may take.
        workers: number of decoding threads; None for two per core.

    Returns:
        `ImageData`, named after the folder.

    Raises:
        FileNotFoundError: if there is no such folder or no image in it.
        ValueError: for images that do not fit (files are named), damaged files with
            `on_error="raise"`, or if no file can be read.
    """
    check_fit(fit, resolution, crop_size)
    if on_error not in ("skip", "raise"):
        raise ValueError(f"Expected on_error 'skip' or 'raise', received {on_error!r}.")
    if channels not in (None, 1, 3):
        raise ValueError(f"Expected channels 1, 3 or None, received {channels!r}.")
    root = pathlib.Path(path).expanduser()
    root = root if split is None else root / split
    paths = find_images(root)
    workers = workers or 2 * (os.cpu_count() or 1)

    headers, damaged = _in_parallel(read_header, paths, workers)
    paths = [path for path in paths if path in headers]
    _check_any(paths, damaged, on_error)
    if resolution is None:
        sizes = collections.Counter(headers[path][:2] for path in paths)
        resolution = sizes.most_common(1)[0][0][1]
    _check_sizes(headers, resolution, fit, crop_size)
    if channels is None:
        channels = 1 if all(is_grey for _, _, is_grey in headers.values()) else 3

    shape = (len(paths), resolution, resolution, channels)
    source = FolderImages(paths, shape, fit, crop_size, background, workers)
    fits = np.prod(shape, dtype=np.int64) <= memory_limit
    pixels = np.empty(shape, np.uint8) if fits else None

    def keep(index):
        image = source.decode(index)
        if pixels is not None:
            pixels[index] = image

    decoded, undecodable = _in_parallel(keep, range(len(paths)), workers)
    damaged |= {paths[index]: error for index, error in undecodable.items()}
    _check_any(decoded, damaged, on_error)
    if damaged:
        warnings.warn(f"Skipped {_name_damaged(damaged)}", stacklevel=2)

    labels, class_names = _classes(root, paths)
    return ImageData(
        root.name,
        source if pixels is None else pixels,
        labels,
        class_names,
        np.array(sorted(decoded), np.int64),
    )


def find_images(root: pathlib.Path) -> list[pathlib.Path]:
    """Lists image files by suffix, sorted, at any depth.

    Args:
        root: folder.

    Returns:
        List of `pathlib.Path`.

    Raises:
        FileNotFoundError: if `root` is no folder or holds no image.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"Expected a folder at {root}, found none.")
    paths = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        paths += [
            pathlib.Path(folder, name)
            for name in names
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    if not paths:
        raise FileNotFoundError(
            f"Expected images ({', '.join(SUFFIXES)}) in {root}, found none."
        )
    return sorted(paths)


def _in_parallel(function, items, workers):
    """Returns ({item: result}, {item: error})."""

    def attempt(item):
        try:
            return function(item), None
        # Decoders raise all sorts on damaged files: OSError, SyntaxError, zlib.error …
        except Exception as error:
            return None, error

    with ThreadPoolExecutor(workers) as pool:
        outcomes = list(zip(items, pool.map(attempt, items), strict=True))
    results = {item: result for item, (result, error) in outcomes if error is None}
    return results, {item: error for item, (_, error) in outcomes if error is not None}


def _check_any(readable, damaged, on_error):
    if damaged and on_error == "raise":
        raise ValueError(f"Could not read {_name_damaged(damaged)}")
    if not readable:
        raise ValueError(f"Expected a readable image; found {_name_damaged(damaged)}")


def _name_damaged(damaged):
    lines = [f"{path}: {damaged[path]}" for path in sorted(damaged)[:NUM_NAMED]]
    more = ["…"] if len(damaged) > NUM_NAMED else []
    return "\n  ".join([f"{len(damaged)} damaged image file(s):", *lines, *more])


def _check_sizes(headers, resolution, fit, crop_size):
    misfits = []
    for path, (width, height, _) in headers.items():
        try:
            check_size(height, width, resolution, fit, crop_size)
        except ValueError as error:
            misfits.append(f"{path}: {error}")
    if misfits:
        more = ["…"] if len(misfits) > NUM_NAMED else []
        head = f"{len(misfits)} of {len(headers)} images do not fit:"
        raise ValueError("\n  ".join([head, *misfits[:NUM_NAMED], *more]))


def _classes(root, paths):
    parts = [path.relative_to(root).parts for path in paths]
    if any(len(part) == 1 for part in parts):
        return None, None
    class_names = sorted({part[0] for part in parts})
    numbers = {name: number for number, name in enumerate(class_names)}
    return np.array([numbers[part[0]] for part in parts], np.int32), class_names
