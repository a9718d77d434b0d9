"""SampleGrid: pictures of the same chains as training goes on."""

import pathlib

import keras
import numpy as np

from keras_cfebm.datasets.pixels import downsample
from keras_cfebm.visualization import comparison_grid, image_grid


class SampleGrid(keras.callbacks.Callback):
    """Writes a grid of samples at the end of epochs.

    Every grid starts from the same noise, so that two of them show what training has
    changed. Files are named `<stage>_<resolution>px_epoch_<epoch>.png`. Chains that do
    not clip are shown as far as they are within [-1, 1].

    Args:
        folder: where the pictures go.
        count: int, images per grid.
        seed: int, the stream of images.
        every: int, epochs between two grids; the last epoch of a stage has one too.
        sources: of a model that translates, float array of source images
            `(n, h, w, c)` in [-1, 1] at the finest resolution of the run: the grids
            show them above their translations, and `count` is of no influence.
    """

    def __init__(self, folder, count=64, seed=0, every=1, sources=None):
        super().__init__()
        self.folder = pathlib.Path(folder)
        self.count = count
        self.seed = seed
        self.every = every
        self.sources = sources

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every and epoch + 1 != self.params["epochs"]:
            return
        stage, resolution = self.model.stage + 1, self.model.resolution
        name = f"{stage:02d}_{resolution:04d}px_epoch_{epoch + 1:04d}.png"
        path = self.folder / name
        if self.sources is None:
            classes = self.model.num_classes
            labels = None if classes is None else np.arange(self.count) % classes
            images = self.model.generate(
                self.count, seed=self.seed, labels=labels, progress=False
            )
            image_grid(np.clip(images, -1, 1), path=path)
            return
        halvings = (self.sources.shape[1] // self.model.resolution).bit_length() - 1
        sources = downsample(self.sources, halvings)
        translations = self.model.translate(sources, seed=self.seed, progress=False)
        rows = {"source": sources, "translation": np.clip(translations, -1, 1)}
        comparison_grid(rows, path=path)
