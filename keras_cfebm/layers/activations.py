"""Activations by name: smooth ones first, because the sampler differentiates them."""

import functools
from collections.abc import Callable

import keras
from keras import ops

from keras_cfebm import backend
from keras_cfebm.utils.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_cfebm")
def swish(x: Tensor) -> Tensor:
    """Swish scaled to a slope of at most 1: `x * sigmoid(x) / 1.1`.

    The default of the CF-EBM authors. (Keras' `"silu"` is the unscaled one, whose
    slope reaches 1.1.)
    """
    return ops.silu(x) * (1.0 / 1.1)


ACTIVATIONS = {
    "swish": swish,
    "silu": ops.silu,
    "gelu": functools.partial(ops.gelu, approximate=False),
    "elu": ops.elu,
    "celu": functools.partial(ops.celu, alpha=1.1),
    "relu": ops.relu,
    "leaky_relu": ops.leaky_relu,
}


@functools.cache
def get(name: str) -> Callable[[Tensor], Tensor]:
    """Returns the activation of that name, fused into one pass over memory.

    Args:
        name: one of `"swish"` (default of the method), `"silu"`, `"gelu"`, `"elu"`,
            `"celu"`, `"relu"`, `"leaky_relu"`; as the authors have them, gelu is the
            exact one and the α of celu is 1.1.

    Returns:
        A function of one tensor.

    Raises:
        ValueError: if the name is unknown.
    """
    if name not in ACTIVATIONS:
        raise ValueError(
            f"Expected an activation of {sorted(ACTIVATIONS)}, received {name!r}."
        )
    return backend.fused(ACTIVATIONS[name])
