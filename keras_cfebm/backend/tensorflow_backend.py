"""The TensorFlow side: input gradients, compilation and the training step."""

import functools

import tensorflow as tf


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
        function, autograph=False, reduce_retracing=True, jit_compile=has_gpu
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

    return apply


def replica():
    """Index of this replica and their number, inside or outside a strategy's scope."""
    context = tf.distribute.get_replica_context()
    if context is None:
        return 0, 1
    return context.replica_id_in_sync_group, context.num_replicas_in_sync


class TrainStep:
    """`train_step` and `test_step` of a model that gives the pieces.

    The model offers `begin_step`, `draw`, `losses`, `end_step` and `track`; here is
    only what needs TensorFlow's tape.
    """

    def make_train_function(self, force=False):
        # TensorFlow traces a step that creates variables twice: half a minute for
        # a large ladder.
        with self.distribute_strategy.scope():
            self.optimizer.build(self.network.trainable_weights)
        return super().make_train_function(force)

    def train_step(self, data):
        self.begin_step()
        batch = self.draw(data, self.network, training=True)
        _, replicas = replica()
        with tf.GradientTape() as tape:
            results = self.losses(batch, self.network)
            # Gradients are summed over replicas.
            loss = self.optimizer.scale_loss(results["loss"] / replicas)
        gradients = tape.gradient(loss, self.network.trainable_weights)
        results["gradient_norm"] = tf.linalg.global_norm(gradients)
        self.optimizer.apply(gradients, self.network.trainable_weights)
        self.end_step()
        return self.track(results)

    def test_step(self, data):
        batch = self.draw(data, self.sampling_network, training=False)
        self.test_batches.assign_add(1)
        return self.track(self.losses(batch, self.sampling_network))
