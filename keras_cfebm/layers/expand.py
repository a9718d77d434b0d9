"""How a network grows: the new way into it, the old one, and their mixture."""

from typing import Any

import keras

from keras_cfebm import backend
from keras_cfebm.layers.blocks import PrimalBlock
from keras_cfebm.layers.convolution import (
    Block,
    SpectralConv2D,
    conv1x1,
    equalized_kernel,
    mean_pool,
)


@keras.saving.register_keras_serializable(package="keras_cfebm")
class FadeBlock(Block):
    """The old way into the network: mean pooling, then the old 1×1 from the image.

    Args:
        resolution: int, side of the images before pooling.
        filters: int, channels of the output.
        equalized: bool, equalise the learning rate of the 1×1 convolution.

    Call arguments:
        x: images of shape `(batch, resolution, resolution, channels)`.

    Returns:
        Tensor of shape `(batch, resolution // 2, resolution // 2, filters)`.
    """

    def __init__(
        self, resolution: int, filters: int, equalized: bool = False, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.resolution = resolution
        self.filters = filters
        self.equalized = equalized
        self.from_image = conv1x1(
            filters, f"from_image_{resolution // 2}", self.dtype_policy, equalized
        )

    def build(self, input_shape):
        self.from_image.build(input_shape)

    def bind(self):
        kernel = equalized_kernel(self.from_image, self.equalized)
        kernel, bias = self.computed(kernel, self.from_image.bias)

        def fade(x):
            (x,) = self.computed(x)
            return backend.conv(mean_pool(x), kernel) + bias

        return fade

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        return (batch, height // 2, width // 2, self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "resolution": self.resolution,
            "filters": self.filters,
            "equalized": self.equalized,
        }


@keras.saving.register_keras_serializable(package="keras_cfebm")
class ExpandBlock(Block):
    """β · Primal(x) + (1 − β) · Fade(x): how a network grows by one level.

    β is a non-trainable weight, 0 at birth; the training step moves it to 1.

    Args:
        resolution: int, side of the images.
        width: int, channels at this resolution.
        filters: int, channels of the output, those of the next coarser level.
        activation: str, see `keras_cfebm.layers.activations.get`.
        spectral_norm: bool, normalise the 3×3 convolutions.
        inner_width: int, channels between the two 3×3 convolutions; None for `width`.
        equalized: bool, equalise the learning rate of the 1×1 convolutions.

    Call arguments:
        x: images of shape `(batch, resolution, resolution, channels)`.

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
        inner_width: int | None = None,
        equalized: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.primal = PrimalBlock(
            resolution,
            width,
            filters,
            activation,
            spectral_norm,
            inner_width,
            equalized,
            dtype=self.dtype_policy,
            name=f"primal_{resolution}",
        )
        self.fade = FadeBlock(
            resolution,
            filters,
            equalized,
            dtype=self.dtype_policy,
            name=f"fade_{resolution}",
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

    def bind(self):
        primal, fade = self.primal.bind(), self.fade.bind()
        (beta,) = self.computed(self.beta)
        return lambda x: beta * primal(x) + (1.0 - beta) * fade(x)

    def spectral_convolutions(self) -> list[SpectralConv2D]:
        return self.primal.spectral_convolutions()

    def compute_output_shape(self, input_shape):
        return self.primal.compute_output_shape(input_shape)

    def get_config(self):
        primal = self.primal.get_config()
        inherited = super().get_config()
        return {**inherited, **{n: v for n, v in primal.items() if n not in inherited}}
