"""Any image set of TensorFlow Datasets, by name."""

import hashlib
import io
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_cfebm.datasets import lsun
from keras_cfebm.datasets.cache import MEMORY_LIMIT, decode_once
from keras_cfebm.datasets.decode import decode
from keras_cfebm.datasets.image_data import ImageData
from keras_cfebm.datasets.resize import check_fit, check_size, fit_images
from keras_cfebm.datasets.tfds_catalog import find_recipe
from keras_cfebm.utils.optional import optional_import
from keras_cfebm.utils.typing import PathLike


def from_tfds(
    name: str,
    split: str = "train",
    resolution: int | None = None,
    fit: str = "exact",
    crop_size: int | None = None,
    channels: int | None = None,
    background: float | Sequence[float] = 1.0,
    data_dir: PathLike | None = None,
    download: bool = True,
    memory_limit: int = MEMORY_LIMIT,
    cache_dir: PathLike | None = None,
) -> ImageData:
    """Makes an image set of one of TensorFlow Datasets.

    Args:
        name: name of any set with an image feature; with `/config` where it has
            several. Two short ones are ours: `"lsun/church"` and
            `"cycle_gan/summer2winter"`.
        split: split in the syntax of TensorFlow Datasets, such as `"train[:10%]"`.
        resolution: height and width to bring the images to; None keeps the size of
            square images.
        fit: `"exact"`, `"pad"`, `"resize"` or `"crop"`, see `fit_images`.
        crop_size: side of the square of `fit="crop"` in pixels, default the largest.
        channels: 1 (grey) or 3 (RGB); None for those of the set.
        background: what shows through transparent pixels, in [-1, 1].
        data_dir: folder of prepared sets; None for that of TensorFlow Datasets.
        download: False only reads a set that is prepared already.
        memory_limit: bytes; a set that decodes to more goes to a file in `cache_dir`.
        cache_dir: see `decode_once`.

    Returns:
        `ImageData`. Files are decoded once, in parallel.

    Raises:
        ValueError: for an unknown name or split, a set without images, or images that
            do not fit or cannot be decoded.
        FileNotFoundError: if the set is not prepared, and not to be downloaded or only
            to be had by hand.
        OSError: if the download fails.
        ImportError: if preparing the set needs an extra of this package.
    """
    check_fit(fit, resolution, crop_size)
    tfds_name, recipe = find_recipe(name)
    for part in split.split("+"):
        if recipe.splits and part.split("[")[0].strip() not in recipe.splits:
            raise ValueError(
                f"Expected a split of {name!r}, one of {recipe.splits}, received "
                f"{split!r}."
            )
    # Slow to import, and needed by nobody who uses other data.
    optional_import("tensorflow")
    tfds = optional_import("tensorflow_datasets")
    try:
        builder = tfds.builder(tfds_name, data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        unknown = isinstance(error, tfds.core.DatasetNotFoundError)
        if not unknown and "Parsing builder name" not in str(error):
            raise  # of a set that there is
        raise ValueError(
            f"Expected 'fashion_mnist_embedded', a folder, a .npy or .npz file, or the "
            f"name of a TensorFlow dataset; received {name!r}."
        ) from error
    image_key, label_key = _feature_keys(builder, tfds)
    image_shape = builder.info.features[image_key].shape
    channels = channels or (1 if image_shape[-1] == 1 else 3)
    if resolution is None:
        resolution = image_shape[0]
        if resolution is None:
            raise ValueError(
                f"Expected a resolution: the images of {name!r} vary in size."
            )
    if None not in image_shape[:2]:
        check_size(*image_shape[:2], resolution, fit, crop_size)
    _prepare(builder, recipe, download, tfds)

    def convert(file):
        try:
            image = decode(io.BytesIO(file), channels, background)
            return fit_images(image[None], resolution, fit, crop_size)[0]
        except Exception as error:  # as for image folders
            raise ValueError(f"An image of {name}: {error}") from error

    decoders = tfds.decode.PartialDecoding(
        {key: True for key in (image_key, label_key) if key},
        decoders={image_key: tfds.decode.SkipDecoding()},
    )
    dataset = builder.as_dataset(split=split, shuffle_files=False, decoders=decoders)
    shape = (int(dataset.cardinality()), resolution, resolution, channels)

    def fill(pixels):
        labels = []
        for position, image, label in _examples(dataset, image_key, label_key, convert):
            pixels[position] = image
            labels.append(label)
        if len(labels) != len(pixels):
            raise ValueError(
                f"Expected {len(pixels)} images, {name} gave {len(labels)}."
            )
        return np.array(labels, np.int32) if label_key else None

    how = (builder.info.full_name, split, shape, fit, crop_size, background)
    digest = hashlib.sha256(repr(how).encode()).hexdigest()[:12]
    key = re.sub(r"[^\w.-]+", "_", f"{builder.info.full_name}-{split}-{resolution}px")
    pixels, labels = decode_once(
        fill, shape, f"{key}-{digest}", memory_limit, cache_dir
    )
    class_names = builder.info.features[label_key].names if label_key else None
    return ImageData(name, pixels, labels, class_names)


def _feature_keys(builder, tfds):
    """Returns the names of the image feature and of the class label, or None."""
    features = builder.info.features
    images = [
        key
        for key, feature in features.items()
        if isinstance(feature, tfds.features.Image)
        and feature.np_dtype in (np.uint8, np.uint16)
    ]
    if len(images) != 1 and "image" not in images:
        raise ValueError(
            f"Expected a dataset with one image of 8 or 16 bits, {builder.name!r} has "
            f"{images or 'none'} among {sorted(features)}."
        )
    labels = [
        key
        for key, feature in features.items()
        if isinstance(feature, tfds.features.ClassLabel)
    ]
    label = "label" if "label" in labels else labels[0] if len(labels) == 1 else None
    return "image" if "image" in images else images[0], label


def _examples(dataset, image_key, label_key, convert):
    """Yields (position, converted image, label or None)."""
    position = 0
    with ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as pool:
        # Batches are read ahead; more than one at a time would only take memory.
        for batch in dataset.batch(256).prefetch(1).as_numpy_iterator():
            labels = batch[label_key] if label_key else [None] * len(batch[image_key])
            images = pool.map(convert, batch[image_key])
            for image, label in zip(images, labels, strict=True):
                yield position, image, label
                position += 1


def _prepare(builder, recipe, download, tfds):
    if builder.is_prepared():
        return
    if not download:
        raise FileNotFoundError(
            f"Expected {builder.info.full_name} prepared in {builder.data_dir}, "
            f"found nothing there, and download=False."
        )
    if builder.name == "lsun":
        optional_import("lmdb", "lsun")  # asked for before gigabytes are downloaded
        builder._generate_examples = lsun.examples
    by_hand = os.path.join(builder.data_dir_root, "downloads", "manual")
    try:
        builder.download_and_prepare()
    except AssertionError as error:
        # How TensorFlow Datasets says that files must be fetched by hand.
        raise FileNotFoundError(
            f"{builder.info.full_name} cannot be downloaded automatically. Put "
            f"{recipe.manual or 'its files'} into {by_hand} and call again. "
            f"{builder.MANUAL_DOWNLOAD_INSTRUCTIONS or error}"
        ) from error
    except (
        tfds.download.DownloadError,
        tfds.core.download.download_manager.NonMatchingChecksumError,
    ) as error:
        raise OSError(
            f"{builder.info.full_name} could not be downloaded. Call again later, or "
            f"put the files that its address once gave into {by_hand}, where they are "
            f"recognised by their checksums. {error}"
        ) from error
