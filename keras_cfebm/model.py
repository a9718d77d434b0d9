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

from keras_cfebm import backend, tasks
from keras_cfebm.backend import random
from keras_cfebm.configs.stages import learning_rate_at
from keras_cfebm.ladder import EnergyLadder, check_ladder
from keras_cfebm.network import EnergyNetwork
from keras_cfebm.sampling import (
    Langevin,
    coarse_to_fine,
    faithful,
    langevin,
    noise_start,
)
from keras_cfebm.utils.model_inputs import (
    check_arrays,
    numbered,
    numbered_batches,
    numbered_options,
)
from keras_cfebm.utils.training_data import (
    Batch,
    first_batch,
    labels_beside,
    one_in,
    unpack,
)
from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_count, check_data_chains, check_number

#: Streams of the training key; those of an image's own key are in `sampling`.
_TRAIN, _TEST, _DATA_NOISE, _SOURCE_NOISE = 2, 3, 4, 5
_CHAIN_NOISE, _CHAIN_SIGMA = 13, 14
_LOSSES = ("loss", "data_energy", "sample_energy", "gap")
#: Arguments that a `RunConfig` has under the same names.
_SHARED = (
    "data_noise",
    "energy_l2",
    "ema_decay",
    "seed",
    "chain_start_noise",
    "data_chains",
    "data_chain_steps",
    "data_chain_noise",
    "coarse_pool",
)
_METRICS = (*_LOSSES, "gradient_norm", "beta")


def paper_adam(learning_rate: float) -> keras.optimizers.Optimizer:
    """The optimizer of the paper: Adam with β₁ = 0.5 and β₂ = 0.999."""
    return keras.optimizers.Adam(learning_rate, beta_1=0.5, beta_2=0.999)


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
        class_names: see `EnergyLadder`.
        chain_start_noise: float, standard deviation of the Gaussian noise on source
            images, in training only.
        data_chains: float, 0 or 1/n with n ≥ 2: the share of training's chains that
            start at their image, at the finest level, and run for `data_chain_steps`.
            They give the energy a minimum where images are, so that chains may go on
            beyond the trained length. Batches, and the parts of `accumulation`, should
            be multiples of n.
        data_chain_steps: int, Langevin steps of those chains.
        data_chain_noise: float, largest standard deviation S of Gaussian noise on the
            images where they start; each has S·u², u uniform in [0, 1). The energy
            learns from it that noisy images are less likely than clean ones, of which
            chains that start at samples of the level below say nothing.
        coarse_pool: int, number of samples of the frozen, coarser levels that are drawn
            once, before the first step. Training's chains then start at them, each at
            one that is chosen anew in each step, and a step costs the finest level's
            chain alone. 0 lets all chains start at noise, as the paper does.
        value_range: see `EnergyLadder`.
        finer: `EnergyNetwork`s of finer levels that wait while this one trains, see
            `at_resolution`. They neither sample nor learn; files hold them.

    Raises:
        ValueError: if a number is out of range, or the finer networks do not go on
            where the ladder ends; see also `EnergyLadder`.

    Example:

    ```python
    model = CFEBM([EnergyNetwork(resolution=8, channels=1, base_width=16)])
    model.fit(images_8x8, batch_size=128, epochs=5)
    model = model.grown(fade_steps=500)            # a new model for 16 × 16
    model.fit(images_16x16, batch_size=64, epochs=5)
    samples = model.generate(16, seed=0)           # (16, 16, 16, 1) in [-1, 1]
    ```

    `fit_progressively` writes this loop for you. A model that has not been compiled is,
    by `fit` or `train_on_batch`, with the optimizer of the paper.

    Reference:
        [Zhao, Xie and Li, ICLR 2021](https://openreview.net/forum?id=aD1_5zowqV)
    """

    #: Index of the stage in training; `fit_progressively` sets it.
    stage = 0
    train_function: Any

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
        class_names: Sequence[str] | None = None,
        chain_start_noise: float = 0.0,
        data_chains: float = 0.0,
        data_chain_steps: int = 60,
        data_chain_noise: float = 0.0,
        coarse_pool: int = 0,
        value_range: tuple[float, float] | None = None,
        finer: Sequence[EnergyNetwork] = (),
        **kwargs: Any,
    ):
        super().__init__(
            ladder, langevin, chain_start, class_names, value_range, **kwargs
        )
        check_ladder([*self.ladder, *finer])
        check_count(fade_steps, "fade_steps", minimum=0)
        check_number(data_noise, "data_noise", "[0, inf)")
        check_number(energy_l2, "energy_l2", "[0, inf)")
        check_count(accumulation, "accumulation")
        check_number(chain_start_noise, "chain_start_noise", "[0, inf)")
        check_data_chains(data_chains, chain_start)
        check_count(data_chain_steps, "data_chain_steps")
        check_number(data_chain_noise, "data_chain_noise", "[0, inf)")
        check_count(coarse_pool, "coarse_pool", minimum=0)
        if ema_decay is not None:
            check_number(ema_decay, "ema_decay", "[0, 1)")
        self.fade_steps = fade_steps
        self.data_noise = data_noise
        self.energy_l2 = energy_l2
        self.ema_decay = ema_decay
        self.accumulation = accumulation
        self.chain_start_noise = chain_start_noise
        self.data_chains = data_chains
        self.data_chain_steps = data_chain_steps
        self.data_chain_noise = data_chain_noise
        self.coarse_pool = coarse_pool
        # Drawn anew after a resume, the same again.
        self._pool: tasks.CoarsePool | None = None
        self.seed = seed
        # Weights, so that checkpoints hold them and the guard can change them.
        self.noise_key = self._state("noise_key", (2,), random.key(seed))
        self.test_batches = self._state("test_batches")
        self.steps = self._state("steps")
        # Copies, because the caller may train the same networks in another model.
        *coarser, finest = self.ladder
        self.ladder = [*(n.frozen() for n in coarser), finest]
        self.finer = [n.frozen() for n in finer]
        self.ema_network = None
        if ema_decay is not None:
            self.ema_network = finest.copy(name=f"{finest.name}_average").frozen()
        self._trackers = {
            name: keras.metrics.Mean(name=name, dtype="float32") for name in _METRICS
        }

    def _state(self, name, shape=(), value=0):
        """An integer weight that is no part of a network.

        Signed, because workers of a strategy cannot send each other unsigned ones.
        """
        return self.add_weight(
            name=name,
            shape=shape,
            dtype="int",
            initializer=lambda shape, dtype: ops.cast(
                ops.broadcast_to(value, shape), dtype
            ),
            trainable=False,
            aggregation="only_first_replica",
        )

    @property
    def sampling_network(self) -> EnergyNetwork:
        """The finest network that samples are drawn from: the averaged one, if any."""
        return self.network if self.ema_network is None else self.ema_network

    @property
    def step(self) -> int:
        """Training steps that this model has made."""
        return int(np.asarray(self.steps))

    # --- One step -------------------------------------------------------------------

    @backend.step_function  # with JAX, a function of the variables' values
    def train_step(self, data):
        """One step along ∂θ of mean E(x⁺) − mean E(x⁻), in the compiled graph."""
        self.network.power_iteration()
        weights = self.network.trainable_weights
        batch = self.unpack(data)

        def gradients_of(part):  # of the rows that one core works on
            keys = self.training_keys(part.places)
            positives = self.with_data_noise(part.images, keys)
            negatives = self.negatives_beside(positives, part, keys)  # without tape
            loss = functools.partial(self.losses, positives, negatives, part)
            return backend.gradients(loss, weights, self.optimizer)

        gradients, logs = backend.sum_over_parts(
            gradients_of, batch, self.accumulation, weights, _LOSSES, self._one_in
        )
        logs = backend.sum_over_replicas(logs)
        logs["gradient_norm"] = backend.global_norm(gradients, self.optimizer)
        self.optimizer.apply(gradients, weights)  # sums over replicas by itself
        self.steps.assign_add(1)
        self.fade()
        self.average()
        return self.track(logs, batch)

    @backend.step_function
    def test_step(self, data):
        """The same losses with the averaged weights and other noise."""
        batch = self.unpack(data)
        network = self.sampling_network

        def losses_of(part):
            keys = self._keys(_TEST, self.test_batches, part.places)
            positives = self.with_data_noise(part.images, keys)
            negatives = self.negatives(keys, part.labels, part.sources, network)
            return self.losses(positives, negatives, part, network)

        logs = backend.sum_over_parts(losses_of, batch)
        self.test_batches.assign_add(1)
        return self.track(backend.sum_over_replicas(logs), batch)

    def unpack(self, data: Any) -> Batch:
        """The images of a batch and what belongs to each, see `Batch`."""
        translates = self.chain_start == "source"
        images, labels, sources, weights = unpack(
            data, self.image_shape, self.num_classes, translates, self.value_range
        )
        places, count = backend.places(ops.shape(images)[0])
        shares = data_shares = ops.ones(ops.shape(places), "float32") / count
        if weights is not None:
            total = backend.sum_over_replicas(ops.sum(weights))
            data_shares = ops.divide_no_nan(weights, total)
            # Of a batch without weight the energy learns nothing.
            shares = ops.where(total > 0, shares, 0.0)
        return Batch(images, places, data_shares, shares, labels, sources)

    def training_keys(self, places: Tensor) -> Tensor:
        """Keys `(batch, 2)` of this step's images, at those places in the batch."""
        return self._keys(_TRAIN, self.steps, places)

    def _keys(self, stream, step, places):
        """Noise belongs to the run, the resolution, the step and the place."""
        noise_key = ops.cast(self.noise_key, "uint32")
        level_key = random.fold_in(noise_key, self.resolution, stream)
        step_key = random.fold_in(level_key, ops.convert_to_tensor(step))
        return random.fold_in(step_key, places)

    def with_data_noise(self, images: Tensor, keys: Tensor) -> Tensor:
        """The positives x⁺: images `(batch, r, r, c)` with Gaussian noise, if any."""
        return self._noisy(images, keys, self.data_noise, _DATA_NOISE)

    def with_chain_noise(self, images: Tensor, keys: Tensor) -> Tensor:
        """Images `(batch, r, r, c)`, each with its own σ of `data_chain_noise`."""
        if not self.data_chain_noise:
            return images
        share_keys = random.fold_in(keys, 0, _CHAIN_SIGMA)
        share = ops.square(random.uniform(share_keys, (1, 1, 1), minval=0.0))
        noisy = self._noisy(images, keys, self.data_chain_noise, _CHAIN_NOISE)
        return self.finest_settings.clipped(images + share * (noisy - images))

    def _noisy(self, images, keys, sigma, stream):
        images = ops.cast(images, "float32")
        if sigma:
            noise_keys = random.fold_in(keys, 0, stream)
            images = images + sigma * random.normal(noise_keys, self.image_shape)
        return images

    def negatives_beside(self, positives: Tensor, part: Batch, keys: Tensor) -> Tensor:
        """The negatives of a training step: see `negatives` and `data_chains`."""
        if not self.data_chains:
            start = self.from_pool(keys, part.labels)
            return self.negatives(keys, part.labels, part.sources, start=start)

        def from_data(keys, labels, images):
            settings = self.finest_settings.replace(steps=self.data_chain_steps)
            start = self.with_chain_noise(images, keys)
            images = langevin(self.network.bind(labels), start, keys, settings)
            return ops.stop_gradient(settings.clipped(images))

        def from_noise(keys, labels, _):
            return self.negatives(keys, labels, start=self.from_pool(keys, labels))

        arguments = keys, part.labels, positives
        return one_in(self._one_in, from_data, from_noise, *arguments)

    @property
    def _one_in(self):
        return round(1 / self.data_chains) if self.data_chains else 1

    def negatives(
        self,
        keys: Tensor,
        labels: Tensor | None = None,
        sources: Tensor | None = None,
        network: EnergyNetwork | None = None,
        start: Tensor | None = None,
    ) -> Tensor:
        """The negatives x⁻: samples of the ladder by Langevin, constants of the loss.

        Args:
            keys: uint32 tensor of shape `(batch, 2)`.
            labels: int32 tensor of shape `(batch,)`; with classes only.
            sources: source images, of a model whose chains start there.
            network: the finest `EnergyNetwork`; None for the one in training.
            start: images `(batch, r / 2, r / 2, c)` of the level below, from which the
                chains go on at the finest; None for chains from noise.

        Returns:
            float32 tensor of images `(batch, r, r, c)`.
        """
        network = self.network if network is None else network
        if sources is None:
            ladder = self.langevin.of_chain([*self.ladder[:-1], network])
            first = 0 if start is None else len(ladder) - 1
            if start is None:
                start = noise_start(keys, ladder[0].image_shape, self.langevin)
            energies = [None] * first + [n.bind(labels) for n in ladder[first:]]
            images = coarse_to_fine(
                energies, start, keys, self.langevin, first_level=first
            )
        else:
            settings = self.finest_settings
            sources = self._noisy(sources, keys, self.chain_start_noise, _SOURCE_NOISE)
            energy = network.bind()
            if settings.faithfulness:
                energy = faithful(energy, sources, settings.faithfulness)
            images = langevin(energy, sources, keys, settings)
            images = settings.clipped(images)
        return ops.stop_gradient(images)

    def from_pool(self, keys: Tensor, labels: Tensor | None) -> Tensor | None:
        """Where chains start below the finest level; None for all from noise."""
        return None if self._pool is None else self._pool.take(keys, labels)

    def _draw_pool(self):
        levels = self.langevin.of_chain(self.ladder)
        from_noise = self.chain_start == "noise" and len(levels) > 1
        if self.coarse_pool and from_noise and self._pool is None:
            self._pool = tasks.CoarsePool.drawn(
                self.ladder, self.langevin, self.coarse_pool, self.seed
            )

    def losses(
        self,
        positives: Tensor,
        negatives: Tensor,
        batch: Batch,
        network: EnergyNetwork | None = None,
    ) -> dict[str, Tensor]:
        """The loss mean E(x⁺) − mean E(x⁻) plus an L2 penalty, if any.

        Args:
            positives: float32 tensor of images `(batch, r, r, c)`.
            negatives: float32 tensor of the same shape.
            batch: `Batch`, for the labels and for each image's share in the means. Of
                a part of a batch, results are terms of the whole batch's.
            network: `EnergyNetwork`; None for the one in training.

        Returns:
            Dict of scalars: "loss", the one to differentiate; "data_energy",
            "sample_energy" and their difference "gap".
        """
        network = self.network if network is None else network
        images = ops.concatenate([positives, negatives], axis=0)
        labels = batch.labels
        if labels is not None:
            labels = ops.concatenate([labels, labels], axis=0)
        positive, negative = ops.split(network.bind(labels)(images), 2)
        data_energy = ops.sum(batch.data_shares * positive)
        sample_energy = ops.sum(batch.shares * negative)
        loss = data_energy - sample_energy
        if self.energy_l2:
            squares = ops.square(positive) + ops.square(negative)
            loss = loss + self.energy_l2 * ops.sum(batch.shares * squares)
        return {
            "loss": loss,
            "data_energy": data_energy,
            "sample_energy": sample_energy,
            "gap": sample_energy - data_energy,
        }

    def fade(self) -> None:
        """Moves β, which reaches 1 after `fade_steps` steps."""
        if self.network.fading:
            step = ops.cast(self.steps, "float32")
            beta = ops.minimum(step / max(self.fade_steps, 1), 1.0)
            self.network.blocks[0].beta.assign(beta)

    def average(self) -> None:
        """Moves the running average of the weights, fast in the first steps."""
        if self.ema_network is None:
            return
        step = ops.cast(self.steps, "float32")
        decay = ops.minimum(self.ema_decay, (1.0 + step) / (10.0 + step))
        averages = self.ema_network.weights
        for average, weight in zip(averages, self.network.weights, strict=True):
            if weight.trainable:
                average.assign(decay * average + (1.0 - decay) * weight)
            else:
                average.assign(weight)
        self.ema_network.power_iteration()

    def track(self, logs: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Feeds the metrics with a batch's figures; returns their running means."""
        rows = ops.shape(batch.images)[0]
        fading = self.network.fading
        beta = ops.convert_to_tensor(self.network.blocks[0].beta) if fading else 1.0
        for name, value in {**logs, "beta": beta}.items():
            self._trackers[name].update_state(value, sample_weight=rows)
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

    def compile(self, optimizer="auto", loss=None, **kwargs):
        """Sets the optimizer; see `keras.Model.compile`. The loss is the model's own.

        Args:
            optimizer: Keras optimizer or its name; `"auto"`, which `fit` and its kin
                take for a model that has not been compiled, is `paper_adam` with the
                authors' learning rate at this resolution.
            loss: None.
            **kwargs: as of `keras.Model.compile`, but no metrics.

        Raises:
            ValueError: if a loss or metrics are given.
        """
        if optimizer == "auto":
            optimizer = paper_adam(learning_rate_at(self.resolution))
        given = {"loss": loss, **kwargs}
        for name in ("loss", "loss_weights", "metrics", "weighted_metrics"):
            if given.get(name) is not None:
                raise ValueError(
                    f"Expected no {name}: a CFEBM minimises mean E(x⁺) − mean E(x⁻), "
                    f"and reports {', '.join(_METRICS)}, received {given[name]!r}."
                )
        super().compile(optimizer, **kwargs)

    def get_compile_config(self):
        config = super().get_compile_config()
        optimizer = config.get("optimizer")
        # Keras' optimizers for PyTorch are classes of their own; files name the public.
        if optimizer and optimizer["module"].startswith("keras.src.backend."):
            optimizer |= {"module": "keras.optimizers", "registered_name": None}
        return config

    def compile_from_config(self, config):
        # Keras leaves a loaded model uncompiled whose `compile` is its own.
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, x=None, y=None, *args, **kwargs):
        """Trains the finest network; see `keras.Model.fit`.

        Raises:
            ValueError: if the images (of a data set, its first batch) have another
                shape or dtype than the network's, hold NaN or are of another range than
                `value_range`, or labels do not fit the classes, or source images are
                missing or of another shape.
        """
        x, y = self._checked(x, y, kwargs.get("sample_weight"))
        self.detector = None  # of other weights from now on
        return super().fit(x, y, *args, **numbered_options(self, kwargs))

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """Energies of data and samples; see `keras.Model.evaluate` and `fit`."""
        x, y = self._checked(x, y, kwargs.get("sample_weight"))
        try:
            return super().evaluate(x, y, *args, **kwargs)
        finally:
            self.test_batches.assign(0)

    def train_on_batch(self, x, y=None, sample_weight=None, *args, **kwargs):
        """One training step; see `keras.Model.train_on_batch` and `fit`."""
        x, y = self._checked(x, y, sample_weight)
        self.detector = None
        kwargs = numbered_options(self, kwargs)
        return super().train_on_batch(x, y, sample_weight, *args, **kwargs)

    def test_on_batch(self, x, y=None, sample_weight=None, *args, **kwargs):
        """The figures of `evaluate`, of one batch; see `keras.Model.test_on_batch`."""
        x, y = self._checked(x, y, sample_weight)
        try:
            return super().test_on_batch(x, y, sample_weight, *args, **kwargs)
        finally:
            self.test_batches.assign(0)

    def _checked(self, x, y, weights):
        """What to read in place of x and y, once the first batch has been found good.

        The model is compiled, too.
        """
        x, y = numbered_batches(self, x), numbered(self, y)
        batch, x = first_batch(x, y)
        if batch is not None:
            check_arrays(self, *batch, once=False)
        if not self.compiled:
            with backend.scope(self):
                self.compile()
        return x, labels_beside(x, y, weights)

    def load_own_variables(self, store):
        # Files of 0.1.0 hold no number of training steps, the last of these weights.
        values = {key: store[key] for key in store.keys()}  # noqa: SIM118, no dict
        super().load_own_variables({"2": 0, **values})
        self._pool = self.train_function = None  # of other coarse samples

    def make_train_function(self, force=False):
        # A step that creates variables is traced twice: half a minute for a large
        # ladder.
        weights = self.network.trainable_weights
        if not weights:
            raise ValueError(
                "Expected a finest network with weights to train, received a frozen "
                "one, as `sampling_ladder` has; its `copy()` can be trained."
            )
        with backend.scope(self):
            self.optimizer.build(weights)
        if self.train_function is not None and not force:
            return
        super().make_train_function(force)
        train = self.train_function

        def train_function(*arguments):
            # Here, so that logs count its time with that of the first step.
            self._draw_pool()
            return train(*arguments)

        self.train_function = train_function

    # --- Growth ---------------------------------------------------------------------

    def finished(self) -> Self:
        """This model with its stage over: averaged weights in place, fade path gone.

        Returns:
            New, uncompiled `CFEBM` of the same resolution.

        Raises:
            ValueError: if the network is still fading (β < 1).
        """
        return self.with_ladder([*self.ladder[:-1], self._result()])

    def grown(self, fade_steps: int) -> Self:
        """The next stage's model: one level more on the ladder.

        Args:
            fade_steps: int, training steps over which β goes from 0 to 1.

        Returns:
            New, uncompiled `CFEBM` of twice the resolution. Its finest network starts
            from this model's averaged one, which becomes a frozen sampler; `seed`
            decides its new weights.

        Raises:
            ValueError: if the network is still fading (β < 1), or has finer levels.
        """
        if self.finer:
            raise ValueError(
                "Expected a model without finer levels to grow, received one that has "
                f"{[n.resolution for n in self.finer]} pixels: use at_resolution."
            )
        result = self._result()
        ladder = [*self.ladder[:-1], result.frozen(), result.grown(self.seed)]
        return self.with_ladder(ladder, fade_steps=fade_steps)

    def at_resolution(self, resolution: int) -> Self:
        """A model of the same networks that trains another of its levels.

        The levels coarser than that draw where its chains start, and finer ones wait.
        A level that has learned from rough samples of the one below can be kept, and
        the one below be made better afterwards.

        Args:
            resolution: int, side of the images of a level that there is.

        Returns:
            New, uncompiled `CFEBM` of that resolution.

        Raises:
            ValueError: if there is no such level, or the network in training is still
                fading (β < 1).
        """
        networks = [*self.ladder[:-1], self._result(), *self.finer]
        sides = [network.resolution for network in networks]
        if resolution not in sides:
            raise ValueError(
                f"Expected a level of the model, {sides}, received {resolution}."
            )
        level = sides.index(resolution)
        ladder = [*networks[:level], networks[level].copy()]
        return self.with_ladder(ladder, finer=networks[level + 1 :], fade_steps=0)

    def _result(self):
        result = self.sampling_network.without_fade()
        result.converge()
        return result

    def with_ladder(self, ladder: Sequence[EnergyNetwork], **changes: Any) -> Self:
        """A new model of other networks, and else of the same arguments.

        Its noise continues this model's: a key that follows from its key and step.
        """
        model = super().with_ladder(ladder, **changes)
        model.noise_key.assign(self.noise_key)
        model.renew_noise(self.step)
        return model

    def arguments(self):
        return {
            **super().arguments(),
            "fade_steps": self.fade_steps,
            "data_noise": self.data_noise,
            "energy_l2": self.energy_l2,
            "ema_decay": self.ema_decay,
            "accumulation": self.accumulation,
            "chain_start_noise": self.chain_start_noise,
            "data_chains": self.data_chains,
            "data_chain_steps": self.data_chain_steps,
            "data_chain_noise": self.data_chain_noise,
            "coarse_pool": self.coarse_pool,
            "seed": self.seed,
            "finer": self.finer,
        }

    def get_config(self):
        finer = [keras.saving.serialize_keras_object(n) for n in self.finer]
        return {**super().get_config(), "finer": finer}

    @classmethod
    def from_config(cls, config):
        finer = [
            keras.saving.deserialize_keras_object(network)
            for network in config.get("finer", ())
        ]
        return super().from_config({**config, "finer": finer})

    @classmethod
    def _arguments_of(cls, config):
        own = {name: getattr(config, name) for name in _SHARED}
        return {**super()._arguments_of(config), **own}
