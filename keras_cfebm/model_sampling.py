"""What a `CFEBM` draws once it is trained: samples from noise, and translations."""

from typing import Any

import numpy as np

from keras_cfebm import tasks
from keras_cfebm.sampling import Langevin


class Sampling:
    """`generate` and `translate` of a model with a ladder; a mixin of `CFEBM`."""

    _sampler = None

    def generate(
        self,
        count: int,
        seed: int = 0,
        labels: Any = None,
        batch_size: int = 64,
        start: int = 0,
    ) -> np.ndarray:
        """Draws images from the model, from noise, coarse to fine.

        Args:
            count: int, number of images.
            seed: int, the stream of images. Image `i` of a stream is the same whatever
                `count` and `batch_size` are.
            labels: with classes, an int or an integer array of shape `(count,)`.
            batch_size: int, images per chain; it bounds the memory.
            start: int, index in the stream of the first image.

        Returns:
            float32 NumPy array of shape `(count, resolution, resolution, channels)` in
            [-1, 1].

        Raises:
            ValueError: if a number is out of range, labels do not fit the model, or its
                chains start at source images.
        """
        if self.chain_start == "source":
            raise ValueError(
                "The chains of this model start at source images, not at noise: use "
                "translate(source_images), or keras_cfebm.tasks.translate."
            )
        chain = self._compiled_chain(self.sampling_ladder, self.langevin)
        return tasks.generate(
            chain, count, seed, labels=labels, batch_size=batch_size, start=start
        )

    def translate(
        self,
        source_images: np.ndarray,
        seed: int = 0,
        batch_size: int = 64,
        start: int = 0,
    ) -> np.ndarray:
        """Translates images of the source domain to the target domain (Sec. 4.4).

        Args:
            source_images: float array of shape `(n, resolution, resolution, channels)`
                in [-1, 1].
            seed: int, the stream of images.
            batch_size: int, images per chain; it bounds the memory.
            start: int, index in the stream of the first image.

        Returns:
            float32 NumPy array of the shape of `source_images`.

        Raises:
            ValueError: if the images do not fit, or the model has not been made with
                `chain_start="source"`.
        """
        if self.chain_start != "source":
            raise ValueError(
                "Expected a model with chain_start='source' to translate, received one "
                f"with {self.chain_start!r}; keras_cfebm.tasks.translate takes any "
                "energy."
            )
        chain = self._compiled_chain(self.sampling_network, self.finest_settings)
        return tasks.translate(
            chain, source_images, seed, batch_size=batch_size, start=start
        )

    @property
    def finest_settings(self) -> Langevin:
        """The `Langevin` of a chain that runs at the finest level alone."""
        return self.langevin.replace(steps=self.langevin.steps_at(len(self.ladder) - 1))

    def _compiled_chain(self, energies, settings):
        """Kept between calls: callbacks draw samples after every epoch."""
        if self._sampler is None or self._sampler.settings != settings:
            self._sampler = tasks.Chain(energies, settings)
        return self._sampler
