"""The blocks that halve the resolution, from features or from the image."""

import math
from typing import Any

import keras
from keras import ops

from keras_cfebm import backend
from keras_cfebm.layers import activations
from keras_cfebm.layers.convolution import (
    Block,
    SpectralConv2D,
    conv1x1,
    conv_mean_pool,
    mean_pool,
)
from keras_cfebm.utils.typing import Tensor

_SQRT_HALF = math.sqrt(0.5)


@keras.saving.register_keras_serializable(package="keras_cfebm")
class ResidualBlock(Block):
    """Halves the resolution: (act(pool(conv(act(conv(x))))) + pool(conv1×1(x))) / √2.

    Args:
        width: int, channels of the inner convolution.
        filters: int, channels of the output.
        activation: str, see `keras_cfebm.layers.activations.get`.
        spectral_norm: bool, normalise the 3×3 convolutions.

    Call arguments:
        x: tensor of shape `(batch, height, width, channels)`.
        kernels: result of `kernels()`, computed when None.

    Returns:
        Tensor of shape `(batch, height // 2, width // 2, filters)`.
    """

    def __init__(
        self,
        width: int,
        filters: int,
        activation: str = "swish",
        spectral_norm: bool = True,
        **kwargs: Any,
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
        self.skip = conv1x1(filters, "skip", self.dtype_policy)

    def build(self, input_shape):
        self.conv1.build(input_shape)
        self.conv2.build((*input_shape[:-1], self.width))
        self.skip.build(input_shape)

    def kernels(self) -> Any:
        return {
            "conv1": self.conv1.kernels(),
            "conv2": self.conv2.kernels(),
            "skip": self._computed(self.skip.kernel, self.skip.bias),
        }

    def spectral_convolutions(self) -> list["SpectralConv2D"]:
        return [
            *self.conv1.spectral_convolutions(),
            *self.conv2.spectral_convolutions(),
        ]

    def call(self, x: Tensor, kernels: Any = None) -> Tensor:
        kernels = kernels or self.kernels()
        kernel, bias = kernels["conv1"]
        main = self._activate(backend.conv(x, kernel, padding="same") + bias)
        main = self._activate(conv_mean_pool(main, *kernels["conv2"]))
        kernel, bias = kernels["skip"]
        skip = backend.conv(mean_pool(x), kernel) + bias
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
class PrimalBlock(Block):
    """From the image to the features of the next coarser level.

    A 1×1 convolution from image channels, then a `ResidualBlock`.

    Args:
        resolution: int, side of the images; it names the sublayers.
        width: int, channels at this resolution.
        filters: int, channels of the output.
        activation: str, see `keras_cfebm.layers.activations.get`.
        spectral_norm: bool, normalise the 3×3 convolutions.

    Call arguments:
        x: images of shape `(batch, resolution, resolution, channels)`.
        kernels: result of `kernels()`, computed when None.

    Returns:
        Tensor of shape `(batch, resolution // 2, resolution // 2, filters)`.
    """

    def __init__(
        self,
        resolution: int,
        width: int,
        filters: int,
        activation: str = "swish",
        spectral_norm: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.resolution = resolution
        self.width = width
        self.filters = filters
        self.activation = activation
        self.spectral_norm = spectral_norm
        self.from_image = conv1x1(width, f"from_image_{resolution}", self.dtype_policy)
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

    def kernels(self) -> Any:
        """The residual block's kernels, for images with a constant-one channel."""
        kernels = self.residual.kernels()
        affine = ops.concatenate(
            [self.from_image.kernel[0, 0], self.from_image.bias[None]], axis=0
        )
        for name in ("conv1", "skip"):
            kernel, bias = kernels[name]
            kernels[name] = ops.matmul(ops.cast(affine, kernel.dtype), kernel), bias
        return kernels

    def spectral_convolutions(self) -> list["SpectralConv2D"]:
        return self.residual.spectral_convolutions()

    def call(self, x: Tensor, kernels: Any = None) -> Tensor:
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
