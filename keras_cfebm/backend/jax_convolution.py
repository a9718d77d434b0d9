"""A convolution for JAX whose gradient is fast in loops on CPU."""

import functools

import jax
from jax import numpy as jnp

from keras_cfebm.backend.channels_last import conv as _conv


def conv(x, kernel, strides=1, padding="valid"):
    """Convolution, channels last.

    Args:
        x: tensor of shape `(batch, height, width, channels)`.
        kernel: tensor of shape `(height, width, channels, filters)`.
        strides: int.
        padding: `"same"` or `"valid"`.

    Returns:
        Tensor of shape `(batch, new_height, new_width, filters)`.
    """
    if jax.default_backend() == "cpu":
        return _conv_on_cpu(x, kernel, strides, padding)
    return _conv(x, kernel, strides, padding)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _conv_on_cpu(x, kernel, strides, padding):
    return _conv(x, kernel, strides, padding)


def _conv_forward(x, kernel, strides, padding):
    return _conv(x, kernel, strides, padding), (x, kernel)


def _conv_backward(strides, padding, residuals, upstream):
    """Gradients, the one of `x` by a kernel in the order of a forward convolution.

    JAX leaves the kernel as it is and tells XLA that filters and channels have changed
    places, for which XLA's loops have no fast convolution on CPU: a Langevin step took
    8 to 40 times as long.
    """
    x, kernel = residuals
    window = (x.shape[1:3], kernel.shape[:2])
    padded = jax.lax.padtype_to_pads(*window, (strides, strides), padding.upper())
    pads = []
    for size, width, (low, _), steps in zip(
        *window, padded, upstream.shape[1:3], strict=True
    ):
        before = width - 1 - low
        pads.append((before, size + width - 2 - (steps - 1) * strides - before))
    gradient = jax.lax.conv_general_dilated(
        upstream,
        jnp.swapaxes(jnp.flip(kernel, (0, 1)), 2, 3),
        window_strides=(1, 1),
        padding=pads,
        lhs_dilation=(strides, strides),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    _, pull_back = jax.vjp(lambda kernel: _conv(x, kernel, strides, padding), kernel)
    return gradient, *pull_back(upstream)


_conv_on_cpu.defvjp(_conv_forward, _conv_backward)
