"""The PyTorch side: gradients, and functions that record none."""

import functools

import numpy as np
import torch
from keras import ops, tree

from keras_cfebm.backend.single_replica import parts_of
from keras_cfebm.backend.threefry import PARITY, ROTATIONS


def value_and_input_gradient(energy, x):
    """E(x) and ∂E/∂x, without gradients of the weights.

    Args:
        energy: function of images `(batch, …)` that returns energies `(batch,)`.
        x: float32 tensor of images.

    Returns:
        Pair of energies `(batch,)` and a gradient of the shape of `x`.
    """
    # Inside another gradient, the way on from here is differentiated too.
    inside = torch.is_grad_enabled() and x.requires_grad
    with torch.enable_grad():
        x = x if inside else x.detach().requires_grad_()
        energies = energy(x)
        (gradient,) = torch.autograd.grad(energies.sum(), x, create_graph=inside)
    return (energies if inside else energies.detach()), gradient


def compiled(function):
    """The function without gradients of what it reads, on Keras' device."""

    @functools.wraps(function)
    def call(*arguments):
        with torch.no_grad():
            return function(*tree.map_structure(_tensor, arguments))

    return call


def _tensor(x):
    return ops.convert_to_tensor(x) if isinstance(x, (np.ndarray, torch.Tensor)) else x


def step_function(step):
    """`train_step` or `test_step`, which Keras' trainer calls with gradients on."""
    return lambda model, data: compiled(functools.partial(step, model))(data)


def traced_once(function):
    """The function as it is: nothing is traced."""
    return function


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
    with torch.enable_grad():
        logs = loss()
        scaled = optimizer.scale_loss(logs["loss"])
    found = torch.autograd.grad(scaled, [weight.value for weight in weights])
    return list(found), {name: value.detach() for name, value in logs.items()}


def sum_over_parts(function, batch, parts=1, weights=(), names=(), multiple=1):
    """Sums `function(part of the batch)`, one part at a time.

    Args:
        function: returns any structure of tensors.
        batch: structure of tensors of shape `(batch, …)`, or None.
        parts: int, number of equal parts.
        weights: list of Keras variables, those of the gradients; without effect, like
            `names` and `multiple`.
        names: keys of the dict.
        multiple: int.

    Returns:
        The sums, in the structure of what the function returns.

    Raises:
        ValueError: if the batch cannot be divided.
    """
    if parts == 1:
        return function(batch)
    split = parts_of(batch, parts)
    total = None
    for index in range(parts):
        part = tree.map_structure(lambda x, i=index: None if x is None else x[i], split)
        terms = function(part)
        total = terms if total is None else tree.map_structure(torch.add, total, terms)
    return total


def threefry2x32(key, counter):
    """`threefry.threefry2x32` of words in int64, as Keras has them for PyTorch.

    In int32, where additions wrap as they should, and in place: the noise of a Langevin
    step takes less than half the time.
    """
    k0, k1, c0, c1 = (ops.cast(word, "int32") for word in (*key, *counter))
    schedule = (k0, k1, k0 ^ k1 ^ PARITY)
    x0, x1 = (x.contiguous() for x in torch.broadcast_tensors(c0 + k0, c1 + k1))
    low = torch.empty_like(x1)
    for group in range(5):
        for bits in ROTATIONS[group % 2]:
            x0 += x1
            torch.bitwise_right_shift(x1, 32 - bits, out=low)
            low &= (1 << bits) - 1  # the shift has repeated the sign
            x1 <<= bits
            x1 |= low
            x1 ^= x0
        x0 += schedule[(group + 1) % 3]
        x1 += schedule[(group + 2) % 3] + (group + 1)
    return tuple(x.to(torch.int64) & 0xFFFFFFFF for x in (x0, x1))
