"""① The Expand block and its parts (Sec. 3.1, Fig. 2 of the CF-EBM paper).

    Expand(x) = β · Primal(x) + (1 − β) · Fade(x)

Every layer splits its work in two: `kernels()` computes what depends on the weights
only (spectral normalisation, kernels composed of two others), `call(x, kernels)` what
depends on the image. A Langevin chain calls `kernels()` once and `call` at each step;
a plain `layer(x)` does both.

Three exact rewrites make the blocks several times cheaper than their definition, with
the same weights and the same function:

- 3×3 convolution + 2×2 mean pooling is one stride-2 convolution of the image filtered
  by a 2×2 box: a quarter of the multiplications;
- mean pooling and a 1×1 convolution commute, so the skip path pools first;
- a 1×1 convolution followed by a 3×3 one is a single 3×3 convolution with the product
  kernel. A constant-one channel carries the bias of the first, so that it too vanishes
  in the zero padding of the second.
"""

import math

import keras
from keras import ops

from keras_cfebm import activations

_SQRT_HALF = math.sqrt(0.5)


def _normalized(vector):
    return vector * ops.rsqrt(ops.sum(ops.square(vector)) + 1e-12)


def mean_pool(x):
    """2×2 mean pooling; an odd last row or column is dropped."""
    return ops.average_pool(x, 2, strides=2, padding="valid")


class _Block(keras.layers.Layer):
    """A layer whose weight-only work can be done ahead, by `kernels()`."""

    def kernels(self):
        """Returns the tensors that `call` needs and that depend on weights only."""
        raise NotImplementedError

    def spectral_convolutions(self):
        """Returns the spectrally normalised convolutions inside, outermost first."""
        return []

    def _computed(self, *tensors):
        return tuple(ops.cast(tensor, self.compute_dtype) for tensor in tensors)


@keras.saving.register_keras_serializable(package="keras_cfebm")
class SpectralConv2D(_Block):
    """Convolution whose kernel is divided by its largest singular value.

    The kernel is seen as a matrix of shape `(height * width * inputs, filters)`
    (Miyato et al. 2018). Its right singular vector is a non-trainable weight that only
    `power_iteration()` changes, once per training step. So the forward pass has no side
    effect and may be called in a sampler's loop.

    Args:
        filters: int, number of output channels.
        kernel_size: int, height and width of the kernel.
        padding: `"same"` or `"valid"`.
        spectral_norm: bool, False makes it a plain convolution.

    Call arguments:
        x: float tensor of shape `(batch, height, width, channels)`.
        kernels: result of `kernels()`, computed when None.
    """

    def __init__(
        self, filters, kernel_size=3, padding="same", spectral_norm=True, **kwargs
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.padding = padding
        self.spectral_norm = spectral_norm

    def build(self, input_shape):
        size = self.kernel_size
        self.kernel = self.add_weight(
            name="kernel",
            shape=(size, size, input_shape[-1], self.filters),
            initializer="he_normal",
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.filters,), initializer="zeros"
        )
        if self.spectral_norm:
            self.right_vector = self.add_weight(
                name="right_vector",
                shape=(self.filters,),
                initializer="random_normal",
                trainable=False,
                aggregation="only_first_replica",
                dtype="float32",
            )

    def _singular_vectors(self):
        matrix = ops.cast(ops.reshape(self.kernel, (-1, self.filters)), "float32")
        matrix = ops.stop_gradient(matrix)
        left = _normalized(ops.matmul(matrix, self.right_vector))
        right = _normalized(ops.matmul(left, matrix))
        return left, right

    def power_iteration(self):
        """One step of the power method; moves `right_vector` only."""
        if self.spectral_norm:
            _, right = self._singular_vectors()
            self.right_vector.assign(right)

    def normalized_kernel(self):
        """Kernel / σ, with σ the estimate leftᵀ · kernel · right (Miyato et al. 2018).

        Returns:
            Tensor of shape `(kernel_size, kernel_size, inputs, filters)`.
        """
        kernel = ops.convert_to_tensor(self.kernel)
        if not self.spectral_norm:
            return kernel
        left, right = self._singular_vectors()
        kernel = ops.cast(kernel, "float32")
        matrix = ops.reshape(kernel, (-1, self.filters))
        return kernel / ops.sum(ops.matmul(left, matrix) * right)

    def kernels(self):
        return self._computed(self.normalized_kernel(), self.bias)

    def spectral_convolutions(self):
        return [self] if self.spectral_norm else []

    def call(self, x, kernels=None):
        kernel, bias = kernels or self.kernels()
        return ops.conv(x, kernel, padding=self.padding) + bias

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        lost = 0 if self.padding == "same" else self.kernel_size - 1
        return (batch, height - lost, width - lost, self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "padding": self.padding,
            "spectral_norm": self.spectral_norm,
        }


def conv_mean_pool(x, kernel, bias):
    """3×3 "same" convolution followed by 2×2 mean pooling, as one strided convolution.

    Args:
        x: tensor of shape `(batch, height, width, channels)`.
        kernel: tensor of shape `(3, 3, channels, filters)`.
        bias: tensor of shape `(filters,)`.

    Returns:
        Tensor of shape `(batch, height // 2, width // 2, filters)`.
    """
    x = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    x = ops.average_pool(x, 2, strides=1, padding="valid")
    return ops.conv(x, kernel, strides=2, padding="valid") + bias


def _conv1x1(filters, name, dtype):
    return keras.layers.Conv2D(
        filters, 1, kernel_initializer="he_normal", dtype=dtype, name=name
    )


@keras.saving.register_keras_serializable(package="keras_cfebm")
class ResidualBlock(_Block):
    """Halves the resolution: (act(pool(conv(act(conv(x))))) + pool(conv1×1(x))) / √2.

    Args:
        width: int, channels of the inner convolution.
        filters: int, channels of the output.
        activation: str, see `keras_cfebm.activations.get`.
        spectral_norm: bool, normalise the 3×3 convolutions.

    Call arguments:
        x: tensor of shape `(batch, height, width, channels)`.
        kernels: result of `kernels()`, computed when None.

    Returns:
        Tensor of shape `(batch, height // 2, width // 2, filters)`.
    """

    def __init__(
        self, width, filters, activation="swish", spectral_norm=True, **kwargs
    ):
        super().__init__(**kwargs)
        self.width = width
        self.filters = filters
        self.activation = activation
        self.spectral_norm = spectral_norm
        self._activate = activations.get(activation)
        convolution = {"spectral_norm": spectral_norm, "dtype": self.dtype_policy}
        self.conv1 = SpectralConv2D(width, name="conv1", **convolution)
        self.conv2 = SpectralConv2D(filters, name="conv2", **convolution)
        self.skip = _conv1x1(filters, "skip", self.dtype_policy)

    def build(self, input_shape):
        self.conv1.build(input_shape)
        self.conv2.build((*input_shape[:-1], self.width))
        self.skip.build(input_shape)

    def kernels(self):
        return {
            "conv1": self.conv1.kernels(),
            "conv2": self.conv2.kernels(),
            "skip": self._computed(self.skip.kernel, self.skip.bias),
        }

    def spectral_convolutions(self):
        return [
            *self.conv1.spectral_convolutions(),
            *self.conv2.spectral_convolutions(),
        ]

    def call(self, x, kernels=None):
        kernels = kernels or self.kernels()
        kernel, bias = kernels["conv1"]
        main = self._activate(ops.conv(x, kernel, padding="same") + bias)
        main = self._activate(conv_mean_pool(main, *kernels["conv2"]))
        kernel, bias = kernels["skip"]
        skip = ops.conv(mean_pool(x), kernel) + bias
        return (main + skip) * _SQRT_HALF

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        return (batch, height // 2, width // 2, self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "width": self.width,
            "filters": self.filters,
            "activation": self.activation,
            "spectral_norm": self.spectral_norm,
        }


@keras.saving.register_keras_serializable(package="keras_cfebm")
class PrimalBlock(_Block):
    """From the image to the features of the next coarser level.

    A 1×1 convolution from image channels, then a `ResidualBlock`.

    Args:
        resolution: int, side of the images; it names the sublayers.
        width: int, channels at this resolution.
        filters: int, channels of the output.
        activation: str, see `keras_cfebm.activations.get`.
        spectral_norm: bool, normalise the 3×3 convolutions.

    Call arguments:
        x: images of shape `(batch, resolution, resolution, channels)`.
        kernels: result of `kernels()`, computed when None.

    Returns:
        Tensor of shape `(batch, resolution // 2, resolution // 2, filters)`.
    """

    def __init__(
        self,
        resolution,
        width,
        filters,
        activation="swish",
        spectral_norm=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.resolution = resolution
        self.width = width
        self.filters = filters
        self.activation = activation
        self.spectral_norm = spectral_norm
        self.from_image = _conv1x1(width, f"from_image_{resolution}", self.dtype_policy)
        self.residual = ResidualBlock(
            width,
            filters,
            activation,
            spectral_norm,
            dtype=self.dtype_policy,
            name=f"residual_{resolution}",
        )

    def build(self, input_shape):
        self.from_image.build(input_shape)
        self.residual.build((*input_shape[:-1], self.width))

    def kernels(self):
        """The residual block's kernels, for images with a constant-one channel."""
        kernels = self.residual.kernels()
        affine = ops.concatenate(
            [self.from_image.kernel[0, 0], self.from_image.bias[None]], axis=0
        )
        for name in ("conv1", "skip"):
            kernel, bias = kernels[name]
            kernels[name] = ops.matmul(ops.cast(affine, kernel.dtype), kernel), bias
        return kernels

    def spectral_convolutions(self):
        return self.residual.spectral_convolutions()

    def call(self, x, kernels=None):
        x_and_one = ops.concatenate([x, ops.ones_like(x[..., :1])], axis=-1)
        return self.residual(x_and_one, kernels=kernels or self.kernels())

    def compute_output_shape(self, input_shape):
        return self.residual.compute_output_shape(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "resolution": self.resolution,
            "width": self.width,
            "filters": self.filters,
            "activation": self.activation,
            "spectral_norm": self.spectral_norm,
        }


@keras.saving.register_keras_serializable(package="keras_cfebm")
class FadeBlock(_Block):
    """The old way into the network: mean pooling, then the old 1×1 from the image.

    Args:
        resolution: int, side of the images before pooling.
        filters: int, channels of the output.

    Call arguments:
        x: images of shape `(batch, resolution, resolution, channels)`.
        kernels: result of `kernels()`, computed when None.

    Returns:
        Tensor of shape `(batch, resolution // 2, resolution // 2, filters)`.
    """

    def __init__(self, resolution, filters, **kwargs):
        super().__init__(**kwargs)
        self.resolution = resolution
        self.filters = filters
        self.from_image = _conv1x1(
            filters, f"from_image_{resolution // 2}", self.dtype_policy
        )

    def build(self, input_shape):
        self.from_image.build(input_shape)

    def kernels(self):
        return self._computed(self.from_image.kernel, self.from_image.bias)

    def call(self, x, kernels=None):
        kernel, bias = kernels or self.kernels()
        return ops.conv(mean_pool(x), kernel) + bias

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        return (batch, height // 2, width // 2, self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "resolution": self.resolution,
            "filters": self.filters,
        }


@keras.saving.register_keras_serializable(package="keras_cfebm")
class ExpandBlock(_Block):
    """β · Primal(x) + (1 − β) · Fade(x): how a network grows by one level.

    β is a non-trainable weight, 0 at birth; the training step moves it to 1.

    Args:
        resolution: int, side of the images.
        width: int, channels at this resolution.
        filters: int, channels of the output, those of the next coarser level.
        activation: str, see `keras_cfebm.activations.get`.
        spectral_norm: bool, normalise the 3×3 convolutions.

    Call arguments:
        x: images of shape `(batch, resolution, resolution, channels)`.
        kernels: result of `kernels()`, computed when None.

    Returns:
        Tensor of shape `(batch, resolution // 2, resolution // 2, filters)`.
    """

    def __init__(
        self,
        resolution,
        width,
        filters,
        activation="swish",
        spectral_norm=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.primal = PrimalBlock(
            resolution,
            width,
            filters,
            activation,
            spectral_norm,
            dtype=self.dtype_policy,
            name=f"primal_{resolution}",
        )
        self.fade = FadeBlock(
            resolution, filters, dtype=self.dtype_policy, name=f"fade_{resolution}"
        )

    def build(self, input_shape):
        self.primal.build(input_shape)
        self.fade.build(input_shape)
        self.beta = self.add_weight(
            name="beta",
            shape=(),
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
            dtype="float32",
        )

    def kernels(self):
        return {
            "primal": self.primal.kernels(),
            "fade": self.fade.kernels(),
            "beta": ops.cast(self.beta, self.compute_dtype),
        }

    def spectral_convolutions(self):
        return self.primal.spectral_convolutions()

    def call(self, x, kernels=None):
        kernels = kernels or self.kernels()
        primal = self.primal(x, kernels=kernels["primal"])
        fade = self.fade(x, kernels=kernels["fade"])
        return kernels["beta"] * primal + (1.0 - kernels["beta"]) * fade

    def compute_output_shape(self, input_shape):
        return self.primal.compute_output_shape(input_shape)

    def get_config(self):
        primal = self.primal.get_config()
        names = ("resolution", "width", "filters", "activation", "spectral_norm")
        return {**super().get_config(), **{name: primal[name] for name in names}}


@keras.saving.register_keras_serializable(package="keras_cfebm")
class EnergyHead(_Block):
    """From the coarsest features to one scalar per image.

    3×3 convolution, activation, a "valid" convolution that covers the whole map,
    activation, linear. With classes, the energy of (x, y) has the extra term
    ⟨embedding(y), features(x)⟩ (the projection of Miyato and Koyama 2018).

    Args:
        width: int, number of channels.
        activation: str, see `keras_cfebm.activations.get`.
        spectral_norm: bool, normalise the two convolutions.
        num_classes: int or None, number of classes of a conditional energy.

    Call arguments:
        x: tensor of shape `(batch, height, height, channels)`.
        labels: integer tensor of shape `(batch,)`; required with classes.
        kernels: result of `kernels()`, computed when None.

    Returns:
        float32 energies of shape `(batch,)`.
    """

    def __init__(
        self, width, activation="swish", spectral_norm=True, num_classes=None, **kwargs
    ):
        super().__init__(**kwargs)
        self.width = width
        self.activation = activation
        self.spectral_norm = spectral_norm
        self.num_classes = num_classes
        self._activate = activations.get(activation)
        self.conv = SpectralConv2D(
            width, spectral_norm=spectral_norm, dtype=self.dtype_policy, name="conv"
        )
        self.linear = keras.layers.Dense(
            1, kernel_initializer="he_normal", dtype="float32", name="linear"
        )
        if num_classes is not None:
            self.embedding = keras.layers.Embedding(
                num_classes,
                width,
                embeddings_initializer="zeros",
                dtype="float32",
                name="embedding",
            )

    def build(self, x_shape, labels_shape=None):
        self.conv.build(x_shape)
        self.to_vector = SpectralConv2D(
            self.width,
            kernel_size=x_shape[1],
            padding="valid",
            spectral_norm=self.spectral_norm,
            dtype=self.dtype_policy,
            name="to_vector",
        )
        self.to_vector.build((*x_shape[:-1], self.width))
        self.linear.build((x_shape[0], self.width))
        if self.num_classes is not None:
            self.embedding.build(labels_shape)

    def kernels(self):
        return {"conv": self.conv.kernels(), "to_vector": self.to_vector.kernels()}

    def spectral_convolutions(self):
        return [
            *self.conv.spectral_convolutions(),
            *self.to_vector.spectral_convolutions(),
        ]

    def call(self, x, labels=None, kernels=None):
        kernels = kernels or self.kernels()
        x = self._activate(self.conv(x, kernels=kernels["conv"]))
        x = self._activate(self.to_vector(x, kernels=kernels["to_vector"]))
        features = ops.cast(x[:, 0, 0, :], "float32")
        energies = self.linear(features)[:, 0]
        if self.num_classes is None:
            return energies
        return energies + ops.sum(self.embedding(labels) * features, axis=-1)

    def compute_output_spec(self, x, labels=None, kernels=None):
        return keras.KerasTensor((x.shape[0],), dtype="float32")

    def get_config(self):
        return {
            **super().get_config(),
            "width": self.width,
            "activation": self.activation,
            "spectral_norm": self.spectral_norm,
            "num_classes": self.num_classes,
        }
