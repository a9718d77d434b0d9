"""All the maps that explain one set of images, and how far they agree."""

from typing import Any

import numpy as np

from keras_cfebm.evaluation.translation_protocol import pixel_correlation
from keras_cfebm.tasks import saliency


def saliency_maps(
    energy: Any,
    images: np.ndarray,
    generative: np.ndarray,
    labels: Any = None,
    seed: int = 0,
    batch_size: int = 64,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Generative saliency of a chain beside gradient maps of the energy.

    Args:
        energy: `EnergyNetwork`.
        images: float array `(n, h, w, c)` in [-1, 1], to explain the energy of.
        generative: float array `(n, h, w)`, what a task returns with `saliency=True`.
        labels: of a conditional energy, an int or an integer array `(n,)`.
        seed: int, the stream of SmoothGrad's noise.
        batch_size: int, images at a time.

    Returns:
        Pair of figures that JSON can hold, and of a dict of name → maps `(n, h, w)`.
        The figures are name → `mean`, `largest`, and `correlation`, the mean over
        images of the correlation with the generative map.

    Raises:
        ValueError: if images or labels do not fit the energy.
    """
    options: dict[str, Any] = {"labels": labels, "batch_size": batch_size}
    maps = {
        "generative": generative,
        "input_gradient": saliency.input_gradient(energy, images, **options),
        "smooth_grad": saliency.smooth_grad(energy, images, **options, seed=seed),
        "grad_cam": saliency.grad_cam(energy, images, **options, toward="likely"),
    }

    def unit(values):
        peak = values.max(axis=(1, 2), keepdims=True)
        return (values / np.where(peak > 0, peak, 1))[..., None]

    figures = {
        name: {
            "mean": float(values.mean()),
            "largest": float(values.max()),
            "correlation": float(
                pixel_correlation(unit(values), unit(generative)).mean()
            ),
        }
        for name, values in maps.items()
    }
    return figures, maps
