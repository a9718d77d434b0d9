"""The convolutions of the blocks: spectrally normalised, pooled, 1×1."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_cfebm import backend
from keras_cfebm.utils.typing import Tensor

_TINY = float(np.finfo("float32").tiny)
#: A kernel `(height, width, inputs, filters)` and a bias `(filters,)`.
Affine = tuple[Tensor, Tensor]


#: Squarings of KᵀK: so many that a training step moves σ by 2⁴ power iterations. With
#: one, an estimate lags by a tenth when two singular values cross.
_SQUARINGS = 4


def _normalized(vector):
    """A vector of length 1 in the same direction, whatever its scale; 0 stays 0."""
    vector = _of_order_one(vector)
    return vector * ops.rsqrt(ops.maximum(ops.sum(ops.square(vector)), _TINY))


def _of_order_one(x):
    return x / ops.maximum(ops.max(ops.abs(x)), _TINY)


def mean_pool(x: Tensor) -> Tensor:
    """2×2 mean pooling of images with even sides."""
    return backend.average_pool(x, strides=2)


def to_even(x: Tensor) -> Tensor:
    """A row and a column of zeros below and right of sides that are odd.

    Halving would drop the last row of 7, to which the energy would then be all but
    blind.
    """
    _, height, width, _ = x.shape
    if height % 2 == width % 2 == 0:
        return x
    return ops.pad(x, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))


@backend.traced_once
def _after_power_iterations(matrix, right):
    """The right singular vector of a matrix, found from an older one."""
    matrix = _of_order_one(matrix)
    power = ops.matmul(ops.transpose(matrix), matrix)
    for _ in range(_SQUARINGS):
        power = _of_order_one(power)
        power = ops.matmul(power, power)
    return _normalized(ops.matmul(power, right))


@backend.traced_once
def _singular_value(matrix, right):
    """leftᵀ · matrix · right, with both vectors one power iteration on, constants."""
    constant, right = ops.stop_gradient(matrix), ops.stop_gradient(right)
    left = _normalized(ops.matmul(constant, right))
    right = _normalized(ops.matmul(left, constant))
    return ops.sum(ops.matmul(left, matrix) * right)


class Block(keras.layers.Layer):
    """A layer whose weight-only work can be done ahead, for a whole chain."""

    def __init__(self, **kwargs: Any):
        # `bind` casts by itself, since chains call its function without the layer.
        super().__init__(autocast=False, **kwargs)

    def bind(self) -> Callable[[Tensor], Tensor]:
        """Returns this layer as a function of x, its kernels computed now."""
        raise NotImplementedError

    def call(self, x: Tensor) -> Tensor:
        return self.bind()(x)

    def spectral_convolutions(self) -> list["SpectralConv2D"]:
        """Returns the spectrally normalised convolutions inside, outermost first."""
        return []

    def computed(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The tensors in the dtype that this layer computes in, weights as of now."""
        # A copy: PyTorch changes weights in place.
        now = [ops.copy(x) if isinstance(x, keras.Variable) else x for x in tensors]
        return tuple(ops.cast(tensor, self.compute_dtype) for tensor in now)


@keras.saving.register_keras_serializable(package="keras_cfebm")
class SpectralConv2D(Block):
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
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        padding: str = "same",
        spectral_norm: bool = True,
        **kwargs: Any,
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

    def _matrix_and_vector(self):
        """The kernel as a matrix and the vector, tensors both."""
        matrix = ops.cast(ops.reshape(self.kernel, (-1, self.filters)), "float32")
        return matrix, ops.reshape(self.right_vector, (-1,))

    def power_iteration(self) -> None:
        """16 steps of the power method at once; moves `right_vector` only."""
        if self.spectral_norm:
            self.right_vector.assign(
                _after_power_iterations(*self._matrix_and_vector())
            )

    def converge(self) -> None:
        """Moves `right_vector` to the kernel's right singular vector, outside steps."""
        if self.spectral_norm:
            matrix = np.asarray(self.kernel, "float64").reshape(-1, self.filters)
            _, vectors = np.linalg.eigh(matrix.T @ matrix)
            self.right_vector.assign(vectors[:, -1])

    def normalized_kernel(self) -> Tensor:
        """Kernel / σ, with σ the estimate leftᵀ · kernel · right (Miyato et al. 2018).

        Returns:
            Tensor of shape `(kernel_size, kernel_size, inputs, filters)`.
        """
        if not self.spectral_norm:
            return ops.copy(self.kernel)
        sigma = _singular_value(*self._matrix_and_vector())
        return ops.cast(self.kernel, "float32") / sigma

    def affine(self) -> Affine:
        """Normalised kernel and bias, in the dtype that this layer computes in."""
        return self.computed(self.normalized_kernel(), self.bias)

    def bind(self):
        kernel, bias = self.affine()

        def convolve(x):
            (x,) = self.computed(x)
            return backend.conv(x, kernel, padding=self.padding) + bias

        return convolve

    def spectral_convolutions(self) -> list["SpectralConv2D"]:
        return [self] if self.spectral_norm else []

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


def conv_mean_pool(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """3×3 "same" convolution followed by 2×2 mean pooling, as one strided convolution.

    Args:
        x: tensor of shape `(batch, height, width, channels)`.
        kernel: tensor of shape `(3, 3, channels, filters)`.
        bias: tensor of shape `(filters,)`.

    Returns:
        Tensor of shape `(batch, height // 2, width // 2, filters)`.
    """
    x = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    x = backend.average_pool(x, strides=1)
    return backend.conv(x, kernel, strides=2, padding="valid") + bias


def conv1x1(
    filters: int, name: str, dtype: Any, equalized: bool = False
) -> keras.layers.Conv2D:
    """A 1×1 convolution with He-scaled weights and no normalisation.

    With `equalized` its kernel is stored with a standard deviation of 1: use it by
    `equalized_kernel`.
    """
    return keras.layers.Conv2D(
        filters,
        1,
        kernel_initializer=initializer(equalized),
        data_format="channels_last",
        dtype=dtype,
        name=name,
    )


def initializer(equalized: bool) -> keras.Initializer:
    """Of layers that may be equalised: what they compute with is He-scaled anyway."""
    if equalized:
        return keras.initializers.RandomNormal(stddev=1.0)
    return keras.initializers.HeNormal()


def gain(inputs: int) -> float:
    """√(2 / inputs), which equalised kernels are multiplied by (Karras et al. 2018)."""
    return math.sqrt(2.0 / inputs)


def equalized_kernel(layer: keras.layers.Layer, equalized: bool) -> Tensor:
    """The kernel of a `conv1x1` as it is computed with."""
    if not equalized:
        return layer.kernel
    return layer.kernel * gain(layer.kernel.shape[-2])
