"""How a damaged image was made of the whole one, which `restore` has to be told.

What is measured of an image x is y = A x + noise. Each operator A here is a mean, over
blocks of pixels or over the channels of one, of which some may be missing. For these
A Aᵀ is a number g times the identity, so that the step to images that agree with what
was measured has a closed form, with A⁺ = Aᵀ / g:

    argmin_z ‖z − x‖² / 2τ + ‖A z − y‖² / 2σ²  =  x + A⁺ s (y − A x)
    s = τ / (τ + σ² / g)

s is 1 where a value is known exactly, and 0 where it is missing. Coarser levels of a
ladder have the means of the pyramid: there a block that was measured as one is fewer
pixels, and at last one, and from there on y itself is pooled, which averages its noise.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_cfebm.datasets.pixels import downsample
from keras_cfebm.sampling import over_pixels, upsample
from keras_cfebm.tasks.masks import hole_masks
from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_count

#: What a pixel of red, green and blue is in grey, as Pillow has it.
LUMA = (0.299, 0.587, 0.114)
_POOL = "mean_pool_"
_LUMA_NORM = sum(weight**2 for weight in LUMA)


class Operator:
    """Base of the operators; its subclasses are a few lines each."""

    def forward(self, images: Tensor, seed: int = 0, start: int = 0) -> Tensor:
        """What is measured of whole images, without noise.

        Args:
            images: float array or tensor `(n, h, w, c)`.
            seed: int, the stream of images, for masks that are drawn.
            start: int, index in the stream of the first image.

        Returns:
            Array or tensor of measurements.

        Raises:
            ValueError: if images of this shape cannot be measured so.
        """
        raise NotImplementedError

    def measured_shape(self, image_shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of what is measured of one image of that shape."""
        return tuple(self.forward(np.zeros((1, *image_shape), "float32")).shape[1:])

    def known(self, shape: tuple[int, ...], seed: int, start: int) -> np.ndarray:
        """Where there are measurements: boolean `(n, h, w, 1)` for y of that shape."""
        return np.ones((*shape[:3], 1), bool)


@dataclasses.dataclass(frozen=True)
class Identity(Operator):
    """Every pixel is measured, with noise: to denoise."""

    def forward(self, images, seed=0, start=0):
        return images


@dataclasses.dataclass(frozen=True, eq=False)
class Mask(Operator):
    """Some pixels are missing: to inpaint.

    Args:
        mask: an array, a name or a path, **True where pixels are missing**; see
            `hole_masks`.
    """

    mask: Any

    def forward(self, images, seed=0, start=0):
        known = self.known(images.shape, seed, start)
        return images * known.astype("float32")

    def measured_shape(self, image_shape):
        return tuple(image_shape)  # the mask may be of more than one image

    def known(self, shape, seed, start):
        return ~hole_masks(self.mask, shape, seed, start)


@dataclasses.dataclass(frozen=True)
class MeanPool(Operator):
    """Means of blocks are measured: to enlarge, by what is called super-resolution.

    Args:
        factor: int, side of a block in pixels, a power of two of at least 2.

    Raises:
        ValueError: if the factor is no such number.
    """

    factor: int

    def __post_init__(self):
        check_count(self.factor, "factor", 2)
        if self.factor & (self.factor - 1):
            raise ValueError(
                f"Expected factor as a power of two, received {self.factor!r}."
            )

    def forward(self, images, seed=0, start=0):
        return downsample(images, _halvings(self.factor))


@dataclasses.dataclass(frozen=True)
class Grey(Operator):
    """The brightness of colours is measured, by Pillow's weights: to colourise."""

    def forward(self, images, seed=0, start=0):
        if images.shape[-1] != len(LUMA):
            raise ValueError(
                "Expected images of three channels to see their grey, received shape "
                f"{tuple(images.shape)}."
            )
        return _grey(images)


def operator_of(name: str) -> Operator:
    """The operator of a name, as the command line has it.

    Args:
        name: `"identity"`; `"grey"`; `"mean_pool_2"`, `"mean_pool_4"` and so on; or
            what `hole_masks` takes, such as `"center"` or the path of a picture.

    Returns:
        `Operator`.

    Raises:
        ValueError: if the number after `mean_pool_` is not of a `MeanPool`.
    """
    plain = {"identity": Identity, "grey": Grey}
    if name in plain:
        return plain[name]()
    if name.startswith(_POOL):
        factor = name.removeprefix(_POOL)
        if not factor.isdecimal():
            raise ValueError(f"Expected mean_pool_ and a factor, received {name!r}.")
        return MeanPool(int(factor))
    return Mask(name)


class Measured(NamedTuple):
    """What is known at one level of a ladder.

    Attributes:
        values: float32 tensor `(batch, h, w, c)`, y, of this level's size or smaller.
        strength: float32 tensor `(batch, h, w, 1)`, s in [0, 1].
    """

    values: Any
    strength: Any

    def exact(self) -> "Measured":
        """What of it is known without noise."""
        return self._replace(strength=ops.floor(self.strength))


def measured_levels(
    y: Tensor,
    known: Tensor,
    levels: int,
    image_shape: Sequence[int] | None = None,
    noise: Tensor = 0.0,
    temperature: float = 1.0,
) -> list[Measured]:
    """What measurements of the finest images say at every level of a ladder.

    Args:
        y: float32 tensor of measurements `(batch, h, w, c)`.
        known: boolean tensor `(batch, h, w, 1)`, True where there is a measurement.
        levels: int, how many levels there are.
        image_shape: shape of one of the finest images; None if it is that of y.
        noise: float, standard deviation σ of the noise of y; or a float32 tensor of
            shape `(batch,)` with that of each image.
        temperature: float above 0, τ, see `keras_cfebm.tasks.restore`.

    Returns:
        List of `Measured`, coarsest first. A pooled value is the mean of those known
        below it, and counts as missing if less than half of them are known.
    """
    height, _, channels = y.shape[1:] if image_shape is None else image_shape
    blocks = _halvings(height // y.shape[1])  # of the finest pixels in one of y
    own_gain = 1.0 if channels == y.shape[-1] else _LUMA_NORM
    weights = ops.cast(known, y.dtype)
    noise = over_pixels(ops.cast(noise, "float32"))

    def at(halvings):
        pooled = max(halvings - blocks, 0)
        share = downsample(weights, pooled)
        values = y
        if pooled:
            values = downsample(y * weights, pooled) / ops.maximum(share, 1e-6)
        gain = own_gain * 0.25 ** max(blocks - halvings, 0)
        variance = noise**2 / (gain * 4**pooled * ops.maximum(share, 0.5))
        # Compared: τ / (τ + 0) need not be 1 after a graph has been optimised.
        strength = ops.where(noise == 0, 1.0, temperature / (temperature + variance))
        return Measured(values, ops.where(share < 0.5, 0.0, strength))

    return [at(halvings) for halvings in reversed(range(levels))]


def fidelity(measured: Measured | None) -> Callable[[Tensor], Tensor] | None:
    """The step to images that agree with what was measured, or None without any.

    A pixel known exactly becomes its value bit for bit; a missing one stays.

    Args:
        measured: `Measured` of the level.

    Returns:
        Function of images `(batch, height, width, channels)`.
    """
    if measured is None:
        return None
    values, strength = measured

    def step(x: Tensor) -> Tensor:
        seen = _seen(x, values.shape[1], values.shape[-1])
        missed = strength * (values - seen)
        moved = x + _spread(missed, x.shape[1], x.shape[-1])
        if seen is not x:
            return moved
        return ops.where(strength == 1, values, moved)  # not nearly, but bit for bit

    return step


def _halvings(factor):
    return factor.bit_length() - 1


def _grey(x):
    return sum(weight * x[..., c : c + 1] for c, weight in enumerate(LUMA))


def _seen(x, height, channels):
    """A x: of images, what has this height and so many channels; or x itself."""
    x = downsample(x, _halvings(x.shape[1] // height))
    return x if x.shape[-1] == channels else _grey(x)


def _spread(y, height, channels):
    """A⁺ y: the smallest images that what is seen of them is y."""
    for _ in range(_halvings(height // y.shape[1])):
        y = upsample(y)
    if y.shape[-1] == channels:
        return y
    return ops.concatenate([weight / _LUMA_NORM * y for weight in LUMA], axis=-1)
