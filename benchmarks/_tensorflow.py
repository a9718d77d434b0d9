"""The two TensorFlow contenders of `benchmarks.langevin`.

A contender has a `name` and three methods; NumPy arrays go in and come out, so that a
call returns only when its work is done:

- `energies_and_gradients(batches)`, for a batch of images per level, gives a list of
  pairs of energies `(batch,)` and ∂E/∂x;
- `steps_at(level, images)` gives a function that runs all Langevin steps of one level;
- `chain(batch)` gives a function that runs the whole chain, coarse to fine, from noise.
"""

import math

import tensorflow as tf

from benchmarks._networks import layer_weights
from keras_cfebm import backend
from keras_cfebm.backend import random
from keras_cfebm.layers.levels import levels_of
from keras_cfebm.model import CFEBM
from keras_cfebm.sampling import langevin


class Shipped:
    """(a) This package's chain, as `CFEBM.generate` runs it."""

    name = "keras_cfebm"

    def __init__(self, ladder, settings):
        self.ladder = ladder
        self.settings = settings

    def energies_and_gradients(self, batches):
        @backend.compiled
        def run(batches):
            return [self._energy_and_gradient(i, x) for i, x in enumerate(batches)]

        pairs = run([tf.constant(images) for images in batches])
        return [(energies.numpy(), gradient.numpy()) for energies, gradient in pairs]

    def _energy_and_gradient(self, level, x):
        return backend.value_and_input_gradient(self.ladder[level].bind(), x)

    def steps_at(self, level, images):
        def function(x, keys):
            return langevin(self.ladder[level].bind(), x, keys, self.settings)

        run = backend.compiled(function)
        x, keys = tf.constant(images), random.image_keys(0, len(images))
        return lambda: run(x, keys).numpy()

    def chain(self, batch):
        model = CFEBM(self.ladder, self.settings, ema_decay=None)
        return lambda: model.generate(batch, batch_size=batch)


class NaiveTensorFlow:
    """(b) The definition of the network, operation by operation, in plain TensorFlow.

    The kernels are normalised anew at each Langevin step (one power iteration), the
    gradient is a plain `GradientTape`'s, the noise `tf.random.normal`'s, and the loop
    a `tf.function`.
    """

    name = "plain TensorFlow"

    def __init__(self, ladder, settings, dtype):
        self.networks = [_NaiveNetwork(network, dtype) for network in ladder]
        self.shapes = [network.image_shape for network in ladder]
        self.settings = settings

    def energies_and_gradients(self, batches):
        @tf.function
        def run(batches):
            return [self._energy_and_gradient(i, x) for i, x in enumerate(batches)]

        pairs = run([tf.constant(images) for images in batches])
        return [(energies.numpy(), gradient.numpy()) for energies, gradient in pairs]

    def steps_at(self, level, images):
        steps = self.settings.steps_at(level)

        @tf.function
        def run(x):
            return self._langevin(level, x, 0, steps, steps)

        x = tf.constant(images)
        return lambda: run(x).numpy()

    def chain(self, batch):
        total = self.settings.total_steps(len(self.networks))

        @tf.function
        def run():
            x = tf.random.uniform((batch, *self.shapes[0]), -1.0, 1.0)
            first = 0
            for level, shape in enumerate(self.shapes):
                x = tf.image.resize(x, shape[:2], "nearest")
                steps = self.settings.steps_at(level)
                x = self._langevin(level, x, first, steps, total)
                x = tf.clip_by_value(x, *self.settings.clip)
                first += steps
            return x

        return lambda: run().numpy()

    def _energy_and_gradient(self, level, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            energies = self.networks[level](x)
        return energies, tape.gradient(energies, x)

    def _langevin(self, level, x, first_step, steps, total_steps):
        for i in tf.range(steps):
            _, gradient = self._energy_and_gradient(level, x)
            scale = self.settings.noise_scale_at(first_step + i, total_steps)
            noise = tf.random.normal(tf.shape(x))
            x = x - self.settings.step_size * gradient + scale * noise
        return x


class _NaiveNetwork:
    def __init__(self, network, dtype):
        self.dtype = tf.bfloat16 if dtype == "mixed_bfloat16" else tf.float32
        self.layers = {
            name: [None if array is None else tf.Variable(array) for array in arrays]
            for name, arrays in layer_weights(network).items()
        }
        levels = levels_of(network.resolution, network.base_resolution)
        self.blocks = [f"residual_{level}" for level in reversed(levels)]

    def __call__(self, images):
        x = self._conv("from_image", tf.cast(images, self.dtype))
        for block in self.blocks:
            main = _swish(self._conv(f"{block}/conv1", x))
            main = _swish(_pool(self._conv(f"{block}/conv2", main)))
            skip = _pool(self._conv(f"{block}/skip", x))
            x = (main + skip) / math.sqrt(2.0)
        x = _swish(self._conv("head/conv", x))
        x = _swish(self._conv("head/to_vector", x, "VALID"))
        kernel, bias, _ = self.layers["head/linear"]
        return (tf.cast(x[:, 0, 0], tf.float32) @ kernel + bias)[:, 0]

    def _conv(self, name, x, padding="SAME"):
        kernel, bias, right = self.layers[name]
        if right is not None:
            matrix = tf.reshape(kernel, (-1, kernel.shape[-1]))
            left = tf.linalg.l2_normalize(tf.linalg.matvec(matrix, right))
            right = tf.linalg.l2_normalize(
                tf.linalg.matvec(matrix, left, transpose_a=True)
            )
            left, right = tf.stop_gradient(left), tf.stop_gradient(right)
            kernel = kernel / tf.tensordot(left, tf.linalg.matvec(matrix, right), 1)
        y = tf.nn.conv2d(x, tf.cast(kernel, x.dtype), 1, padding)
        return y + tf.cast(bias, x.dtype)


def _swish(x):
    return x * tf.sigmoid(x) / 1.1


def _pool(x):
    return tf.nn.avg_pool2d(x, 2, 2, "VALID")
