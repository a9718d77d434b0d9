"""Any image set of TensorFlow Datasets, by name."""

import dataclasses
import hashlib
import re
from collections.abc import Sequence

import numpy as np
from PIL import Image

from keras_cfebm.datasets.decode import as_channels, reduce_16_bits
from keras_cfebm.datasets.fit import check_fit, check_size, fit_images
from keras_cfebm.datasets.image_data import ImageData
from keras_cfebm.datasets.storage import MEMORY_LIMIT, decode_once
from keras_cfebm.typing import PathLike


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What is known of a set before it is downloaded.

    Attributes:
        splits: names of its splits; empty if not known.
        tfds_name: its name in TensorFlow Datasets, where ours is shorter.
        manual: what the user has to put into `<data_dir>/downloads/manual`.
    """

    splits: tuple = ()
    tfds_name: str | None = None
    manual: str | None = None


TRAIN_TEST = Recipe(splits=("train", "test"))
TWO_DOMAINS = Recipe(splits=("trainA", "trainB", "testA", "testB"))
RECIPES = {
    "mnist": TRAIN_TEST,
    "fashion_mnist": TRAIN_TEST,
    "cifar10": TRAIN_TEST,
    "cifar100": TRAIN_TEST,
    "svhn_cropped": Recipe(splits=("train", "test", "extra")),
    # 218 x 178: fit="resize" takes the whole image, fit="crop" the centred square.
    "celeb_a": Recipe(splits=("train", "validation", "test")),
    "celeb_a_hq/256": Recipe(splits=("train",), manual="data256x256.tar"),
    "celeb_a_hq/512": Recipe(splits=("train",), manual="data512x512.tar"),
    # Preparing it needs the package tensorflow-io.
    "lsun/church": Recipe(
        splits=("train", "validation"), tfds_name="lsun/church_outdoor"
    ),
    "cats_vs_dogs": Recipe(splits=("train",)),
    "cycle_gan/apple2orange": TWO_DOMAINS,
    "cycle_gan/horse2zebra": TWO_DOMAINS,
    "cycle_gan/summer2winter": dataclasses.replace(
        TWO_DOMAINS, tfds_name="cycle_gan/summer2winter_yosemite"
    ),
    "cycle_gan/vangogh2photo": TWO_DOMAINS,
}


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
        name: name of the set, one of `RECIPES` or any other with an image feature;
            with `/config` where it has several.
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
        `ImageData`.

    Raises:
        ValueError: for an unknown name or split, a set without images, or images that
            do not fit.
        FileNotFoundError: if the set is not prepared and cannot be downloaded.
    """
    check_fit(fit, resolution, crop_size)
    recipe = RECIPES.get(name, Recipe())
    for part in split.split("+"):
        if recipe.splits and part.split("[")[0].strip() not in recipe.splits:
            raise ValueError(
                f"Expected a split of {name!r}, one of {recipe.splits}, received "
                f"{split!r}."
            )
    # Slow to import, and needed by nobody who uses other data.
    import tensorflow as tf
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(recipe.tfds_name or name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
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
    _prepare(builder, recipe, download)

    def convert(image):
        image = reduce_16_bits(image) if image.dtype == np.uint16 else image
        if image.shape[-1] != channels:
            grey = image.shape[-1] == 1
            picture = Image.fromarray(image[..., 0] if grey else image)
            image = as_channels(picture, channels, background)
        return fit_images(image[None], resolution, fit, crop_size)[0]

    def convert_example(example):
        image = tf.numpy_function(convert, [example[image_key]], tf.uint8)
        image.set_shape((resolution, resolution, channels))
        label = example[label_key] if label_key else tf.constant(-1, tf.int64)
        return image, label

    keys = {key: True for key in (image_key, label_key) if key}
    decoders = tfds.decode.PartialDecoding(keys)
    dataset = builder.as_dataset(split=split, shuffle_files=False, decoders=decoders)
    shape = (int(dataset.cardinality()), resolution, resolution, channels)
    dataset = dataset.map(convert_example, num_parallel_calls=tf.data.AUTOTUNE)

    def fill(pixels):
        labels, filled = [], 0
        for images, batch_labels in dataset.batch(256).as_numpy_iterator():
            pixels[filled : filled + len(images)] = images
            filled += len(images)
            labels.append(batch_labels)
        if filled != len(pixels):
            raise ValueError(f"Expected {len(pixels)} images, {name} gave {filled}.")
        return np.concatenate(labels).astype(np.int32) if label_key else None

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


def _prepare(builder, recipe, download):
    try:
        if download:
            builder.download_and_prepare()
        elif not builder.is_prepared():
            raise FileNotFoundError(
                f"Expected {builder.info.full_name} prepared in {builder.data_dir}, "
                f"found nothing there, and download=False."
            )
    except AssertionError as error:
        # How TensorFlow Datasets says that files must be fetched by hand.
        raise FileNotFoundError(
            f"{builder.info.full_name} cannot be downloaded automatically. Put "
            f"{recipe.manual or 'its files'} into "
            f"{builder.data_dir_root}/downloads/manual and call again. "
            f"{builder.MANUAL_DOWNLOAD_INSTRUCTIONS or error}"
        ) from error
