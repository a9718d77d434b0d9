"""② The energy network of one resolution, and its growth (Sec. 3.1, Alg. 1).

`EnergyNetwork` maps images to energies, **low = likely**: p(x) = exp(−E(x)) / Z. Growth
is a value, not a mutation: `network.grown()` is a new network of twice the resolution
that computes, at β = 0, exactly the old energy of the mean-pooled image.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_cfebm import backend
from keras_cfebm.layers import (
    EnergyHead,
    ExpandBlock,
    PrimalBlock,
    ResidualBlock,
    SpectralConv2D,
    activations,
)
from keras_cfebm.layers.convolution import gain
from keras_cfebm.layers.levels import checked_widths, level_widths, levels_of
from keras_cfebm.utils.typing import Energy, PathLike, Tensor
from keras_cfebm.utils.validation import check_count, check_number, check_seed

#: What the names of layers begin with that may be equalised.
_EQUALIZED = ("from_image", "skip", "linear")


@keras.saving.register_keras_serializable(package="keras_cfebm")
class EnergyNetwork(keras.Model):
    """Energy of square images of one resolution, a functional Keras model.

    Args:
        resolution: int, side of the images; `base_resolution` times a power of two.
        channels: int, image channels (1 grey, 3 colour).
        base_resolution: int, side of the coarsest level; 8 is usual, 7 leads to 28.
        base_width: int, sets the channels of each level, see
            `keras_cfebm.layers.levels.default_width`.
        widths: optional dict of resolution → channels that overrides single levels;
            that of half the base resolution is the width of the head.
        activation: str, see `keras_cfebm.layers.activations.get`.
        num_classes: int or None. With classes the network takes `(images, labels)`.
        spectral_norm: bool, normalise the convolutions with spatial extent.
        inner: str, width of a block between its two 3×3 convolutions: `"input"`, that
            of what it takes, or `"output"`, that of what it hands on, as in the
            authors' code. They differ where widths do, by default from 64 pixels on.
        equalized: bool, equalised learning rate of the 1×1 and linear layers, as in the
            authors' code: weights of unit variance, times √(2 / inputs) at use.
        fading: bool, whether the outermost block is an `ExpandBlock` with the old path
            beside the new one. Set by `grown()`; a network made directly has no old
            path, which is the same as β = 1.

    Input shape: `(batch, resolution, resolution, channels)`, float32 in [-1, 1]; with
    classes a pair of that and integer labels of shape `(batch,)`.

    Output shape: `(batch,)`, float32 energies.

    Raises:
        ValueError: if the resolution is not `base_resolution` · 2^k, or a size, width
            or name is out of range, or the weights of `dtype` are not float32.

    Example:

    ```python
    coarse = EnergyNetwork(resolution=8, channels=1, base_width=16)
    fine = coarse.grown()                       # 16 × 16, β = 0
    fine(images)                                # == coarse(mean_pool(images))
    fine.beta = 1.0
    fine = fine.without_fade()                  # the old path is dropped
    ```

    Reference:
        [Zhao, Xie and Li, ICLR 2021](https://openreview.net/forum?id=aD1_5zowqV)
    """

    #: Names of the classes; an `EnergyLadder` gives its networks its own.
    class_names: tuple[str, ...] | None = None

    def __init__(
        self,
        resolution: int,
        channels: int = 3,
        base_resolution: int = 8,
        base_width: int = 32,
        widths: dict[int, int] | None = None,
        activation: str = "swish",
        num_classes: int | None = None,
        spectral_norm: bool = True,
        inner: str = "input",
        equalized: bool = False,
        fading: bool = False,
        **kwargs: Any,
    ):
        levels = levels_of(resolution, base_resolution)
        activations.get(activation)
        check_count(channels, "channels")
        check_count(base_width, "base_width")
        if num_classes is not None:
            check_count(num_classes, "num_classes")
        if fading and len(levels) == 1:
            raise ValueError(
                "Expected fading=False at the base resolution, which has no coarser "
                f"level to fade from, received resolution={resolution}, fading=True."
            )
        widths = checked_widths(widths or {})
        channels_of = level_widths(
            resolution, base_resolution, base_width, widths, inner
        )
        dtype = _policy(kwargs.pop("dtype", None))
        trainable = kwargs.pop("trainable", True)
        find_norms = kwargs.pop("find_norms", True)  # False where they are copied
        kwargs.setdefault("name", f"energy_{resolution}")
        shared = {
            "activation": activation,
            "spectral_norm": spectral_norm,
            "equalized": equalized,
            "dtype": dtype,
        }

        # === Layers ===
        outermost = ExpandBlock if fading else PrimalBlock
        prefix = "expand" if fading else "primal"
        blocks = [
            outermost(
                resolution,
                **channels_of[resolution]._asdict(),
                name=f"{prefix}_{resolution}",
                **shared,
            )
        ]
        for level in reversed(levels[:-1]):
            _, inner_width, filters = channels_of[level]
            blocks.append(
                ResidualBlock(inner_width, filters, name=f"residual_{level}", **shared)
            )
        features = channels_of[base_resolution].filters
        head = EnergyHead(features, num_classes=num_classes, name="head", **shared)

        # === Functional model ===
        images = keras.Input(
            (resolution, resolution, channels), dtype="float32", name="images"
        )
        x = images
        for block in blocks:
            x = block(x)
        if num_classes is None:
            inputs, energies = images, head(x)
        else:
            labels = keras.Input((), dtype="int32", name="labels")
            inputs, energies = (images, labels), head(x, labels)
        super().__init__(inputs=inputs, outputs=energies, **kwargs)

        # === Config ===
        self.resolution = resolution
        self.channels = channels
        self.base_resolution = base_resolution
        self.base_width = base_width
        self.widths = widths
        self.activation = activation
        self.num_classes = num_classes
        self.spectral_norm = spectral_norm
        self.inner = inner
        self.equalized = equalized
        self.fading = fading
        self.blocks = blocks
        self.head = head
        # Last: given to the constructor it would not reach the layers.
        self.trainable = trainable

        if find_norms:
            self.converge()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape `(resolution, resolution, channels)` of one image."""
        return (self.resolution, self.resolution, self.channels)

    @property
    def beta(self) -> float:
        """Weight β of the new path; 1 when there is no other."""
        return float(np.asarray(self.blocks[0].beta)) if self.fading else 1.0

    @beta.setter
    def beta(self, value: float) -> None:
        if not self.fading:
            raise ValueError(
                f"Expected no β, which is 1 without a fade path, received {value}."
            )
        self.blocks[0].beta.assign(check_number(value, "β", "[0, 1]"))

    def spectral_convolutions(self) -> list[SpectralConv2D]:
        """Returns the spectrally normalised convolutions, outermost first."""
        parts = [*self.blocks, self.head]
        return [conv for part in parts for conv in part.spectral_convolutions()]

    def converge(self) -> None:
        """Makes the σ of each spectrally normalised convolution exact."""
        for convolution in self.spectral_convolutions():
            convolution.converge()

    def power_iteration(self) -> None:
        """Moves each σ estimate towards its kernel's σ; once per training step."""
        for convolution in self.spectral_convolutions():
            convolution.power_iteration()

    def bind(
        self, labels: Tensor | None = None, guidance: Tensor | None = None
    ) -> Energy:
        """Returns the energy as a plain function, its kernels computed once, now.

        Args:
            labels: integer tensor of shape `(batch,)`; required with classes.
            guidance: float or float tensor of shape `(batch,)`, with classes only, see
                `keras_cfebm.tasks.energies.guided`; None for 0.

        Returns:
            Function of images `(batch, resolution, resolution, channels)` that returns
            energies `(batch,)`.

        Raises:
            ValueError: if labels are given without classes, or missing with them.
        """
        self._check_labels(labels)
        blocks = [block.bind() for block in self.blocks]
        head = self.head.bind(labels, guidance)

        def energy(x):
            for block in blocks:
                x = block(x)
            return head(x)

        return energy

    def bind_features(self) -> Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]:
        """Returns features and energy as one plain function, which needs no labels.

        Returns:
            Function of images `(batch, resolution, resolution, channels)` that returns
            what the first block hands on, float32 of shape `(batch, side, side,
            channels)` with half the images' side; the head's features `(batch, width)`;
            and the energies `(batch,)`, with classes those of any class,
            −log Σ_y exp(−E(x, y)).
        """
        first, *others = [block.bind() for block in self.blocks]
        head_features_of = self.head.bind_features()

        def features(x):
            maps = x = first(x)
            for block in others:
                x = block(x)
            found = head_features_of(x)
            return ops.cast(maps, "float32"), found, self.head.marginal(found)

        return features

    def export(
        self, filepath: PathLike, format: str = "tf_saved_model", **kwargs: Any
    ) -> None:
        """Writes the energy by itself, for other runtimes: ONNX, LiteRT and more.

        `keras.Model.export`, made to leave XLA out, which those runtimes do not have.
        All tasks for a server are written by `keras_cfebm.export_saved_model`.

        Args:
            filepath: path of the file or folder to write.
            format: str, see `keras.Model.export`; "onnx" takes the extra `onnx`, and
                "litert" a Keras newer than 3.8.
            **kwargs: further arguments of `keras.Model.export`.
        """
        with backend.portable():
            super().export(filepath, format=format, **kwargs)

    def _check_labels(self, labels):
        if (labels is None) != (self.num_classes is None):
            raise ValueError(
                f"Expected {'no labels' if self.num_classes is None else 'labels'}, as "
                f"num_classes={self.num_classes}, received labels={labels}."
            )

    def without_fade(self) -> "EnergyNetwork":
        """The same function at β = 1 without the dead fade path: a new network.

        Returns:
            `EnergyNetwork` of the same resolution with `fading=False`.

        Raises:
            ValueError: if β is not 1.
        """
        if self.beta != 1.0:
            raise ValueError(
                "Expected a network whose β has reached 1, to grow or to drop its fade "
                f"path, received β = {self.beta:.4f}."
            )
        return self.with_changes(fading=False)

    def grown(self, seed: int | None = None) -> "EnergyNetwork":
        """One level larger: at β = 0 it computes E(mean_pool(x)) of this network.

        Args:
            seed: int that alone decides the new weights, see `draw_weights`; None to
                draw them as Keras does.

        Returns:
            `EnergyNetwork` of twice the resolution with `fading=True` and β = 0. This
            network is left as it is.

        Raises:
            ValueError: if this network is still fading (β < 1).
        """
        mine = self._named_parts()
        grown = self.without_fade().with_changes(
            resolution=2 * self.resolution, fading=True
        )
        if seed is not None:
            parts = grown._named_parts()
            new = [parts[n] for n in parts if n not in mine]
            _draw_weights(new, seed, self.equalized)
        return grown

    def draw_weights(self, seed: int) -> None:
        """Draws all weights anew, as a function of a seed and the sizes alone.

        Keras' own initial weights depend on what else has drawn random numbers.

        Args:
            seed: int in [0, 2**63).
        """
        _draw_weights(self._named_parts().values(), seed, self.equalized)

    def frozen(self) -> "EnergyNetwork":
        """This network if it is not trainable, or else a copy that is not."""
        if not self.trainable:
            return self
        copy = self.copy(name=self.name)
        copy.trainable = False
        return copy

    def copy(self, **changes: Any) -> "EnergyNetwork":
        """A network of its own with the same config and weights, β included.

        Args:
            **changes: arguments that no weight depends on, such as a name.
        """
        copy = self.with_changes(**changes)
        copy.set_weights(self.get_weights())
        return copy

    def with_changes(self, **changes: Any) -> "EnergyNetwork":
        """A new network of changed arguments, weights copied where names match."""
        copy = EnergyNetwork(**{**self._arguments(), **changes}, find_norms=False)
        copy.class_names = self.class_names
        mine = self._named_parts()
        for name, part in copy._named_parts().items():
            if name in mine:
                part.set_weights(mine[name].get_weights())
            else:
                _converge(part)
        return copy

    def _named_parts(self):
        """The parts that survive growth, under names that tell their resolution."""
        first = self.blocks[0]
        primal = first.primal if self.fading else first
        parts = [primal.from_image, primal.residual, *self.blocks[1:], self.head]
        if self.fading:
            parts.append(first.fade.from_image)
        return {part.name: part for part in parts}

    def _arguments(self):
        return {
            "resolution": self.resolution,
            "channels": self.channels,
            "base_resolution": self.base_resolution,
            "base_width": self.base_width,
            "widths": dict(self.widths),
            "activation": self.activation,
            "num_classes": self.num_classes,
            "spectral_norm": self.spectral_norm,
            "inner": self.inner,
            "equalized": self.equalized,
            "fading": self.fading,
            "dtype": self.blocks[0].dtype_policy,
        }

    def get_config(self):
        return {
            **self._arguments(),
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.saving.serialize_keras_object(self.blocks[0].dtype_policy),
        }

    @classmethod
    def from_config(cls, config):
        if config["name"].startswith("energy_network"):  # Keras', in files of 0.1.0
            config = {k: v for k, v in config.items() if k != "name"}
        return cls(**config)


def _policy(dtype):
    """The dtype policy of the layers, whose weights are float32."""
    policy = keras.dtype_policies.get(dtype)
    if dtype is None and policy.variable_dtype != "float32":
        return keras.dtype_policies.get("float32")  # whatever Keras' floatx is
    if policy.variable_dtype != "float32":
        raise ValueError(
            "Expected a dtype policy whose weights are float32, such as 'float32' or "
            f"'mixed_bfloat16', received {policy.name!r}."
        )
    return policy


def _converge(part):
    for convolution in getattr(part, "spectral_convolutions", list)():
        convolution.converge()


def _draw_weights(parts, seed, equalized):
    """He-normal kernels, as they are computed with, zeros elsewhere, norms that fit."""
    rng = np.random.default_rng(check_seed(seed))
    for part in parts:
        for weight in part.trainable_weights:
            if weight.name == "kernel":
                he_normal = keras.initializers.HeNormal(int(rng.integers(2**31)))
                kernel = he_normal(weight.shape)
                if equalized and weight.path.split("/")[-2].startswith(_EQUALIZED):
                    kernel = kernel / gain(weight.shape[-2])
                weight.assign(kernel)
            else:
                weight.assign(np.zeros(weight.shape, "float32"))
        _converge(part)
