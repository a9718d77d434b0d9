"""Image files inside the graph: bytes to images in [-1, 1], and back to PNG."""

import tensorflow as tf

from keras_cfebm.datasets.pixels import from_levels, to_levels
from keras_cfebm.serving import image_headers
from keras_cfebm.serving.request_checks import checked

FITS = ("exact", "pad")
#: Of red, green and blue (ITU-R BT.601).
_GREY = (0.299, 0.587, 0.114)
#: Kind → the bytes that files begin with, and how their headers are read.
_KINDS = {
    "PNG": (b"\x89PNG", image_headers.png),
    "GIF": (b"GIF8", image_headers.gif),
    "BMP": (b"BM", image_headers.bmp),
    "JPEG": (b"\xff\xd8\xff", image_headers.jpeg),
}
_NAMES = ", ".join(_KINDS)
#: Where a PNG file says how many bits a level has.
_PNG_DEPTH = 24


def max_bytes(height: int, width: int) -> int:
    """How long a file may be: eight bytes a pixel, and 1 MiB of what is no pixel."""
    return 2**20 + 8 * height * width


def decode(files: tf.Tensor, image_shape: tuple[int, int, int], fit: str) -> tf.Tensor:
    """Decodes PNG, JPEG, BMP and the first frame of GIF files, a string tensor `(n,)`.

    As `keras_cfebm.datasets.decode` does it for training: upright, on white where they
    are transparent. With `fit="pad"` smaller ones are centred on black. A file that is
    cut off, too long, of an unknown kind or of another size is an InvalidArgument
    error before a pixel is decoded, whatever its header says: what is looked at is the
    size that the decoder would allocate.
    """
    height, width, channels = image_shape

    def one(file):
        file, kind, orientation = _checked(file, height, width, fit)
        levels = tf.switch_case(kind, [lambda d=d: d(file) for d in _DECODERS])
        levels = _upright(levels, orientation)
        received = tf.shape(levels)
        levels = _as_channels(levels, channels)
        top = (height - received[0]) // 2
        left = (width - received[1]) // 2
        levels = tf.image.pad_to_bounding_box(levels, top, left, height, width)
        return tf.ensure_shape(levels, image_shape)

    levels = tf.map_fn(one, files, fn_output_signature=tf.float32)
    return from_levels(tf.ensure_shape(levels, (None, *image_shape)))


def _checked(file, height, width, fit):
    """What to decode of a file, once it may be; its kind and its orientation."""
    most, length = max_bytes(height, width), tf.strings.length(file)
    message = f"Expected image files of at most {most} bytes, received:"
    file = checked(file, (length <= most, message, [length]))
    codes = image_headers.codes_of(file)
    begins = [image_headers.starts_with(codes, magic) for magic, _ in _KINDS.values()]
    message = f"Expected image files, {_NAMES}, received bytes:"
    codes = checked(codes, (tf.reduce_any(begins), message, [codes[:16]]))
    kind = tf.argmax(begins, output_type=tf.int32)
    readers = [read for _, read in _KINDS.values()]
    header = tf.switch_case(kind, [lambda r=r: r(file, codes) for r in readers])
    message = "Expected whole image files, received one cut off after bytes:"
    file = checked(header.file, (header.whole, message, [length]))
    orientation = image_headers.orientation(codes)
    size = tf.where(orientation >= 5, header.size[::-1], header.size)
    compare = tf.less_equal if fit == "pad" else tf.equal
    fits = tf.reduce_all(compare(size, [height, width]) & (size > 0))
    at_most = "at most " if fit == "pad" else ""
    message = (
        f"Expected image files of {at_most}{height} x {width} pixels, received "
        "(height, width):"
    )
    file = checked(file, (fits, message, [size]))
    message = (
        "Expected BMP files of 8 grey, 24 or 32 bits, not packed, and GIF files whose "
        "first frame fills the screen, received another of kind:"
    )
    names = tf.constant(list(_KINDS))
    return checked(file, (header.plain, message, [names[kind]])), kind, orientation


def _png(file):
    """Levels of 16 bits are rounded to 8, where the decoder would cut them."""
    levels = tf.cond(
        tf.equal(tf.strings.substr(file, _PNG_DEPTH, 1), b"\x10"),
        lambda: tf.cast(tf.io.decode_png(file, 4, tf.uint16), tf.float32) / 257.0,
        lambda: tf.cast(tf.io.decode_png(file, 4), tf.float32),
    )
    # Of levels of less than 8 bits the decoder makes up an alpha channel that is 1.
    alpha = tf.where(image_headers.png_has_alpha(file), levels[..., 3:], 255.0)
    return tf.round(tf.concat([levels[..., :3], alpha], axis=-1))


def _opaque(levels):
    levels = tf.cast(levels, tf.float32)
    return tf.concat([levels, tf.fill(tf.shape(levels[..., :1]), 255.0)], axis=-1)


def _gif(file):
    return _opaque(tf.io.decode_gif(file)[0])


def _bmp(file):
    levels = tf.io.decode_bmp(file)[..., :3]
    shape = tf.concat([tf.shape(levels)[:2], [3]], 0)
    return _opaque(tf.broadcast_to(levels, shape))


def _jpeg(file):
    return _opaque(tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE"))


_DECODERS = (_png, _gif, _bmp, _jpeg)


def _upright(levels, orientation):
    """Turns an image as its EXIF orientation, 1 … 8, says."""

    def among(*values):
        return tf.reduce_any(tf.equal(orientation, values))

    transposed = tf.cond(
        orientation >= 5, lambda: tf.transpose(levels, (1, 0, 2)), lambda: levels
    )
    mirrored = tf.where(among(2, 3, 6, 7), transposed[:, ::-1], transposed)
    return tf.where(among(3, 4, 7, 8), mirrored[::-1], mirrored)


def _as_channels(levels, channels):
    """Colour or grey of red, green, blue and alpha, on white, in whole levels."""
    colour = tf.round(255.0 + levels[..., 3:] / 255.0 * (levels[..., :3] - 255.0))
    if channels == 3:
        return colour
    return tf.round(tf.reduce_sum(colour * _GREY, axis=-1, keepdims=True))


def to_bytes(images: tf.Tensor) -> tf.Tensor:
    """Images, clipped to [-1, 1], as uint8."""
    levels = tf.round(to_levels(tf.clip_by_value(images, -1.0, 1.0)))
    return tf.cast(levels, tf.uint8)


def encode(images: tf.Tensor) -> tf.Tensor:
    """Encodes images, clipped to [-1, 1], as PNG: a string tensor of shape `(n,)`."""
    levels = to_bytes(images)
    return tf.map_fn(tf.io.encode_png, levels, fn_output_signature=tf.string)
