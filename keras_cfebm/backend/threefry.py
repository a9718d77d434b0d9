"""The random generator of all draws, of unsigned 32-bit words, as Keras' operations."""

import numpy as np
from keras import ops

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


def word(value):
    """A constant of 32 bits."""
    return ops.convert_to_tensor(np.uint32(value))


def _rotate_left(x, bits):
    return ops.bitwise_or(
        ops.left_shift(x, word(bits)), ops.right_shift(x, word(32 - bits))
    )


def threefry2x32(key, counter):
    """Encrypts a 64-bit counter with a 64-bit key (Salmon et al. 2011).

    Args:
        key: pair of uint32 tensors.
        counter: pair of uint32 tensors that broadcast with the key's.

    Returns:
        Pair of uint32 tensors, 64 random bits for each (key, counter).
    """
    k0, k1 = key
    schedule = (k0, k1, ops.bitwise_xor(ops.bitwise_xor(k0, k1), word(PARITY)))
    x0, x1 = counter[0] + k0, counter[1] + k1
    for group in range(5):
        for bits in ROTATIONS[group % 2]:
            x0 = x0 + x1
            x1 = ops.bitwise_xor(_rotate_left(x1, bits), x0)
        x0 = x0 + schedule[(group + 1) % 3]
        x1 = x1 + schedule[(group + 2) % 3] + word(group + 1)
    return x0, x1
