"""Batches for Keras where the backend is not TensorFlow: computed one by one."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import keras


class Batches(keras.utils.PyDataset):
    """Batches as a function of their number, the next one computed in advance.

    Args:
        read: function that returns batch number `index`, a NumPy array or a tuple of
            them.
        count: int, number of batches; None for endless.
    """

    def __init__(self, read: Callable[[int], Any], count: int | None):
        super().__init__()
        self._read = read
        self._count = count
        self._reader = ThreadPoolExecutor(max_workers=1)
        self._ahead: dict[int, Future] = {}

    @property
    def num_batches(self) -> int | None:
        """Number of batches, or None."""
        return self._count

    def __getitem__(self, index: int) -> Any:
        batch = self._ahead.pop(index, None) or self._submit(index)
        has_next = self._count is None or index + 1 < self._count
        self._ahead = {index + 1: self._submit(index + 1)} if has_next else {}
        return batch.result()

    def _submit(self, index):
        return self._reader.submit(self._read, index)
