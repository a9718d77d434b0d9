"""Image files in the graph: seen as in training, and none takes more than its size."""

import io
import struct

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from keras_cfebm.datasets.decode import decode as decode_for_training
from keras_cfebm.datasets.pixels import to_float
from keras_cfebm.serving import image_files

HEIGHT, WIDTH = 12, 10
#: Levels that JPEG keeps well.
GREY = np.add.outer(np.arange(HEIGHT) * 12, np.arange(WIDTH) * 9).astype("uint8")
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], axis=-1)


@pytest.fixture(scope="module", params=[1, 3])
def read(request):
    """A function of a file and its size: the image of the graph, and of training."""
    graphs = {}

    def both(file, size=(HEIGHT, WIDTH)):
        if size not in graphs:
            graphs[size] = tf.function(
                lambda files: image_files.decode(
                    files, (*size, request.param), "exact"
                ),
                input_signature=[tf.TensorSpec([None], tf.string)],
                autograph=False,
            )
        trained_on = decode_for_training(io.BytesIO(file), request.param)
        return graphs[size](tf.constant([file]))[0].numpy(), to_float(trained_on)

    return both


def written(levels, kind, mode=None, **options):
    image = PIL.Image.fromarray(levels)
    file = io.BytesIO()
    (image.convert(mode) if mode else image).save(file, kind, **options)
    return file.getvalue()


def with_alpha(levels):
    alpha = np.where(np.indices(GREY.shape).sum(0) % 3 == 0, 0, 255).astype("uint8")
    alpha[5:, 5:] = 130
    return np.concatenate([np.atleast_3d(levels), alpha[..., None]], axis=-1)


FILES = {
    "grey PNG": written(GREY, "PNG"),
    "colour PNG": written(COLOUR, "PNG"),
    "grey and alpha": written(with_alpha(GREY), "PNG"),
    "colour and alpha": written(with_alpha(COLOUR), "PNG"),
    "grey, transparent": written(GREY, "PNG", transparency=int(GREY[1, 1])),
    "colour, transparent": written(
        COLOUR, "PNG", transparency=tuple(COLOUR[1, 1].tolist())
    ),
    "palette": written(COLOUR, "PNG", "P"),
    "palette, transparent": written(COLOUR, "PNG", "P", transparency=3),
    "16 bits": written(GREY.astype("uint16") * 250, "PNG"),
    "1 bit": written(GREY, "PNG", "1"),
    "grey JPEG": written(GREY, "JPEG", quality=95),
    "colour JPEG": written(COLOUR, "JPEG", quality=95),
    "grey BMP": written(GREY, "BMP"),
    "colour BMP": written(COLOUR, "BMP"),
    "32-bit BMP": written(with_alpha(COLOUR), "BMP", "RGBA"),
    "grey GIF": written(GREY, "GIF"),
    "colour GIF": written(COLOUR, "GIF"),
    "transparent GIF": written(GREY, "GIF", transparency=int(GREY[1, 1])),
    "two frames": written(
        GREY,
        "GIF",
        save_all=True,
        append_images=[PIL.Image.fromarray(255 - GREY)],
        transparency=int(GREY[2, 2]),
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_files_are_seen_as_in_training(read, name):
    found, wanted = read(FILES[name])
    np.testing.assert_allclose(found, wanted, atol=2.1 / 127.5)
    assert np.abs(found - wanted).mean() < 0.5 / 127.5


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_images_are_turned_upright(read, kind):
    for orientation in range(1, 9):
        exif = PIL.Image.Exif()
        exif[0x010F] = "a camera"
        exif[0x0112] = orientation
        size = (WIDTH, HEIGHT) if orientation >= 5 else (HEIGHT, WIDTH)
        found, wanted = read(written(GREY, kind, exif=exif), size)
        np.testing.assert_allclose(found, wanted, atol=2.1 / 127.5)


def test_motorola_s_byte_order_is_understood():
    tiff = b"MM\0*" + struct.pack(">IHHHIHH", 8, 1, 0x0112, 3, 1, 6, 0)
    file = written(GREY, "JPEG", exif=b"Exif\0\0" + tiff)
    found = image_files.decode(tf.constant([file]), (WIDTH, HEIGHT, 1), "exact")[0]
    wanted = to_float(np.rot90(GREY, -1))[..., None]
    np.testing.assert_allclose(found, wanted, atol=3.1 / 127.5)


# --- Refused --------------------------------------------------------------------------


def gif_bomb():
    """A small screen, and a frame of 9000 × 9000 pixels."""
    file = bytearray(written(np.zeros((9000, 9000), "uint8"), "GIF"))
    file[6:10] = struct.pack("<HH", WIDTH, HEIGHT)
    return bytes(file)


def second_frame_bomb():
    whole = written(np.zeros((9000, 9000), "uint8"), "GIF")
    frame = whole[whole.index(b"\x2c\0\0\0\0") :]
    return FILES["grey GIF"].removesuffix(b";") + frame


def changed(name, place, *values):
    file = bytearray(FILES[name])
    file[place : place + len(values)] = bytes(values)
    return bytes(file)


REFUSED = {
    "no image": (b"no image", "PNG, GIF, BMP, JPEG"),
    "empty": (b"", "PNG, GIF, BMP, JPEG"),
    "long": (FILES["grey PNG"] + bytes(2**21), "at most 1049536 bytes"),
    "GIF frame": (gif_bomb(), "9000 9000"),
    "GIF screen": (changed("grey GIF", 6, 255, 255), "65535"),
    "GIF place": (
        changed("grey GIF", FILES["grey GIF"].index(b"\x2c\0\0\0\0") + 1, 1),
        "fills the screen",
    ),
    "wide PNG": (changed("grey PNG", 16, 0, 255), "received"),
    "negative PNG": (changed("grey PNG", 16, 255, 255, 255, 255), "received"),
    "wide JPEG": (
        changed("grey JPEG", FILES["grey JPEG"].index(b"\xff\xc0") + 5, 240, 0),
        "61440",
    ),
    "wide BMP": (changed("colour BMP", 18, 0, 255), "received"),
    "GIF extensions": (
        FILES["grey GIF"].replace(
            b"\x2c\0\0\0\0", b"\x21\xfe\0" * 17 + b"\x2c\0\0\0\0"
        ),
        "cut off",
    ),
    "BMP palette": (written(COLOUR, "BMP", "P"), "8 grey"),
    "packed BMP": (changed("grey BMP", 30, 1), "not packed"),
    **{
        f"half {name}": (file[: len(file) // 2], "cut off")
        for name, file in FILES.items()
        if name.split()[-1] in ("PNG", "JPEG", "BMP", "GIF")
    },
}


@pytest.fixture(scope="module")
def padded():
    """The graph's decoder, of images of at most 12 × 10 pixels."""
    return tf.function(
        lambda files: image_files.decode(files, (HEIGHT, WIDTH, 1), "pad"),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )


@pytest.mark.parametrize("name", REFUSED)
def test_files_are_refused_in_our_words(padded, name):
    file, message = REFUSED[name]
    with pytest.raises(tf.errors.InvalidArgumentError, match="Expected") as raised:
        padded(tf.constant([file]))
    assert message in raised.value.message


def test_later_frames_are_not_decoded(padded):
    bomb = second_frame_bomb()
    assert len(bomb) < image_files.max_bytes(HEIGHT, WIDTH)
    before = peak()
    found = padded(tf.constant([bomb]))[0, ..., 0]
    np.testing.assert_allclose(found, to_float(GREY), atol=1e-6)
    assert peak() < before + 50


def peak():
    """MiB that this process has had at most."""
    with open("/proc/self/status") as status:
        (line,) = (line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
