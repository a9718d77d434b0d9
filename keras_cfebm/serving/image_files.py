"""Image files inside the graph: bytes to images in [-1, 1], and back to PNG."""

import tensorflow as tf

from keras_cfebm.datasets.pixels import from_levels, to_levels

FITS = ("exact", "pad")
#: Of red, green and blue (ITU-R BT.601).
_GREY = (0.299, 0.587, 0.114)
_HEADER = 32
#: Kind → the bytes that files begin with, and where their headers hold height and
#: width, the highest byte first. That of a JPEG file has no fixed place.
_KINDS = {
    "PNG": (b"\x89PNG", (20, 21, 22, 23), (16, 17, 18, 19)),
    "GIF": (b"GIF8", (9, 8), (7, 6)),
    "BMP": (b"BM", (25, 24, 23, 22), (21, 20, 19, 18)),
}
_JPEG = b"\xff\xd8\xff"


def decode(files: tf.Tensor, image_shape: tuple[int, int, int], fit: str) -> tf.Tensor:
    """Decodes PNG, JPEG, BMP and the first frame of GIF files, a string tensor `(n,)`.

    With `fit="pad"` smaller ones are centred on black. A file that cannot be decoded,
    or of another size, is an InvalidArgument error; of one whose header says a wrong
    size no pixel is decoded.
    """
    height, width, channels = image_shape
    at_most = "at most " if fit == "pad" else ""
    message = (
        f"Expected image files of {at_most}{height} x {width} pixels, received "
        "(height, width):"
    )

    def one(file):
        declared = _declared_size(file)
        compare = tf.less_equal if fit == "pad" else tf.equal
        fits = tf.reduce_all(compare(declared, [height, width]))
        with tf.control_dependencies([tf.debugging.Assert(fits, [message, declared])]):
            file = tf.identity(file)
        levels = tf.io.decode_image(file, expand_animations=False)
        received = tf.shape(levels)
        levels = _as_channels(tf.cast(levels, tf.float32), channels)
        top = (height - received[0]) // 2
        left = (width - received[1]) // 2
        levels = tf.image.pad_to_bounding_box(levels, top, left, height, width)
        return tf.ensure_shape(levels, image_shape)

    levels = tf.map_fn(one, files, fn_output_signature=tf.float32)
    return from_levels(tf.ensure_shape(levels, (None, *image_shape)))


def _declared_size(file):
    """Height and width in the header of a file: int32 tensor of shape `(2,)`."""
    start = tf.strings.join([tf.strings.substr(file, 0, _HEADER), b"\0" * _HEADER])
    codes = tf.cast(tf.io.decode_raw(start, tf.uint8)[:_HEADER], tf.int64)

    def begins_with(magic):
        return tf.reduce_all(tf.equal(codes[: len(magic)], list(magic)))

    def number(places):
        found = sum(codes[place] * 256**i for i, place in enumerate(reversed(places)))
        # Rows from top to bottom have a negative height in BMP files.
        return tf.minimum(tf.minimum(found, 2**32 - found), tf.int32.max)

    known = is_jpeg = begins_with(_JPEG)
    size = tf.zeros(2, tf.int32)
    for magic, *places in _KINDS.values():
        own = tf.cast(tf.stack([number(p) for p in places]), tf.int32)
        size = tf.where(begins_with(magic), own, size)
        known |= begins_with(magic)
    message = f"Expected image files, {', '.join(_KINDS)} or JPEG, received bytes:"
    with tf.control_dependencies([tf.debugging.Assert(known, [message, codes])]):
        is_jpeg = tf.identity(is_jpeg)
    return tf.cond(is_jpeg, lambda: tf.image.extract_jpeg_shape(file)[:2], lambda: size)


def _as_channels(levels, channels):
    """Grey or colour, on white where there is an alpha channel, in whole levels.

    As `keras_cfebm.datasets.decode` does it for training.
    """
    received = tf.shape(levels)[-1]
    has_alpha = received % 2 == 0
    alpha = tf.where(has_alpha, levels[..., -1:] / 255.0, 1.0)
    colour = levels[..., : received - tf.cast(has_alpha, tf.int32)]
    colour = 255.0 + alpha * (colour - 255.0)
    if channels == 3:
        shape = tf.concat([tf.shape(levels)[:2], [3]], axis=0)
        return tf.round(tf.broadcast_to(colour, shape))
    weights = tf.cond(
        tf.shape(colour)[-1] == 3, lambda: tf.constant(_GREY), lambda: tf.ones(1)
    )
    return tf.round(tf.reduce_sum(colour * weights, axis=-1, keepdims=True))


def encode(images: tf.Tensor) -> tf.Tensor:
    """Encodes images, clipped to [-1, 1], as PNG: a string tensor of shape `(n,)`."""
    levels = tf.round(to_levels(tf.clip_by_value(images, -1.0, 1.0)))
    levels = tf.cast(levels, tf.uint8)
    return tf.map_fn(tf.io.encode_png, levels, fn_output_signature=tf.string)
