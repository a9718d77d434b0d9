"""TensorFlow Datasets: recipes on mocked data, and one real set from local files."""

import os

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_cfebm import datasets
from keras_cfebm.assets import make_fashion_mnist

SOURCE = os.environ.get("CFEBM_FASHION_MNIST_DIR")


@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("mnist", {"resolution": 32, "fit": "pad"}, (32, 32, 1)),
        ("cifar10", {}, (32, 32, 3)),
        ("cifar100", {"channels": 1}, (32, 32, 1)),
        ("svhn_cropped", {"split": "extra"}, (32, 32, 3)),
        ("celeb_a", {"resolution": 16, "fit": "resize"}, (16, 16, 3)),
        (
            "celeb_a",
            {"resolution": 16, "fit": "crop", "crop_size": 128},
            (16, 16, 3),
        ),
        ("celeb_a_hq/256", {"resolution": 64, "fit": "resize"}, (64, 64, 3)),
        ("lsun/church", {"resolution": 16, "fit": "crop"}, (16, 16, 3)),
        ("cats_vs_dogs", {"resolution": 16, "fit": "crop"}, (16, 16, 3)),
        (
            "cycle_gan/horse2zebra",
            {"split": "trainB", "resolution": 16, "fit": "resize"},
            (16, 16, 3),
        ),
    ],
)
def test_recipes(name, options, shape, tmp_path):
    with tfds.testing.mock_data(num_examples=4):
        data = datasets.load(name, data_dir=tmp_path, **options)
    assert data.name == name
    images = data.images()
    assert images.shape == (4, *shape) and images.dtype == np.float32
    assert images.min() >= -1 and images.max() <= 1 and images.std() > 0.01


def test_pixels_and_labels_are_those_of_the_set(tmp_path):
    rng = np.random.default_rng(0)
    expected = {
        "image": rng.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8),
        "label": rng.integers(0, 10, 20),
    }

    def as_dataset(builder, *args, **kwargs):
        return tf.data.Dataset.from_tensor_slices(expected)

    with tfds.testing.mock_data(as_dataset_fn=as_dataset):
        data = datasets.load("cifar10", data_dir=tmp_path)
    np.testing.assert_array_equal(datasets.to_uint8(data.images()), expected["image"])
    assert data.labels().tolist() == expected["label"].tolist()


def test_cats_without_dogs(tmp_path):
    with tfds.testing.mock_data(num_examples=30):
        data = datasets.load(
            "cats_vs_dogs", data_dir=tmp_path, resolution=8, fit="crop"
        )
    assert data.class_names == ("cat", "dog")
    cats = data.subset(classes=["cat"])
    assert 0 < len(cats) < 30 and set(cats.labels()) == {0}


def test_large_sets_go_to_a_file_and_come_back(tmp_path):
    options = {"data_dir": tmp_path, "cache_dir": tmp_path / "cache"}
    with tfds.testing.mock_data(num_examples=6):
        kept = datasets.load("cifar10", **options)
        mapped = datasets.load("cifar10", memory_limit=0, **options)
    np.testing.assert_array_equal(mapped.images(), kept.images())
    np.testing.assert_array_equal(mapped.labels(), kept.labels())
    # A second load reads the file: other fake pixels are not seen.
    with tfds.testing.mock_data(num_examples=6, max_value=1):
        again = datasets.load("cifar10", memory_limit=0, **options)
    np.testing.assert_array_equal(again.images(), kept.images())
    assert [path.name for path in (tmp_path / "cache").glob("partial*")] == []


def test_wrong_names_and_splits(tmp_path):
    with pytest.raises(ValueError, match="received 'trainC'"):
        datasets.load("cycle_gan/horse2zebra", split="trainC")
    with pytest.raises(ValueError, match=r"one of \('train',\)"):
        datasets.load("cats_vs_dogs", split="train[:10%]+test")
    with pytest.raises(ValueError, match="received 'no_such_set'"):
        datasets.load("no_such_set", data_dir=tmp_path)
    with pytest.raises(ValueError, match="one image of 8 or 16 bits"):
        datasets.load("iris", data_dir=tmp_path)
    with pytest.raises(ValueError, match="with fit='exact', received 218 x 178"):
        datasets.load("celeb_a", resolution=64, data_dir=tmp_path)
    with pytest.raises(ValueError, match="vary in size"):
        datasets.load("cats_vs_dogs", data_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match="download=False"):
        datasets.load("cifar10", data_dir=tmp_path, download=False)


def test_manual_download_says_what_goes_where(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"Put data256x256\.tar into .*downloads/manual"
    ):
        datasets.load("celeb_a_hq/256", data_dir=tmp_path)


@pytest.mark.skipif(
    SOURCE is None,
    reason="CFEBM_FASHION_MNIST_DIR names no folder of the four Fashion-MNIST files",
)
def test_real_set_from_local_files(tmp_path):
    builder = tfds.builder("fashion_mnist", data_dir=tmp_path)
    config = tfds.download.DownloadConfig(manual_dir=SOURCE)
    builder.download_and_prepare(download_config=config)
    for split, prefix in (("train", "train"), ("test", "t10k")):
        data = datasets.load("fashion_mnist", split, data_dir=tmp_path, download=False)
        images, labels = make_fashion_mnist.read_split(SOURCE, prefix)
        assert len(data) == len(labels)
        # Preparing shuffles: compare the sets of (pixels, label) pairs.
        received = datasets.to_uint8(data.images())[..., 0]
        pairs = zip(received, data.labels(), strict=True)
        prepared = sorted((image.tobytes(), label) for image, label in pairs)
        pairs = zip(images, labels, strict=True)
        assert prepared == sorted((image.tobytes(), label) for image, label in pairs)


@pytest.mark.skipif(
    SOURCE is None,
    reason="CFEBM_FASHION_MNIST_DIR names no folder of the four Fashion-MNIST files",
)
def test_embedded_archive_is_reproduced(tmp_path):
    archive = tmp_path / "again.npz"
    make_fashion_mnist.make(SOURCE, archive)
    assert archive.read_bytes() == make_fashion_mnist.ARCHIVE.read_bytes()
