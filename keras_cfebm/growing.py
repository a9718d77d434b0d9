"""⑤ Progressive training: the one visible loop grow → compile → fit (Alg. 1)."""

from collections.abc import Callable, Iterable
from typing import Any

import keras

from keras_cfebm import backend
from keras_cfebm.callbacks.checkpoints import Checkpoints
from keras_cfebm.configs.stages import Stage
from keras_cfebm.model import CFEBM


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
