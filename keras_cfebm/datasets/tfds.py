"""Any image set of TensorFlow Datasets, by name."""

import functools
import hashlib
import io
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_cfebm.datasets.cache import MEMORY_LIMIT, decode_once
from keras_cfebm.datasets.decode import decode
from keras_cfebm.datasets.image_data import ImageData
from keras_cfebm.datasets.resize import check_fit, check_size, resize_images
from keras_cfebm.datasets.tfds_catalog import MANUAL_FILES, SPLITS, full_name
from keras_cfebm.utils.optional import optional_import
from keras_cfebm.utils.progress import progress_bar
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
        fit: `"exact"`, `"pad"`, `"resize"` or `"crop"`, see `resize_images`.
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
    tfds_name = full_name(name)
    parts = [part.split("[")[0].strip() for part in split.split("+")]
    splits = SPLITS.get(tfds_name, parts)
    if not set(parts) <= set(splits):
        raise ValueError(
            f"Expected a split of {name!r}, one of {splits}, received {split!r}."
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
            f"name of a TensorFlow dataset, received {name!r}."
        ) from error
    image_key, label_key = _feature_keys(builder, tfds)
    image_shape = builder.info.features[image_key].shape
    channels = channels or (1 if image_shape[-1] == 1 else 3)
    if resolution is None:
        resolution = image_shape[0]
        if resolution is None:
            raise ValueError(
                f"Expected a resolution, as the images of {name!r} vary in size, "
                "received None."
            )
    if None not in image_shape[:2]:
        height, width = image_shape[:2]
        check_size(height, width, resolution, fit, crop_size)
    _prepare(builder, MANUAL_FILES.get(tfds_name, "files"), download, tfds)

    def convert(file):
        try:
            image = decode(io.BytesIO(file), channels, background)
            return resize_images(image[None], resolution, fit, crop_size)[0]
        except Exception as error:  # as for image folders
            raise ValueError(
                f"Expected a readable image in {name}, received: {error}"
            ) from error

    decoders = tfds.decode.PartialDecoding(
        {key: True for key in (image_key, label_key) if key},
        decoders={image_key: tfds.decode.SkipDecoding()},
    )
    dataset = builder.as_dataset(split=split, shuffle_files=False, decoders=decoders)
    shape = (int(dataset.cardinality()), resolution, resolution, channels)

    def fill(pixels):
        labels: list[int] = []
        done = 0
        workers = 2 * (os.cpu_count() or 1)
        with ThreadPoolExecutor(workers) as pool, progress_bar(len(pixels)) as show:
            # Batches are read ahead; more than one at a time would only take memory.
            for batch in dataset.batch(256).prefetch(1).as_numpy_iterator():
                for image in pool.map(convert, batch[image_key]):
                    pixels[done] = image
                    done += 1
                show(len(batch[image_key]))
                labels.extend(batch[label_key] if label_key else ())
        if done != len(pixels):
            raise ValueError(
                f"Expected {len(pixels)} images in {name}, received {done}."
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

    def keys(kind):
        return [key for key, feature in features.items() if isinstance(feature, kind)]

    images = keys(tfds.features.Image)
    images = [key for key in images if features[key].np_dtype in (np.uint8, np.uint16)]
    image = _only(images, "image")
    if image is None:
        raise ValueError(
            "Expected a dataset with one image of 8 or 16 bits, received "
            f"{builder.name!r} with {images or 'none'} among {sorted(features)}."
        )
    return image, _only(keys(tfds.features.ClassLabel), "label")


def _only(keys, usual):
    if usual in keys:
        return usual
    return keys[0] if len(keys) == 1 else None


def _prepare(builder, manual, download, tfds):
    if builder.is_prepared():
        return
    if not download:
        raise FileNotFoundError(
            f"Expected {builder.info.full_name} prepared in {builder.data_dir}, as "
            f"download=False, found nothing there."
        )
    if builder.name == "lsun":
        # It reads with tensorflow-io, which has no release for TensorFlow after 2.16.
        # lmdb is asked for before gigabytes are downloaded.
        lmdb = optional_import("lmdb", "lsun")
        builder._generate_examples = functools.partial(_lsun_examples, lmdb)
    by_hand = os.path.join(builder.data_dir_root, "downloads", "manual")
    try:
        builder.download_and_prepare()
    except AssertionError as error:
        # How TensorFlow Datasets says that files must be fetched by hand.
        raise FileNotFoundError(
            f"Expected {manual} in {by_hand}, found none. "
            f"{builder.info.full_name} cannot be downloaded automatically: put the "
            f"files there. {builder.MANUAL_DOWNLOAD_INSTRUCTIONS or error}"
        ) from error
    except (
        tfds.download.DownloadError,
        tfds.core.download.download_manager.NonMatchingChecksumError,
    ) as error:
        raise OSError(
            f"Expected to download {builder.info.full_name}, received: {error} Call "
            f"again later, or put the files that its address once gave into {by_hand}, "
            "where they are recognised by their checksums."
        ) from error


def _lsun_examples(lmdb, extracted_dir, file_path):
    """Yields what the builder's own `_generate_examples` yields."""
    folder = os.path.join(extracted_dir, file_path)
    with (
        lmdb.open(folder, readonly=True, lock=False) as database,
        database.begin() as transaction,
    ):
        for number, (key, image) in enumerate(transaction.cursor()):
            yield number, {"id": key.decode(), "image": io.BytesIO(image)}
