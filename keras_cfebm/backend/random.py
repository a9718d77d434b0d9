"""Counter-based random numbers: one independent stream per image of a batch.

`keras.random` gives a batch one seed, so the noise of an image depends on its
batch mates, and it refuses seeds that are tensors inside a compiled TensorFlow
function. Here every image owns a key, two 32-bit words, and every draw is a pure
function of that key: image *i* is the same whatever else is in the batch, on every
backend and in an exported SavedModel.

The generator is Threefry-2x32 with 20 rounds (Salmon et al., *Parallel random
numbers: as easy as 1, 2, 3*, SC 2011), the default generator of JAX.
"""

import math
from collections.abc import Sequence

import numpy as np
from keras import ops

from keras_cfebm.backend import threefry2x32
from keras_cfebm.backend.threefry import word
from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_seed

_WORD = 0xFFFFFFFF


def key(seed: int) -> Tensor:
    """Key of an integer seed.

    Args:
        seed: int in [0, 2**63).

    Returns:
        uint32 tensor of shape `(2,)`.

    Raises:
        ValueError: if `seed` is not such an integer.
    """
    seed = check_seed(seed)
    words = np.array([seed >> 32, seed & _WORD], dtype="uint32")
    return ops.convert_to_tensor(words)


def fold_in(keys: Tensor, index: Tensor, stream: int = 0) -> Tensor:
    """Derives new keys: different (index, stream) give independent keys.

    Args:
        keys: uint32 tensor of shape `(..., 2)`.
        index: integer or integer tensor that broadcasts with `keys[..., 0]`.
        stream: int, separates the uses that one key is put to.

    Returns:
        uint32 tensor of shape `(..., 2)`.
    """
    index = ops.cast(index, "uint32")
    words = threefry2x32((keys[..., 0], keys[..., 1]), (index, word(stream)))
    return ops.stack(words, axis=-1)


def image_keys(seed: int, count: int, start: int = 0) -> Tensor:
    """Keys of the images `start … start + count - 1` of the stream `seed`.

    Args:
        seed: int in [0, 2**63).
        count: int, number of images.
        start: int, index of the first one.

    Returns:
        uint32 tensor of shape `(count, 2)`.

    Raises:
        ValueError: if a number is out of range; a stream has 2**32 images.
    """
    if not 0 <= start <= start + count <= _WORD + 1:
        raise ValueError(
            "Expected images of a stream, which has 2**32, received "
            f"start={start}, count={count}."
        )
    places = np.arange(start, start + count, dtype="uint32")
    return fold_in(key(seed), ops.convert_to_tensor(places))


def _bits(keys, count):
    half = ops.cast(ops.arange((count + 1) // 2, dtype="int32"), "uint32")
    return threefry2x32((keys[:, :1], keys[:, 1:]), (half[None, :], word(0)))


def _unit_interval(bits):
    """The 24 leading bits as a float32 in [0, 1)."""
    return ops.cast(ops.right_shift(bits, word(8)), "float32") * 2.0**-24


def uniform(
    keys: Tensor, shape: Sequence[int], minval: float = -1.0, maxval: float = 1.0
) -> Tensor:
    """Uniform numbers in [minval, maxval), one stream per key.

    Args:
        keys: uint32 tensor of shape `(batch, 2)`.
        shape: tuple of ints, shape of one image.
        minval: float, lower end.
        maxval: float, upper end.

    Returns:
        float32 tensor of shape `(batch, *shape)`.
    """
    count = math.prod(shape)
    values = ops.concatenate([_unit_interval(b) for b in _bits(keys, count)], axis=1)
    values = ops.reshape(values[:, :count], (-1, *shape))
    return minval + (maxval - minval) * values


def normal(keys: Tensor, shape: Sequence[int]) -> Tensor:
    """Standard normal numbers, one stream per key (Box and Muller 1958).

    Args:
        keys: uint32 tensor of shape `(batch, 2)`.
        shape: tuple of ints, shape of one image.

    Returns:
        float32 tensor of shape `(batch, *shape)`.
    """
    count = math.prod(shape)
    u1, u2 = (_unit_interval(b) for b in _bits(keys, count))
    radius = ops.sqrt(-2.0 * ops.log(1.0 - u1))  # 1 - u1 is never 0
    angle = (2.0 * math.pi) * u2
    values = ops.concatenate([radius * ops.cos(angle), radius * ops.sin(angle)], axis=1)
    return ops.reshape(values[:, :count], (-1, *shape))
