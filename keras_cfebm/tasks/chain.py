"""Chain: the compiled Langevin chain that all tasks run (Sec. 3.2, Alg. 2).

A task is a start point plus a constraint on this chain. The chain is compiled once per
level, as segments of any number of steps: one segment per level is a sample, many of
them are a film of the same sample.
"""

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_cfebm import backend
from keras_cfebm.datasets.pixels import downsample
from keras_cfebm.sampling import (
    Langevin,
    bind,
    coarse_to_fine_states,
    faithful,
    faster_steps,
    langevin,
    noise_start,
    upsample,
)
from keras_cfebm.tasks.batches import check_labels_of, drawn_seed, stream_keys
from keras_cfebm.tasks.operators import Measured, fidelity, measured_levels


class ChainState(NamedTuple):
    """One recorded state of chains.

    Attributes:
        resolution: int, side of the images.
        step: int, Langevin steps made since the chain began.
        images: float32 NumPy array of shape `(n, resolution, resolution, channels)`.
        energies: float32 NumPy array of shape `(n,)`, of the level's energy.
    """

    resolution: int
    step: int
    images: np.ndarray
    energies: np.ndarray


class Chain:
    """A Langevin chain up a ladder of energies, compiled on first use and kept.

    Every task takes one in place of its energies, and then does not compile again.

    Args:
        energies: an energy, or a sequence of them, coarsest first, each of twice the
            resolution of the one before; see `keras_cfebm.sampling.bind`. Networks,
            and what `tasks.energies` makes of them, share a batch among the processor
            cores; a plain function, which may know the whole batch, gets it whole.
        settings: `Langevin`; None for its defaults.

    Attributes:
        last_seed: int, the seed of the last task that ran this chain, to read back what
            `seed=None` has drawn; None before.

    Raises:
        ValueError: if there is no energy, or one that cannot be called.

    Example:

    ```python
    chain = Chain(model.sampling_network, Langevin(steps=20, noise_scale=0.005))
    for sigma in (0.1, 0.2, 0.3):
        restored = denoise(chain, add_noise(images, sigma))
    ```
    """

    def __init__(self, energies: Any, settings: Langevin | None = None):
        is_ladder = isinstance(energies, (list, tuple))
        ladder = tuple(energies) if is_ladder else (energies,)
        if not ladder or not all(map(callable, ladder)):
            raise ValueError(
                "Expected an energy, a function of images, or a sequence of them, "
                f"received {energies!r}."
            )
        self.settings = Langevin() if settings is None else settings
        self.energies = self.settings.of_chain(ladder)
        if self.settings.faithfulness and len(self.energies) > 1:
            raise ValueError(
                "Expected faithfulness=0 of chains up a ladder, which have no source, "
                f"received {self.settings.faithfulness}."
            )
        self.last_seed: int | None = None
        self._segments = [
            backend.compiled(
                _in_parallel(self._segment, energy, self.settings.at_level(level))
            )
            for level, energy in enumerate(self.energies)
        ]
        self._scores = [
            backend.compiled(_in_parallel(_score, energy)) for energy in self.energies
        ]

    @property
    def image_shape(self) -> tuple[int, ...] | None:
        """Shape of one of the finest images; None if the energy does not tell."""
        return getattr(self.energies[-1], "image_shape", None)

    @property
    def start_shape(self) -> tuple[int, ...] | None:
        """Shape of one of the coarsest images; None if the energy does not tell."""
        return getattr(self.energies[0], "image_shape", None)

    def check_labels(self, labels: Any, count: int) -> np.ndarray | None:
        """Labels as int32 `(count,)`, or None; ValueError if they do not fit."""
        return check_labels_of(self.energies[-1], labels, count)

    def keys(self, seed: int | None, count: int, start: int = 0) -> np.ndarray:
        """Keys of a stream's images, see `stream_keys`; the seed becomes `last_seed`.

        Args:
            seed: int in [0, 2**63), or None to draw one.
            count: int, number of images.
            start: int, index of the first one.

        Returns:
            uint32 NumPy array of shape `(count, 2)`.

        Raises:
            ValueError: if `seed` or `start` is out of range.
        """
        self.last_seed = drawn_seed(seed)
        return stream_keys(self.last_seed, count, start)

    def noise(self, keys: Any, shape: Sequence[int] | None = None) -> Any:
        """Where chains from noise start, see `settings.start_noise`.

        Args:
            keys: uint32 tensor of shape `(batch, 2)`.
            shape: shape of one image; None for that of the coarsest energy.

        Returns:
            float32 tensor of shape `(batch, *shape)`.

        Raises:
            ValueError: if neither the energy nor the caller knows the shape.
        """
        shape = self.start_shape if shape is None else tuple(shape)
        if shape is None:
            raise ValueError(
                "Expected image_shape, the (height, width, channels) of the coarsest "
                "images, received None: this energy has no attribute image_shape."
            )
        return noise_start(keys, shape, self.settings)

    def run(
        self,
        x: Any,
        keys: Any,
        labels: Any = None,
        known: Any = None,
        steps: Any = None,
        near: Any = None,
        measured: Sequence[Measured] | None = None,
        speed: Any = None,
    ) -> tuple:
        """Runs whole chains, of one batch.

        Args:
            x: float32 tensor of the coarsest images `(batch, h, w, c)`, the start.
            keys: uint32 tensor of shape `(batch, 2)`.
            labels: int32 tensor of shape `(batch,)`, or None.
            known: None, or a pair of the finest images and of a boolean tensor
                `(batch, h, w, 1)`, True where a pixel is free. The others are put back
                after each step. At coarser levels, a pixel is the mean of those known
                below it, and free if less than half of them are known.
            steps: None, or an int32 tensor of shape `(batch,)`, steps per level of each
                image; 0 means those of the settings.
            near: None, or a pair of the finest images and of a float32 tensor
                `(batch,)`, λ: the energy has the term λ‖x − image‖² too, at coarser
                levels of the mean-pooled image. None for the settings' `faithfulness`
                to `x`, if any.
            measured: None, or what is known at each level, of which `known` is a simple
                case, see `keras_cfebm.tasks.operators.measured_levels`: each step goes
                on to images that agree with it.
            speed: None, or a float32 tensor of shape `(batch,)`, how many times fewer
                and larger steps each image takes, see `Langevin.faster`.

        Returns:
            Pair of the finest images and of the generative saliency
            Σ_k |x_{k+1} − x_k|, averaged over channels, `(batch, h, w)`. Only movement
            within `settings.clip` counts: what a pixel does outside is not seen.
            Upsampling and clipping between levels are no steps.
        """
        saliency = _Saliency()
        if known is not None:
            images, free = known
            measured = measured_levels(
                images, ops.logical_not(free), levels=len(self.energies)
            )
        states = self._states(x, keys, labels, saliency, measured, steps, near, speed)
        *_, (_, _, images) = states
        return images, saliency.map[..., 0]

    def below_finest(self, x: Any, keys: Any, labels: Any = None) -> Any:
        """The images of `run` as they leave the level below the finest.

        Args:
            x: the start, see `run`.
            keys: the images' keys.
            labels: labels or None.

        Returns:
            float32 tensor of shape `(batch, height / 2, width / 2, channels)`; the
            finest energy is not used.

        Raises:
            ValueError: if there is one level only.
        """
        levels = len(self.energies)
        if levels == 1:
            raise ValueError("Expected energies of two levels or more, received one.")
        states = self._states(x, keys, labels, _Saliency())
        _, _, images = next(itertools.islice(states, levels - 2, None))
        return images

    def states(
        self, x: Any, keys: Any, labels: Any = None, every: int = 1
    ) -> Iterator[ChainState]:
        """Records chains of one batch as they run; arguments as for `run`.

        Args:
            x: the start.
            keys: the images' keys.
            labels: labels or None.
            every: int, steps between two records within a level.

        Yields:
            `ChainState`: the start, every `every`-th state of each level, and its last
            one, which is clipped. The very last one has the images that `run` returns.
        """
        yield self._state(0, 0, x, labels)
        states = self._states(x, keys, labels, _Saliency(), every=every)
        for level, step, images in states:
            yield self._state(level, step, images, labels)

    def _state(self, level, step, x, labels):
        energies = ops.convert_to_numpy(self._scores[level](x, labels))
        return ChainState(x.shape[1], step, ops.convert_to_numpy(x), energies)

    def _states(
        self,
        x,
        keys,
        labels,
        saliency,
        measured=None,
        steps=None,
        near=None,
        speed=None,
        every=None,
    ):
        """Alg. 2 with the compiled segments; `saliency` adds up what they move."""
        levels = range(len(self.energies))
        own: Sequence[Any] = [self.settings.steps_at(level) for level in levels]
        if steps is not None:
            own = [ops.where(steps == 0, count, steps) for count in own]
        sizes: Sequence[Any] = [None] * len(levels)
        if speed is not None:
            pairs = [faster_steps(count, speed) for count in own]
            own, sizes = zip(*pairs, strict=True)
        measured = measured or [None] * len(levels)
        if near is None and self.settings.faithfulness:
            near = x, self.settings.faithfulness * ops.ones_like(x[:, 0, 0, 0])
        anchors = [_pooled_anchor(near, len(levels) - 1 - level) for level in levels]

        def run(level, x, keys, settings, *, steps, first_step, total_steps, **_):
            # One for each image, as all that a compiled segment is given.
            span = [
                ops.broadcast_to(number, ops.shape(keys)[:1])
                for number in (first_step, steps, total_steps)
            ]
            span = ops.stack(span, axis=-1)
            moved = saliency.at(x)
            segment = self._segments[level]
            constant = labels, measured[level], anchors[level], sizes[level]
            x, saliency.map = segment(x, keys, *constant, moved, span)
            return x

        return coarse_to_fine_states(
            levels,
            x,
            keys,
            self.settings,
            run=run,
            steps=own,
            # At the start and after the clipping, which are no steps with a pull.
            constraints=[fidelity(m and m.exact()) for m in measured],
            every=every,
        )

    @staticmethod
    def _segment(
        energy, settings, x, keys, labels, measured, anchor, size, saliency, span
    ):
        def moved(saliency, x, new_x, energies):
            visible = ops.abs(settings.clipped(new_x) - settings.clipped(x))
            return saliency + ops.mean(visible, axis=-1, keepdims=True)

        bound = bind(energy, labels)
        return langevin(
            bound if anchor is None else faithful(bound, *anchor),
            x,
            keys,
            settings,
            steps=span[..., 1],
            step_size=None if size is None else size * settings.step_size_at(0),
            first_step=span[..., 0],
            total_steps=span[..., 2],
            constraint=fidelity(measured),
            observe=moved,
            observed=saliency,
        )


def chain_of(
    energies: Any, settings: Langevin | None, default: Langevin | None = None
) -> Chain:
    """The chain that a task was given, or a new one of its energies and settings.

    In place of energies it may be a model, which the default settings are adapted to,
    see `EnergyLadder.adapted`; those of its training are taken where there are none.
    """
    if hasattr(energies, "sampling_ladder"):
        own = energies.langevin if default is None else energies.adapted(default)
        settings = own if settings is None else settings
        energies = energies.sampling_ladder
    if not isinstance(energies, Chain):
        return Chain(energies, default if settings is None else settings)
    if settings not in (None, energies.settings):
        raise ValueError(
            "Expected settings=None for a Chain, which brings its own, received "
            f"{settings}."
        )
    return energies


def _in_parallel(function, energy, *given):
    function = functools.partial(function, energy, *given)
    return backend.in_parallel(function) if _sees_single_images(energy) else function


def _sees_single_images(energy):
    """Whether an energy surely treats each image by itself.

    A plain function need not: it may hold the observation of each image of a batch.
    """
    is_model = hasattr(energy, "bind") or isinstance(energy, keras.layers.Layer)
    return is_model and all(map(_sees_single_images, getattr(energy, "terms", ())))


def _score(energy, x, labels):
    return bind(energy, labels)(x)


class _Saliency:
    """The visible movement of a chain so far, enlarged as its images are."""

    map: Any = None

    def at(self, x):
        """The map at the resolution of `x`, zero at the start of a chain."""
        if self.map is None:
            return ops.zeros_like(x[..., :1])
        return self.map if self.map.shape[1] == x.shape[1] else upsample(self.map)


def _pooled_anchor(near, times):
    return None if near is None else (downsample(near[0], times), near[1])
