"""Where an image is unlike normal ones: nearest neighbours of features, place by place.

The idea of PatchCore (Roth et al., *Towards total recall in industrial anomaly
detection*, CVPR 2022), with features that the energies of a ladder have learned without
labels, in place of those of a classifier of ImageNet.
"""

from collections.abc import Sequence

import numpy as np
from keras import ops

from keras_cfebm import backend
from keras_cfebm.datasets.pixels import downsample
from keras_cfebm.network import EnergyNetwork
from keras_cfebm.tasks.batches import run_batches
from keras_cfebm.utils.progress import progress_bar
from keras_cfebm.utils.validation import check_count, check_images

_TINY = 1e-6


def neighbour_map(
    energies: EnergyNetwork | Sequence[EnergyNetwork],
    images: np.ndarray,
    normal_images: np.ndarray,
    batch_size: int = 64,
    *,
    reach: int = 1,
) -> np.ndarray:
    """How far the features at each place are from those of normal images there.

    Of each level, the features are what its first block hands on, at half of the
    level's side. A distance to the nearest of one half of the normal images is divided
    by what it is, on average at this place, for the other half: where garments differ,
    such as at sleeves, more is needed to stand out. Maps of all levels are averaged.

    Args:
        energies: `EnergyNetwork`, or a sequence of them, coarsest first, each of twice
            the resolution of the one before.
        images: float array of shape `(n, h, w, c)` in [-1, 1], to look for defects in.
        normal_images: such an array of at least four others without defects.
        batch_size: int, images at a time; it bounds the memory.
        reach: int, how many places aside a neighbour may be.

    Returns:
        float32 NumPy array of shape `(n, h, w)`, about 1 where nothing is wrong.

    Raises:
        ValueError: if images do not fit, or `reach` is below 0.
    """
    ladder = [energies] if isinstance(energies, EnergyNetwork) else list(energies)
    shape = ladder[-1].image_shape
    images = check_images(images, shape)
    normal_images = check_images(normal_images, shape, "normal_images", minimum=4)
    check_count(reach, "reach", minimum=0)
    total = np.zeros(images.shape[:3], "float32")
    for level, network in enumerate(ladder):
        times = len(ladder) - 1 - level
        features = backend.compiled(backend.in_parallel(_features_of(network)))
        found, normal = (
            run_batches(features, (downsample(some, times),), batch_size)
            for some in (images, normal_images)
        )
        bank, others = np.array_split(normal, 2)
        usual = _distances(others, bank, reach).mean(axis=0)
        ratios = _distances(found, bank, reach) / np.maximum(usual, _TINY)
        enlarged = ops.image.resize(ratios[..., None], shape[:2], "bilinear")
        total += ops.convert_to_numpy(enlarged)[..., 0]
    return total / len(ladder)


def _features_of(network):
    return lambda x: network.bind_features()(x)[0]


def _distances(features, bank, reach):
    """Distances `(n, h, w)` of features `(n, h, w, d)` to the nearest of the bank's."""
    spread = np.maximum(bank.std(axis=(0, 1, 2)), _TINY)
    features, bank = features / spread, bank / spread
    found = np.empty(features.shape[:3], "float32")
    places = list(np.ndindex(found.shape[1:]))
    with progress_bar(len(places), "place") as done:
        for row, column in places:
            near = bank[
                :,
                max(row - reach, 0) : row + reach + 1,
                max(column - reach, 0) : column + reach + 1,
            ].reshape(-1, bank.shape[-1])
            here = features[:, row, column]
            squares = np.square(near).sum(axis=1) - 2 * here @ near.T
            found[:, row, column] = squares.min(axis=1) + np.square(here).sum(axis=1)
            done(1)
    return np.sqrt(np.maximum(found, 0.0))
