"""Parts of a batch: several at once, one for each core, or one after the other.

TensorFlow's kernels share a convolution of our sizes badly between cores. So each
operation gets one thread, and each core its own part of the batch.
"""

import itertools
import os

import tensorflow as tf

from keras_cfebm.backend.tensorflow_backend import is_portable
from keras_cfebm.backend.tensorflow_distribution import over_replicas, replica
from keras_cfebm.utils.validation import INDIVISIBLE

#: Each part is a copy of its operations in the graph, so there are no more of them.
_MOST_PARTS = 8


def _parts_at_once():
    """How many parts of a batch run at once; sets TensorFlow's threads accordingly.

    Threads that the user has set stay as they are, and so do all once TensorFlow runs.
    A GPU works on a batch as a whole.
    """
    if tf.config.list_physical_devices("GPU"):
        return 1
    threads = tf.config.threading
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    cores = cores or os.cpu_count() or 1
    chosen = (
        threads.get_intra_op_parallelism_threads(),
        threads.get_inter_op_parallelism_threads(),
        os.environ.get("TF_NUM_INTRAOP_THREADS"),
        os.environ.get("TF_NUM_INTEROP_THREADS"),
    )
    if not any(chosen):
        parts = min(cores, _MOST_PARTS)
        try:
            threads.set_intra_op_parallelism_threads(cores // parts)
            threads.set_inter_op_parallelism_threads(parts)
        except RuntimeError:  # TensorFlow has started
            return 1
    intra_op = threads.get_intra_op_parallelism_threads()
    return min(max(1, cores // intra_op), _MOST_PARTS) if intra_op else 1


_PARTS = _parts_at_once()


def in_parallel(function):
    """The same function of images, computed for as many parts of them as fit at once.

    Args:
        function: of structures of tensors `(batch, …)`, None among them, that returns a
            structure of tensors `(batch, …)`. What it returns for an image does not
            depend on the others.

    Returns:
        Function of the same arguments, for use inside a compiled one.
    """

    def call(*arguments):
        results = _of_pieces(function, arguments)
        return tf.nest.map_structure(lambda *parts: _joined(parts), *results)

    return call


def sum_over_parts(function, batch, parts=1, weights=(), names=(), multiple=1):
    """Sums `function(part of the batch)`, with `parts` of them one after the other.

    Each of these parts is again computed in parallel. No more than one of them is in
    memory at a time.

    Args:
        function: returns gradients and a dict of scalars, see `gradients`; with one
            part, any structure of tensors.
        batch: structure of tensors of shape `(batch, …)`, or None.
        parts: int, number of equal parts.
        weights: list of Keras variables, those of the gradients.
        names: keys of the dict.
        multiple: int, of which what is computed in parallel has a multiple of rows,
            where there are as many.

    Returns:
        The sums, in the structure of what the function returns.

    Raises:
        ValueError: if the batch cannot be divided, where its size is known; otherwise
            TensorFlow reports it at the step.
    """

    def summed(batch):
        results = _of_pieces(function, (batch,), multiple)
        return tf.nest.map_structure(lambda *parts: tf.add_n(parts), *results)

    if parts == 1:
        return summed(batch)
    split = tf.nest.map_structure(lambda x: _split(x, parts), batch)
    zeros = [tf.zeros(w.shape) for w in weights], dict.fromkeys(names, tf.zeros(()))

    def add(index, total):
        part = tf.nest.map_structure(lambda x: None if x is None else x[index], split)
        return index + 1, tf.nest.map_structure(tf.add, total, summed(part))

    _, total = tf.while_loop(
        lambda index, _: index < parts, add, (0, zeros), parallel_iterations=1
    )
    return total


def places(rows):
    """Indices of this replica's images in the batch of all replicas, and its size.

    Args:
        rows: int or scalar tensor, images of this replica.

    Returns:
        Pair of an int32 tensor of shape `(rows,)` and a scalar float32 tensor.
    """
    index, replicas = replica()
    if replicas == 1:
        return tf.range(rows), tf.cast(rows, tf.float32)
    sizes = over_replicas("SUM", rows * tf.one_hot(index, replicas, dtype=tf.int32))
    before = tf.reduce_sum(tf.where(tf.range(replicas) < index, sizes, 0))
    return before + tf.range(rows), tf.cast(tf.reduce_sum(sizes), tf.float32)


def _of_pieces(function, arguments, multiple=1):
    """The results of the parts that run at once, as a list."""
    images = next(x for x in tf.nest.flatten(arguments) if x is not None)
    count = images.shape[0]
    parts = _PARTS if count is None else min(_PARTS, max(count // multiple, 1))
    # Replicas are in parallel already; a server has other cores than this machine.
    if replica()[1] > 1 or is_portable():
        parts = 1
    if parts <= 1 or tf.executing_eagerly():
        return [function(*arguments)]
    # A function of its own is traced once for all pieces of one size.
    traced = tf.function(function, autograph=False)
    if count is None:  # there may be fewer images than parts
        traced = _unless_empty(traced)
        count = tf.shape(images)[0]
    blocks = count // multiple
    ends = [blocks * index // parts * multiple for index in range(parts)] + [count]
    return [traced(*_rows(arguments, *span)) for span in itertools.pairwise(ends)]


def _unless_empty(traced):
    """The same function; of no images, on which layers fail, it returns zeros."""

    def call(*arguments):
        images = next(x for x in tf.nest.flatten(arguments) if x is not None)
        results = traced.get_concrete_function(*arguments).structured_outputs

        def zeros():
            return tf.nest.map_structure(
                lambda x: tf.zeros([size or 0 for size in x.shape], x.dtype), results
            )

        return tf.cond(tf.shape(images)[0] > 0, lambda: traced(*arguments), zeros)

    return call


def _rows(arguments, first, end):
    return tf.nest.map_structure(
        lambda x: None if x is None else x[first:end], arguments
    )


def _joined(parts):
    return parts[0] if len(parts) == 1 else tf.concat(parts, axis=0)


def _split(x, parts):
    """A tensor `(batch, …)` as one `(parts, batch / parts, …)`."""
    if x is None:
        return None
    rows = x.shape[0]
    message = INDIVISIBLE.format(parts=parts)
    if rows is not None and rows % parts:
        raise ValueError(f"{message}, received {rows}.")
    size = None if rows is None else rows // parts
    if rows is None:
        check = tf.debugging.assert_equal(tf.shape(x)[0] % parts, 0, message)
        with tf.control_dependencies([check]):
            x = tf.identity(x)
    x = tf.reshape(x, (parts, -1 if size is None else size, *x.shape[1:]))
    return tf.ensure_shape(x, (parts, size, *x.shape[2:]))
