"""The TensorFlow side: gradients, compilation, parts of a batch."""

import contextlib
import contextvars
import functools

import tensorflow as tf
from keras import ops

from keras_cfebm.backend.tensorflow_distribution import over_replicas, replica
from keras_cfebm.utils.validation import INDIVISIBLE

#: `conv(x, kernel, strides=1, padding="valid")`, channels last.
conv = ops.conv

_without_xla = contextvars.ContextVar("without_xla", default=False)


@contextlib.contextmanager
def portable():
    """Inside, what is traced does without XLA: a server need not have the compiler."""
    token = _without_xla.set(True)
    try:
        yield
    finally:
        _without_xla.reset(token)


def value_and_input_gradient(energy, x):
    """E(x) and ∂E/∂x, without gradients of the weights.

    Args:
        energy: function of images `(batch, …)` that returns energies `(batch,)`.
        x: float32 tensor of images.

    Returns:
        Pair of energies `(batch,)` and a gradient of the shape of `x`.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        energies = energy(x)
    return energies, tape.gradient(energies, x)


def compiled(function):
    """Compiles a function of tensors; XLA only where a GPU pays for it.

    On CPU, XLA's convolutions inside a loop are several times slower than TensorFlow's.
    """
    has_gpu = bool(tf.config.list_logical_devices("GPU"))
    return tf.function(
        function,
        autograph=False,
        reduce_retracing=True,
        jit_compile=has_gpu and not _without_xla.get(),
    )


def traced_once(function):
    """Builds the graph of a function of tensors once per shape, for all its callers.

    The random numbers are a hundred tiny operations per draw; building them anew at
    every place would be a good part of the wait for the first training step.
    """

    @functools.cache
    def graph_for(*shapes):
        # One function per shape: TensorFlow warns of one that is given many.
        return tf.function(functools.partial(function), autograph=False)

    @functools.wraps(function)
    def call(*arguments):
        shapes = [tuple(tensor.shape) for tensor in tf.nest.flatten(arguments)]
        return graph_for(*shapes)(*arguments)

    return call


def fused(function):
    """Compiles a memory-bound function of one tensor, and its gradient, with XLA.

    Each becomes one pass over memory where TensorFlow makes one per operation. For
    element-wise functions that is several times faster on CPU, even though everything
    around them is better left to TensorFlow.
    """
    forward = tf.function(function, autograph=False, jit_compile=True)

    @tf.function(autograph=False, jit_compile=True)
    def backward(x, upstream):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x, upstream)

    @tf.custom_gradient
    def apply(x):
        return forward(x), lambda upstream: backward(x, upstream)

    return lambda x: function(x) if _without_xla.get() else apply(x)


def step_function(step):
    """A step in the form that Keras' trainer asks for: as it is."""
    return step


def gradients(loss, weights, optimizer):
    """Gradients of a loss, scaled as the optimizer wants them.

    Args:
        loss: function without arguments that reads the weights and returns a dict of
            scalars, whose "loss" is differentiated.
        weights: list of Keras variables.
        optimizer: `keras.optimizers.Optimizer`.

    Returns:
        Pair of a list of tensors and the dict.
    """
    _, replicas = replica()
    with tf.GradientTape() as tape:
        logs = loss()
        # Gradients are summed over replicas.
        scaled = optimizer.scale_loss(logs["loss"] / replicas)
    found = tape.gradient(scaled, weights)
    return [tf.convert_to_tensor(gradient) for gradient in found], logs


def global_norm(gradients):
    """Norm of all gradients together, of the whole batch of all replicas."""
    return tf.linalg.global_norm(over_replicas("SUM", gradients))


def mean_over_replicas(values):
    """Mean of a structure of tensors over the replicas."""
    return over_replicas("MEAN", values)


def mean_over_parts(gradients_of, data, parts, weights, names):
    """Means of `gradients_of(part of data, index of the part)`, one part at a time.

    A loop, not a sum of calls: no more than one part is in memory at a time.

    Args:
        gradients_of: function that returns a pair, see `gradients`.
        data: structure of tensors of shape `(batch, …)`.
        parts: int, number of equal parts.
        weights: list of Keras variables, those of the gradients.
        names: keys of the dict.

    Returns:
        Pair of the mean gradients and the dict of mean scalars.

    Raises:
        ValueError: if the batch cannot be divided, where its size is known; otherwise
            TensorFlow reports it at the step.
    """
    if parts == 1:
        return gradients_of(data, 0)
    rows = tf.nest.flatten(data)[0].shape[0]
    message = INDIVISIBLE.format(parts=parts)
    if rows is not None and rows % parts:
        raise ValueError(f"{message}, received {rows}.")
    size = None if rows is None else rows // parts

    def split(x):
        if rows is None:
            check = tf.debugging.assert_equal(tf.shape(x)[0] % parts, 0, message)
            with tf.control_dependencies([check]):
                x = tf.identity(x)
        x = tf.reshape(x, (parts, -1 if size is None else size, *x.shape[1:]))
        return tf.ensure_shape(x, (parts, size, *x.shape[2:]))

    split_data = tf.nest.map_structure(split, data)

    zeros = [tf.zeros(w.shape) for w in weights], dict.fromkeys(names, tf.zeros(()))

    def add(index, total):
        part = tf.nest.map_structure(lambda x: x[index], split_data)
        values = gradients_of(part, index)
        return index + 1, tf.nest.map_structure(tf.add, total, values)

    _, total = tf.while_loop(
        lambda index, _: index < parts, add, (0, zeros), parallel_iterations=1
    )
    return tf.nest.map_structure(lambda x: x / parts, total)
