"""⑤ Progressive training: the one visible loop grow → compile → fit (Alg. 1)."""

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import Any

import keras

from keras_cfebm import backend
from keras_cfebm.callbacks.checkpoints import Checkpoints
from keras_cfebm.layers.levels import levels_of
from keras_cfebm.model import CFEBM
from keras_cfebm.sampling import Langevin
from keras_cfebm.utils.validation import check_count, check_number

#: (largest resolution, value), from the settings of the authors' runs.
_BATCH_SIZES = ((8, 256), (16, 128), (64, 64), (128, 32), (math.inf, 16))
_LEARNING_RATES = ((32, 1e-3), (64, 1.2e-3), (128, 1.5e-3), (math.inf, 2e-3))


@dataclasses.dataclass(frozen=True)
class Stage:
    """What happens at one resolution.

    Args:
        resolution: int, side of the images.
        fade_images: int, training images over which β goes from 0 to 1; the first
            stage has no other path to fade from and just adds them to the rest.
        stabilise_images: int, training images at β = 1.
        batch_size: int, images per training step.
        learning_rate: float, of Adam.
        langevin: optional `Langevin` from this stage on.
        accumulation: optional int, parts that a batch is worked on in, one after the
            other, from this stage on; see `CFEBM`.

    Raises:
        ValueError: if a number is out of range, or the batch cannot be divided.
    """

    resolution: int
    fade_images: int
    stabilise_images: int
    batch_size: int = 64
    learning_rate: float = 1e-3
    langevin: Langevin | None = None
    accumulation: int | None = None

    def __post_init__(self):
        for name, low in (
            ("resolution", 1),
            ("batch_size", 1),
            ("fade_images", 0),
            ("stabilise_images", 0),
        ):
            check_count(getattr(self, name), name, low)
        if self.steps < 1:
            raise ValueError(f"A stage needs images to train on. Received: {self}")
        check_number(self.learning_rate, "learning_rate", "(0, inf)")
        if not isinstance(self.langevin, Langevin | None):
            raise ValueError(f"Expected a Langevin or None, received {self.langevin!r}")
        if self.accumulation is not None:
            check_count(self.accumulation, "accumulation")
            if self.batch_size % self.accumulation:
                raise ValueError(
                    f"Expected a batch_size that accumulation={self.accumulation} "
                    f"divides. Received: {self.batch_size}"
                )

    @property
    def fade_steps(self) -> int:
        """Training steps of the fade-in phase."""
        return -(-self.fade_images // self.batch_size)  # rounded up, of any size

    @property
    def steps(self) -> int:
        """Training steps of the whole stage."""
        return self.fade_steps - (-self.stabilise_images // self.batch_size)

    def epochs(self, report_steps: int) -> tuple[int, int]:
        """Splits the stage for `fit`: `(epochs, steps_per_epoch)`.

        The steps are rounded up to whole epochs of about `report_steps` steps.
        """
        epochs = max(1, round(self.steps / report_steps))
        return epochs, -(-self.steps // epochs)


def default_stages(
    resolution: int, base_resolution: int = 8, images_per_phase: int = 500_000
) -> list[Stage]:
    """Stages up to a resolution with the batch sizes and learning rates of the paper.

    Args:
        resolution: int, side of the finest images.
        base_resolution: int, side of the coarsest ones.
        images_per_phase: int, images of the fade-in, and again of the settling; the
            first stage, which has nothing to fade, settles for both.

    Returns:
        List of `Stage`s, coarsest first.

    Raises:
        ValueError: if `resolution` is not `base_resolution` · 2^k.
    """
    stages = []
    for level in levels_of(resolution, base_resolution):
        batch_size = next(b for top, b in _BATCH_SIZES if level <= top)
        learning_rate = next(rate for top, rate in _LEARNING_RATES if level <= top)
        stages.append(
            Stage(
                level,
                fade_images=images_per_phase if stages else 0,
                stabilise_images=images_per_phase * (1 if stages else 2),
                batch_size=batch_size,
                learning_rate=learning_rate,
            )
        )
    return stages


def adam(stage: Stage) -> keras.optimizers.Optimizer:
    """The optimizer of the paper: Adam with β₁ = 0.5 and β₂ = 0.999."""
    return keras.optimizers.Adam(stage.learning_rate, beta_1=0.5, beta_2=0.999)


def enter(model: CFEBM, stage: Stage) -> CFEBM:
    """The model that trains in a stage, uncompiled: the given one, or it grown.

    Args:
        model: `CFEBM` of the stage's resolution or of half of it.
        stage: `Stage`.

    Returns:
        `CFEBM` of `stage.resolution`.

    Raises:
        ValueError: if the stage's resolution is neither.
    """
    if stage.resolution == 2 * model.resolution:
        # New weights are a function of seed and resolution, not of what has drawn
        # random numbers before: a resumed run grows as the uninterrupted one does.
        keras.utils.set_random_seed((model.seed + stage.resolution) % 2**32)
        model = model.grown(fade_steps=stage.fade_steps)
    elif stage.resolution != model.resolution:
        raise ValueError(
            "A stage continues the resolution of the model or doubles it. Received: "
            f"a model of {model.resolution} and a stage of {stage.resolution}"
        )
    _set_sampler(model, stage)
    return model


def _set_sampler(model, stage):
    if stage.langevin is not None:
        model.langevin = stage.langevin
    if stage.accumulation is not None:
        model.accumulation = stage.accumulation


def _resumed(restored, given, stages):
    """A model of a checkpoint with the settings of the given one, which may be new."""
    for name in ("langevin", "data_noise", "energy_l2", "accumulation"):
        setattr(restored, name, getattr(given, name))
    if None not in (restored.ema_decay, given.ema_decay):
        restored.ema_decay = given.ema_decay
    for stage in stages:
        _set_sampler(restored, stage)
    fade_steps = stages[-1].fade_steps
    if restored.network.fading and restored.fade_steps != fade_steps:
        restored.fade_steps = fade_steps
        # Now, because there may be no step left that would set it.
        for network in (restored.network, restored.sampling_network):
            network.beta = min(restored.step / max(fade_steps, 1), 1.0)
    return restored


def _check_place(restored, stages):
    """Raises unless the stage that a checkpoint is of is one of those given."""
    place, resolution = restored.stage, restored.model.resolution
    resolutions = [stage.resolution for stage in stages]
    if resolutions[place : place + 1] != [resolution]:
        raise ValueError(
            f"Expected stages that lead to the checkpoint's, number {place + 1} at "
            f"{resolution} pixels. Received stages of {resolutions}"
        )


def fit_progressively(
    model: CFEBM,
    make_dataset: Callable[[Stage, int], Any],
    stages: Iterable[Stage],
    *,
    optimizer: Callable[[Stage], keras.optimizers.Optimizer] = adam,
    callbacks: Any = (),
    report_steps: int = 100,
    checkpoints: Checkpoints | None = None,
    verbose: Any = "auto",
) -> CFEBM:
    """Trains a model stage by stage, growing it between two of them.

    Args:
        model: `CFEBM` whose resolution is that of the first stage (or half of it). If
            made in the scope of a `tf.distribute` strategy, all stages use that.
        make_dataset: function `(stage, start)` that returns batches, without end, of
            `stage.batch_size` images of `stage.resolution`, or of pairs of images and
            labels; `start` of them are skipped, which is above 0 after a resume.
        stages: list of `Stage`s, coarsest first.
        optimizer: function of a `Stage` that returns a new Keras optimizer.
        callbacks: list of Keras callbacks, or a function of a `Stage` that returns one.
        report_steps: int, training steps per epoch, about; an epoch is what progress
            bars, logs and callbacks count in.
        checkpoints: optional `keras_cfebm.callbacks.Checkpoints`; training goes on
            from the last one. Weights, optimizer and noise are the checkpoint's;
            sampler, data noise, L2 penalty, decay of the average and accumulation are
            those of `model`, the pace of β is the stage's.
        verbose: as in `keras.Model.fit`.

    Returns:
        The trained `CFEBM`, with averaged weights and without fade path; compile it
        again to train on. If a callback sets `stop_training`, the model as it is then.

    Raises:
        ValueError: if there is no stage, stages and model (or checkpoint) do not fit
            together, a batch cannot be divided by the replicas of a strategy, or the
            batches come to an end.
    """
    stages = list(stages)
    if not stages:
        raise ValueError("Expected at least one stage. Received none.")
    _check_batches(stages, backend.replicas(model), model.accumulation)
    with backend.scope(model):
        restored = checkpoints.restore() if checkpoints else None
    if restored:
        _check_place(restored, stages)
    first = restored.stage if restored else 0
    for index, stage in enumerate(stages[first:], start=first):
        with backend.scope(model):
            if restored and index == first:
                model = _resumed(restored.model, model, stages[: index + 1])
            else:
                model = enter(model if index == 0 else model.finished(), stage)
                model.compile(optimizer=optimizer(stage))
        active = list(callbacks(stage) if callable(callbacks) else callbacks)
        if checkpoints:
            checkpoints.stage = index
            active.append(checkpoints)
        if not _fit_stage(model, make_dataset, stage, active, report_steps, verbose):
            return model
    with backend.scope(model):
        return model.finished()


def _check_batches(stages, replicas, parts):
    for stage in stages:
        parts = stage.accumulation or parts
        if stage.batch_size % (replicas * parts):
            raise ValueError(
                f"Expected batch sizes that the {replicas} replicas share without a "
                f"rest, and their accumulation. Received: {stage}"
            )


def _fit_stage(model, make_dataset, stage, callbacks, report_steps, verbose):
    """Trains to the end of a stage; False if a callback stopped it before.

    Where training stands is read off the optimizer, which a checkpoint restores and
    the divergence guard turns back.
    """
    epochs, steps = stage.epochs(report_steps)
    while (done := model.step) < epochs * steps:
        epoch, within = divmod(done, steps)
        last = epoch + 1 if within else epochs
        model.fit(
            make_dataset(stage, done),
            initial_epoch=epoch,
            epochs=last,
            steps_per_epoch=steps - within,
            callbacks=callbacks,
            shuffle=False,
            verbose=verbose,
        )
        recovering = any(getattr(c, "recovering", False) for c in callbacks)
        if model.stop_training and not recovering:
            return False
        if not recovering and model.step < last * steps:
            raise ValueError(
                "Expected batches without end, as of dataset.repeat(). Received: no "
                f"more after about {model.step - done} of {stage.resolution} pixels"
            )
    return True
