"""How well maps find defects, whose places are known because they are made here."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_cfebm.evaluation.detection_protocol import detection_figures
from keras_cfebm.network import EnergyNetwork
from keras_cfebm.tasks import saliency
from keras_cfebm.tasks.defects import neighbour_map
from keras_cfebm.utils.validation import check_images, check_seed

#: What `damaged` can make.
DEFECTS = ("patch", "hole")
#: Side of a defect as a share of the image's; how a pixel has to change to be damaged.
_SHARE, _CHANGE = 4, 0.1


def damaged(
    kind: str, images: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Images with a defect each, a square of a quarter of their side, and its place.

    Args:
        kind: `"patch"`, pasted from another place of another image; or `"hole"`, black.
        images: float array `(n, h, w, c)` in [-1, 1], h = w, n at least 2.
        seed: int, of the places.

    Returns:
        Pair of a float32 array of the same shape and a boolean array `(n, h, w)`, True
        where a pixel has changed. Of a few places that are tried, the one is taken
        where most have.

    Raises:
        ValueError: if the kind is unknown or the images do not fit.
    """
    if kind not in DEFECTS:
        raise ValueError(f"Expected a defect of {DEFECTS}, received {kind!r}.")
    images = check_images(images, minimum=2)
    rng = np.random.default_rng(check_seed(seed))
    side = images.shape[1] // _SHARE
    results, masks = [], []
    for index, image in enumerate(images):
        tried = []
        for _ in range(10):
            row, column, other_row, other_column = rng.integers(
                images.shape[1] - side + 1, size=4
            )
            other = images[(index + rng.integers(1, len(images))) % len(images)]
            part = other[other_row : other_row + side, other_column:][:, :side]
            result = image.copy()
            result[row : row + side, column : column + side] = (
                part if kind == "patch" else -1.0
            )
            tried.append((result, np.abs(result - image).max(axis=-1) > _CHANGE))
        result, mask = max(tried, key=lambda pair: pair[1].sum())
        results.append(result)
        masks.append(mask)
    return np.stack(results), np.stack(masks)


def evaluate_defects(
    energies: Sequence[EnergyNetwork],
    images: np.ndarray,
    normal_images: np.ndarray,
    labels: Any = None,
    seed: int = 0,
    batch_size: int = 64,
) -> dict[str, dict[str, float]]:
    """AUROC of damaged pixels against all others, of several maps.

    Args:
        energies: sequence of `EnergyNetwork`s, coarsest first.
        images: float array `(n, h, w, c)` in [-1, 1], to be damaged.
        normal_images: such an array of others, for `neighbour_map`.
        labels: of conditional energies, an int or an integer array `(n,)`.
        seed: int, of the defects and the noise of SmoothGrad.
        batch_size: int, images at a time.

    Returns:
        Dict that JSON can hold: defect → map → AUROC: `neighbours`, `input_gradient`,
        `smooth_grad`, and `edges`, the image's own gradient, which knows no energy.

    Raises:
        ValueError: if images do not fit the energies.
        ImportError: without the extra `eval` (scikit-learn).
    """
    figures = {}
    for kind in DEFECTS:
        found, masks = damaged(kind, images, seed)
        explained = found, labels, batch_size
        maps = {
            "neighbours": neighbour_map(energies, found, normal_images, batch_size),
            "input_gradient": saliency.input_gradient(energies[-1], *explained),
            "smooth_grad": saliency.smooth_grad(energies[-1], *explained, seed=seed),
            "edges": np.hypot(*np.gradient(found.mean(axis=-1), axis=(1, 2))),
        }
        figures[kind] = {
            name: detection_figures(values[~masks], values[masks])["auroc"]
            for name, values in maps.items()
        }
    return figures
