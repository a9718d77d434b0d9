"""Pixels, order, arrays and the embedded set."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

from keras_cfebm import datasets
from keras_cfebm.assets import make_fashion_mnist


@pytest.fixture
def data():
    """Ten 8 x 8 images whose pixels all equal their index."""
    images = np.arange(10, dtype=np.uint8)[:, None, None, None]
    images = np.broadcast_to(images, (10, 8, 8, 1))
    return datasets.from_arrays(images, labels=np.arange(10) % 3)


def indices(batches):
    return [datasets.to_uint8(batch)[:, 0, 0, 0].tolist() for batch in batches]


def take(data, count, **options):
    return list(itertools.islice(data.batches(as_numpy=True, **options), count))


def test_bytes_survive_the_round_trip():
    values = np.arange(256, dtype=np.uint8)
    floats = datasets.to_float(values)
    assert floats.dtype == np.float32
    assert floats[0] == -1 and floats[-1] == 1
    np.testing.assert_array_equal(datasets.to_uint8(floats), values)


@pytest.mark.parametrize(
    ("dtype", "largest"), [("bool", 1), ("uint16", 65_535), ("int64", 255)]
)
def test_integers_of_any_image_type_are_converted_by_their_range(dtype, largest):
    values = np.array([0, largest]).astype(dtype)
    floats = datasets.to_float(values)
    assert floats.dtype == np.float32 and floats.tolist() == [-1, 1]


def test_the_range_of_bytes_holds_for_integers_of_other_types():
    bytes_ = np.arange(256)
    wanted = datasets.to_float(bytes_.astype("uint8"))
    np.testing.assert_array_equal(datasets.to_float(bytes_), wanted)
    with pytest.raises(ValueError, match="int64 images from 0 to 255, received"):
        datasets.to_float(bytes_ + 1)
    with pytest.raises(ValueError, match="-1"):
        datasets.to_float(np.int32([-1, 5]))
    with pytest.raises(ValueError, match="as integers, received float64"):
        datasets.to_float(bytes_ / 255)


def test_to_uint8_clips_and_refuses_nan():
    assert datasets.to_uint8(np.float32([-2, 3])).tolist() == [0, 255]
    with pytest.raises(ValueError, match="NaN"):
        datasets.to_uint8(np.float32([np.nan]))
    with pytest.raises(ValueError, match="received int64"):
        datasets.to_uint8(np.array([1]))


def test_downsampling_takes_the_mean_of_blocks():
    import tensorflow as tf

    images = np.random.default_rng(0).uniform(-1, 1, (2, 8, 8, 3)).astype(np.float32)
    expected = images.reshape(2, 2, 4, 2, 4, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(datasets.downsample(images, 2), expected, atol=1e-6)
    pooled = datasets.downsample(tf.constant(images), 2)
    np.testing.assert_allclose(pooled, expected, atol=1e-6)
    with pytest.raises(ValueError, match="divisible by 2"):
        datasets.downsample(images, 4)


def test_every_example_comes_once_per_epoch_and_epochs_differ(data):
    drawn = np.concatenate(indices(take(data, 10, batch_size=3))).tolist()
    epochs = [drawn[:10], drawn[10:20], drawn[20:30]]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_order_never_changes(data):
    # Recorded from this code: a resumed run must see this order under any later
    # version of NumPy and of this package.
    assert indices(take(data, 2, batch_size=5, seed=7)) == [
        [8, 4, 1, 6, 3],
        [2, 7, 5, 9, 0],
    ]


@pytest.mark.parametrize("start", [1, 4, 11])
@pytest.mark.parametrize("repeat", [True, False])
def test_start_skips_batches_exactly(start, repeat):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 3), dtype=np.uint8)
    data = datasets.from_arrays(pixels)
    options = {"batch_size": 3, "seed": 5, "flip": True, "repeat": repeat}
    whole = take(data, start + 15, **options)[start:]
    resumed = take(data, 15, **options, start=start)
    assert len(whole) == len(resumed)
    for expected, received in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(expected, received)


def test_nothing_waits_for_a_thread_that_tunes(data):
    assert data.batches(8, 4).options().autotune.enabled is False


def test_tf_data_gives_the_same_batches_as_numpy(data):
    options = {"batch_size": 4, "resolution": 4, "flip": True, "labels": True}
    dataset = data.batches(**options)
    images, labels = dataset.element_spec
    assert images.shape == (4, 4, 4, 1) and labels.dtype == "int32"
    for ours, plain in zip(dataset.take(6), take(data, 6, **options), strict=True):
        np.testing.assert_array_equal(ours[0], plain[0])
        np.testing.assert_array_equal(ours[1], plain[1])


def test_one_epoch_in_stored_order(data):
    dataset = data.batches(batch_size=4, repeat=False, shuffle=False)
    assert dataset.cardinality() == 3
    assert indices(dataset) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_labels_stay_with_their_images(data):
    images, labels = next(data.batches(batch_size=10, labels=True, as_numpy=True))
    assert (np.array(indices([images])[0]) % 3 == labels).all()


def test_flips_mirror_half_of_the_images():
    ramp = np.linspace(-1, 1, 8, dtype=np.float32)[None, None, :, None]
    data = datasets.from_arrays(np.broadcast_to(ramp, (1000, 8, 8, 1)))
    (images,) = take(data, 1, batch_size=1000, flip=True)
    mirrored = images[:, 0, 0, 0] == 1
    np.testing.assert_array_equal(
        images[mirrored, 0, :, 0], [ramp[0, 0, ::-1, 0]] * sum(mirrored)
    )
    assert 400 < mirrored.sum() < 600
    assert (data.images() == ramp).all()  # the stored images are untouched


def test_crops_are_random_large_and_as_many_as_the_batch():
    ramp = np.linspace(-1, 1, 64, dtype=np.float32)
    images = np.stack(np.meshgrid(ramp, ramp), axis=-1)[None]  # x, and y
    data = datasets.from_arrays(
        np.concatenate([images, images[..., :1]], -1).repeat(300, 0)
    )
    (found,) = take(data, 1, batch_size=300, random_crop=0.9, shuffle=False)
    width, height = (
        (np.ptp(found[..., channel], axis=(1, 2)) / 2) for channel in (0, 1)
    )
    # Areas from 0.9 to 1, ratios from 0.9 to 1.1, in whole pixels.
    assert (width * height > 0.87).all() and (width * height < 1.001).all()
    assert (width / height > 0.87).all() and (width / height < 1.13).all()
    assert width.std() > 0.01 and np.abs(width - height).max() > 0.03
    left = found[:, 0, 0, 0]
    assert left.min() == -1 and -0.95 < left.max() < -0.75  # off the centre too
    np.testing.assert_array_equal(found[..., 0], found[..., 2])  # one box per image
    # A function of the seed and the place: what is skipped changes nothing.
    whole = take(data, 3, batch_size=50, random_crop=0.5)
    (third,) = take(data, 1, batch_size=50, random_crop=0.5, start=2)
    np.testing.assert_array_equal(third, whole[2])
    assert (whole[0] != whole[1]).any()


def test_constant_images_stay_themselves_when_cropped(data):
    flat = datasets.from_arrays(np.full((4, 8, 8, 1), 0.25, np.float32))
    (images,) = take(flat, 1, batch_size=4, random_crop=0.4)
    np.testing.assert_allclose(images, 0.25)
    (plain,) = take(data, 1, batch_size=4)
    (whole,) = take(data, 1, batch_size=4, random_crop=1.0)
    np.testing.assert_array_equal(plain, whole)
    with pytest.raises(ValueError, match=r"random_crop in \(0, 1\], received 0"):
        data.batches(batch_size=4, random_crop=0.0)


def test_both_sides_of_pairs_are_cropped():
    ramp = np.linspace(-1, 1, 16, dtype=np.float32)[None, None, :, None]
    data = datasets.from_arrays(np.broadcast_to(ramp, (8, 16, 16, 1)))
    options = {"batch_size": 8, "as_numpy": True}
    plain = next(datasets.pairs(data, data, **options))
    cropped = next(datasets.pairs(data, data, random_crop=0.5, **options))
    for before, after in zip(plain, cropped, strict=True):
        assert np.ptp(before) == 2 and np.ptp(after, axis=(1, 2)).mean() < 1.9
    assert (cropped[0] != cropped[1]).any()


def test_batches_are_pooled_from_the_stored_resolution():
    pixels = np.random.default_rng(0).uniform(-1, 1, (4, 14, 14, 3))
    data = datasets.from_arrays(pixels)
    (images,) = take(data, 1, batch_size=4, resolution=7, shuffle=False)
    expected = datasets.downsample(np.float32(pixels))
    np.testing.assert_array_equal(images, expected)
    with pytest.raises(ValueError, match=r"one of \[14, 7\], received 8"):
        data.batches(resolution=8)


def test_subset_by_class_and_number():
    data = datasets.load("fashion_mnist_embedded", split="test")
    bags = data.subset(classes=["Bag"])
    assert set(bags.labels()) == {8} and bags.num_examples == 200
    others = data.subset(exclude_classes=[8, "Sandal"], limit=500)
    assert set(others.labels()) == set(range(10)) - {5, 8} and len(others) == 500
    # Subsets of subsets, and batches of subsets.
    few = bags.subset(limit=3)
    (batch,) = take(few, 1, batch_size=3, shuffle=False)
    np.testing.assert_array_equal(batch, bags.images(limit=3))
    shuffled = bags.subset(limit=3, seed=1).images()
    assert not np.array_equal(shuffled, few.images())
    with pytest.raises(ValueError, match="received 'Shoe'"):
        data.subset(classes=["Shoe"])
    with pytest.raises(ValueError, match="received none"):
        bags.subset(classes=[0])


def test_embedded_set_is_balanced_and_padded_with_black():
    data = datasets.load("fashion_mnist_embedded", resolution=32, fit="pad")
    assert (len(data), data.resolution, data.channels) == (10_000, 32, 1)
    assert np.bincount(data.labels()).tolist() == [1000] * 10
    assert np.bincount(data.labels(limit=100)).tolist() == [10] * 10
    images = data.images(limit=50)
    unpadded = datasets.load("fashion_mnist_embedded").images(limit=50)
    np.testing.assert_array_equal(images[:, 2:-2, 2:-2], unpadded)
    assert images.mean(dtype=float, axis=(1, 2, 3)).std() > 0.01
    assert (images[:, :2] == -1).all() and (images[:, :, -2:] == -1).all()
    with pytest.raises(ValueError, match="Expected an array 'extra_images'"):
        datasets.load("fashion_mnist_embedded", split="extra")
    with pytest.raises(ValueError, match="Expected 32 x 32"):
        datasets.load("fashion_mnist_embedded", resolution=32)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_fits(dtype):
    images = np.zeros((2, 6, 10, 3), dtype)
    images[:, 1:5, 3:7] = 1
    padded = datasets.resize_images(images, 12, "pad")
    assert padded.shape == (2, 12, 12, 3) and padded.dtype == dtype
    np.testing.assert_array_equal(padded[:, 3:9, 1:11], images)
    assert (padded[:, :3] == (0 if dtype == np.uint8 else -1)).all()
    cropped = datasets.resize_images(images, 4, "crop", crop_size=4)
    assert (cropped == 1).all()
    resized = datasets.resize_images(images, 3, "resize")
    assert resized.shape == (2, 3, 3, 3) and abs(resized).max() <= 1
    with pytest.raises(ValueError, match="at most 8 x 8"):
        datasets.resize_images(images, 8, "pad")


def test_large_reduction_is_antialiased():
    checkers = np.indices((64, 64)).sum(0) % 2 * 2.0 - 1
    data = datasets.from_arrays(checkers[None, ..., None], resolution=8, fit="resize")
    assert abs(data.images()).max() < 0.05


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((3, 8, 8), np.uint8), r"for grey ones \[\.\.\., None\]"),
        (np.zeros((3, 8, 8, 2), np.uint8), "1 or 3"),
        (np.zeros((0, 8, 8, 1), np.uint8), "n >= 1"),
        (np.zeros((3, 8, 6, 1), np.uint8), "received 8 x 6"),
        (np.zeros((3, 8, 8, 1), np.int32), "received int32"),
        (np.zeros((3, 8, 8, 1), object), "received object"),
        (np.full((3, 8, 8, 1), np.nan), "finite"),
        (np.full((3, 8, 8, 1), 200.0), "scaling forgotten"),
    ],
)
def test_bad_images_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        datasets.from_arrays(images)


def test_unscaled_floats_are_noticed():
    with pytest.warns(UserWarning, match=r"2 \* images - 1"):
        datasets.from_arrays(np.random.default_rng(0).random((3, 8, 8, 1)))


def test_bad_arguments_are_refused(data):
    for options, message in (
        ({"batch_size": 11}, "at most 10"),
        ({"batch_size": 0}, "at least 1"),
        ({"start": -1}, "at least 0"),
        ({"seed": -1}, "seed from 0"),
        ({"seed": 0.5}, "integer seed"),
    ):
        with pytest.raises(ValueError, match=message):
            data.batches(**options)
    for options, message in (
        ({"resolution": 8.0, "fit": "resize"}, "integer resolution"),
        ({"resolution": 0, "fit": "resize"}, "resolution of at least 1"),
        ({"fit": "pad"}, "Expected a resolution"),
        ({"crop_size": 4}, "fit='crop' only"),
    ):
        with pytest.raises(ValueError, match=message):
            datasets.load("fashion_mnist_embedded", **options)
    unlabelled = datasets.from_arrays(np.zeros((4, 8, 8, 1), np.uint8))
    with pytest.raises(ValueError, match="Expected labels"):
        unlabelled.batches(batch_size=2, labels=True)
    with pytest.raises(ValueError, match="fit to be one of"):
        datasets.load("fashion_mnist_embedded", fit="stretch")
    with pytest.raises(ValueError, match="Expected labels from 0 to 0"):
        datasets.from_arrays(
            np.zeros((2, 8, 8, 1), np.uint8), labels=[0, 1], class_names=["a"]
        )


def test_labels_are_numbered_anew_by_name():
    images = np.zeros((4, 8, 8, 1), np.uint8)
    data = datasets.from_arrays(images, [0, 1, 2, 1], ["cat", "dog", "horse"])
    wanted = ["horse", "gnu", "dog", "cat"]
    again = data.relabelled(wanted)
    assert again.labels().tolist() == [3, 2, 0, 2]
    assert again.class_names == tuple(wanted) and data.class_names[0] == "cat"
    assert data.relabelled(data.class_names) is data
    with pytest.raises(ValueError, match=r"in 'arrays', received some of \['dog'\]"):
        data.relabelled(["cat", "horse"])
    # A class without images here does not matter.
    some = data.subset(classes=["horse", "cat"]).relabelled(["horse", "cat"])
    assert some.labels().tolist() == [1, 0]
    by_name = datasets.from_arrays(images, ["cat", "dog", "horse", "dog"])
    assert by_name.class_names == data.class_names
    np.testing.assert_array_equal(by_name.labels(), data.labels())
    with pytest.raises(ValueError, match="Expected integer labels"):
        datasets.from_arrays(images, np.array(["cat", "dog", "horse", None], object))
    unnamed = datasets.from_arrays(images, [0, 1, 2, 1])
    assert unnamed.relabelled(wanted) is unnamed


def test_array_files(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "set.npy", pixels)
    np.savez(tmp_path / "set.npz", images=pixels, labels=np.arange(5))
    for name in ("set.npy", "set.npz"):
        data = datasets.load(tmp_path / name)
        np.testing.assert_array_equal(data.images(), datasets.to_float(pixels))
    assert data.labels().tolist() == [0, 1, 2, 3, 4]
    np.save(tmp_path / "floats.npy", datasets.to_float(pixels))
    mapped = datasets.load(tmp_path / "floats.npy")
    (flipped,) = take(mapped, 1, batch_size=5, flip=True, shuffle=False)
    assert type(flipped) is np.ndarray and not np.array_equal(flipped, mapped.images())
    np.save(tmp_path / "pickled.npy", np.array([{}] * 3), allow_pickle=True)
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04")
    for name in ("pickled.npy", "broken.npz"):
        with pytest.raises(ValueError, match=f"Expected readable arrays in .*{name}"):
            datasets.load(tmp_path / name)
    with pytest.raises(ValueError, match=r"Expected readable arrays in .*broken\.npz"):
        datasets.test_split(tmp_path / "broken.npz")
    with pytest.raises(FileNotFoundError, match=r"missing\.npy"):
        datasets.load(tmp_path / "missing.npy")


def test_read_idx_checks_its_file(tmp_path):
    path = tmp_path / "labels-idx1-ubyte"
    path.write_bytes(b"\0\0\x08\x01\0\0\0\x03\x07\x08\x09")
    assert make_fashion_mnist.read_idx(path).tolist() == [7, 8, 9]
    path.write_bytes(b"\0\0\x08\x01\0\0\0\x04\x07\x08\x09")
    with pytest.raises(ValueError, match="Expected 4 bytes"):
        make_fashion_mnist.read_idx(path)
    path.write_bytes(b"GIF89a")
    with pytest.raises(ValueError, match="IDX"):
        make_fashion_mnist.read_idx(path)


def test_arrays_need_no_tensorflow():
    # The parent package is replaced by a bare one: only `datasets` is on trial.
    code = """
import importlib.util, sys, types
package = types.ModuleType("keras_cfebm")
spec = importlib.util.find_spec("keras_cfebm")
package.__path__ = spec.submodule_search_locations
sys.modules |= {"keras_cfebm": package, "tensorflow": None}
from keras_cfebm import datasets
data = datasets.load("fashion_mnist_embedded")
next(data.batches(resolution=7, as_numpy=True))
"""
    environment = {**os.environ, "KERAS_BACKEND": "numpy"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
