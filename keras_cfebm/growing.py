"""⑤ Progressive training: the one visible loop grow → compile → fit (Alg. 1)."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import keras

from keras_cfebm import backend
from keras_cfebm.callbacks.learning_rate import DecayAtEnd
from keras_cfebm.callbacks.progress import StageProgress
from keras_cfebm.configs.stages import Stage
from keras_cfebm.model import CFEBM, paper_adam


def adam(stage: Stage) -> keras.optimizers.Optimizer:
    """The optimizer of a stage: the paper's, see `keras_cfebm.model.paper_adam`."""
    rate: Any = stage.learning_rate
    if stage.decay_steps:
        start = stage.steps - stage.decay_steps
        rate = DecayAtEnd(rate, start, stage.decay_steps)
    return paper_adam(rate)


def fit_progressively(
    model: CFEBM,
    make_dataset: Callable[[Stage, int], Any],
    stages: Iterable[Stage],
    *,
    resumed_at: int | None = None,
    optimizer: Callable[[Stage], keras.optimizers.Optimizer] = adam,
    callbacks: Any = (),
    report_steps: int = 100,
    verbose: Any = "auto",
) -> CFEBM:
    """Trains a model stage by stage, growing it between two of them.

    Args:
        model: `CFEBM` that has a level of the first stage's resolution, or ends at half
            of it. If made in the scope of a `tf.distribute` strategy, all stages use
            that.
        make_dataset: function `(stage, start)` that returns batches, without end, of
            `stage.batch_size` images of `stage.resolution`, or of pairs of images and
            labels; `start` of them are skipped, which is above 0 after a resume.
        stages: list of `Stage`s. Each doubles the resolution that was reached before,
            or trains a level again that there is, while finer ones wait.
        resumed_at: int, index of the stage in the middle of which `model` was saved,
            compiled; see `keras_cfebm.runs.resume`. None for a training from the start.
        optimizer: function of a `Stage` that returns a new Keras optimizer.
        callbacks: list of Keras callbacks, or a function of a `Stage` that returns one.
        report_steps: int, training steps per epoch, about; an epoch is what the rows of
            `StageProgress`, logs and callbacks count in.
        verbose: 0 prints nothing, 2 a row per epoch, 1 or "auto" on a terminal also the
            epoch in training; see `keras_cfebm.callbacks.StageProgress`.

    Returns:
        The trained `CFEBM`, with averaged weights and without fade path; compile it
        again to train on. If a callback sets `stop_training`, the model as it is then.

    Raises:
        ValueError: if there is no stage, stages and model do not fit together, a batch
            cannot be divided by the replicas of a strategy, or the batches come to an
            end.
    """
    stages = list(stages)
    _check_stages(stages, backend.replicas(model), model.accumulation)
    for index, stage in enumerate(stages):
        if index < (resumed_at or 0):
            continue
        with backend.scope(model):
            if index != resumed_at:
                model = grown_to(model if index == 0 else model.finished(), stage)
                model.compile(optimizer(stage))
        model.stage = index
        active = list(callbacks(stage) if callable(callbacks) else callbacks)
        if verbose:
            steps = math.prod(stage.epochs(report_steps))
            live = verbose in ("auto", 1)
            # First, so that nobody waits for what the others draw and write.
            active.insert(0, StageProgress(stage, index, len(stages), steps, live))
        if not _fit_stage(model, make_dataset, stage, active, report_steps):
            return model
    with backend.scope(model):
        return model.finished()


def grown_to(model: CFEBM, stage: Stage) -> CFEBM:
    """The model that trains in a stage, uncompiled: the given one, or it grown.

    Args:
        model: `CFEBM` that has a level of the stage's resolution, or whose finest
            level is of half of it.
        stage: `Stage`.

    Returns:
        `CFEBM` of `stage.resolution`, with the sampler and accumulation of the stage.

    Raises:
        ValueError: if the stage's resolution is neither.
    """
    levels = [network.resolution for network in (*model.ladder, *model.finer)]
    grows = stage.resolution == 2 * levels[-1]
    if not grows and stage.resolution not in levels:
        raise ValueError(
            f"Expected a stage of one of the model's resolutions, {levels}, or of "
            f"twice the last, received {stage.resolution}."
        )
    trained = levels[-1] if grows else stage.resolution
    if trained != model.resolution:
        model = model.at_resolution(trained)
    if grows:
        model = model.grown(fade_steps=stage.fade_steps)
    set_sampler(model, stage)
    return model


def set_sampler(model: CFEBM, stage: Stage) -> None:
    """Gives a model the sampler and accumulation of a stage, where it has its own."""
    for name in (
        "langevin",
        "accumulation",
        "data_chains",
        "data_chain_steps",
        "data_chain_noise",
    ):
        if (value := getattr(stage, name)) is not None:
            setattr(model, name, value)


def _check_stages(stages, replicas, parts):
    if not stages:
        raise ValueError("Expected at least one stage, received none.")
    for stage in stages:
        parts = stage.accumulation or parts
        if stage.batch_size % (replicas * parts):
            raise ValueError(
                f"Expected batch sizes that {replicas} replicas and {parts} parts, for "
                f"accumulation, share without a rest, received {stage}."
            )


def _fit_stage(model, make_dataset, stage, callbacks, report_steps):
    """Trains to the end of a stage; False if a callback stopped it before."""
    epochs, steps = stage.epochs(report_steps)
    # A checkpoint restores the model's steps, the divergence guard turns them back.
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
            verbose=0,
        )
        recovering = any(getattr(c, "recovering", False) for c in callbacks)
        if model.stop_training and not recovering:
            return False
        if not recovering and model.step < last * steps:
            raise ValueError(
                "Expected batches without end, as of dataset.repeat(), received none "
                f"after about {model.step - done} of {stage.resolution} pixels."
            )
    return True
