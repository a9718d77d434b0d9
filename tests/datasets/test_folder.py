"""Image folders: odd files, damaged files, sizes, classes."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_cfebm import datasets


def picture(size=(16, 16), seed=0):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8))


def write_png(path, width, height, rows, depth=8):
    """A colour PNG as Pillow does not write it; each row starts with a zero byte."""

    def chunk(kind, content):
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def bomb(path):
    """A PNG of a few bytes that declares 100,000 x 100,000 pixels."""
    write_png(path, 100_000, 100_000, b"\0" * 1000)


def only_image(folder, **options):
    return datasets.to_uint8(datasets.load(folder, **options).images())[0]


def test_lossless_formats_give_the_same_pixels(tmp_path):
    for suffix in ("PNG", "bmp"):
        picture().save(tmp_path / f"a.{suffix}")
    picture().save(tmp_path / "a.webp", lossless=True)
    picture().save(tmp_path / "a.tif")
    picture().save(tmp_path / "without_suffix", format="PNG")
    picture().save(tmp_path / "a.dat", format="PPM")
    (tmp_path / "folder.png").mkdir()
    data = datasets.load(tmp_path)
    assert len(data) == 6 and data.name == tmp_path.name and not data.has_labels
    for image in datasets.to_uint8(data.images()):
        np.testing.assert_array_equal(image, np.asarray(picture()))


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_first_frame_of_animations(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(
        tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], **options
    )
    assert (only_image(tmp_path) == [255, 0, 0]).all()


def test_files_that_are_no_images_are_counted_in_one_warning(tmp_path):
    picture().save(tmp_path / "a.png")
    for name in ("a.txt", "b.TXT", "labels.csv", "LICENSE", ".hidden"):
        (tmp_path / name).write_text("no image")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    with pytest.warns(UserWarning, match="that are no images") as warned:
        data = datasets.load(tmp_path, on_error="raise")
    message = str(warned[0].message)
    assert len(warned) == 1 and len(data) == 1
    assert message.endswith(": 2 without suffix, 2 .txt, 1 .csv.")
    (tmp_path / "a.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"found 2 without suffix, 2 \.txt, 1"):
        datasets.load(tmp_path)


def test_jpeg_by_any_name(tmp_path):
    for name in ("a.jfif", "b.jpe", "c"):
        Image.new("L", (8, 8), 200).save(tmp_path / name, format="JPEG")
    assert (datasets.to_uint8(datasets.load(tmp_path).images()) == 200).all()


def test_pixels_of_unknown_range_are_refused_by_name(tmp_path):
    picture().save(tmp_path / "a.png")
    Image.new("F", (16, 16), 0.5).save(tmp_path / "b.tiff")
    with pytest.warns(UserWarning, match=r"b\.tiff: Expected .* floating-point"):
        assert len(datasets.load(tmp_path)) == 1


def test_links_to_folders_are_followed_once(tmp_path):
    store, pets = tmp_path / "store", tmp_path / "pets"
    for folder in (store / "cat", pets / "dog"):
        folder.mkdir(parents=True)
    picture(seed=1).save(store / "cat" / "1.png")
    picture(seed=2).save(pets / "dog" / "2.png")
    for link, target in {
        pets / "cat": store / "cat",
        pets / "feline": store / "cat",  # of the same images, and a class of its own
        pets / "all": pets,
        pets / "dog" / "again": pets / "dog",
        pets / "dog" / "up": pets,
        store / "cat" / "self": store / "cat" / "self",
        store / "cat" / "round": store,
    }.items():
        link.symlink_to(target)
    with pytest.warns(UserWarning, match="2 without suffix"):  # "self", seen twice
        data = datasets.load(pets)
    assert data.class_names == ("cat", "dog", "feline")
    assert data.labels().tolist() == [0, 1, 2]


def test_jpeg_is_close_to_its_source(tmp_path):
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
    colours = np.stack([ramp, ramp.T, 255 - ramp], axis=-1)
    Image.fromarray(colours).save(tmp_path / "a.jpg", quality=95, subsampling=0)
    assert abs(only_image(tmp_path).astype(int) - colours).max() <= 5


@pytest.mark.parametrize(
    ("mode", "pixel", "saved", "expected"),
    [
        ("1", 1, {}, [255]),
        ("L", 77, {}, [77]),
        ("L", 77, {"transparency": 77}, [0]),
        ("LA", (200, 51), {}, [40]),  # a fifth of 200 on black
        ("P", 1, {}, [10, 20, 30]),
        ("P", 1, {"transparency": 1}, [0, 0, 0]),
        ("RGB", (10, 20, 30), {"transparency": (10, 20, 30)}, [0, 0, 0]),
        ("RGBA", (250, 100, 0, 51), {}, [50, 20, 0]),
        ("I;16", 65535, {}, [255]),
        ("I;16", 300, {}, [1]),
        ("I;16", 65535, {"transparency": 65535}, [0]),
    ],
)
def test_modes_of_png(tmp_path, mode, pixel, saved, expected):
    image = Image.new(mode, (8, 8), pixel)
    if mode == "P":
        image.putpalette([0, 0, 0, 10, 20, 30])
    image.save(tmp_path / "a.png", **saved)
    assert (only_image(tmp_path, background=-1) == expected).all()


def test_colour_of_16_bits(tmp_path):
    values = np.array([0, 1, 128, 255], np.uint8)
    row = b"\0" + np.stack([values, values[::-1], values], -1).repeat(2).tobytes()
    path = tmp_path / "a.png"
    write_png(path, 4, 4, row * 4, depth=16)  # each byte twice: 257 times the value
    assert only_image(tmp_path)[0].tolist() == [
        [0, 255, 0],
        [1, 128, 1],
        [128, 1, 128],
        [255, 0, 255],
    ]


def test_cmyk(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    assert abs(only_image(tmp_path).astype(int) - [255, 0, 0]).max() <= 5


def test_transparency_shows_the_background(tmp_path):
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "a.png")
    assert (only_image(tmp_path) == 255).all()
    teal = only_image(tmp_path, background=(-1, 0, 0))
    assert (teal == [0, 128, 128]).all()
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.save(tmp_path / "a.png")
    assert (only_image(tmp_path) == [10, 20, 30]).all()
    palette.save(tmp_path / "a.png", transparency=1)
    assert (only_image(tmp_path, background=-1) == 0).all()


def test_grey_images(tmp_path):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    image = only_image(tmp_path)
    assert image.shape == (8, 8, 1)
    np.testing.assert_array_equal(image[..., 0], np.rint(ramp / 257))
    assert only_image(tmp_path, channels=3).shape == (8, 8, 3)
    # One colour image among them makes the set colour.
    picture((8, 8)).save(tmp_path / "b.jpg")
    assert datasets.load(tmp_path).channels == 3
    assert datasets.load(tmp_path, channels=1).channels == 1


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, lambda upright: upright),
        (2, np.fliplr),
        (3, lambda upright: np.rot90(upright, 2)),
        (4, np.flipud),
        (5, lambda upright: upright.swapaxes(0, 1)),
        (6, np.rot90),  # to be shown rotated by 90 degrees clockwise
        (7, lambda upright: np.rot90(upright, 2).swapaxes(0, 1)),
        (8, lambda upright: np.rot90(upright, -1)),
    ],
)
def test_exif_rotation(tmp_path, orientation, stored):
    upright = np.asarray(picture((8, 4)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored(upright)))
    image.save(tmp_path / "a.webp", lossless=True, exif=exif)
    image = only_image(tmp_path, resolution=8, fit="pad")
    np.testing.assert_array_equal(image[2:6], upright)


def test_first_level_folders_are_classes(tmp_path):
    for name in ("zebra", "horse/brown", "horse/.hidden", "empty"):
        (tmp_path / name).mkdir(parents=True)
        if name != "empty":
            picture().save(tmp_path / name / "a.png")
    data = datasets.load(tmp_path)
    assert data.class_names == ("horse", "zebra")
    assert data.labels().tolist() == [0, 1]
    assert len(data.subset(classes=["zebra"])) == 1
    # The same folder as two domains, by split.
    assert len(datasets.load(tmp_path, split="zebra")) == 1
    with pytest.raises(FileNotFoundError, match="giraffe"):
        datasets.load(tmp_path, split="giraffe")


def folders(root, *names):
    """A new folder with an image, each of its own seed, in each of some sub-folders."""
    for seed, name in enumerate(names):
        (root / name).mkdir(parents=True)
        picture(seed=seed).save(root / name / "a.png")
    return root


def test_held_out_folder_of_each_domain(tmp_path):
    folders(tmp_path, "trainA", "trainB", "testA")
    assert datasets.test_split(tmp_path, "trainA") == "testA"
    assert datasets.test_split(tmp_path, "trainB") == "trainB"
    with pytest.raises(ValueError, match=r"a split of .*'testA', 'trainA', 'trainB'"):
        datasets.load(tmp_path)


@pytest.mark.parametrize(
    ("names", "trained", "judged"),
    [
        (["train/cat", "train/dog", "test/cat"], "train", "test"),
        (["val", "train"], "train", "val"),
        (["Training", "Testing", "valid", "extra"], "Training", "Testing"),
        (["train"], "train", None),
        (["train", "car", "bus"], None, None),  # vehicles
    ],
)
def test_of_a_folder_of_splits_the_training_one_is_read(
    tmp_path, recwarn, names, trained, judged
):
    folders(tmp_path, *names)
    data = datasets.load(tmp_path)
    named = datasets.load(tmp_path, split=trained) if trained else data
    np.testing.assert_array_equal(data.images(), named.images())
    assert data.class_names == named.class_names
    assert len(data) == sum(name.startswith(trained or "") for name in names)
    assert datasets.test_split(tmp_path) == judged
    if trained:
        assert datasets.test_split(tmp_path, trained) == (judged or trained)
        (warned,) = recwarn
        assert f"{trained} only" in str(warned.message)
        assert "--split" in str(warned.message)
    else:
        assert not recwarn and data.class_names == ("bus", "car", "train")


def test_splits_without_one_to_train_on_have_to_be_named(tmp_path):
    folders(tmp_path, "test", "val")
    with pytest.raises(ValueError, match=r"a split of .*, one of \['test', 'val'\]"):
        datasets.load(tmp_path)
    assert len(datasets.load(tmp_path, split="val")) == 1
    assert datasets.test_split(tmp_path) == "test"
    picture().save(tmp_path / "b.png")  # then they are no splits, but folders
    assert len(datasets.load(tmp_path)) == 3


@pytest.fixture
def damaged(tmp_path):
    """Two good images and five bad ones."""
    for index, name in enumerate(("good1.png", "good2.png")):
        picture(seed=index).save(tmp_path / name)
    picture((64, 64)).save(tmp_path / "truncated.jpg")
    content = (tmp_path / "truncated.jpg").read_bytes()
    (tmp_path / "truncated.jpg").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "empty.jpg").touch()
    os.mkfifo(tmp_path / "pipe.gif")
    bomb(tmp_path / "bomb.png")
    return tmp_path


@pytest.mark.parametrize("memory_limit", [2**20, 0])
def test_damaged_files_are_named_and_skipped(damaged, memory_limit):
    options = {"resolution": 16, "fit": "resize", "memory_limit": memory_limit}
    with pytest.warns(UserWarning) as warned:
        data = datasets.load(damaged, **options)
    message = str(warned[0].message)
    assert len(warned) == 1 and "Skipped 5 damaged" in message
    for name in ("truncated.jpg", "text.png", "empty.jpg", "bomb.png", "pipe.gif"):
        assert name in message
    expected = np.stack([np.asarray(picture(seed=seed)) for seed in (0, 1)])
    np.testing.assert_array_equal(datasets.to_uint8(data.images()), expected)
    with pytest.raises(ValueError, match="Expected readable images, received 4"):
        datasets.load(damaged, on_error="raise", **options)


def test_bombs_are_never_decoded_whatever_pillow_allows(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    bomb(tmp_path / "bomb.png")
    with pytest.raises(ValueError, match="declares 100000 x 100000 pixels"):
        datasets.load(tmp_path)


def test_folders_without_images(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Expected images .* found none"):
        datasets.load(tmp_path)
    with pytest.raises(FileNotFoundError, match="Expected a folder or file"):
        datasets.load(tmp_path / "missing")


def test_sizes_that_do_not_fit_are_named(tmp_path):
    for index in range(3):
        picture().save(tmp_path / f"{index}.png")
    picture((20, 30)).save(tmp_path / "odd.png")
    with pytest.raises(ValueError, match=r"1 of 4 .*\n.*odd\.png.* received 30 x 20"):
        datasets.load(tmp_path)
    with pytest.raises(ValueError, match=r"odd\.png.*at most 16"):
        datasets.load(tmp_path, resolution=16, fit="pad")
    data = datasets.load(tmp_path, resolution=8, fit="crop")
    assert data.images().shape == (4, 8, 8, 3)


def test_streaming_equals_memory_and_names_vanished_files(tmp_path):
    for index in range(6):
        picture(seed=index).save(tmp_path / f"{index}.png")
    kept = datasets.load(tmp_path)
    streamed = datasets.load(tmp_path, memory_limit=0)
    options = {"batch_size": 4, "resolution": 8, "flip": True, "repeat": False}
    pairs = zip(kept.batches(**options), streamed.batches(**options), strict=True)
    for expected, received in pairs:
        np.testing.assert_array_equal(expected, received)
    (tmp_path / "3.png").unlink()
    assert len(kept.images()) == 6
    with pytest.raises(FileNotFoundError, match=r"3\.png, .* is gone"):
        streamed.images()
    with pytest.raises(Exception, match=r"3\.png, .* is gone"):
        list(streamed.batches(**options))
