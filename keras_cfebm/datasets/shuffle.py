"""Which example comes when: a pure function of (seed, position).

Position p of a run is slot p mod n of epoch p div n. Nothing is remembered between
batches, so a run resumed at batch k sees what an uninterrupted run sees, and getting
there costs one permutation, however large k is.
"""

import functools
from collections.abc import Iterator

import numpy as np


@functools.lru_cache(maxsize=4)
def epoch_order(
    num_examples: int, seed: int, epoch: int
) -> tuple[np.ndarray, np.ndarray]:
    """Shuffles one epoch; the last few are remembered, so do not write into them.

    Raw Philox words are sorted, because NumPy promises their values for ever;
    the values of `Generator.permutation` may change between NumPy versions.

    Args:
        num_examples: int, at least 1.
        seed: int in 0 … 2**63 - 1.
        epoch: int, 0 for the first.

    Returns:
        `(order, flips)`: int64 `(num_examples,)`, a permutation; bool
        `(num_examples,)`, fair coins.
    """
    words = np.random.Philox(key=np.array([seed, epoch], np.uint64))
    order = np.argsort(words.random_raw(num_examples), kind="stable")
    flips = words.random_raw(num_examples) >> np.uint64(63) == 1
    return order, flips


def batch_order(
    num_examples: int,
    batch_size: int,
    seed: int = 0,
    start: int = 0,
    repeat: bool = True,
    shuffle: bool = True,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Goes through the examples batch by batch.

    Args:
        num_examples: int, at least `batch_size`.
        batch_size: int.
        seed: int in 0 … 2**63 - 1.
        start: number of batches to skip.
        repeat: True never ends and lets batches straddle epochs; False ends after the
            first epoch with a batch that may be smaller.
        shuffle: False keeps the stored order in every epoch.

    Yields:
        `(order, flips)` of each batch: int64 and bool `(batch_size,)`.
    """
    position = start * batch_size
    drawn = None
    order = flips = np.empty(0, dtype=int)
    while repeat or position < num_examples:
        end = position + batch_size
        if not repeat:
            end = min(end, num_examples)
        pieces = []
        while position < end:
            epoch, slot = divmod(position, num_examples)
            if epoch != drawn:
                order, flips = epoch_order(num_examples, seed, epoch)
                order = order if shuffle else np.arange(num_examples)
                drawn = epoch
            stop = min(slot + end - position, num_examples)
            pieces.append((order[slot:stop], flips[slot:stop]))
            position += stop - slot
        orders, mirrored = zip(*pieces, strict=True)
        yield np.concatenate(orders), np.concatenate(mirrored)
