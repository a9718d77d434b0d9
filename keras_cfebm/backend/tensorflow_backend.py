"""The TensorFlow side: gradients and compilation."""

import contextlib
import contextvars
import functools

import tensorflow as tf

from keras_cfebm.backend import threefry
from keras_cfebm.backend.tensorflow_distribution import over_replicas

_without_xla = contextvars.ContextVar("without_xla", default=False)


@contextlib.contextmanager
def portable():
    """Inside, what is traced does without XLA: a server need not have the compiler."""
    token = _without_xla.set(True)
    try:
        yield
    finally:
        _without_xla.reset(token)


def is_portable():
    """Whether what is traced now is for other machines."""
    return _without_xla.get()


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
    The batch may change from call to call; for images of another size, or another
    argument that is None, it is compiled anew.
    """
    has_gpu = bool(tf.config.list_logical_devices("GPU"))

    @functools.cache
    def graph_for(*shapes):
        # One function per shape: of two, TensorFlow would forget all but the rank.
        return tf.function(
            functools.partial(function),
            autograph=False,
            reduce_retracing=True,
            jit_compile=has_gpu and not _without_xla.get(),
        )

    @functools.wraps(function)
    def call(*arguments):
        return graph_for(*map(_image_shape, tf.nest.flatten(arguments)))(*arguments)

    return call


def _image_shape(x):
    return (x.dtype, *x.shape[1:]) if hasattr(x, "shape") else type(x)


def traced_once(function):
    """Builds the graph of a function of tensors once per shape, for all its callers."""
    return _graph_per_shape(function)


def _graph_per_shape(function, xla=False):
    """With `xla` it becomes one operation of any graph that is not `portable`."""

    @functools.cache
    def graph_for(jit_compile, *shapes):
        # One function per shape: TensorFlow warns of one that is given many.
        return tf.function(
            functools.partial(function), autograph=False, jit_compile=jit_compile
        )

    @functools.wraps(function)
    def call(*arguments):
        shapes = [tuple(tensor.shape) for tensor in tf.nest.flatten(arguments)]
        jit_compile = xla and tf.inside_function() and not is_portable()
        return graph_for(jit_compile, *shapes)(*arguments)

    return call


# A hundred tiny operations per draw, in dozens of places: as one each they take a
# quarter off the wait for the first step. It is integers, so the numbers are the same.
threefry2x32 = _graph_per_shape(threefry.threefry2x32, xla=True)


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

    @traced_once  # TensorFlow never frees a graph in which it meets a custom gradient.
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
    with tf.GradientTape() as tape:
        logs = loss()
        scaled = optimizer.scale_loss(logs["loss"])
    found = tape.gradient(scaled, weights)
    return [tf.convert_to_tensor(gradient) for gradient in found], logs


def global_norm(gradients, optimizer):
    """Norm of all gradients together, of the whole batch of all replicas, unscaled."""
    norm = tf.linalg.global_norm(over_replicas("SUM", gradients))
    return norm / optimizer.scale_loss(tf.ones(()))


def sum_over_replicas(values):
    """Sum of a structure of tensors over the replicas."""
    return over_replicas("SUM", values)
