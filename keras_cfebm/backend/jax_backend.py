"""The JAX side: input gradients, compilation and the training step."""

import contextlib

import jax
import keras
from jax import numpy as jnp

from keras_cfebm.utils.validation import INDIVISIBLE


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
    variables = {}

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


def fused(function):
    """The function as it is: XLA compiles, and fuses, everything around it too."""
    return function


#: Around what is exported; JAX programs are XLA programs wherever they run.
portable = contextlib.nullcontext


def replica():
    """Index of this replica and their number: JAX splits one global batch by itself."""
    return 0, 1


def replicas(model):
    """1: one process gives the whole batch, which JAX splits by itself."""
    return 1


def strategy(name):
    """None, for the name None; strategies are TensorFlow's.

    Raises:
        ValueError: for any other name.
    """
    if name is not None:
        raise ValueError(
            "Expected strategy=None: tf.distribute is for the TensorFlow backend, with "
            f"JAX use keras.distribution. Received: {name!r}"
        )


def is_chief(model):
    """True: several processes are TensorFlow's strategies."""
    return True


def scope(model):
    """The context to make weights in; `keras.distribution` needs none."""
    return contextlib.nullcontext()


def mean_over_parts(function, data, parts):
    """Mean of `function(part of data, index of the part)`, one part after the other.

    A loop, not a sum of calls: no more than one part is in memory at a time.

    Args:
        function: returns a structure of float tensors.
        data: structure of tensors of shape `(batch, …)`.
        parts: int, number of equal parts.

    Returns:
        Structure of the means.

    Raises:
        ValueError: if the batch cannot be divided.
    """
    rows = len(jax.tree.leaves(data)[0])
    if rows % parts:
        raise ValueError(f"{INDIVISIBLE.format(parts=parts)} Received: {rows}")
    split = jax.tree.map(lambda x: x.reshape(parts, -1, *x.shape[1:]), data)

    def add(total, part):
        return jax.tree.map(jnp.add, total, function(*part)), None

    first = jax.eval_shape(function, jax.tree.map(lambda x: x[0], split), 0)
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), first)
    total, _ = jax.lax.scan(add, zeros, (split, jnp.arange(parts)))
    return jax.tree.map(lambda x: x / parts, total)


class TrainStep:
    """`train_step` and `test_step` of a model that gives the pieces.

    The model offers `begin_step`, `draw`, `losses`, `end_step` and `track`, which read
    and assign variables; here they do so in a scope, and the steps are functions of the
    variables' values, as Keras' trainer for JAX asks for.
    """

    def train_step(self, state, data):
        variables = self._state_variables(self.optimizer.variables)
        with _stateless(variables, state) as scope:
            self.begin_step()
            weights = self.network.trainable_weights
            if self.accumulation == 1:
                gradients, results = self._gradients(data)
            else:
                gradients, results = mean_over_parts(
                    self._gradients, data, self.accumulation
                )
            squares = [jnp.sum(jnp.square(gradient)) for gradient in gradients]
            results["gradient_norm"] = jnp.sqrt(sum(squares))
            self.optimizer.apply(gradients, weights)
            self.end_step()
            logs = self.track(results)
        return logs, _values(scope, variables)

    def _gradients(self, data, part=0):
        """Gradients of the weights and results of one part of the batch."""
        batch = self.draw(data, self.network, training=True, part=part)
        weights = self.network.trainable_weights
        others = [*self.network.non_trainable_weights, *self.optimizer.variables]
        fixed = [(variable, variable.value) for variable in others]

        def loss(values):
            mapping = [*zip(weights, values, strict=True), *fixed]
            with keras.StatelessScope(mapping):
                results = self.losses(batch, self.network)
                return self.optimizer.scale_loss(results["loss"]), results

        return jax.grad(loss, has_aux=True)([weight.value for weight in weights])

    def test_step(self, state, data):
        variables = self._state_variables()
        with _stateless(variables, state) as scope:
            batch = self.draw(data, self.sampling_network, training=False)
            self.test_batches.assign_add(1)
            logs = self.track(self.losses(batch, self.sampling_network))
        return logs, _values(scope, variables)

    def _purge_model_variables(self, **_):
        """Leaves the variables their values while `fit` runs.

        Keras takes them away to save memory, which donating them to the step does
        anyway: and if the first step fails, as with unsuitable data, they are lost.
        """

    def _state_variables(self, *optimizer_variables):
        return (
            self.trainable_variables,
            self.non_trainable_variables,
            *optimizer_variables,
            self.metrics_variables,
        )


def _stateless(variables, values):
    pairs = zip(jax.tree.leaves(variables), jax.tree.leaves(values), strict=True)
    return keras.StatelessScope(list(pairs))


def _values(scope, variables):
    return tuple([scope.get_current_value(v) for v in group] for group in variables)
