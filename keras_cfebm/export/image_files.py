"""Image files inside the graph: bytes to images in [-1, 1], and back to PNG."""

import tensorflow as tf

from keras_cfebm.datasets.pixels import from_levels, to_levels

FITS = ("exact", "pad")


def decode(files: tf.Tensor, image_shape: tuple[int, int, int], fit: str) -> tf.Tensor:
    """Decodes PNG, JPEG, BMP and the first frame of GIF files.

    Args:
        files: string tensor of shape `(n,)`.
        image_shape: `(height, width, channels)` wanted.
        fit: `"exact"`, or `"pad"`: smaller ones are centred on black.

    Returns:
        float32 tensor of shape `(n, *image_shape)` in [-1, 1]. A file that cannot be
        decoded, or of another size, is an InvalidArgument error.
    """
    height, width, channels = image_shape
    at_most = "at most " if fit == "pad" else ""
    message = (
        f"Expected image files of {at_most}{height} x {width} pixels. Received "
        "(height, width, channels):"
    )

    def one(file):
        levels = tf.io.decode_image(file, channels, expand_animations=False)
        received = tf.shape(levels)
        compare = tf.less_equal if fit == "pad" else tf.equal
        fits = tf.reduce_all(compare(received[:2], [height, width]))
        with tf.control_dependencies([tf.debugging.Assert(fits, [message, received])]):
            levels = tf.identity(levels)
        top = (height - received[0]) // 2
        left = (width - received[1]) // 2
        levels = tf.image.pad_to_bounding_box(levels, top, left, height, width)
        return tf.ensure_shape(levels, image_shape)

    levels = tf.map_fn(one, files, fn_output_signature=tf.uint8)
    levels = tf.ensure_shape(levels, (None, *image_shape))
    return from_levels(tf.cast(levels, tf.float32))


def encode(images: tf.Tensor) -> tf.Tensor:
    """Encodes images in [-1, 1] as PNG files, a string tensor of shape `(n,)`."""
    levels = tf.cast(tf.round(to_levels(images)), tf.uint8)
    return tf.map_fn(tf.io.encode_png, levels, fn_output_signature=tf.string)
