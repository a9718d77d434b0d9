"""Images from NumPy arrays and from .npy and .npz files."""

import contextlib
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_cfebm.datasets.image_data import ImageData
from keras_cfebm.datasets.resize import check_fit, resize_images
from keras_cfebm.utils.labels import named_labels
from keras_cfebm.utils.paths import user_path
from keras_cfebm.utils.typing import PathLike, Tensor
from keras_cfebm.utils.validation import (
    GREY_OR_COLOUR,
    check_image_shape,
    check_images,
    check_label_array,
)


def from_arrays(
    images: Tensor,
    labels: Tensor | None = None,
    class_names: Sequence[str] | None = None,
    resolution: int | None = None,
    fit: str = "exact",
    crop_size: int | None = None,
    name: str = "arrays",
) -> ImageData:
    """Makes an image set of arrays that are in memory already.

    Args:
        images: `(n, height, width, channels)` with 1 or 3 channels, uint8 or
            floating-point in [-1, 1]. Not copied unless it has to be resized.
        labels: optional array `(n,)` of integers, or of class names.
        class_names: optional sequence of str, one per label value; None with labels
            that are names for these in the order of the alphabet.
        resolution: height and width to bring the images to; None keeps theirs.
        fit: `"exact"`, `"pad"`, `"resize"` or `"crop"`, see `resize_images`.
        crop_size: side of the square of `fit="crop"` in pixels, default the largest.
        name: str, for titles and messages.

    Returns:
        `ImageData`.

    Raises:
        ValueError: for any other rank, number of channels, dtype or range; for NaN,
            no images, labels that do not match, or images that do not fit.
    """
    check_fit(fit, resolution, crop_size)
    images = _checked_images(np.asarray(images), name)
    if labels is not None:
        labels = np.asarray(labels)
        are_names = all(isinstance(label, str) for label in labels.flat)
        if class_names is None and labels.size and are_names:
            class_names = np.unique(labels.astype(str)).tolist()
        num_classes = None if class_names is None else len(class_names)
        if num_classes is not None:
            labels = named_labels(labels, class_names, num_classes)
        labels = check_label_array(labels, len(images), num_classes)
    images = resize_images(images, resolution, fit, crop_size)
    return ImageData(name, images, labels, class_names)


def from_file(
    path: PathLike, split: str | None = None, name: str | None = None, **options: Any
) -> ImageData:
    """Makes an image set of a `.npy` or `.npz` file; pickled objects are refused.

    Args:
        path: a `.npy` file of images, memory-mapped; or a `.npz` file with `images`
            and optionally `labels` and `class_names`, or with `<split>_images` and
            `<split>_labels` where it holds several splits.
        split: which split of a `.npz` file; None for one without splits.
        name: str, for titles and messages; None for that of the file.
        **options: `resolution`, `fit`, `crop_size` of `from_arrays`.

    Returns:
        `ImageData`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read, or has no such split; and as `from_arrays`.
    """
    path = user_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"Expected an array file at {path}, found none.")
    if path.suffix == ".npz":
        arrays = _arrays_in(path, split)
    elif split is None:
        with _reading(path):
            arrays = {"images": np.load(path, mmap_mode="r", allow_pickle=False)}
    else:
        raise ValueError(f"Expected no split with a .npy file, received {split!r}.")
    return from_arrays(**arrays, **options, name=name or path.stem)


def arrays_of(path: pathlib.Path) -> list[str]:
    """Names of the arrays in a `.npz` file; ValueError if it cannot be read."""
    with _archive(path) as archive:
        return archive.files


@contextlib.contextmanager
def _reading(path):
    try:
        yield
    except Exception as error:  # archives of strangers fail in many ways
        raise ValueError(
            f"Expected readable arrays in {path}, received: {error}"
        ) from error


@contextlib.contextmanager
def _archive(path):
    # Opened here, because NumPy does not close a broken file that it has opened.
    with (
        _reading(path),
        open(path, "rb") as file,
        np.load(file, allow_pickle=False) as archive,
    ):
        yield archive


def _arrays_in(path, split):
    prefix = "" if split is None else f"{split}_"
    places = {
        "images": f"{prefix}images",
        "labels": f"{prefix}labels",
        "class_names": "class_names",
    }
    with _archive(path) as archive:
        names = sorted(archive.files)
        arrays = {key: archive[name] for key, name in places.items() if name in names}
    if "images" not in arrays:
        raise ValueError(
            f"Expected an array '{prefix}images' in {path}, received {names}."
        )
    if "class_names" in arrays:
        arrays["class_names"] = arrays["class_names"].tolist()
    return arrays


def _checked_images(images, name):
    if images.dtype == np.uint8:
        check_image_shape(images.shape, GREY_OR_COLOUR)
        return images
    images = check_images(images, GREY_OR_COLOUR, repr(name), strict=True, once=False)
    inside = images.min() >= -1 and images.max() <= 1
    return images if inside else np.clip(images, -1, 1)
