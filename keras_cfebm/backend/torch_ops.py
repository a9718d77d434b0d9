"""Convolution and pooling for PyTorch without the copies that Keras' own make."""

from keras import ops
from torch.nn import functional


def conv(x, kernel, strides=1, padding="valid"):
    """Convolution, channels last.

    Keras' own copies the images to channels first and back.

    Args:
        x: tensor of shape `(batch, height, width, channels)`.
        kernel: tensor of shape `(height, width, channels, filters)`.
        strides: int.
        padding: `"same"` or `"valid"`.

    Returns:
        Tensor of shape `(batch, new_height, new_width, filters)`.
    """
    x = ops.convert_to_tensor(x).permute(0, 3, 1, 2)
    kernel = ops.convert_to_tensor(kernel).permute(3, 2, 0, 1)
    ends = (0, 0)
    if padding == "same":
        sides = zip(x.shape[2:], kernel.shape[2:], strict=True)
        (top, bottom), (left, right) = (_zeros(*side, strides) for side in sides)
        if (top, left) == (bottom, right):
            ends = (top, left)
        else:
            x = functional.pad(x, (left, right, top, bottom))
    y = functional.conv2d(x, kernel, stride=strides, padding=ends)
    return y.permute(0, 2, 3, 1)


def _zeros(size, width, strides):
    """Zeros before and after a side, so that ⌈size / strides⌉ are left."""
    total = max((-(-size // strides) - 1) * strides + width - size, 0)
    return total // 2, total - total // 2


def average_pool(x, strides):
    """2×2 mean pooling of `(batch, height, width, channels)`, without padding."""
    x = ops.convert_to_tensor(x).permute(0, 3, 1, 2)
    return functional.avg_pool2d(x, 2, strides).permute(0, 2, 3, 1)
