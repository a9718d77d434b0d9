"""Images from where a chain has to start to end at them: the inverse of generation."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_cfebm import backend
from keras_cfebm.sampling import Langevin, bind, coarse_to_fine
from keras_cfebm.tasks.batches import run_batches
from keras_cfebm.tasks.chain import chain_of
from keras_cfebm.utils.validation import check_count, check_images, check_number


class Reconstruction(NamedTuple):
    """What `reconstruct` finds.

    Attributes:
        images: float32 array `(n, h, w, c)`, where the chains end.
        starts: float32 array of the coarsest images, where they start; not confined to
            the range of the images.
        errors: float32 array `(n,)`, mean squared differences to the images given.
    """

    images: np.ndarray
    starts: np.ndarray
    errors: np.ndarray


def reconstruct(
    energies: Any,
    images: np.ndarray,
    seed: int | None = None,
    settings: Langevin | None = None,
    labels: Any = None,
    batch_size: int = 64,
    start: int = 0,
    *,
    iterations: int = 100,
    learning_rate: float = 0.05,
    image_shape: Sequence[int] | None = None,
    progress: bool | None = None,
) -> Reconstruction:
    """Optimises the start of chains so that they end at given images.

    What cannot be reached from any start, the energy does not generate. Each start is
    followed by Adam from that of `generate` along the gradient of the mean squared
    difference of the chain's end to the image, through all of its steps; the noise on
    the way stays that of the seed. The clipping between levels is passed as if it were
    not there by the gradient, or saturated pixels would be stuck.

    The memory is that of all steps of a chain at once.

    Args:
        energies: the ladder, a sequence of energies, coarsest first; or a `Chain`.
        images: float array of the finest images `(n, h, w, c)` in [-1, 1].
        seed: int, the stream of noise, or None for a fresh one, see `generate`.
        settings: `Langevin`; None for its defaults.
        labels: of conditional energies, an int or an integer array `(n,)`.
        batch_size: int, images per chain; it bounds the memory.
        start: int, index in the stream of the first image.
        iterations: int, steps of Adam; 0 leaves the starts as they are.
        learning_rate: float, of Adam, on the scale of the images.
        image_shape: see `generate`.
        progress: bool, show a progress bar; None shows one after two seconds.

    Returns:
        `Reconstruction`.

    Raises:
        ValueError: if images or labels do not fit the energy, or a number is out of
            range.

    Example:

    ```python
    found = reconstruct(model.sampling_ladder, images, 0, model.langevin)
    found.errors  # (n,)
    ```
    """
    chain = chain_of(energies, settings)
    images = check_images(images, chain.image_shape)
    iterations = check_count(iterations, "iterations", 0)
    check_number(learning_rate, "learning_rate", "(0, inf)")
    labels = chain.check_labels(labels, len(images))
    keys = chain.keys(seed, len(images), start)
    passed = _Passed(**dataclasses.asdict(chain.settings))

    def ends(x, keys, labels):
        bound = [bind(energy, labels) for energy in chain.energies]
        return coarse_to_fine(bound, x, keys, passed)

    def differences(x, images, keys, labels):
        return ops.mean(ops.square(ends(x, keys, labels) - images), axis=(1, 2, 3))

    @backend.compiled
    def gradient_of(x, images, keys, labels):
        def difference(x):
            return differences(x, images, keys, labels)

        return backend.value_and_input_gradient(difference, x)[1]

    @backend.compiled
    def found(x, images, keys, labels):
        return ends(x, keys, labels), differences(x, images, keys, labels)

    def optimised(images, keys, labels):
        x = keras.Variable(chain.noise(keys, image_shape), name="start")
        optimizer = keras.optimizers.Adam(learning_rate)
        for _ in range(iterations):
            gradient = gradient_of(ops.convert_to_tensor(x), images, keys, labels)
            optimizer.apply([gradient], [x])
        starts = ops.convert_to_tensor(x)
        results, errors = found(starts, images, keys, labels)
        return Reconstruction(results, starts, errors)

    return run_batches(optimised, (images, keys, labels), batch_size, progress)


class _Passed(Langevin):
    """Clips as it is told, with the gradient of not clipping."""

    def clipped(self, x):
        return x + ops.stop_gradient(super().clipped(x) - x)
