"""The JAX side: gradients, compilation, and steps as functions of variables."""

import functools

import jax
import keras
from jax import numpy as jnp

from keras_cfebm.backend import threefry
from keras_cfebm.backend.single_replica import parts_of


def value_and_input_gradient(energy, x):
    """E(x) and ∂E/∂x, without gradients of the weights.

    Args:
        energy: function of images `(batch, …)` that returns energies `(batch,)`.
        x: float32 tensor of images.

    Returns:
        Pair of energies `(batch,)` and a gradient of the shape of `x`.
    """
    energies, pull_back = jax.vjp(energy, x)
    (gradient,) = pull_back(jnp.ones_like(energies))
    return energies, gradient


class _Reads(keras.StatelessScope):
    """Notes which variables are read inside of it."""

    def __init__(self):
        super().__init__()
        self.variables = {}

    def get_current_value(self, variable):
        self.variables[id(variable)] = variable
        return super().get_current_value(variable)


def compiled(function):
    """Compiles a function of tensors, which sees the weights as they are when called.

    JAX would make constants of the variables that the function reads. So a first, dry
    run finds them, and their values become arguments of what is compiled.
    """

    # By structure: None in place of a tensor may lead to other variables.
    variables: dict = {}

    @jax.jit
    def run(values, arguments):
        read = variables[jax.tree.structure(arguments)]
        with keras.StatelessScope(zip(read, values, strict=True)):
            return function(*arguments)

    def call(*arguments):
        structure = jax.tree.structure(arguments)
        if structure not in variables:
            with _Reads() as reads:
                jax.eval_shape(function, *arguments)
            variables[structure] = list(reads.variables.values())
        return run([v.value for v in variables[structure]], arguments)

    return call


#: Called many times, a compiled function is traced once per shape.
traced_once = jax.jit


threefry2x32 = traced_once(threefry.threefry2x32)


def sum_over_parts(function, batch, parts=1, weights=(), names=(), multiple=1):
    """Sums `function(part of the batch)`, one part at a time.

    A loop, not a sum of calls: no more than one part is in memory at a time.

    Args:
        function: returns gradients and a dict of scalars, see `gradients`; with one
            part, any structure of tensors.
        batch: structure of tensors of shape `(batch, …)`, or None.
        parts: int, number of equal parts.
        weights: list of Keras variables, those of the gradients.
        names: keys of the dict.
        multiple: int, without effect: nothing is computed in parallel.

    Returns:
        The sums, in the structure of what the function returns.

    Raises:
        ValueError: if the batch cannot be divided.
    """
    if parts == 1:
        return function(batch)
    split = parts_of(batch, parts)

    def add(total, part):
        return jax.tree.map(jnp.add, total, function(part)), None

    zeros = [jnp.zeros(w.shape) for w in weights], dict.fromkeys(names, jnp.zeros(()))
    total, _ = jax.lax.scan(add, zeros, split)
    return total


class step_function:
    """`train_step` or `test_step` in the form that Keras' trainer for JAX asks for.

    The step reads and assigns variables; here it does so in a scope, and becomes a
    function of the variables' values.
    """

    def __init__(self, step):
        self.step = step

    def __set_name__(self, owner, name):
        @functools.wraps(self.step)
        def stateless(model, state, data):
            variables = _variables(model, with_optimizer=len(state) == 4)
            pairs = zip(jax.tree.leaves(variables), jax.tree.leaves(state), strict=True)
            with keras.StatelessScope(list(pairs)) as scope:
                logs = self.step(model, data)
            values = [[scope.get_current_value(v) for v in g] for g in variables]
            return logs, tuple(values)

        setattr(owner, name, stateless)
        owner._purge_model_variables = _leave_values


def _variables(model, with_optimizer):
    """The groups of variables whose values Keras hands to a step, in its order."""
    return [
        model.trainable_variables,
        model.non_trainable_variables,
        *([model.optimizer.variables] if with_optimizer else []),
        model.metrics_variables,
    ]


def _leave_values(model, **_):
    """Leaves the variables their values while `fit` runs.

    Keras takes them away to save memory, which donating them to the step does
    anyway: and if the first step fails, as with unsuitable data, they are lost.
    """


def gradients(loss, weights, optimizer):
    """Gradients of a loss, scaled as the optimizer wants them.

    Args:
        loss: function without arguments that reads the weights and returns a dict of
            scalars, whose "loss" is differentiated.
        weights: list of Keras variables.
        optimizer: `keras.optimizers.Optimizer`.

    Returns:
        Pair of a list of arrays and the dict.
    """
    with _Reads() as reads:
        jax.eval_shape(lambda: optimizer.scale_loss(loss()["loss"]))
    fixed = [(variable, variable.value) for variable in reads.variables.values()]

    def function(values):
        with keras.StatelessScope([*fixed, *zip(weights, values, strict=True)]):
            logs = loss()
            return optimizer.scale_loss(logs["loss"]), logs

    return jax.grad(function, has_aux=True)([weight.value for weight in weights])
