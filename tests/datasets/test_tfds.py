"""TensorFlow Datasets: recipes on mocked data, and one real set from local files."""

import io
import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from keras_cfebm import datasets
from keras_cfebm.assets import make_fashion_mnist

#: The folder of the four published files: named, or beside the repository.
BESIDE = pathlib.Path(__file__).parents[3] / "shared" / "data" / "fashion-mnist"
SOURCE = pathlib.Path(os.environ.get("CFEBM_FASHION_MNIST_DIR", BESIDE))
needs_source = pytest.mark.skipif(
    not SOURCE.is_dir(),
    reason="neither CFEBM_FASHION_MNIST_DIR nor ../shared holds Fashion-MNIST",
)


@pytest.mark.parametrize(
    ("name", "options", "channels"),
    [
        ("mnist", {"resolution": 32, "fit": "pad"}, 1),
        ("fashion_mnist", {"resolution": 32, "fit": "pad"}, 1),
        ("cifar10", {"resolution": 32}, 3),
        ("cifar100", {"resolution": 32, "channels": 1}, 1),
        ("svhn_cropped", {"resolution": 32, "split": "extra"}, 3),
        ("downsampled_imagenet/32x32", {"resolution": 32, "fit": "resize"}, 3),
        ("imagenet_resized/32x32", {"resolution": 32}, 3),
        ("celeb_a", {"resolution": 64, "fit": "resize"}, 3),
        ("celeb_a", {"resolution": 64, "fit": "crop", "crop_size": 140}, 3),
        ("celeb_a_hq/256", {"resolution": 256}, 3),
        ("celeb_a_hq/512", {"resolution": 512}, 3),
        ("lsun/church", {"resolution": 128, "fit": "crop"}, 3),
        ("cats_vs_dogs", {"resolution": 64, "fit": "crop"}, 3),
        ("cycle_gan/apple2orange", {"resolution": 64, "fit": "crop"}, 3),
        ("cycle_gan/vangogh2photo", {"resolution": 64, "fit": "crop"}, 3),
        ("cycle_gan/horse2zebra", {"resolution": 64, "fit": "crop"}, 3),
        ("cycle_gan/summer2winter", {"resolution": 64, "fit": "crop"}, 3),
        # No recipe: grey, colour, and of varying size.
        ("kmnist", {}, 1),
        ("eurosat", {"resolution": 64}, 3),
        ("oxford_flowers102", {"resolution": 64, "fit": "crop"}, 3),
    ],
)
def test_sets_by_name(name, options, channels, tmp_path):
    if name.startswith("lsun"):
        pytest.importorskip("lmdb")
    split = "trainB" if name.startswith("cycle_gan") else "train"
    options = {"split": split, "data_dir": tmp_path, **options}
    with tfds.testing.mock_data(num_examples=2):
        data = datasets.load(name, **options)
    images = data.images()
    side = options.get("resolution", 28)
    assert data.name == name
    assert images.shape == (2, side, side, channels) and images.dtype == np.float32
    assert images.min() >= -1 and images.max() <= 1 and images.std() > 0.01


def encoded_set(images, labels):
    """What `builder.as_dataset` gives: encoded files and labels."""
    examples = {"image": images, "label": labels}

    def as_dataset(builder, *args, **kwargs):
        return tf.data.Dataset.from_tensor_slices(examples)

    return tfds.testing.mock_data(as_dataset_fn=as_dataset)


def as_file(pixels, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def test_pixels_and_labels_are_those_of_the_set(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (600, 32, 32, 3), dtype=np.uint8)
    labels = rng.integers(0, 10, 600)
    with encoded_set([as_file(image) for image in images], labels):
        data = datasets.load("cifar10", data_dir=tmp_path)
    np.testing.assert_array_equal(datasets.to_uint8(data.images()), images)
    assert data.labels().tolist() == labels.tolist()


def test_crop_is_the_middle_of_the_picture(tmp_path):
    picture = np.zeros((218, 178, 3), np.uint8)
    picture[39:179, 19:159] = [255, 0, 0]  # 140 x 140
    options = {"data_dir": tmp_path, "resolution": 64}
    with encoded_set([as_file(picture)], [0]):
        face = datasets.load("celeb_a", fit="crop", crop_size=140, **options)
        whole = datasets.load("celeb_a", fit="resize", **options)
    assert (datasets.to_uint8(face.images()) == [255, 0, 0]).all()
    assert (datasets.to_uint8(whole.images())[0, [0, -1]] == 0).all()


def test_files_that_cannot_be_used_are_errors_of_the_set(tmp_path):
    def load(file, fit):
        with encoded_set([file], [0]):
            datasets.load("cats_vs_dogs", data_dir=tmp_path, resolution=32, fit=fit)

    with pytest.raises(ValueError, match="An image of cats_vs_dogs: cannot identify"):
        load(b"no image", "crop")
    with pytest.raises(ValueError, match=r"An image of .* received 9 x 8"):
        load(as_file(np.zeros((9, 8, 3), np.uint8)), "exact")


def test_webp_is_decoded_although_tensorflow_cannot(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    with encoded_set([as_file(picture, "WEBP", lossless=True)], [0]):
        data = datasets.load(
            "cats_vs_dogs", data_dir=tmp_path, resolution=16, fit="crop"
        )
    np.testing.assert_array_equal(datasets.to_uint8(data.images())[0], picture)


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
    assert len(list((tmp_path / "cache").iterdir())) == 1


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


def test_failed_downloads_say_where_files_may_be_put(tmp_path, monkeypatch):
    def fail(builder, **kwargs):
        raise tfds.download.DownloadError("HTTP code: 404")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(OSError, match=r"downloads/manual, .*\. HTTP code: 404"):
        datasets.load("downsampled_imagenet/32x32", data_dir=tmp_path, resolution=32)


def test_lsun_is_prepared_without_tensorflow_io(tmp_path, monkeypatch):
    lmdb = pytest.importorskip("lmdb")
    pictures = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    for split in ("train", "val"):
        folder = tmp_path / split / f"church_outdoor_{split}_lmdb"
        folder.mkdir(parents=True)
        with lmdb.open(str(folder)) as database, database.begin(write=True) as writer:
            for number, picture in enumerate(pictures):
                writer.put(f"key{number}".encode(), as_file(picture))

    def downloaded(manager, urls):
        return {split: str(tmp_path / split) for split in urls}

    manager = tfds.download.DownloadManager
    monkeypatch.setattr(manager, "download_and_extract", downloaded)
    data = datasets.load("lsun/church", data_dir=tmp_path, resolution=8, fit="crop")
    received = datasets.to_uint8(data.images())
    assert sorted(map(bytes, received)) == sorted(map(bytes, pictures))
    held_out = datasets.test_split("lsun/church", "train")
    again = datasets.load(
        "lsun/church", held_out, data_dir=tmp_path, resolution=8, fit="crop"
    )
    assert len(again) == 3


@pytest.mark.parametrize(
    ("name", "split", "expected"),
    [
        ("cifar10", "train[:10%]", "test"),
        ("celeb_a", "train", "test"),
        ("imagenet_resized/32x32", "train", "validation"),
        ("lsun/church", "train", "validation"),
        ("cycle_gan/summer2winter", "trainA", "testA"),
        ("cats_vs_dogs", "train[:90%]", "train[90%:]"),
        ("celeb_a_hq/256", "train[:27000]", "train[27000:]"),
        ("celeb_a_hq/256", "train", "train"),
        ("some_other_set", "train", "test"),
    ],
)
def test_held_out_splits(name, split, expected):
    assert datasets.test_split(name, split) == expected


@needs_source
def test_real_set_from_local_files(tmp_path):
    builder = tfds.builder("fashion_mnist", data_dir=tmp_path)
    # The files are checked by TFDS's own checksums; all 70,000 would take a minute.
    config = tfds.download.DownloadConfig(
        manual_dir=SOURCE, max_examples_per_split=1000
    )
    builder.download_and_prepare(download_config=config)
    for split, prefix in (("train", "train"), ("test", "t10k")):
        data = datasets.load("fashion_mnist", split, data_dir=tmp_path, download=False)
        images, labels = make_fashion_mnist.read_split(SOURCE, prefix)
        # Preparing shuffles: compare the sets of (pixels, label) pairs.
        received = datasets.to_uint8(data.images())[..., 0]
        pairs = zip(received, data.labels(), strict=True)
        prepared = sorted((image.tobytes(), label) for image, label in pairs)
        pairs = zip(images[:1000], labels[:1000], strict=True)
        assert prepared == sorted((image.tobytes(), label) for image, label in pairs)


@needs_source
def test_embedded_archive_is_reproduced(tmp_path):
    archive = tmp_path / "again.npz"
    make_fashion_mnist.make(SOURCE, archive)
    assert archive.read_bytes() == make_fashion_mnist.ARCHIVE.read_bytes()


@pytest.mark.parametrize("name", ["photos/", "my-photos", "2024_photos"])
def test_a_folder_that_is_not_there_is_said_to_be_no_image_set(name):
    with pytest.raises(ValueError, match="Expected 'fashion_mnist_embedded', a folder"):
        datasets.load(name)
