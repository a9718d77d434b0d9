"""Images of another domain: one-sided translation, no cycle consistency (Sec. 4.4)."""

from typing import Any

import numpy as np
from keras import ops

from keras_cfebm.sampling import Langevin
from keras_cfebm.tasks.batches import run_batches
from keras_cfebm.tasks.chain import Chain, chain_of
from keras_cfebm.utils.validation import check_images

#: Steps of the paper's translations.
TRANSLATION = Langevin(steps=50)


def translate(
    energy: Any,
    source_images: np.ndarray,
    seed: int | None = None,
    settings: Langevin | None = None,
    labels: Any = None,
    batch_size: int = 64,
    start: int = 0,
    *,
    faithfulness: float | None = None,
    saliency: bool = False,
    progress: bool | None = None,
) -> Any:
    """Translates images: a chain at the finest level that starts at them.

    The energy is one of the target domain that was trained with chains that start at
    source images, `CFEBM(..., chain_start="source")`. `CFEBM.translate` calls this with
    the settings of the training, which are best kept.

    Args:
        energy: the finest energy, a `Chain` of it, or a model.
        source_images: float array of shape `(n, h, w, c)` in [-1, 1].
        seed: int, the stream of images, or None for a fresh one, see `generate`; image
            `i` does not depend on the others.
        settings: `Langevin`; None for those of a model's training, or 50 steps.
        labels: of conditional energies, an int or an integer array `(n,)`.
        batch_size: int, images per chain; it bounds the memory.
        start: int, index in the stream of the first image.
        faithfulness: float, λ: the chain's energy is E(x) + λ‖x − source‖², which
            keeps images nearer to their sources, and less like the target. At most
            1 / (2η), where each step begins at the source again. None for that of the
            settings, 0 unless a model was trained with another.
        saliency: bool, return the generative saliency too, where and how much the
            translation changed the images, see `generate`.
        progress: bool, show a progress bar; None shows one after two seconds.

    Returns:
        float32 NumPy array of shape `(n, h, w, c)` within `settings.clip`; with
        `saliency` a pair of it and of maps `(n, h, w)`.

    Raises:
        ValueError: if images or labels do not fit the energy, other channels than
            those of the target domain among it; or the faithfulness is out of range.
    """
    chain = single_chain_of(energy, settings, TRANSLATION)
    if faithfulness is not None:
        chain.settings.check_faithfulness(faithfulness)
    images = check_images(source_images, chain.start_shape, "source images")
    return run_from(
        chain,
        images,
        seed,
        labels,
        batch_size,
        start,
        saliency,
        progress,
        faithfulness,
    )


def single_chain_of(energy: Any, settings: Langevin | None, default: Langevin) -> Chain:
    """The chain of one energy that a task was given or needs; see `chain_of`.

    Of a model it is the finest one, with the settings of its training if that began at
    images, else with the default ones, adapted to it.
    """
    if hasattr(energy, "sampling_network"):
        settings = single_settings(energy, default) if settings is None else settings
        energy = energy.sampling_network
    chain = chain_of(energy, settings, default)
    if len(chain.energies) != 1:
        raise ValueError(
            "Expected one energy, that of the images' resolution, received a ladder of "
            f"{len(chain.energies)}."
        )
    return chain


def single_settings(model: Any, default: Langevin) -> Langevin:
    """The `Langevin` of a model's chain from images on; see `single_chain_of`."""
    if model.chain_start == "source":
        return model.finest_settings
    return model.adapted(default.replace(chain_levels=1))


def run_from(
    chain: Chain,
    images: np.ndarray,
    seed: int | None,
    labels: Any,
    batch_size: int,
    start: int,
    saliency: bool,
    progress: bool | None,
    faithfulness: float | None = None,
) -> Any:
    """Runs a chain that starts at images, in batches; see `translate`."""
    labels = chain.check_labels(labels, len(images))
    keys = chain.keys(seed, len(images), start)

    def sample(images, keys, labels):
        near = None
        if faithfulness is not None:
            near = images, ops.full(images.shape[:1], faithfulness, "float32")
        result, maps = chain.run(images, keys, labels, near=near)
        return (result, maps) if saliency else result

    return run_batches(sample, (images, keys, labels), batch_size, progress)
