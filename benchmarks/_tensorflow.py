"""The definition of the network, operation by operation, in plain TensorFlow.

The kernels are normalised anew at each Langevin step (one power iteration), gradients
are a plain `GradientTape`'s, the noise is `tf.random.normal`'s, and the loop is a
`tf.function`.
"""

import math

import tensorflow as tf


class PlainTensorFlow:
    """A contender, see `benchmarks._package`."""

    def __init__(self, problem):
        self.problem = problem
        self.networks = [
            _Network(level, layers, problem.dtype)
            for level, layers in zip(problem.levels, problem.layers, strict=True)
        ]

    def energies_and_gradients(self):
        run = tf.function(_energy_and_gradient)
        pairs = [
            run(network, tf.constant(self.problem.images(level)))
            for level, network in enumerate(self.networks)
        ]
        return [(energies.numpy(), gradient.numpy()) for energies, gradient in pairs]

    def steps_at(self, level):
        x, scales = tf.constant(self.problem.images(level)), self._noise_scales(1)
        run = tf.function(lambda: self._langevin(self.networks[level], x, scales))
        return lambda: run().numpy()

    def chain(self):
        run = tf.function(self._samples)
        return lambda: run().numpy()

    def training_step(self):
        network = self.networks[-1]
        optimizer = tf.keras.optimizers.Adam(1e-3, beta_1=0.5, beta_2=0.999)
        optimizer.build(network.weights)
        averages = [tf.Variable(weight) for weight in network.weights]
        positives = tf.constant(self.problem.images(-1))

        @tf.function
        def run():
            network.power_iteration()
            images = tf.concat([positives, self._samples()], axis=0)
            with tf.GradientTape() as tape:
                positive, negative = tf.split(network(images), 2)
                loss = tf.reduce_mean(positive) - tf.reduce_mean(negative)
            optimizer.apply(tape.gradient(loss, network.weights), network.weights)
            for average, weight in zip(averages, network.weights, strict=True):
                average.assign(0.99 * average + 0.01 * weight)
            return loss

        return lambda: run().numpy()

    def _noise_scales(self, levels):
        return tf.constant(self.problem.noise_scales(levels))

    def _samples(self):
        problem = self.problem
        x = tf.random.uniform(problem.images(0).shape, -1.0, 1.0)
        scales = tf.split(self._noise_scales(len(self.networks)), len(self.networks))
        for side, network, own in zip(
            problem.levels, self.networks, scales, strict=True
        ):
            x = tf.image.resize(x, (side, side), "nearest")
            x = tf.clip_by_value(self._langevin(network, x, own), *problem.clip)
        return x

    def _langevin(self, network, x, scales):
        for i in tf.range(self.problem.steps):
            _, gradient = _energy_and_gradient(network, x)
            noise = scales[i] * tf.random.normal(tf.shape(x))
            x = x - self.problem.step_size * gradient + noise
        return x


def _energy_and_gradient(network, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        energies = network(x)
    return energies, tape.gradient(energies, x)


class _Network:
    def __init__(self, resolution, layers, dtype):
        self.resolution = resolution
        self.dtype = tf.bfloat16 if dtype == "mixed_bfloat16" else tf.float32
        self.layers = {
            name: [None if array is None else tf.Variable(array) for array in arrays]
            for name, arrays in layers.items()
        }
        self.weights = [
            weight
            for kernel, bias, _ in self.layers.values()
            for weight in (kernel, bias)
        ]

    def __call__(self, images):
        x = self._conv(f"from_image_{self.resolution}", tf.cast(images, self.dtype))
        blocks = [name[:-6] for name in self.layers if name.endswith("/conv1")]
        for block in blocks:
            main = _swish(self._conv(f"{block}/conv1", x))
            main = _swish(_pool(self._conv(f"{block}/conv2", main)))
            skip = _pool(self._conv(f"{block}/skip", x))
            x = (main + skip) / math.sqrt(2.0)
        x = _swish(self._conv("head/conv", x))
        x = _swish(self._conv("head/to_vector", x, "VALID"))
        kernel, bias, _ = self.layers["head/linear"]
        return (tf.cast(x[:, 0, 0], tf.float32) @ kernel + bias)[:, 0]

    def power_iteration(self):
        for kernel, _, right in self.layers.values():
            if right is not None:
                right.assign(_singular_vectors(_matrix(kernel), right)[1])

    def _conv(self, name, x, padding="SAME"):
        kernel, bias, right = self.layers[name]
        if right is not None:
            matrix = _matrix(kernel)
            left, right = _singular_vectors(matrix, right)
            kernel = kernel / tf.tensordot(left, tf.linalg.matvec(matrix, right), 1)
        y = tf.nn.conv2d(x, tf.cast(kernel, x.dtype), 1, padding)
        return y + tf.cast(bias, x.dtype)


def _matrix(kernel):
    return tf.reshape(kernel, (-1, kernel.shape[-1]))


def _singular_vectors(matrix, right):
    left = tf.linalg.l2_normalize(tf.linalg.matvec(matrix, right))
    right = tf.linalg.l2_normalize(tf.linalg.matvec(matrix, left, transpose_a=True))
    return tf.stop_gradient(left), tf.stop_gradient(right)


def _swish(x):
    return x * tf.sigmoid(x) / 1.1


def _pool(x):
    return tf.nn.avg_pool2d(x, 2, 2, "VALID")
