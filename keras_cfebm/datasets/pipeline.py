"""Batches as Keras reads them: a `tf.data.Dataset`, or a `PyDataset` without it."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import keras

#: The last error of reading. It is raised in one of tf.data's own threads.
_failure = None


@contextlib.contextmanager
def reading_errors() -> Iterator[None]:
    """Raises an error of reading data as itself, inside this context.

    tf.data turns it into an error of its own that holds the text of a traceback.
    """
    global _failure
    _failure = None
    try:
        yield
    except Exception as error:
        if _failure is not None and type(error).__module__.startswith("tensorflow"):
            raise _failure from None
        raise


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


def as_dataset(
    generate: Callable[[int], Iterator[Any]],
    specs: Sequence[tuple[tuple[int | None, ...], str]],
    count: int | None = None,
) -> Any:
    """Hands batches to Keras in the form that suits its backend.

    Args:
        generate: function of an int n that returns an iterator over the batches from
            number n on, each a NumPy array or a tuple of them.
        specs: `(shape, dtype)` of each array of a batch; None for a size that varies.
        count: int, number of batches; None for endless.

    Returns:
        A `tf.data.Dataset`, prefetched; on other backends than TensorFlow `Batches`.
    """
    if keras.backend.backend() != "tensorflow":
        return Batches(lambda index: next(generate(index)), count)
    # Here, because other backends work where TensorFlow is not installed.
    import tensorflow as tf

    def read(index):
        global _failure
        try:
            batch = next(generate(int(index)))
        except Exception as error:
            _failure = error
            raise
        return batch if isinstance(batch, tuple) else (batch,)

    shapes, dtypes = zip(*specs, strict=True)

    def batch_of(index):
        batch = tf.numpy_function(read, [index], dtypes)
        batch = tuple(map(tf.ensure_shape, batch, shapes))
        return batch if len(batch) > 1 else batch[0]

    # Not `from_generator`: under Python 3.11 or later that tells the C library to give
    # back all larger memory at once, and training then waits for new pages.
    indices = (
        tf.data.Dataset.counter()
        if count is None
        else tf.data.Dataset.range(max(count, 0))
    )
    dataset = indices.map(batch_of)
    options = tf.data.Options()
    # TensorFlow's tuning thread can miss that an iterator has ended: then it is waited
    # for, up to as long again as the iterator was read. There is nothing to tune here.
    options.autotune.enabled = False
    return dataset.prefetch(2).with_options(options)
