"""Pictures of a run: its source images, and chains from noise to image."""

from typing import Any

import numpy as np

from keras_cfebm import tasks, visualization
from keras_cfebm.configs.run_config import RunConfig
from keras_cfebm.datasets import ImageData
from keras_cfebm.model import CFEBM
from keras_cfebm.utils.typing import PathLike


def shown_sources(
    config: RunConfig, source: ImageData | None, count: int = 16
) -> np.ndarray | None:
    """The source images of all pictures of a run, `(count, h, w, c)`; None without."""
    if source is None:
        return None
    images = source.subset(limit=count, seed=config.seed).images()
    noisy = tasks.add_noise(images, config.source_noise, config.seed)
    return np.clip(noisy, -1, 1)


def draw_chains(
    model: CFEBM,
    strip_path: PathLike,
    film_path: PathLike,
    count: int = 8,
    every: int = 5,
    seed: int = 0,
    sources: np.ndarray | None = None,
) -> None:
    """Pictures of chains from noise (or source) to image, as a PNG strip and GIF film.

    A column of the strip, and a frame of the film, is drawn `every` so many steps. A
    model that translates needs `sources`, of which the first `count` are shown.
    """
    start: dict[str, Any]
    if sources is None:
        classes = model.num_classes
        labels = None if classes is None else np.arange(count) % classes
        start = {"count": count, "labels": labels}
        energies, settings = model.sampling_ladder, model.langevin
    else:
        start = {"images": sources[:count]}
        energies, settings = model.sampling_network, model.finest_settings
    states = list(
        tasks.chain_states(energies, seed=seed, settings=settings, every=every, **start)
    )
    # Between two resolutions chains may leave the range; pictures cannot.
    images = [np.clip(state.images, -1.0, 1.0) for state in states]
    visualization.chain_strip(images, path=strip_path)
    visualization.chain_film(images, film_path)
