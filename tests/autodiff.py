"""Gradients of weights, which Keras leaves to the backend, for tests on any."""

import keras


def value_and_gradients(function, tensors, weights):
    """A scalar function's value and its gradients.

    Args:
        function: of `tensors`; reads `weights` and returns a scalar.
        tensors: list of tensors.
        weights: list of Keras variables.

    Returns:
        Pair of the scalar, and of gradients in each of the tensors and then each of the
        weights, zero where there is no influence.
    """
    compute = {"jax": _with_jax, "torch": _with_torch}
    return compute.get(keras.backend.backend(), _with_tensorflow)(
        function, tensors, weights
    )


def _with_jax(function, tensors, weights):
    import jax

    def stateless(tensors, values):
        with keras.StatelessScope(zip(weights, values, strict=True)):
            return function(*tensors)

    values = [weight.value for weight in weights]
    compute = jax.jit(jax.value_and_grad(stateless, argnums=(0, 1)))
    value, gradients = compute(tensors, values)
    return value, [*gradients[0], *gradients[1]]


def _with_torch(function, tensors, weights):
    import torch

    tensors = [tensor.detach().requires_grad_() for tensor in tensors]
    sources = [*tensors, *(weight.value for weight in weights)]
    with torch.enable_grad():
        # Everything has an influence: of what has none, PyTorch gives no gradient.
        value = function(*tensors) + sum(0.0 * source.sum() for source in sources)
    return value.detach(), torch.autograd.grad(value, sources)


def _with_tensorflow(function, tensors, weights):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = function(*tensors)
    sources = [*tensors, *(weight.value for weight in weights)]
    return value, tape.gradient(value, sources, unconnected_gradients="zero")
