"""One door for every kind of image set: `load`, and the split to judge it by."""

import os
from typing import Any

from keras_cfebm.datasets.arrays import arrays_of, from_file
from keras_cfebm.datasets.embedded import ARCHIVE, EMBEDDED
from keras_cfebm.datasets.folder import from_folder
from keras_cfebm.datasets.folder_splits import folder_test_split
from keras_cfebm.datasets.image_data import ImageData
from keras_cfebm.datasets.tfds import from_tfds
from keras_cfebm.datasets.tfds_catalog import tfds_test_split
from keras_cfebm.utils.paths import is_image_folder, user_path
from keras_cfebm.utils.typing import PathLike


def load(
    name: PathLike,
    split: str | None = None,
    resolution: int | None = None,
    fit: str = "exact",
    **options: Any,
) -> ImageData:
    """Loads an image set by name or path.

    Args:
        name: what is tried, in this order:
            `"fashion_mnist_embedded"`: 10,000 training and 2,000 test images of
            28 x 28 x 1 in ten classes, part of this package;
            a `.npy` or `.npz` file, see `from_file`;
            a folder of images, see `from_folder` (the folder of a run is none);
            a name of TensorFlow Datasets, see `from_tfds`.
        split: `"train"` by default for embedded and TensorFlow sets, and for folders
            that hold splits, see `default_split`. Other folders, and files, have no
            splits by default; with one, its arrays or sub-folder are used.
        resolution: height and width to bring the images to; None keeps theirs.
        fit: `"exact"` (sizes must agree), `"pad"`, `"resize"` or `"crop"`, see
            `resize_images`.
        **options: further arguments of the function named above, such as `channels`,
            `crop_size`, `data_dir`, `memory_limit`.

    Returns:
        `ImageData`.

    Raises:
        FileNotFoundError: if a path does not exist, or holds no images.
        ValueError: for an unknown name, split or fit, or images that do not fit.

    Example:
        ```python
        load("fashion_mnist_embedded", resolution=32, fit="pad")
        # ImageData('fashion_mnist_embedded', 10000 images of 32 x 32 x 1)
        ```
    """
    options |= {"resolution": resolution, "fit": fit}
    name = os.fspath(name)
    path = user_path(name)
    if name == EMBEDDED:
        return from_file(ARCHIVE, split=split or "train", name=name, **options)
    if path.suffix in (".npy", ".npz"):
        return from_file(path, split=split, **options)
    if is_image_folder(path):
        return from_folder(path, split=split, **options)
    if path.is_absolute() or name.startswith(("./", "../", "~")):
        raise FileNotFoundError(f"Expected a folder or file at {path}, found none.")
    return from_tfds(name, split=split or "train", **options)


def test_split(name: PathLike, split: str | None = None) -> str | None:
    """The split of an image set that is kept for judging what was trained on another.

    Args:
        name: as for `load`.
        split: the split that was trained on, in the form that the set takes.

    Returns:
        str: `"test"`, or of two domains the matching one (`"testA"` for `"trainA"`);
        of a folder or a TensorFlow set without one its validation split, see
        `default_split` and `tfds_test_split`; else `split` itself (then there are no
        held-out images), which may be None.
    """
    path = user_path(os.fspath(name))
    wanted = (split or "train").replace("train", "test")
    if path.suffix == ".npy":
        return split
    if path.suffix == ".npz" and os.path.isfile(path):
        return wanted if f"{wanted}_images" in arrays_of(path) else split
    if is_image_folder(path) and os.fspath(name) != EMBEDDED:
        return folder_test_split(path, split)
    return tfds_test_split(os.fspath(name), split or "train")
