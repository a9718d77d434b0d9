"""Images from noise: samples, interpolations, and the states on the way (Sec. 4.1)."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_cfebm.sampling import Langevin, over_pixels
from keras_cfebm.tasks.batches import run_batches
from keras_cfebm.tasks.chain import ChainState, chain_of
from keras_cfebm.utils.progress import progress_bar
from keras_cfebm.utils.validation import check_count, check_images

#: Images of a row of interpolations from which evenly spaced ones are chosen, for each.
_FINER = 8


def generate(
    energies: Any,
    count: int,
    seed: int | None = None,
    settings: Langevin | None = None,
    labels: Any = None,
    batch_size: int = 64,
    start: int = 0,
    *,
    image_shape: Sequence[int] | None = None,
    saliency: bool = False,
    progress: bool | None = None,
) -> Any:
    """Draws images by Langevin from noise, coarse to fine (Alg. 2).

    Args:
        energies: the ladder, a sequence of energies, coarsest first; or a `Chain`.
        count: int, number of images.
        seed: int, the stream of images; None draws a fresh one, which a `Chain` keeps
            as `last_seed`. Image `i` of a stream is the same whatever `count` and
            `batch_size` are.
        settings: `Langevin`; None for its defaults.
        labels: of conditional energies, an int or an integer array `(count,)`.
        batch_size: int, images per chain; it bounds the memory.
        start: int, index in the stream of the first image.
        image_shape: shape `(height, width, channels)` of the coarsest images; needed
            where `energies[0]` has no attribute of that name.
        saliency: bool, return the generative saliency too.
        progress: bool, show a progress bar; None shows one after two seconds.

    Returns:
        float32 NumPy array of the finest images `(count, h, w, c)`, within
        `settings.clip`. With `saliency` a pair of it and of Σ_k |x_{k+1} − x_k|
        within that range, averaged over channels, `(count, h, w)`.

    Raises:
        ValueError: if a number is out of range or labels do not fit the energy.
    """
    chain = chain_of(energies, settings)
    count = check_count(count, "count")
    keys = chain.keys(seed, count, start)
    labels = chain.check_labels(labels, count)

    def sample(keys, labels):
        images, maps = chain.run(chain.noise(keys, image_shape), keys, labels)
        return (images, maps) if saliency else images

    return run_batches(sample, (keys, labels), batch_size, progress)


def generate_with_chain(
    energies: Any,
    count: int,
    seed: int | None = None,
    settings: Langevin | None = None,
    labels: Any = None,
    batch_size: int = 64,
    start: int = 0,
    *,
    every: int = 5,
    image_shape: Sequence[int] | None = None,
    progress: bool | None = None,
) -> tuple[np.ndarray, list[ChainState]]:
    """The images of `generate`, and the states on the way to them.

    Args:
        energies: see `generate`, as all but `every`.
        count: int, number of images.
        seed: int, the stream of images, or None.
        settings: `Langevin`; None for its defaults.
        labels: of conditional energies, an int or an integer array `(count,)`.
        batch_size: int, images per chain.
        start: int, index in the stream of the first image.
        every: int, steps between two records within a level.
        image_shape: see `generate`.
        progress: see `generate`.

    Returns:
        Pair of the images and of a list of `ChainState`s of all of them, see
        `chain_states`.

    Raises:
        ValueError: if a number is out of range or labels do not fit the energy.
    """
    chain = chain_of(energies, settings)
    count = check_count(count, "count")
    batch_size = check_count(batch_size, "batch_size")
    labels = chain.check_labels(labels, count)
    batches: list[list[ChainState]] = []
    with progress_bar(count, shown=progress) as done:
        for first in range(0, count, batch_size):
            rows = slice(first, min(first + batch_size, count))
            states = chain_states(
                chain,
                rows.stop - first,
                chain.last_seed if first else seed,
                labels=None if labels is None else labels[rows],
                every=every,
                start=start + first,
                image_shape=image_shape,
            )
            batches.append(list(states))
            done(rows.stop - first)
    joined = [
        ChainState(
            parts[0].resolution,
            parts[0].step,
            np.concatenate([part.images for part in parts]),
            np.concatenate([part.energies for part in parts]),
        )
        for parts in zip(*batches, strict=True)
    ]
    return joined[-1].images, joined


def interpolate(
    energies: Any,
    rows: int,
    columns: int = 8,
    seed: int | None = None,
    settings: Langevin | None = None,
    labels: Any = None,
    batch_size: int = 64,
    start: int = 0,
    *,
    even: bool = False,
    image_shape: Sequence[int] | None = None,
    progress: bool | None = None,
) -> np.ndarray:
    """Interpolates between the starts of chains: x = √(1 − t²) · x₀ + t · x₁.

    Row `i` goes from the start of image `2i` of the stream to that of image `2i + 1`,
    with t = sin θ, θ in even steps from 0 to π/2. (Even steps of t would leave a third
    of the way to the last of eight images.) All chains of a row have the Langevin noise
    of image `2i`, so that only their start differs. Hence the left end is image `2i` of
    `generate`; the right end is image `2i + 1` up to the Langevin noise, and equal to
    it without noise.

    Args:
        energies: see `generate`.
        rows: int, number of interpolations.
        columns: int, images per row, at least 2.
        seed: int, the stream of images, or None; see `generate`.
        settings: `Langevin`; None for its defaults.
        labels: of conditional energies, an int or an integer array `(rows,)`.
        batch_size: int, images per chain.
        start: int, index in the stream of the first row's left end.
        even: bool, choose the places θ so that the images, not the starts, change by
            even steps (root mean square of pixels), as far as chains go from image to
            image without a jump. They are chosen from eight times as many.
        image_shape: see `generate`.
        progress: bool, show a progress bar; None shows one after two seconds.

    Returns:
        float32 NumPy array of shape `(rows, columns, h, w, c)`.

    Raises:
        ValueError: if a number is out of range or labels do not fit the energy.
    """
    chain = chain_of(energies, settings)
    rows, columns = check_count(rows, "rows"), check_count(columns, "columns", 2)
    shown, columns = columns, _FINER * (columns - 1) + 1 if even else columns
    keys = chain.keys(seed, 2 * rows, start)
    labels = chain.check_labels(labels, rows)
    left, right = (np.repeat(keys[side::2], columns, axis=0) for side in (0, 1))
    angles = np.tile(np.linspace(0, np.pi / 2, columns, dtype="float32"), rows)

    def sample(left, right, angles, labels):
        angles = over_pixels(angles)
        x = ops.cos(angles) * chain.noise(left, image_shape)
        x = x + ops.sin(angles) * chain.noise(right, image_shape)
        return chain.run(x, left, labels)[0]

    labels = None if labels is None else np.repeat(labels, columns)
    images = run_batches(sample, (left, right, angles, labels), batch_size, progress)
    images = images.reshape(rows, columns, *images.shape[1:])
    return np.stack([_evenly(row, shown) for row in images]) if even else images


def _evenly(images, count):
    """Some of many images, the ends among them, that differ by about as much each."""
    axes = tuple(range(1, images.ndim))
    steps = np.sqrt(np.square(np.diff(images, axis=0)).mean(axes, dtype="float64"))
    way = np.concatenate([[0], np.cumsum(steps)])
    wanted = np.linspace(0, way[-1], count)
    chosen = np.abs(way - wanted[:, None]).argmin(axis=1)
    # Several may be nearest to the edge of a jump: each image is taken once.
    order = np.arange(count)
    chosen = np.maximum.accumulate(chosen - order) + order
    chosen = np.minimum(chosen, len(images) - count + order)
    return images[chosen]


def chain_states(
    energies: Any,
    count: int | None = None,
    seed: int | None = None,
    settings: Langevin | None = None,
    labels: Any = None,
    *,
    every: int = 5,
    start: int = 0,
    images: np.ndarray | None = None,
    image_shape: Sequence[int] | None = None,
) -> Iterator[ChainState]:
    """Records chains on their way, for films.

    Args:
        energies: see `generate`.
        count: int, number of chains, all in one batch; of `images` if they are given.
        seed: int, the stream of images, or None; see `generate`.
        settings: `Langevin`; None for its defaults.
        labels: of conditional energies, an int or an integer array `(count,)`.
        every: int, steps between two records within a level.
        start: int, index in the stream of the first image.
        images: float array of the coarsest images `(count, h, w, c)` where the chains
            start, for instance the source images of a translation; None for noise.
        image_shape: see `generate`.

    Returns:
        Iterator of `ChainState`, which runs the chains as it is read: the start, every
        `every`-th state of each level and its last one. The last images are those of
        `generate` (or `translate`) with the same arguments.

    Raises:
        ValueError: if a number is out of range or images or labels do not fit.
    """
    chain = chain_of(energies, settings)
    every = check_count(every, "every")
    if images is not None:
        images = check_images(images, chain.start_shape, in_range=False)
        if count is not None and count != len(images):
            raise ValueError(
                f"Expected count=None or {len(images)}, the number of images, received "
                f"{count!r}."
            )
        count = len(images)
    count = check_count(0 if count is None else count, "count")
    keys = ops.convert_to_tensor(chain.keys(seed, count, start))
    labels = chain.check_labels(labels, count)
    labels = None if labels is None else ops.convert_to_tensor(labels)
    x = chain.noise(keys, image_shape) if images is None else images
    return chain.states(ops.convert_to_tensor(x), keys, labels, every)
