"""Samples of the coarser levels, from which many chains go on at the finest."""

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from keras import ops

from keras_cfebm.backend import random
from keras_cfebm.sampling import Langevin
from keras_cfebm.tasks.batches import POOL, run_batches
from keras_cfebm.tasks.chain import chain_of
from keras_cfebm.utils.typing import Tensor


def coarse_samples(
    energies: Any,
    keys: Any,
    settings: Langevin | None = None,
    labels: Any = None,
    batch_size: int = 128,
    progress: bool | None = None,
) -> np.ndarray:
    """Draws images as they leave the level below the finest, on their way to it.

    Args:
        energies: the ladder or a `Chain`, see `generate`.
        keys: uint32 array `(n, 2)`, a key for each image, see
            `keras_cfebm.backend.random`.
        settings: `Langevin`; None for its defaults.
        labels: see `generate`.
        batch_size: int, images per chain.
        progress: see `generate`.

    Returns:
        float32 NumPy array `(n, h / 2, w / 2, c)`.

    Raises:
        ValueError: if labels do not fit the energy, or there is one level only.
    """
    chain = chain_of(energies, settings)
    keys = ops.convert_to_numpy(keys)
    labels = chain.check_labels(labels, len(keys))

    def draw(keys, labels):
        return chain.below_finest(chain.noise(keys), keys, labels)

    return run_batches(draw, (keys, labels), batch_size, progress)


class CoarsePool:
    """Coarse samples that are drawn once, to start chains at, see `CFEBM`.

    Args:
        images: float32 array `(n, h, w, c)`, images of the level below the finest.
        classes: int, of which image `i` has the class `i % classes`; 1 without classes.
    """

    def __init__(self, images: np.ndarray, classes: int = 1):
        self.images = ops.convert_to_tensor(images)
        self.classes = classes

    @classmethod
    def drawn(
        cls, networks: Sequence[Any], settings: Langevin, count: int, seed: int
    ) -> Self:
        """Draws a pool from a ladder.

        Args:
            networks: `EnergyNetwork`s, coarsest first; the finest is not used.
            settings: `Langevin`.
            count: int, number of images; with classes, the next multiple of theirs.
            seed: int in [0, 2**63), which decides all of them.
        """
        num_classes = networks[-1].num_classes
        classes = num_classes or 1
        each = math.ceil(count / classes)
        labels = None if num_classes is None else list(range(classes)) * each
        key = random.fold_in(random.key(seed), networks[-1].resolution, POOL)
        keys = random.fold_in(key, ops.arange(each * classes))
        return cls(coarse_samples(networks, keys, settings, labels), classes)

    def take(self, keys: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images `(batch, h, w, c)` that the keys choose, of the classes.

        Args:
            keys: uint32 tensor of shape `(batch, 2)`.
            labels: int32 tensor of shape `(batch,)`; with classes only.
        """
        each = self.images.shape[0] // self.classes
        chosen = random.uniform(random.fold_in(keys, 0, POOL), (), 0.0, 1.0)
        index = ops.cast(chosen * each, "int32") * self.classes
        if labels is not None:
            index = index + labels
        return ops.take(self.images, index, axis=0)
