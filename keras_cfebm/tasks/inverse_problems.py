"""Images from what was measured of them: restore, for any linear damage."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_cfebm.backend import random
from keras_cfebm.sampling import Langevin, over_pixels
from keras_cfebm.tasks.batches import SAMPLE, drawn_seed, run_batches
from keras_cfebm.tasks.chain import Chain, chain_of
from keras_cfebm.tasks.operators import Measured, Operator, measured_levels
from keras_cfebm.tasks.restoration import starts_of
from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import (
    check_count,
    check_image_shape,
    check_images,
    check_number,
)

#: Samples whose mean counts may move on at the finest level for longer.
RESTORATION = Langevin(steps=(15, 10, 10), noise_scale=0.005)
#: From another method's images a few steps at the finest level are enough.
REFINEMENT = Langevin(steps=6, noise_scale=0.005, chain_levels=1)
#: τ: how much a step trusts noisy measurements.
TEMPERATURE = 1e-3


class Restoration(NamedTuple):
    """What `restore` finds.

    Attributes:
        sample: float32 array `(n, h, w, c)`, one sample: sharp, and one of many that
            agree with what was measured.
        mean: float32 array `(n, h, w, c)`, the mean of all samples: nearer to the truth
            in squared error, and blurred where they differ.
        std: float32 array `(n, h, w)`, their standard deviation at each pixel (the root
            of the variances' mean over channels): 0 of one sample, large where what was
            measured does not tell.
    """

    sample: np.ndarray
    mean: np.ndarray
    std: np.ndarray


def _one_by_one(first, end, body, carry):
    for index in range(first, end):
        carry = body(index, carry)
    return carry


def restore(
    energies: Any,
    y: np.ndarray,
    operator: Operator,
    noise: float = 0.0,
    samples: int = 8,
    seed: int | None = None,
    settings: Langevin | None = None,
    labels: Any = None,
    batch_size: int = 64,
    start: int = 0,
    *,
    initial: np.ndarray | None = None,
    temperature: float = TEMPERATURE,
    image_shape: Sequence[int] | None = None,
    progress: bool | None = None,
) -> Restoration:
    """Restores images of which y = A x + noise was measured.

    Each of several chains goes up the ladder, and each of its steps is followed by the
    step to images that agree with y, which has a closed form at every level: see
    `keras_cfebm.tasks.operators`. What is sampled is so the density
    exp(−E(x) / τ − ‖A x − y‖² / 2σ²), as far as short chains sample at all.

    Args:
        energies: a model; or the ladder, a sequence of energies, coarsest first, or the
            finest one; or a `Chain`.
        y: float array `(n, h, w, c)`, what was measured; without noise in [-1, 1].
        operator: `Identity()`, `Mask(mask)`, `MeanPool(factor)` or `Grey()`: A.
        noise: float, standard deviation σ of the noise of y; 0 means that y is exact.
        samples: int, number of chains of each image.
        seed: int, the stream of images, or None for a fresh one, see `generate`; image
            `i` does not depend on the others.
        settings: `Langevin`; None for 15, 10 and then 10 steps at each finer level, or
            from `initial` images 6 at the finest, adapted to a model.
        labels: of conditional energies, an int or an integer array `(n,)`.
        batch_size: int, images per chain; it bounds the memory.
        start: int, index in the stream of the first image.
        initial: float array of the finest images `(n, h, w, c)` where the chains start,
            for example a classical method's, pooled to the coarsest level that the
            chains run through; None for noise.
        temperature: float above 0, τ: how much a step trusts noisy measurements. It has
            no influence if `noise` is 0.
        image_shape: shape of one of the finest images; needed where the finest energy
            has no attribute of that name and y is smaller.
        progress: bool, show a progress bar; None shows one after two seconds.

    Returns:
        `Restoration`, images within `settings.clip`.

    Raises:
        ValueError: if measurements, operator, initial images or labels do not fit the
            energies, or a number is out of range.

    Example:

    ```python
    small = tasks.MeanPool(2).forward(images)  # (n, 16, 16, 1)
    found = tasks.restore(model, small, tasks.MeanPool(2), seed=0)
    found.sample, found.mean, found.std
    ```
    """
    chain = chain_of(energies, settings, RESTORATION if initial is None else REFINEMENT)
    samples = check_count(samples, "samples")
    check_number(noise, "noise", "[0, inf)")
    check_number(temperature, "temperature", "(0, inf)")
    y = check_images(y, name="measurements", in_range=noise == 0)
    image_shape = image_shape or chain.image_shape or y.shape[1:]
    check_image_shape(y.shape, operator.measured_shape(image_shape), "measurements")
    if initial is not None:
        initial = check_images(initial, image_shape, "initial images", in_range=False)
        if len(initial) != len(y):
            raise ValueError(
                f"Expected {len(y)} initial images, one for each measurement, received "
                f"{len(initial)}."
            )
    seed = drawn_seed(seed)
    known = operator.known(y.shape, seed, start)
    labels = chain.check_labels(labels, len(y))
    keys = chain.keys(seed, len(y), start)
    starts = starts_of(chain, image_shape)

    def restored(y, known, keys, labels, initial):
        measured = measured_levels(
            y, known, len(chain.energies), image_shape, noise, temperature
        )
        start_at = functools.partial(starts, images=initial)
        return restore_batch(
            chain, start_at, keys, labels, measured, image_shape, samples
        )

    arrays = (y, known, keys, labels, initial)
    return run_batches(restored, arrays, batch_size, progress)


def restore_batch(
    chain: Chain,
    starts: Callable[[Tensor], Tensor],
    keys: Tensor,
    labels: Tensor | None,
    measured: Sequence[Measured],
    image_shape: Sequence[int],
    samples: Tensor,
    loop: Callable = _one_by_one,
    **options: Any,
) -> Restoration:
    """Restores one batch of tensors, nothing checked.

    Args:
        chain: `Chain`.
        starts: function of keys `(batch, 2)` that returns where chains start.
        keys: uint32 tensor of shape `(batch, 2)`, those of the first samples.
        labels: int32 tensor of shape `(batch,)`, or None.
        measured: list of `Measured`, of all levels.
        image_shape: shape of one of the finest images.
        samples: int, or an int32 tensor of shape `(batch,)` with that of each image.
        loop: `keras.ops.fori_loop`, where `samples` is a tensor of a graph.
        **options: further arguments of `Chain.run`.

    Returns:
        `Restoration` of tensors.
    """

    def drawn(keys):
        x, _ = chain.run(starts(keys), keys, labels, measured=measured, **options)
        return chain.settings.clipped(x)

    def add(i, found):
        first, mean, squares = found
        others = random.fold_in(keys, i, SAMPLE)
        x = drawn(ops.where(i == 0, keys, others))
        first = ops.where(i == 0, x, first)
        change = ops.where(over_pixels(i < samples), x - mean, 0.0)
        mean = mean + change / ops.cast(i + 1, "float32")
        return first, mean, squares + change * (x - mean)

    nothing = ops.zeros((*ops.shape(keys)[:1], *image_shape))
    first, mean, squares = loop(0, ops.max(samples), add, (nothing,) * 3)
    degrees = ops.cast(ops.maximum(samples - 1, 1), "float32")
    variance = ops.mean(squares / over_pixels(degrees), axis=-1)
    return Restoration(first, mean, ops.sqrt(variance))
