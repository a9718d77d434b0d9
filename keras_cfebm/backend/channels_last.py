"""Convolution and pooling by Keras, channels last whatever its default is."""

from keras import ops


def conv(x, kernel, strides=1, padding="valid"):
    """Convolution of `(batch, height, width, channels)`."""
    return ops.conv(x, kernel, strides, padding, data_format="channels_last")


def average_pool(x, strides):
    """2×2 mean pooling of `(batch, height, width, channels)`, without padding."""
    return ops.average_pool(x, 2, strides, "valid", data_format="channels_last")
