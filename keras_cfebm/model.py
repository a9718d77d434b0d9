"""④ CFEBM: a ladder of energies that learns its finest one (Sec. 3.2, Alg. 1).

The training step draws negatives by Langevin from the whole ladder (the coarser
energies are frozen samplers), stops their gradient, and follows the gradient of the
negative log-likelihood, ∂θ of  mean E(x⁺) − mean E(x⁻).
"""

import dataclasses

import keras
import numpy as np
from keras import ops

from keras_cfebm import backend, random
from keras_cfebm.network import EnergyNetwork
from keras_cfebm.sampling import Langevin, coarse_to_fine, uniform_start
from keras_cfebm.validation import check_images, check_labels

#: Streams of the training key; those of an image's own key are in `sampling`.
_TRAIN, _TEST, _DATA_NOISE = 2, 3, 4
_METRICS = ("loss", "data_energy", "sample_energy", "gap", "gradient_norm", "beta")


@keras.saving.register_keras_serializable(package="keras_cfebm")
class CFEBM(backend.TrainStep, keras.Model):
    """Coarse-to-fine energy-based model of images.

    Args:
        ladder: list of `EnergyNetwork`s, each of twice the resolution of the one
            before. The last one is trained, the others are frozen samplers. A single
            network is a ladder of one.
        langevin: `Langevin`, the sampler of the negatives and of `generate`.
        fade_steps: int, training steps over which β goes from 0 to 1.
        data_noise: float, standard deviation of the Gaussian noise on data images.
        energy_l2: float, weight of the penalty mean E(x⁺)² + mean E(x⁻)².
        ema_decay: float in [0, 1) or None, decay of the running average of the weights
            that `generate`, `predict` and `evaluate` use; None uses the weights
            themselves.
        seed: int, from which every random number of training is derived, together with
            the step and the image's place in the batch.

    Raises:
        ValueError: if the ladder's resolutions do not double, its channels or classes
            differ, or a number is out of range.

    Example:

    ```python
    model = CFEBM([EnergyNetwork(resolution=8, channels=1, base_width=16)])
    model.compile(keras.optimizers.Adam(1e-3, beta_1=0.5, beta_2=0.999))
    model.fit(images_8x8, batch_size=128, epochs=5)
    model = model.grown(fade_steps=500)            # a new model for 16 × 16
    model.compile(keras.optimizers.Adam(1e-3, beta_1=0.5, beta_2=0.999))
    model.fit(images_16x16, batch_size=64, epochs=5)
    samples = model.generate(16, seed=0)           # (16, 16, 16, 1) in [-1, 1]
    ```

    `fit_progressively` writes this loop for you.

    Reference:
        [Zhao, Xie and Li, ICLR 2021](https://openreview.net/forum?id=aD1_5zowqV)
    """

    def __init__(
        self,
        ladder,
        langevin=None,
        fade_steps=0,
        data_noise=0.0,
        energy_l2=0.0,
        ema_decay=0.99,
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        ladder = list(ladder) if isinstance(ladder, (list, tuple)) else [ladder]
        _check_ladder(ladder)
        for name, value in (
            ("fade_steps", fade_steps),
            ("data_noise", data_noise),
            ("energy_l2", energy_l2),
        ):
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} must be at least 0. Received: {value}")
        if ema_decay is not None and not 0 <= ema_decay < 1:
            raise ValueError(
                f"ema_decay must be None or in [0, 1). Received: {ema_decay}"
            )
        self.ladder = ladder
        self.langevin = Langevin() if langevin is None else langevin
        self.fade_steps = fade_steps
        self.data_noise = data_noise
        self.energy_l2 = energy_l2
        self.ema_decay = ema_decay
        self.seed = seed
        random.key(seed)  # refuses a bad seed now rather than in the first step

        for network in ladder[:-1]:
            network.trainable = False
        self.ema_network = None
        if ema_decay is not None:
            self.ema_network = self.network.copy()
            self.ema_network.trainable = False
        self._trackers = {name: keras.metrics.Mean(name=name) for name in _METRICS}
        self._compiled_sampler = None
        # Never called by `fit`: without this, saving would lose the optimizer.
        self.built = True

    @property
    def network(self):
        """The finest `EnergyNetwork`, the one in training."""
        return self.ladder[-1]

    @property
    def sampling_network(self):
        """The network that samples are drawn from: the averaged one if there is one."""
        return self.network if self.ema_network is None else self.ema_network

    @property
    def sampling_ladder(self):
        """The energies of `generate`, coarsest first."""
        return [*self.ladder[:-1], self.sampling_network]

    @property
    def resolution(self):
        """Side of the finest images."""
        return self.network.resolution

    @property
    def image_shape(self):
        """Shape `(resolution, resolution, channels)` of one image."""
        return self.network.image_shape

    @property
    def num_classes(self):
        """Number of classes, or None."""
        return self.network.num_classes

    def call(self, images, training=False):
        """Energies of the images; with classes, of a pair `(images, labels)`."""
        return self.sampling_network(images)

    # --- Training -------------------------------------------------------------------

    def begin_step(self):
        """What happens once per training step, before negatives are drawn."""
        self.network.power_iteration()

    def draw(self, data, network):
        """Positives and negatives of one step.

        Args:
            data: images `(batch, r, r, c)` in [-1, 1], or a pair of them and labels.
            network: the `EnergyNetwork` from which the finest steps sample.

        Returns:
            Tuple of positives, negatives and labels (None without classes).
        """
        images, labels = self._split(data)
        batch = ops.shape(images)[0]
        stream = _TRAIN if network is self.network else _TEST
        replica, _ = backend.replica()
        step_key = random.fold_in(
            random.key(self.seed), self.optimizer.iterations, stream
        )
        place = ops.cast(replica, "int32") * batch + ops.arange(batch, dtype="int32")
        keys = random.fold_in(step_key, place)

        positives = ops.cast(images, "float32")
        if self.data_noise:
            noise_keys = random.fold_in(keys, 0, _DATA_NOISE)
            noise = random.normal(noise_keys, self.image_shape)
            positives = positives + self.data_noise * noise
        negatives = self._chain(keys, labels, [*self.ladder[:-1], network])
        return positives, ops.stop_gradient(negatives), labels

    def losses(self, batch, network, training):
        """The contrastive loss and what is reported beside it.

        Args:
            batch: result of `draw`.
            network: the `EnergyNetwork` whose weights the loss is a function of.
            training: bool, unused by the network, which has no dropout.

        Returns:
            Dict of scalars; its "loss" is the one to differentiate.
        """
        positives, negatives, labels = batch
        images = ops.concatenate([positives, negatives], axis=0)
        if labels is not None:
            labels = ops.concatenate([labels, labels], axis=0)
        energies = network.bind(labels)(images)
        data_energies, sample_energies = ops.split(energies, 2)
        data_energy, sample_energy = ops.mean(data_energies), ops.mean(sample_energies)
        loss = data_energy - sample_energy
        if self.energy_l2:
            loss = loss + 2.0 * self.energy_l2 * ops.mean(ops.square(energies))
        return {
            "loss": loss,
            "data_energy": data_energy,
            "sample_energy": sample_energy,
            "gap": sample_energy - data_energy,
        }

    def end_step(self):
        """What happens once per training step, after the weights have moved."""
        step = ops.cast(self.optimizer.iterations, "float32")
        if self.network.fading:
            beta = ops.minimum(step / max(self.fade_steps, 1), 1.0)
            self.network.blocks[0].beta.assign(beta)
        if self.ema_network is None:
            return
        decay = ops.minimum(self.ema_decay, (1.0 + step) / (10.0 + step))
        averages = self.ema_network.weights
        for average, weight in zip(averages, self.network.weights, strict=True):
            if weight.trainable:
                average.assign(decay * average + (1.0 - decay) * weight)
            else:
                average.assign(weight)

    def track(self, results):
        """Feeds the metrics with one step's results; returns their running means."""
        results["beta"] = (
            ops.convert_to_tensor(self.network.blocks[0].beta)
            if self.network.fading
            else 1.0
        )
        for name, value in results.items():
            self._trackers[name].update_state(value)
        return {name: self._trackers[name].result() for name in results}

    @property
    def metrics(self):
        return list(self._trackers.values())

    def _split(self, data):
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        if self.num_classes is None:
            return images, None
        if labels is None:
            raise ValueError(
                f"A model of {self.num_classes} classes learns from pairs of images "
                "and labels. Received: images only"
            )
        return images, ops.cast(labels, "int32")

    # --- Growth ---------------------------------------------------------------------

    def finished(self):
        """This model with its stage over: averaged weights in place, fade path gone.

        Returns:
            New, uncompiled `CFEBM` of the same resolution.

        Raises:
            ValueError: if the network is still fading (β < 1).
        """
        return self._with([*self.ladder[:-1], self.sampling_network.settled()])

    def grown(self, fade_steps):
        """The next stage's model: one level more on the ladder.

        Args:
            fade_steps: int, training steps over which β goes from 0 to 1.

        Returns:
            New, uncompiled `CFEBM` of twice the resolution. Its finest network starts
            from this model's averaged one, which becomes a frozen sampler.

        Raises:
            ValueError: if the network is still fading (β < 1).
        """
        settled = self.sampling_network.settled()
        ladder = [*self.ladder[:-1], settled, settled.grown()]
        return self._with(ladder, fade_steps=fade_steps)

    def _with(self, ladder, **changes):
        return CFEBM(ladder, **{**self._arguments(), **changes})

    # --- Sampling -------------------------------------------------------------------

    def _chain(self, keys, labels, ladder, settings=None):
        settings = self.langevin if settings is None else settings
        start = uniform_start(keys, ladder[0].image_shape, settings.clip)
        energies = [network.bind(labels) for network in ladder]
        return coarse_to_fine(energies, start, keys, settings)

    def generate(self, count, seed=0, labels=None, batch_size=64, start=0):
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
            ValueError: if a number is out of range or labels do not fit the model.
        """
        if count < 1 or batch_size < 1 or start < 0:
            raise ValueError(
                "Expected count and batch_size of at least 1 and start of at least 0. "
                f"Received: count={count}, batch_size={batch_size}, start={start}"
            )
        labels = check_labels(labels, count, self.num_classes)
        if self._compiled_sampler is None:
            self._compiled_sampler = backend.compiled(
                lambda keys, labels: self._chain(keys, labels, self.sampling_ladder)
            )
        images = []
        for first in range(0, count, batch_size):
            size = min(batch_size, count - first)
            keys = random.image_keys(seed, size, start + first)
            chunk = None if labels is None else labels[first : first + size]
            images.append(ops.convert_to_numpy(self._compiled_sampler(keys, chunk)))
        return np.concatenate(images)

    def predict(self, x, **kwargs):
        """Energies `(n,)` of images, as a NumPy array; see `keras.Model.predict`."""
        if isinstance(x, np.ndarray):
            check_images(x, self.image_shape)
        return super().predict(x, **kwargs)

    # --- Saving ---------------------------------------------------------------------

    def _arguments(self):
        return {
            "langevin": self.langevin,
            "fade_steps": self.fade_steps,
            "data_noise": self.data_noise,
            "energy_l2": self.energy_l2,
            "ema_decay": self.ema_decay,
            "seed": self.seed,
        }

    def get_config(self):
        return {
            **super().get_config(),
            **self._arguments(),
            "langevin": dataclasses.asdict(self.langevin),
            "ladder": [keras.saving.serialize_keras_object(n) for n in self.ladder],
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        config["ladder"] = [
            keras.saving.deserialize_keras_object(network)
            for network in config["ladder"]
        ]
        settings = dict(config["langevin"])
        for name in ("steps", "clip"):  # JSON has lists for tuples
            if isinstance(settings[name], list):
                settings[name] = tuple(settings[name])
        config["langevin"] = Langevin(**settings)
        return cls(**config)


def _check_ladder(ladder):
    if not ladder or not all(isinstance(n, EnergyNetwork) for n in ladder):
        raise ValueError(
            "ladder is a non-empty list of EnergyNetworks, coarsest first. "
            f"Received: {ladder}"
        )
    first = ladder[0]
    for level, network in enumerate(ladder):
        same = (network.channels, network.num_classes) == (
            first.channels,
            first.num_classes,
        )
        if network.resolution != first.resolution * 2**level or not same:
            described = [(n.image_shape, n.num_classes) for n in ladder]
            raise ValueError(
                "Each network of a ladder has twice the resolution of the one before, "
                "and the same channels and classes. Received (image shape, classes): "
                f"{described}"
            )
