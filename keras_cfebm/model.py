"""④ CFEBM: a ladder of energies that learns its finest one (Sec. 3.2, Alg. 1).

The training step draws negatives by Langevin from the whole ladder (the coarser
energies are frozen samplers), stops their gradient, and follows the gradient of the
negative log-likelihood, ∂θ of  mean E(x⁺) − mean E(x⁻).
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_cfebm import backend
from keras_cfebm.backend import random
from keras_cfebm.model_sampling import Sampling
from keras_cfebm.model_saving import Saving
from keras_cfebm.network import EnergyNetwork
from keras_cfebm.sampling import Langevin, coarse_to_fine, langevin, uniform_start
from keras_cfebm.utils.data_checks import DataChecks
from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_count, check_number

#: Streams of the training key; those of an image's own key are in `sampling`.
_TRAIN, _TEST, _DATA_NOISE = 2, 3, 4
_LOSSES = ("loss", "data_energy", "sample_energy", "gap")
_METRICS = (*_LOSSES, "gradient_norm", "beta")


@keras.saving.register_keras_serializable(package="keras_cfebm")
class CFEBM(backend.TrainStep, DataChecks, Sampling, Saving, keras.Model):
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
        chain_start: `"noise"`, where chains start at the coarsest level, or `"source"`:
            one-sided translation (Sec. 4.4). Then data are pairs of target and source
            images, the ladder is of the target domain, and negatives are chains at the
            finest level that start at the source images; see `translate`.
        accumulation: int, number of equal parts that a training batch is worked on in,
            one after the other: memory is that of a part, and the step is that of the
            whole batch but for rounding. Batches have to be a multiple of it.
        seed: int, from which every random number of training is derived, together with
            the step and the image's place in the batch.

    Raises:
        ValueError: if the ladder's resolutions do not double, its channels or classes
            differ, a number is out of range, or `chain_start` is unknown or of a model
            with classes not `"noise"`.

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
        super().__init__(**kwargs)
        ladder = list(ladder) if isinstance(ladder, (list, tuple)) else [ladder]
        _check_ladder(ladder)
        check_count(fade_steps, "fade_steps", minimum=0)
        check_number(data_noise, "data_noise", "[0, inf)")
        check_number(energy_l2, "energy_l2", "[0, inf)")
        check_count(accumulation, "accumulation")
        if ema_decay is not None:
            check_number(ema_decay, "ema_decay", "[0, 1)")
        if chain_start not in ("noise", "source"):
            raise ValueError(
                f"Expected chain_start 'noise' or 'source', received {chain_start!r}."
            )
        if chain_start == "source" and ladder[-1].num_classes is not None:
            raise ValueError(
                "Expected energies without classes with chain_start='source', received "
                f"num_classes={ladder[-1].num_classes}."
            )
        self.ladder = ladder
        self.langevin = Langevin() if langevin is None else langevin
        self.fade_steps = fade_steps
        self.data_noise = data_noise
        self.energy_l2 = energy_l2
        self.ema_decay = ema_decay
        self.chain_start = chain_start
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

        for network in ladder[:-1]:
            network.trainable = False
        self.ema_network = None
        if ema_decay is not None:
            self.ema_network = self.network.copy()
            self.ema_network.trainable = False
        self._trackers = {name: keras.metrics.Mean(name=name) for name in _METRICS}
        # Never called by `fit`: without this, saving would lose the optimizer.
        self.built = True

    @property
    def network(self) -> EnergyNetwork:
        """The finest `EnergyNetwork`, the one in training."""
        return self.ladder[-1]

    @property
    def sampling_network(self) -> EnergyNetwork:
        """The network that samples are drawn from: the averaged one if there is one."""
        return self.network if self.ema_network is None else self.ema_network

    @property
    def sampling_ladder(self) -> list[EnergyNetwork]:
        """The energies of `generate`, coarsest first."""
        return [*self.ladder[:-1], self.sampling_network]

    @property
    def resolution(self) -> int:
        """Side of the finest images."""
        return self.network.resolution

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape `(resolution, resolution, channels)` of one image."""
        return self.network.image_shape

    @property
    def step(self) -> int:
        """Training steps that the optimizer has made."""
        return int(self.optimizer.iterations)

    @property
    def num_classes(self) -> int | None:
        """Number of classes, or None."""
        return self.network.num_classes

    def call(self, images, training=False):
        """Energies of the images; with classes, of a pair `(images, labels)`."""
        return self.sampling_network(images)

    # --- Training -------------------------------------------------------------------

    def begin_step(self) -> None:
        """What happens once per training step, before negatives are drawn."""
        self.network.power_iteration()

    @property
    def loss_names(self) -> tuple[str, ...]:
        """Keys of the scalars that `losses` returns."""
        return _LOSSES

    def draw(
        self, data: Any, network: EnergyNetwork, training: bool, part: Tensor = 0
    ) -> tuple:
        """Positives and negatives of one step, or of one part of it.

        Args:
            data: images `(batch, r, r, c)` in [-1, 1], or a pair of them and of labels
                or source images; of a training step, those of the part.
            network: the `EnergyNetwork` from which the finest steps sample.
            training: bool, whether the noise is that of a training step.
            part: int or scalar tensor, which of the `accumulation` parts of a training
                step it is.

        Returns:
            Tuple of positives, negatives and labels (None without classes).
        """
        images, labels, sources = self.split(data)
        batch = ops.shape(images)[0]
        if training:
            step, stream, parts = self.optimizer.iterations, _TRAIN, self.accumulation
        else:
            step, stream, parts = self.test_batches, _TEST, 1
        replica, _ = backend.replica()
        noise_key = ops.cast(self.noise_key, "uint32")
        step_key = random.fold_in(noise_key, ops.convert_to_tensor(step), stream)
        # Noise belongs to a place in the whole batch of all replicas and parts.
        before = (ops.cast(replica, "int32") * parts + ops.cast(part, "int32")) * batch
        place = before + ops.arange(batch, dtype="int32")
        keys = random.fold_in(step_key, place)

        positives = ops.cast(images, "float32")
        if self.data_noise:
            noise_keys = random.fold_in(keys, 0, _DATA_NOISE)
            noise = random.normal(noise_keys, self.image_shape)
            positives = positives + self.data_noise * noise
        if sources is None:
            negatives = self._chain(keys, labels, [*self.ladder[:-1], network])
        else:
            sources = ops.cast(sources, "float32")
            settings = self.finest_settings
            negatives = langevin(network.bind(), sources, keys, settings)
            negatives = settings.clipped(negatives)
        return positives, ops.stop_gradient(negatives), labels

    def _chain(self, keys, labels, ladder):
        start = uniform_start(keys, ladder[0].image_shape, self.langevin.clip)
        energies = [network.bind(labels) for network in ladder]
        return coarse_to_fine(energies, start, keys, self.langevin)

    def losses(self, batch: tuple, network: EnergyNetwork) -> dict[str, Tensor]:
        """The contrastive loss and what is reported beside it.

        Args:
            batch: result of `draw`.
            network: the `EnergyNetwork` whose weights the loss is a function of.

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

    def end_step(self) -> None:
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

    def track(self, results: dict[str, Tensor]) -> dict[str, Tensor]:
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

    def renew_noise(self, index: int) -> None:
        """Draws from another key from now on, which index and current key decide."""
        noise_key = random.fold_in(ops.cast(self.noise_key, "uint32"), index)
        self.noise_key.assign(ops.cast(noise_key, self.noise_key.dtype))

    # --- Growth ---------------------------------------------------------------------

    def finished(self) -> "CFEBM":
        """This model with its stage over: averaged weights in place, fade path gone.

        Returns:
            New, uncompiled `CFEBM` of the same resolution.

        Raises:
            ValueError: if the network is still fading (β < 1).
        """
        return self._with([*self.ladder[:-1], self.sampling_network.without_fade()])

    def grown(self, fade_steps: int) -> "CFEBM":
        """The next stage's model: one level more on the ladder.

        Args:
            fade_steps: int, training steps over which β goes from 0 to 1.

        Returns:
            New, uncompiled `CFEBM` of twice the resolution. Its finest network starts
            from this model's averaged one, which becomes a frozen sampler.

        Raises:
            ValueError: if the network is still fading (β < 1).
        """
        settled = self.sampling_network.without_fade()
        ladder = [*self.ladder[:-1], settled, settled.grown()]
        return self._with(ladder, fade_steps=fade_steps)

    def _with(self, ladder, **changes):
        return CFEBM(ladder, **{**self._arguments(), **changes})

    def _arguments(self):
        return {
            "langevin": self.langevin,
            "fade_steps": self.fade_steps,
            "data_noise": self.data_noise,
            "energy_l2": self.energy_l2,
            "ema_decay": self.ema_decay,
            "chain_start": self.chain_start,
            "accumulation": self.accumulation,
            "seed": self.seed,
        }


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
