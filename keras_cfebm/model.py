"""④ CFEBM: a ladder of energies that learns its finest one (Sec. 3.2, Alg. 1).

The training step draws negatives by Langevin from the whole ladder (the coarser
energies are frozen samplers), stops their gradient, and follows the gradient of the
negative log-likelihood, ∂θ of  mean E(x⁺) − mean E(x⁻).
"""

import functools
from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from keras_cfebm import backend
from keras_cfebm.backend import random
from keras_cfebm.ladder import EnergyLadder
from keras_cfebm.network import EnergyNetwork
from keras_cfebm.sampling import Langevin, coarse_to_fine, langevin, uniform_start
from keras_cfebm.utils.training_data import first_batch, unpack
from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_count, check_number

#: Streams of the training key; those of an image's own key are in `sampling`.
_TRAIN, _TEST, _DATA_NOISE = 2, 3, 4
_LOSSES = ("loss", "data_energy", "sample_energy", "gap")
_METRICS = (*_LOSSES, "gradient_norm", "beta")


@keras.saving.register_keras_serializable(package="keras_cfebm")
class CFEBM(EnergyLadder):
    """Coarse-to-fine energy-based model of images.

    Args:
        ladder: `EnergyNetwork`s, see `EnergyLadder`. The last one is trained, the
            others are frozen samplers.
        langevin: `Langevin`, the sampler of the negatives and of `generate`.
        fade_steps: int, training steps over which β goes from 0 to 1.
        data_noise: float, standard deviation of the Gaussian noise on data images.
        energy_l2: float, weight of the penalty mean E(x⁺)² + mean E(x⁻)².
        ema_decay: float in [0, 1) or None, decay of the running average of the weights
            that `generate`, `predict` and `evaluate` use; None uses the weights
            themselves.
        chain_start: see `EnergyLadder`. With `"source"`, data are pairs of target and
            source images, the ladder is of the target domain, and negatives are chains
            at the finest level that start at the source images.
        accumulation: int, number of equal parts that a training batch is worked on in,
            one after the other: memory is that of a part, and the step is that of the
            whole batch but for rounding. Batches have to be a multiple of it.
        seed: int, from which every random number of training is derived, together with
            the step and the image's place in the batch.

    Raises:
        ValueError: if a number is out of range; see also `EnergyLadder`.

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

    #: Index of the stage in training; `fit_progressively` sets it.
    stage = 0

    def __init__(
        self,
        ladder: EnergyNetwork | Sequence[EnergyNetwork],
        langevin: Langevin | None = None,
        fade_steps: int = 0,
        data_noise: float = 0.0,
        energy_l2: float = 0.0,
        ema_decay: float | None = 0.99,
        chain_start: str = "noise",
        accumulation: int = 1,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(ladder, langevin, chain_start, **kwargs)
        check_count(fade_steps, "fade_steps", minimum=0)
        check_number(data_noise, "data_noise", "[0, inf)")
        check_number(energy_l2, "energy_l2", "[0, inf)")
        check_count(accumulation, "accumulation")
        if ema_decay is not None:
            check_number(ema_decay, "ema_decay", "[0, 1)")
        self.fade_steps = fade_steps
        self.data_noise = data_noise
        self.energy_l2 = energy_l2
        self.ema_decay = ema_decay
        self.accumulation = accumulation
        self.seed = seed
        # A weight, so that checkpoints hold it and the divergence guard can change it;
        # signed, because workers of a strategy cannot send each other unsigned ones.
        noise_key = random.key(seed)
        self.noise_key = self.add_weight(
            name="noise_key",
            shape=(2,),
            dtype="int",
            initializer=lambda shape, dtype: ops.cast(noise_key, dtype),
            trainable=False,
            aggregation="only_first_replica",
        )
        self.test_batches = self.add_weight(
            name="test_batches",
            shape=(),
            dtype="int32",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
        )
        for network in self.ladder[:-1]:
            network.trainable = False
        self.ema_network = None
        if ema_decay is not None:
            self.ema_network = self.network.copy()
            self.ema_network.trainable = False
        self._trackers = {name: keras.metrics.Mean(name=name) for name in _METRICS}

    @property
    def sampling_network(self) -> EnergyNetwork:
        """The finest network that samples are drawn from: the averaged one, if any."""
        return self.network if self.ema_network is None else self.ema_network

    def unpack(self, data: Any) -> tuple:
        """The images, labels or None, and source images or None of a batch."""
        translates = self.chain_start == "source"
        return unpack(data, self.image_shape, self.num_classes, translates)

    @property
    def step(self) -> int:
        """Training steps that the optimizer has made."""
        return int(np.asarray(self.optimizer.iterations))

    # --- One step -------------------------------------------------------------------

    @backend.step_function  # with JAX, a function of the variables' values
    def train_step(self, data):
        """One step along ∂θ of mean E(x⁺) − mean E(x⁻), in the compiled graph."""
        self.network.power_iteration()
        weights = self.network.trainable_weights

        def gradients_of(data, part):
            images, labels, sources = self.unpack(data)
            keys = self.training_keys(images, part)
            positives = self.with_data_noise(images, keys)
            negatives = self.negatives(keys, labels, sources)  # no tape is open
            loss = functools.partial(self.losses, positives, negatives, labels)
            return backend.gradients(loss, weights, self.optimizer)

        parts = self.accumulation
        gradients, logs = backend.mean_over_parts(
            gradients_of, data, parts, weights, _LOSSES
        )
        logs["gradient_norm"] = backend.global_norm(gradients)
        self.optimizer.apply(gradients, weights)  # sums over replicas by itself
        self.fade()
        self.average()
        return self.track(logs)

    @backend.step_function
    def test_step(self, data):
        """The same losses with the averaged weights and other noise."""
        images, labels, sources = self.unpack(data)
        keys = self._keys(_TEST, self.test_batches, images)
        self.test_batches.assign_add(1)
        network = self.sampling_network
        positives = self.with_data_noise(images, keys)
        negatives = self.negatives(keys, labels, sources, network)
        return self.track(self.losses(positives, negatives, labels, network))

    def training_keys(self, images: Tensor, part: Tensor = 0) -> Tensor:
        """Keys `(batch, 2)` of a step's images, or of those of one part of them."""
        step = self.optimizer.iterations
        return self._keys(_TRAIN, step, images, part, self.accumulation)

    def _keys(self, stream, step, images, part=0, parts=1):
        """Noise belongs to the step and to the place in the batch of all replicas."""
        noise_key = ops.cast(self.noise_key, "uint32")
        step_key = random.fold_in(noise_key, ops.convert_to_tensor(step), stream)
        batch = ops.shape(images)[0]
        replica, _ = backend.replica()
        before = (ops.cast(replica, "int32") * parts + ops.cast(part, "int32")) * batch
        return random.fold_in(step_key, before + ops.arange(batch, dtype="int32"))

    def with_data_noise(self, images: Tensor, keys: Tensor) -> Tensor:
        """The positives x⁺: images `(batch, r, r, c)` with Gaussian noise, if any."""
        positives = ops.cast(images, "float32")
        if self.data_noise:
            noise_keys = random.fold_in(keys, 0, _DATA_NOISE)
            noise = random.normal(noise_keys, self.image_shape)
            positives = positives + self.data_noise * noise
        return positives

    def negatives(
        self,
        keys: Tensor,
        labels: Tensor | None = None,
        sources: Tensor | None = None,
        network: EnergyNetwork | None = None,
    ) -> Tensor:
        """The negatives x⁻: samples of the ladder by Langevin, constants of the loss.

        Args:
            keys: uint32 tensor of shape `(batch, 2)`.
            labels: int32 tensor of shape `(batch,)`; with classes only.
            sources: source images, of a model whose chains start there.
            network: the finest `EnergyNetwork`; None for the one in training.

        Returns:
            float32 tensor of images `(batch, r, r, c)`.
        """
        network = self.network if network is None else network
        if sources is None:
            energies = [n.bind(labels) for n in (*self.ladder[:-1], network)]
            start = uniform_start(keys, self.ladder[0].image_shape, self.langevin.clip)
            images = coarse_to_fine(energies, start, keys, self.langevin)
        else:
            settings = self.finest_settings
            sources = ops.cast(sources, "float32")
            images = langevin(network.bind(), sources, keys, settings)
            images = settings.clipped(images)
        return ops.stop_gradient(images)

    def losses(
        self,
        positives: Tensor,
        negatives: Tensor,
        labels: Tensor | None = None,
        network: EnergyNetwork | None = None,
    ) -> dict[str, Tensor]:
        """The loss mean E(x⁺) − mean E(x⁻) plus an L2 penalty, if any.

        Args:
            positives: float32 tensor of images `(batch, r, r, c)`.
            negatives: float32 tensor of the same shape.
            labels: int32 tensor of shape `(batch,)`; with classes only.
            network: `EnergyNetwork`; None for the one in training.

        Returns:
            Dict of scalars: "loss", the one to differentiate; "data_energy",
            "sample_energy" and their difference "gap".
        """
        network = self.network if network is None else network
        images = ops.concatenate([positives, negatives], axis=0)
        if labels is not None:
            labels = ops.concatenate([labels, labels], axis=0)
        energies = network.bind(labels)(images)
        data_energy, sample_energy = map(ops.mean, ops.split(energies, 2))
        loss = data_energy - sample_energy
        if self.energy_l2:
            loss = loss + 2.0 * self.energy_l2 * ops.mean(ops.square(energies))
        return {
            "loss": loss,
            "data_energy": data_energy,
            "sample_energy": sample_energy,
            "gap": sample_energy - data_energy,
        }

    def fade(self) -> None:
        """Moves β, which reaches 1 after `fade_steps` steps."""
        if self.network.fading:
            step = ops.cast(self.optimizer.iterations, "float32")
            beta = ops.minimum(step / max(self.fade_steps, 1), 1.0)
            self.network.blocks[0].beta.assign(beta)

    def average(self) -> None:
        """Moves the running average of the weights, fast in the first steps."""
        if self.ema_network is None:
            return
        step = ops.cast(self.optimizer.iterations, "float32")
        decay = ops.minimum(self.ema_decay, (1.0 + step) / (10.0 + step))
        averages = self.ema_network.weights
        for average, weight in zip(averages, self.network.weights, strict=True):
            if weight.trainable:
                average.assign(decay * average + (1.0 - decay) * weight)
            else:
                average.assign(weight)

    def track(self, logs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Feeds the metrics with one step's figures; returns their running means."""
        logs = backend.mean_over_replicas(logs)
        fading = self.network.fading
        beta = ops.convert_to_tensor(self.network.blocks[0].beta) if fading else 1.0
        for name, value in {**logs, "beta": beta}.items():
            self._trackers[name].update_state(value)
        names = [*logs, "beta"]
        return backend.as_logs({name: self._trackers[name].result() for name in names})

    @property
    def metrics(self):
        return list(self._trackers.values())

    def renew_noise(self, index: int) -> None:
        """Draws from another key from now on, which index and current key decide."""
        noise_key = random.fold_in(ops.cast(self.noise_key, "uint32"), index)
        self.noise_key.assign(ops.cast(noise_key, self.noise_key.dtype))

    # --- Keras' methods -------------------------------------------------------------

    def fit(self, x=None, y=None, *args, **kwargs):
        """Trains the finest network; see `keras.Model.fit`.

        Raises:
            ValueError: if the images (of a data set, its first batch) have
                another shape or dtype than the network's or hold NaN, or labels do not
                fit the classes, or source images are missing or of another shape.
        """
        self._check_first_batch(x, y)
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """Energies of data and samples; see `keras.Model.evaluate` and `fit`."""
        self._check_first_batch(x, y)
        try:
            return super().evaluate(x, y, *args, **kwargs)
        finally:
            self.test_batches.assign(0)

    def _check_first_batch(self, x, y):
        batch = first_batch(x, y)
        if batch is not None:
            self.check_arrays(*batch)

    def make_train_function(self, force=False):
        # A step that creates variables is traced twice: half a minute for a large
        # ladder.
        with backend.scope(self):
            self.optimizer.build(self.network.trainable_weights)
        return super().make_train_function(force)

    # --- Growth ---------------------------------------------------------------------

    def finished(self) -> Self:
        """This model with its stage over: averaged weights in place, fade path gone.

        Returns:
            New, uncompiled `CFEBM` of the same resolution.

        Raises:
            ValueError: if the network is still fading (β < 1).
        """
        finest = self.sampling_network.without_fade()
        return self.with_ladder([*self.ladder[:-1], finest])

    def grown(self, fade_steps: int) -> Self:
        """The next stage's model: one level more on the ladder.

        Args:
            fade_steps: int, training steps over which β goes from 0 to 1.

        Returns:
            New, uncompiled `CFEBM` of twice the resolution. Its finest network starts
            from this model's averaged one, which becomes a frozen sampler.

        Raises:
            ValueError: if the network is still fading (β < 1).
        """
        finest = self.sampling_network.without_fade()
        ladder = [*self.ladder[:-1], finest, finest.grown()]
        return self.with_ladder(ladder, fade_steps=fade_steps)

    def arguments(self):
        return {
            **super().arguments(),
            "fade_steps": self.fade_steps,
            "data_noise": self.data_noise,
            "energy_l2": self.energy_l2,
            "ema_decay": self.ema_decay,
            "accumulation": self.accumulation,
            "seed": self.seed,
        }

    @classmethod
    def _arguments_of(cls, config):
        names = ("data_noise", "energy_l2", "ema_decay", "seed")
        own = {name: getattr(config, name) for name in names}
        return {**super()._arguments_of(config), **own}
