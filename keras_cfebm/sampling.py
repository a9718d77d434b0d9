"""③ Langevin sampling, at one resolution and from coarse to fine (Sec. 3.2, Alg. 2).

A sampler is a pure function of `(energy, x, keys)`; it owns no model and no variables.
An energy is any function of images that returns one number per image, low = likely. If
it has a method `bind(labels)`, that is called once per chain, inside the compiled
function, and what it returns is used at each step: a network computes its normalised
kernels there.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from keras import ops

from keras_cfebm import backend
from keras_cfebm.backend import random
from keras_cfebm.utils.typing import Energy, Tensor
from keras_cfebm.utils.validation import check_count, check_number

#: Streams of an image's key: uses that must not share random numbers.
NOISE, START, TRANSITION = 0, 1, 6
#: Distributions of where chains start.
START_NOISES = ("uniform", "truncated_normal")
_MAX_STEPS = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class Langevin:
    """Hyperparameters of a Langevin chain, x ← x − η ∂E/∂x + σ_k ε (Eq. 3).

    In theory η = δ²/2 and σ = δ, which samples exp(−E). The defaults are the paper's
    short-run, low-temperature ones for images in [-1, 1].

    Args:
        steps: int, steps per resolution; or a tuple with one entry per level of the
            ladder, coarsest first, whose last entry serves all finer levels.
        step_size: float, η; or a tuple with one entry per level, as `steps`.
        noise_scale: float, σ at the first step of the whole chain.
        final_noise_scale: float, σ at its last step; linear in between.
        clip: pair of floats, the range to which images are clipped after each
            resolution, or None.
        start_noise: where chains from noise start: `"uniform"` in the range of `clip`,
            [-1, 1] without one; or `"truncated_normal"`, a normal distribution whose
            standard deviation is half that range, truncated at its ends.
        chain_levels: int, through how many of the finest levels a chain from noise
            runs: 2 starts one level below the finest. None for all from the coarsest
            on. Entries of `steps` and `step_size` belong to the levels run through.
        transition_noise: float in [0, 1], ρ: a finer level is entered at
            √(1 − ρ²) · x + ρ · noise, with noise as at the start of chains, clipped.
        faithfulness: float, λ: a chain that starts at source images has the energy
            E(x) + λ‖x − source‖². In theory E, so trained, is the dual potential of an
            entropic optimal transport, which changes no more than it has to (Mokrov et
            al., ICLR 2024). At most 1 / (2η), where each step begins at the source
            again. 0 for chains from noise.

    Raises:
        ValueError: if a value is out of range.
    """

    steps: int | tuple[int, ...] = 15
    step_size: float | tuple[float, ...] = 1.0
    noise_scale: float = 0.015
    final_noise_scale: float = 0.0
    clip: tuple[float, float] | None = (-1.0, 1.0)
    start_noise: str = "uniform"
    chain_levels: int | None = None
    transition_noise: float = 0.0
    faithfulness: float = 0.0

    def __post_init__(self):
        if isinstance(self.steps, (tuple, list)):
            check_count(len(self.steps), "number of levels in steps")
            steps = tuple(check_count(n, "steps", 0, _MAX_STEPS) for n in self.steps)
            object.__setattr__(self, "steps", steps)
        else:
            check_count(self.steps, "steps", 0, _MAX_STEPS)
        if isinstance(self.step_size, (tuple, list)):
            check_count(len(self.step_size), "number of levels in step_size")
            object.__setattr__(self, "step_size", tuple(self.step_size))
        for size in _by_level(self.step_size):
            check_number(size, "step_size", "[0, inf)")
        for name in ("noise_scale", "final_noise_scale"):
            check_number(getattr(self, name), name, "[0, inf)")
        if self.start_noise not in START_NOISES:
            raise ValueError(
                f"Expected start_noise as one of {START_NOISES}, received "
                f"{self.start_noise!r}."
            )
        if self.chain_levels is not None:
            check_count(self.chain_levels, "chain_levels")
        check_number(self.transition_noise, "transition_noise", "[0, 1]")
        self.check_faithfulness(self.faithfulness)
        if self.clip is not None:
            is_pair = isinstance(self.clip, (tuple, list)) and len(self.clip) == 2
            low, high = self.clip if is_pair else (0.0, 0.0)
            for end in (low, high):
                check_number(end, "both ends of clip", "(-inf, inf)")
            if not low < high:
                raise ValueError(
                    "Expected clip as None or a pair (low, high), "
                    f"received {self.clip!r}."
                )
            object.__setattr__(self, "clip", tuple(self.clip))

    def check_faithfulness(self, value: float) -> None:
        """Raises a ValueError unless the value may be the faithfulness of such steps.

        A step moves by 2ηλ of the way to the source; beyond 1 it would overshoot.
        """
        largest = max(_by_level(self.step_size))
        allowed = f"[0, {0.5 / largest:g}]" if largest else "[0, inf)"
        check_number(value, "faithfulness", allowed)

    def steps_at(self, level: int) -> int:
        """Steps at a level of the ladder, counted from the coarsest."""
        return _entry(self.steps, level)

    def step_size_at(self, level: int) -> float:
        """η at a level of the ladder, counted from the coarsest."""
        return _entry(self.step_size, level)

    def at_level(self, level: int) -> "Langevin":
        """The settings of a chain that runs at that level alone."""
        return self.replace(
            steps=self.steps_at(level), step_size=self.step_size_at(level)
        )

    def of_chain(self, ladder: Sequence[Any]) -> Sequence[Any]:
        """Those of a ladder's levels that a chain from noise runs through."""
        return ladder if self.chain_levels is None else ladder[-self.chain_levels :]

    def faster(self, speed: float) -> "Langevin":
        """The same way in fewer and larger steps: K / speed of η · speed.

        Where a short chain ends is decided by its duration K · η, not by K: the energy
        was trained to bring noise to images in that time. Every level keeps its
        duration: where K / speed is no integer it is rounded, at least to 1, and η of
        the level makes up for it.

        Args:
            speed: float above 0, about how many times fewer steps; below 1 there are
                more and smaller ones.

        Returns:
            `Langevin`; of speed 1 this one.

        Raises:
            ValueError: if the speed is out of range.

        Example:

        ```python
        Langevin(steps=15).faster(2)  # 8 steps of 1.875
        ```
        """
        check_number(speed, "speed", "[0.01, 100]")
        if speed == 1:
            return self
        steps, step_sizes = [], []
        for level in range(max(map(len, map(_by_level, (self.steps, self.step_size))))):
            count = self.steps_at(level)
            fewer = max(round(count / speed), 1) if count else 0
            steps.append(fewer)
            ratio = count / fewer if count else 1.0
            step_sizes.append(ratio * self.step_size_at(level))
        return self.replace(steps=tuple(steps), step_size=tuple(step_sizes))

    def total_steps(self, levels: int) -> int:
        """Steps of a chain through that many levels."""
        return sum(self.steps_at(level) for level in range(levels))

    def noise_scale_at(self, step: Tensor, total_steps: Tensor) -> Tensor:
        """σ_k, linear from `noise_scale` to `final_noise_scale` over the chain."""
        last = ops.cast(ops.maximum(total_steps - 1, 1), "float32")
        progress = ops.cast(step, "float32") / last
        return self.noise_scale + progress * (self.final_noise_scale - self.noise_scale)

    def clipped(self, x: Tensor) -> Tensor:
        """The images inside `clip`."""
        return x if self.clip is None else ops.clip(x, *self.clip)

    def replace(self, **changes: Any) -> "Langevin":
        """A copy with some values changed."""
        return dataclasses.replace(self, **changes)


def _by_level(value):
    return value if isinstance(value, tuple) else (value,)


def _entry(value, level):
    """The entry of a level; the last one serves all finer levels."""
    entries = _by_level(value)
    return entries[min(level, len(entries) - 1)]


def faster_steps(steps: Tensor, speed: Tensor) -> tuple[Tensor, Tensor]:
    """`Langevin.faster` for each image of a batch.

    Args:
        steps: int, or an int32 tensor of shape `(batch,)`, K.
        speed: float tensor of shape `(batch,)`.

    Returns:
        Pair of int32 and float32 tensors of shape `(batch,)`: how many steps to take,
        and how many times larger than η each one is.
    """
    own = ops.cast(steps, "float32")
    fewer = ops.maximum(ops.round(own / speed), ops.minimum(own, 1.0))
    return ops.cast(fewer, "int32"), own / ops.maximum(fewer, 1.0)


def bind(energy: Any, labels: Tensor | None = None) -> Energy:
    """Readies an energy for one chain: labels bound, weight-only work done.

    Args:
        energy: function of images, or of `(images, labels)`.
        labels: integer tensor of shape `(batch,)` or None.

    Returns:
        Function of images `(batch, …)` that returns energies `(batch,)`.
    """
    if hasattr(energy, "bind"):
        return energy.bind(labels)
    return energy if labels is None else lambda x: energy(x, labels)


def faithful(energy: Energy, sources: Tensor, weights: Tensor) -> Energy:
    """The energy E(x) + λ‖x − source‖², which holds a chain back.

    Args:
        energy: function of images that returns energies; see `bind`.
        sources: float32 tensor of images `(batch, height, width, channels)`.
        weights: float, λ; or a float32 tensor of shape `(batch,)`, one per image.

    Returns:
        Function of images, as `energy`.
    """
    axes = (1, 2, 3)
    return lambda x: energy(x) + weights * ops.sum(ops.square(x - sources), axes)


def langevin_step(
    energy: Energy, x: Tensor, noise: Tensor, step_size: Tensor, noise_scale: Tensor
) -> tuple[Tensor, Tensor]:
    """One step: x − step_size · ∂E/∂x + noise_scale · noise.

    Args:
        energy: function of images `(batch, …)` that returns energies `(batch,)`.
        x: float32 tensor of images.
        noise: tensor of the shape of `x`, standard normal.
        step_size: float, or a tensor that broadcasts with `x`.
        noise_scale: float, or a tensor that broadcasts with `x`.

    Returns:
        Pair of the new images and the energies `(batch,)` of the old ones.
    """
    energies, gradient = backend.value_and_input_gradient(energy, x)
    return x - step_size * gradient + noise_scale * noise, energies


def langevin(
    energy: Energy,
    x: Tensor,
    keys: Tensor,
    settings: Langevin,
    *,
    steps: Tensor | None = None,
    step_size: Tensor | None = None,
    first_step: Tensor = 0,
    total_steps: Tensor | None = None,
    constraint: Callable[[Tensor], Tensor] | None = None,
    observe: Callable[..., Any] | None = None,
    observed: Any = None,
) -> Any:
    """Runs a chain at one resolution, in one compiled loop.

    Args:
        energy: function of images that returns energies; see `bind`.
        x: float32 tensor of images `(batch, height, width, channels)`, the start.
        keys: uint32 tensor of shape `(batch, 2)`, see `backend.random.image_keys`.
        settings: `Langevin`.
        steps: int or scalar tensor, steps to run; default all. Or an integer tensor of
            shape `(batch,)`: each image takes its own number and then stays as it is.
        step_size: float tensor of shape `(batch,)`, η of each image; default that of
            the settings.
        first_step: int or scalar tensor, index of the first one in the whole chain; or
            one per image.
        total_steps: int or scalar tensor, length of the whole chain, which sets the
            noise schedule; or one per image. Default `steps`.
        constraint: function of images applied after each step, for example one that
            puts known pixels back.
        observe: function `(observed, x, new_x, energies) -> observed` called at each
            step, for example one that adds up |new_x − x|.
        observed: its initial value, a tensor or structure of tensors.

    Returns:
        The images after the last step; with `observe` a pair of them and `observed`.
    """
    steps = settings.steps_at(0) if steps is None else steps
    own_size = settings.step_size_at(0)
    step_size = own_size if step_size is None else over_pixels(step_size)
    total_steps = steps if total_steps is None else total_steps
    image_shape = tuple(x.shape[1:])
    each_its_own = len(getattr(steps, "shape", ())) == 1
    longest = ops.max(steps) if each_its_own else steps

    def body(i, carry):
        x, observed = carry
        step = first_step + i
        noise = random.normal(random.fold_in(keys, step, NOISE), image_shape)
        noise_scale = over_pixels(settings.noise_scale_at(step, total_steps))
        new_x, energies = langevin_step(energy, x, noise, step_size, noise_scale)
        if constraint is not None:
            new_x = constraint(new_x)
        if each_its_own:
            new_x = ops.where(over_pixels(i < steps), new_x, x)
        if observe is not None:
            observed = observe(observed, x, new_x, energies)
        return new_x, observed

    observed = ops.zeros((), "float32") if observe is None else observed
    x, observed = ops.fori_loop(0, longest, body, (x, observed))
    return x if observe is None else (x, observed)


def over_pixels(values: Tensor) -> Tensor:
    """A scalar as it is; one value per image, `(batch,)`, as `(batch, 1, 1, 1)`."""
    values = ops.convert_to_tensor(values)
    return ops.reshape(values, (-1, 1, 1, 1)) if len(values.shape) else values


def upsample(x: Tensor) -> Tensor:
    """Doubles height and width by repeating pixels (nearest neighbour)."""
    return ops.repeat(ops.repeat(x, 2, axis=1), 2, axis=2)


def coarse_to_fine_states(
    energies: Sequence[Any],
    x: Tensor,
    keys: Tensor,
    settings: Langevin,
    *,
    run: Callable[..., Tensor] = langevin,
    steps: Sequence[Tensor] | None = None,
    constraints: Sequence[Callable[[Tensor], Tensor] | None] | None = None,
    every: int | None = None,
    first_level: int = 0,
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Runs one chain up a ladder of energies and shows it on its way (Alg. 2).

    At each level: Langevin steps, then clip; between two levels nearest-neighbour
    upsampling. The noise decreases over the whole chain.

    Args:
        energies: sequence of energies, coarsest first, each of twice the resolution of
            the one before; see `bind`.
        x: float32 tensor of images of the coarsest resolution, the start.
        keys: uint32 tensor of shape `(batch, 2)`.
        settings: `Langevin`.
        run: what takes the steps of a level, a function like `langevin`.
        steps: steps of each level, ints or integer tensors of shape `(batch,)`, one
            number for each image; None for those of the settings.
        constraints: of each level, a function of images or None, applied to its start,
            after each of its steps and after the clipping.
        every: int, steps between two states within a level, or None for no state but
            the last one of each level.
        first_level: int, the level at which to go on, of a chain whose images of the
            level below are `x`. Energies of the levels before are not used.

    Yields:
        Tuple of the level, the steps made since the chain began, and the images. The
        last images of a level are clipped; the very last ones are the sample.
    """
    steps = steps or [settings.steps_at(level) for level in range(len(energies))]
    constraints = constraints or [None] * len(energies)
    total = sum(steps)
    done = sum(steps[:first_level], 0 * total)  # an int, or one per image
    for level in range(first_level, len(energies)):
        constraint = constraints[level]
        x = _constrained(
            x if level == 0 else _entered(x, keys, settings, level), constraint
        )
        for first, count in _spans(steps[level], every):
            if first:
                yield level, done + first, x
            x = run(
                energies[level],
                x,
                keys,
                settings.at_level(level),
                steps=count,
                first_step=done + first,
                total_steps=total,
                constraint=constraint,
            )
        x = _constrained(settings.clipped(x), constraint)
        done = done + steps[level]
        yield level, done, x


def coarse_to_fine(
    energies: Sequence[Energy],
    x: Tensor,
    keys: Tensor,
    settings: Langevin,
    **options: Any,
) -> Tensor:
    """The sample at the end of `coarse_to_fine_states`, whose arguments it takes.

    Returns:
        Images of the finest resolution.
    """
    *_, (_, _, x) = coarse_to_fine_states(energies, x, keys, settings, **options)
    return x


def _entered(x, keys, settings, level):
    """Images of the level below as a chain takes them up: doubled, noise mixed in."""
    x = upsample(x)
    share = settings.transition_noise
    if not share:
        return x
    keys = random.fold_in(keys, level, TRANSITION)
    noise = noise_start(keys, x.shape[1:], settings)
    return settings.clipped(math.sqrt(1.0 - share**2) * x + share * noise)


def _constrained(x, constraint):
    return x if constraint is None else constraint(x)


def _spans(steps, every):
    """Pairs (steps made, steps to make) of the parts of a level."""
    if every is None:
        return [(0, steps)]
    return [(done, min(every, steps - done)) for done in range(0, steps, every)]


def noise_start(keys: Tensor, shape: Sequence[int], settings: Langevin) -> Tensor:
    """Where chains from noise start, as `settings.start_noise` has it.

    Args:
        keys: uint32 tensor of shape `(batch, 2)`.
        shape: tuple of ints, shape of one image of the level where they start.
        settings: `Langevin`.

    Returns:
        float32 tensor of shape `(batch, *shape)`.
    """
    x = uniform_start(keys, shape, settings.clip)
    if settings.start_noise == "uniform":
        return x
    low, high = settings.clip or (-1.0, 1.0)
    middle, half = (low + high) / 2, (high - low) / 2
    # The inverse of the distribution function, of uniform numbers.
    probability = math.erf(math.sqrt(0.5)) * (x - middle) / half
    return middle + half * math.sqrt(2.0) * ops.erfinv(probability)


def uniform_start(
    keys: Tensor,
    shape: Sequence[int],
    clip: tuple[float, float] | None = (-1.0, 1.0),
) -> Tensor:
    """Uniform noise: U[-1, 1], or the given range.

    Args:
        keys: uint32 tensor of shape `(batch, 2)`.
        shape: tuple of ints, shape of one image of the coarsest level.
        clip: pair of floats or None for [-1, 1].

    Returns:
        float32 tensor of shape `(batch, *shape)`.
    """
    low, high = clip or (-1.0, 1.0)
    return random.uniform(random.fold_in(keys, 0, START), shape, low, high)
