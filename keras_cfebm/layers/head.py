"""The end of the network: from the coarsest features to one number per image."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_cfebm.layers import activations
from keras_cfebm.layers.convolution import Block, SpectralConv2D, gain, initializer
from keras_cfebm.utils.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_cfebm")
class EnergyHead(Block):
    """From the coarsest features to one scalar per image.

    3×3 convolution, activation, a "valid" convolution that covers the whole map,
    activation, linear. With classes, the energy of (x, y) has the extra term
    ⟨embedding(y), features(x)⟩ (the projection of Miyato and Koyama 2018).

    Args:
        width: int, number of channels.
        activation: str, see `keras_cfebm.layers.activations.get`.
        spectral_norm: bool, normalise the two convolutions.
        num_classes: int or None, number of classes of a conditional energy.
        equalized: bool, equalise the learning rate of the linear layer.

    Call arguments:
        x: tensor of shape `(batch, height, height, channels)`.
        labels: integer tensor of shape `(batch,)`; required with classes.

    Returns:
        float32 energies of shape `(batch,)`.
    """

    def __init__(
        self,
        width: int,
        activation: str = "swish",
        spectral_norm: bool = True,
        num_classes: int | None = None,
        equalized: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.width = width
        self.activation = activation
        self.spectral_norm = spectral_norm
        self.num_classes = num_classes
        self.equalized = equalized
        self._activate = activations.get(activation)
        self.conv = SpectralConv2D(
            width, spectral_norm=spectral_norm, dtype=self.dtype_policy, name="conv"
        )
        self.linear = keras.layers.Dense(
            1,
            kernel_initializer=initializer(equalized),
            dtype="float32",
            name="linear",
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

    def bind(
        self, labels: Tensor | None = None, guidance: Tensor | None = None
    ) -> Callable[[Tensor], Tensor]:
        """Returns this layer as a function of x, labels bound and kernels computed.

        Args:
            labels: integer tensor of shape `(batch,)`; required with classes.
            guidance: float, or a float tensor of shape `(batch,)`, w: the embedding is
                moved by w · (embedding − mean), with its mean over all classes. None
                for 0.
        """
        features_of = self.bind_features()
        embedding = None
        if self.num_classes is not None:
            embedding = self.embedding(labels)
            if guidance is not None:
                mean = ops.mean(self.embedding.embeddings, axis=0)
                weight = ops.reshape(
                    ops.convert_to_tensor(guidance, "float32"), (-1, 1)
                )
                embedding = embedding + weight * (embedding - mean)

        def head(x):
            features = features_of(x)
            energies = self._unlabelled(features)
            if embedding is None:
                return energies
            return energies + ops.sum(embedding * features, axis=-1)

        return head

    def bind_features(self) -> Callable[[Tensor], Tensor]:
        """Returns the function of x that returns features `(batch, width)`, float32."""
        conv, to_vector = self.conv.bind(), self.to_vector.bind()

        def features(x):
            x = self._activate(to_vector(self._activate(conv(x))))
            return ops.cast(x[:, 0, 0, :], "float32")

        return features

    def marginal(self, features: Tensor) -> Tensor:
        """Energies −log Σ_y exp(−E(x, y)) of features, any class; E(x) without classes.

        Args:
            features: float32 tensor of shape `(batch, width)`, see `bind_features`.
        """
        energies = self._unlabelled(features)
        if self.num_classes is None:
            return energies
        by_class = ops.matmul(features, ops.transpose(self.embedding.embeddings))
        return energies - ops.logsumexp(-by_class, axis=-1)

    def _unlabelled(self, features):
        scaled = features * gain(self.width) if self.equalized else features
        return self.linear(scaled)[:, 0]

    def call(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.bind(labels)(x)

    def spectral_convolutions(self) -> list["SpectralConv2D"]:
        return [
            *self.conv.spectral_convolutions(),
            *self.to_vector.spectral_convolutions(),
        ]

    def compute_output_spec(self, x, labels=None):
        return keras.KerasTensor((x.shape[0],), dtype="float32")

    def get_config(self):
        return {
            **super().get_config(),
            "width": self.width,
            "activation": self.activation,
            "spectral_norm": self.spectral_norm,
            "num_classes": self.num_classes,
            "equalized": self.equalized,
        }
