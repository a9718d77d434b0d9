"""Image folders: whatever is in them, decoded once in parallel or on demand."""

import collections
import os
import pathlib
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import UnidentifiedImageError

from keras_cfebm.datasets.cache import MEMORY_LIMIT
from keras_cfebm.datasets.decode import SUFFIXES, decode, read_header
from keras_cfebm.datasets.folder_splits import default_split
from keras_cfebm.datasets.image_data import ImageData
from keras_cfebm.datasets.resize import check_fit, check_size, resize_images
from keras_cfebm.utils.paths import user_path
from keras_cfebm.utils.progress import progress_bar
from keras_cfebm.utils.typing import PathLike

#: How many file names a message lists.
NUM_NAMED = 5


class FolderImages:
    """Image files that look like one uint8 array, decoded as they are asked for.

    Args:
        paths: list of image files.
        read: function of a path that returns its image as uint8.
        shape: `(n, resolution, resolution, channels)`.
        workers: number of decoding threads.
    """

    def __init__(
        self,
        paths: Sequence[pathlib.Path],
        read: Callable[[pathlib.Path], np.ndarray],
        shape: tuple[int, int, int, int],
        workers: int,
    ) -> None:
        self.paths = paths
        self.shape = shape
        self._read = read
        self._workers = workers

    def __getitem__(self, indices: Iterable[int]) -> np.ndarray:
        with ThreadPoolExecutor(self._workers) as pool:
            paths = [self.paths[index] for index in indices]
            return np.stack(list(pool.map(self._again, paths)))

    def _again(self, path):
        try:
            return self._read(path)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"Expected {path}, which was there when its folder was read, and is "
                "gone now."
            ) from error
        except Exception as error:
            raise ValueError(
                f"Expected a readable image file, received {path}: {error}"
            ) from error


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
    """Makes an image set of a folder of image files.

    JPEG, PNG, WebP, BMP, GIF, TIFF, AVIF, JPEG 2000 and PPM files are found at any
    depth, through links to folders too, and recognised by content, whatever they are
    called. Hidden files are passed over; a warning counts other ones that are no
    images. Animations give their first frame, EXIF rotation is applied, 16 bits become
    8. If all images lie in sub-folders, those of the first level are the classes, in
    alphabetical order.

    Every file is decoded once here, so that damaged ones are known from the start.
    What fits into `memory_limit` is kept; otherwise files are decoded again as batches
    are read.

    Args:
        path: the folder.
        split: name of a sub-folder to use as the root, such as "train"; None for that
            of `default_split`.
        resolution: height and width to bring the images to; None keeps the size of
            square images that are all alike.
        fit: `"exact"`, `"pad"`, `"resize"` or `"crop"`, see `resize_images`.
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
            `on_error="raise"`, if no file can be read, or if the sub-folders are splits
            of which it is not clear which one is meant.
    """
    check_fit(fit, resolution, crop_size)
    if on_error not in ("skip", "raise"):
        raise ValueError(f"Expected on_error 'skip' or 'raise', received {on_error!r}.")
    if channels not in (None, 1, 3):
        raise ValueError(f"Expected channels 1, 3 or None, received {channels!r}.")
    root = user_path(path)
    if split is None:
        split = default_split(root)
        if split is not None:
            warnings.warn(
                f"Read the images of {root / split} only: {root} holds splits. "
                "split=… (--split=…) names another one.",
                stacklevel=2,
            )
    root = root if split is None else root / split
    paths = _find_files(root)
    workers = workers or 2 * (os.cpu_count() or 1)

    headers, damaged = _in_parallel(read_header, paths, workers)
    others = [path for path, error in damaged.items() if _is_no_image(path, error)]
    if len(others) == len(paths):
        raise FileNotFoundError(
            f"Expected images ({', '.join(SUFFIXES)}) in {root}, found "
            f"{_count_by_suffix(others)}."
        )
    if others:
        warnings.warn(
            f"Passed over files in {root} that are no images: "
            f"{_count_by_suffix(others)}.",
            stacklevel=2,
        )
    for path in others:
        del damaged[path]
    paths = [path for path in paths if path in headers]
    _check_any(paths, damaged, on_error)
    if resolution is None:
        sizes = collections.Counter(headers[path][:2] for path in paths)
        resolution = sizes.most_common(1)[0][0][1]
    _check_sizes(headers, resolution, fit, crop_size)
    if channels is None:
        channels = 1 if all(is_grey for _, _, is_grey in headers.values()) else 3

    def read(path):
        image = decode(path, channels, background)
        return resize_images(image[None], resolution, fit, crop_size)[0]

    def keep(index):
        image = read(paths[index])
        if pixels is not None:
            pixels[index] = image

    shape = (len(paths), resolution, resolution, channels)
    fits = np.prod(shape, dtype=np.int64) <= memory_limit
    pixels = np.empty(shape, np.uint8) if fits else None
    decoded, undecodable = _in_parallel(keep, range(len(paths)), workers)
    damaged |= {paths[index]: error for index, error in undecodable.items()}
    _check_any(decoded, damaged, on_error)
    if damaged:
        warnings.warn(f"Skipped {_name_damaged(damaged)}", stacklevel=2)

    labels, class_names = _classes(root, paths)
    return ImageData(
        root.name,
        FolderImages(paths, read, shape, workers) if pixels is None else pixels,
        labels,
        class_names,
        np.array(sorted(decoded), np.int64),
    )


def _find_files(root):
    """Lists files at any depth, sorted; hidden ones are passed over."""
    if not root.is_dir():
        raise FileNotFoundError(f"Expected a folder at {root}, found none.")
    # One search per class, as two of them may be links to one folder.
    paths = [
        path for entry in root.iterdir() for path in _files_in(entry, {root.resolve()})
    ]
    if not paths:
        raise FileNotFoundError(
            f"Expected images ({', '.join(SUFFIXES)}) in {root}, found none."
        )
    return sorted(paths)


def _files_in(path, seen):
    """Files at or below a path, in no folder twice: links may lead in circles."""
    if path.name.startswith("."):
        return
    if not path.is_dir():
        yield path
        return
    folder = path.resolve()
    if folder not in seen:
        seen.add(folder)
        for entry in sorted(path.iterdir()):
            yield from _files_in(entry, seen)


def _is_no_image(path, error):
    """Whether what cannot be read is not even called an image."""
    unknown = isinstance(error, UnidentifiedImageError) or not path.is_file()
    return unknown and path.suffix.lower() not in SUFFIXES


def _count_by_suffix(paths):
    counts = collections.Counter(path.suffix.lower() for path in paths).most_common()
    kinds = [f"{count} {suffix or 'without suffix'}" for suffix, count in counts]
    return ", ".join([*kinds[:NUM_NAMED], *(["…"] if len(kinds) > NUM_NAMED else [])])


def _in_parallel(function, items, workers):
    """Returns ({item: result}, {item: error})."""

    def attempt(item):
        try:
            return function(item), None
        # Decoders raise all sorts on damaged files: OSError, SyntaxError, zlib.error …
        except Exception as error:
            return None, error

    results, errors = {}, {}
    with ThreadPoolExecutor(workers) as pool, progress_bar(len(items), "file") as done:
        for item, (result, error) in zip(items, pool.map(attempt, items), strict=True):
            if error is None:
                results[item] = result
            else:
                errors[item] = error
            done(1)
    return results, errors


def _check_any(readable, damaged, on_error):
    if not readable or (damaged and on_error == "raise"):
        raise ValueError(f"Expected readable images, received {_name_damaged(damaged)}")


def _name_damaged(damaged):
    lines = [f"{path}: {damaged[path]}" for path in sorted(damaged)]
    return _listed(f"{len(damaged)} damaged image file(s):", lines)


def _check_sizes(headers, resolution, fit, crop_size):
    misfits = []
    for path, (width, height, _) in headers.items():
        try:
            check_size(height, width, resolution, fit, crop_size)
        except ValueError as error:
            misfits.append(f"{path}: {error}")
    if misfits:
        head = f"{len(misfits)} of {len(headers)} images do not fit:"
        raise ValueError(_listed(head, misfits))


def _listed(head, lines):
    more = ["…"] if len(lines) > NUM_NAMED else []
    return "\n  ".join([head, *lines[:NUM_NAMED], *more])


def _classes(root, paths):
    parts = [path.relative_to(root).parts for path in paths]
    if any(len(part) == 1 for part in parts):
        return None, None
    class_names = sorted({part[0] for part in parts})
    numbers = {name: number for number, name in enumerate(class_names)}
    return np.array([numbers[part[0]] for part in parts], np.int32), class_names
