"""From a Python iterator to tf.data; TensorFlow is imported on first use only."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

#: The last error of a generator. It is raised in one of tf.data's own threads.
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


def as_tf_dataset(
    generate: Callable[[], Iterator[Any]],
    shape: tuple[int | None, ...],
    labels: bool,
    count: int | None,
) -> Any:
    """Wraps a generator of batches.

    Args:
        generate: callable that returns an iterator of float32 images, or with `labels`
            of (images, int32 labels).
        shape: shape of the images of a batch; None where it varies.
        labels: bool, whether there are labels.
        count: number of batches; None for endless.

    Returns:
        A `tf.data.Dataset`, prefetched.
    """
    # Here, so that arrays and folders can be read where TensorFlow is not installed.
    import tensorflow as tf

    def remembered():
        global _failure
        try:
            yield from generate()
        except Exception as error:
            _failure = error
            raise

    signature = tf.TensorSpec(shape, tf.float32)
    if labels:
        signature = (signature, tf.TensorSpec(shape[:1], tf.int32))
    dataset = tf.data.Dataset.from_generator(remembered, output_signature=signature)
    cardinality = tf.data.INFINITE_CARDINALITY if count is None else max(count, 0)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(cardinality))
    return dataset.prefetch(tf.data.AUTOTUNE)
