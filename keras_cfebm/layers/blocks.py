"""The blocks that halve the resolution, from features or from the image."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_cfebm import backend
from keras_cfebm.layers import activations
from keras_cfebm.layers.convolution import (
    Affine,
    Block,
    SpectralConv2D,
    conv1x1,
    conv_mean_pool,
    equalized_kernel,
    mean_pool,
    to_even,
)
from keras_cfebm.utils.typing import Tensor

_SQRT_HALF = math.sqrt(0.5)


@keras.saving.register_keras_serializable(package="keras_cfebm")
class ResidualBlock(Block):
    """Halves the resolution: (act(pool(conv(act(conv(x))))) + pool(conv1×1(x))) / √2.

    Odd sides get a row or column of zeros first.

    Args:
        width: int, channels of the inner convolution.
        filters: int, channels of the output.
        activation: str, see `keras_cfebm.layers.activations.get`.
        spectral_norm: bool, normalise the 3×3 convolutions.
        equalized: bool, equalise the learning rate of the 1×1 convolution.

    Call arguments:
        x: tensor of shape `(batch, height, width, channels)`.

    Returns:
        Tensor of shape `(batch, ⌈height / 2⌉, ⌈width / 2⌉, filters)`.
    """

    def __init__(
        self,
        width: int,
        filters: int,
        activation: str = "swish",
        spectral_norm: bool = True,
        equalized: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.width = width
        self.filters = filters
        self.activation = activation
        self.spectral_norm = spectral_norm
        self.equalized = equalized
        self._activate = activations.get(activation)
        convolution = {"spectral_norm": spectral_norm, "dtype": self.dtype_policy}
        self.conv1 = SpectralConv2D(width, name="conv1", **convolution)
        self.conv2 = SpectralConv2D(filters, name="conv2", **convolution)
        self.skip = conv1x1(filters, "skip", self.dtype_policy, equalized)

    def build(self, input_shape):
        self.conv1.build(input_shape)
        self.conv2.build((*input_shape[:-1], self.width))
        self.skip.build(input_shape)

    def bind(self):
        return self.bind_with(*self.input_affines())

    def input_affines(self) -> tuple[Affine, Affine]:
        """Kernel and bias of `conv1` and of `skip`, the two that see the input."""
        kernel = equalized_kernel(self.skip, self.equalized)
        return self.conv1.affine(), self.computed(kernel, self.skip.bias)

    def bind_with(self, conv1: Affine, skip: Affine) -> Callable[[Tensor], Tensor]:
        """`bind`, with others in place of what `input_affines` returns."""
        (kernel1, bias1), (skip_kernel, skip_bias) = conv1, skip
        conv2 = self.conv2.affine()

        def block(x):
            (x,) = self.computed(to_even(x))
            main = self._activate(backend.conv(x, kernel1, padding="same") + bias1)
            main = self._activate(conv_mean_pool(main, *conv2))  # rewrite 1
            skipped = backend.conv(mean_pool(x), skip_kernel) + skip_bias  # rewrite 2
            return (main + skipped) * _SQRT_HALF

        return block

    def spectral_convolutions(self) -> list[SpectralConv2D]:
        return [
            *self.conv1.spectral_convolutions(),
            *self.conv2.spectral_convolutions(),
        ]

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        return (batch, -(-height // 2), -(-width // 2), self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "width": self.width,
            "filters": self.filters,
            "activation": self.activation,
            "spectral_norm": self.spectral_norm,
            "equalized": self.equalized,
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
        inner_width: int, channels between the two 3×3 convolutions; None for `width`.
        equalized: bool, equalise the learning rate of the 1×1 convolutions.

    Call arguments:
        x: images of shape `(batch, resolution, resolution, channels)`.

    Returns:
        Tensor of shape `(batch, ⌈resolution / 2⌉, ⌈resolution / 2⌉, filters)`.
    """

    def __init__(
        self,
        resolution: int,
        width: int,
        filters: int,
        activation: str = "swish",
        spectral_norm: bool = True,
        inner_width: int | None = None,
        equalized: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.resolution = resolution
        self.width = width
        self.filters = filters
        self.activation = activation
        self.spectral_norm = spectral_norm
        self.inner_width = width if inner_width is None else inner_width
        self.equalized = equalized
        self.from_image = conv1x1(
            width, f"from_image_{resolution}", self.dtype_policy, equalized
        )
        self.residual = ResidualBlock(
            self.inner_width,
            filters,
            activation,
            spectral_norm,
            equalized,
            dtype=self.dtype_policy,
            name=f"residual_{resolution}",
        )

    def build(self, input_shape):
        self.from_image.build(input_shape)
        self.residual.build((*input_shape[:-1], self.width))

    def bind(self):
        block = self.residual.bind_with(*self.input_affines())
        return lambda x: block(_with_ones_channel(x))  # rewrite 3

    def input_affines(self) -> tuple[Affine, Affine]:
        """Those of the residual block, for the image and a channel of ones."""
        conv1, skip = self.residual.input_affines()
        return self._after_from_image(conv1), self._after_from_image(skip)

    def _after_from_image(self, affine):
        """The convolution of the image and a channel of ones that does both."""
        kernel, bias = affine
        from_image = equalized_kernel(self.from_image, self.equalized)
        first = ops.concatenate([from_image[0, 0], self.from_image.bias[None]], axis=0)
        return ops.matmul(ops.cast(first, kernel.dtype), kernel), bias

    def spectral_convolutions(self) -> list[SpectralConv2D]:
        return self.residual.spectral_convolutions()

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
            "inner_width": self.inner_width,
            "equalized": self.equalized,
        }


def _with_ones_channel(x):
    return ops.concatenate([x, ops.ones_like(x[..., :1])], axis=-1)
