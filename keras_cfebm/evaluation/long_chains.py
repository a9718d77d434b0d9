"""Chains that are longer than in training, or of other steps, and what they fill."""

import math
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numpy as np

from keras_cfebm.sampling import Langevin
from keras_cfebm.tasks.chain import Chain
from keras_cfebm.tasks.generation import chain_states
from keras_cfebm.utils.validation import check_count

#: A pixel this share of the range away from its ends is saturated.
_END = 0.005


class Trace(NamedTuple):
    """What is kept of chains.

    Attributes:
        images: multiple of the trained length → float32 array `(n, h, w, c)`, clipped
            as samples are.
        energies: float32 array `(n, draws)`, of the start and of every few steps.
    """

    images: dict[int, np.ndarray]
    energies: np.ndarray


class LongChains:
    """The finest level's chain, compiled once, with a noise that does not decrease.

    Args:
        model: `CFEBM`, or anything with its `langevin`, `finest_settings`, `ladder` and
            `sampling_network`.
        factor: int, length of the chains as a multiple of the trained one.
        batch_size: int, chains at a time; it bounds the memory.

    Attributes:
        trained_steps: int, steps of the finest level in training.
        noise_scale: float, σ: the mean of training's over the finest level.

    Raises:
        ValueError: if the finest level takes no steps in training.
    """

    def __init__(self, model: Any, factor: int, batch_size: int = 64):
        settings = model.finest_settings
        steps = check_count(settings.steps, "steps of the finest level")
        levels = len(model.langevin.of_chain(model.ladder))
        total = model.langevin.total_steps(levels)
        ends = [
            float(model.langevin.noise_scale_at(step, total))
            for step in (total - steps, total - 1)
        ]
        self.trained_steps = steps
        self.noise_scale = sum(ends) / 2
        self.batch_size = check_count(batch_size, "batch_size")
        self._every = max(
            divisor
            for divisor in range(1, max(steps // 3, 1) + 1)
            if steps % divisor == 0
        )
        self._chain = Chain(
            model.sampling_network,
            settings.replace(
                steps=factor * steps,
                noise_scale=self.noise_scale,
                final_noise_scale=self.noise_scale,
            ),
        )

    def run(
        self,
        images: np.ndarray,
        labels: np.ndarray | None,
        seed: int,
        start: int,
        kept: Collection[int],
        finished: Callable[[int], Any] = lambda batches: None,
    ) -> Trace:
        """Runs chains from images.

        Args:
            images: float array `(n, h, w, c)`, where chains start.
            labels: int array `(n,)`, or None without classes.
            seed: int, the stream of the chains' noise.
            start: int, index in it of the first chain.
            kept: multiples of the trained length after which images are kept.
            finished: function called with 1 after each batch.
        """
        steps = {factor * self.trained_steps for factor in kept}
        size = math.ceil(len(images) / math.ceil(len(images) / self.batch_size))
        found: dict[int, list[np.ndarray]] = {step: [] for step in sorted(steps)}
        energies = []
        for first in range(0, len(images), size):
            rows = slice(first, first + size)
            states = chain_states(
                self._chain,
                seed=seed,
                labels=None if labels is None else labels[rows],
                every=self._every,
                start=start + first,
                images=images[rows],
            )
            trace = []
            for state in states:
                trace.append(state.energies)
                if state.step in found:
                    clipped = self._chain.settings.clipped(state.images)
                    found[state.step].append(np.asarray(clipped))
            energies.append(np.stack(trace, axis=1))
            finished(1)
        images_at = {
            step // self.trained_steps: np.concatenate(parts)
            for step, parts in found.items()
        }
        return Trace(images_at, np.concatenate(energies))


def other_settings(trained: Langevin) -> dict[str, Langevin]:
    """Chains of other steps: two of the trained duration K · η, two of another."""
    fewer, more = trained.faster(2), trained.faster(0.5)
    return {
        "fewer_steps": fewer,
        "more_steps": more,
        "half_the_duration": trained.replace(steps=fewer.steps),
        "twice_the_duration": trained.replace(step_size=fewer.step_size),
    }


def saturated(images: np.ndarray, settings: Langevin) -> float:
    """The share of pixels at the ends of the range to which chains are clipped."""
    low, high = settings.clip or (-1.0, 1.0)
    margin = _END * (high - low)
    return float(((images < low + margin) | (images > high - margin)).mean())
