"""Resuming: the model of a checkpoint, with the settings that may be new."""

from collections.abc import Sequence

from keras_cfebm import backend
from keras_cfebm.callbacks.checkpoints import Checkpoints
from keras_cfebm.configs.stages import Stage
from keras_cfebm.growing import set_sampler
from keras_cfebm.model import CFEBM


def resume(
    checkpoints: Checkpoints, model: CFEBM, stages: Sequence[Stage]
) -> tuple[CFEBM, int | None]:
    """Where a training goes on: at its last checkpoint, or at its start.

    Weights, optimizer and noise are the checkpoint's; sampler, data noise, L2 penalty,
    decay of the average and accumulation are those of `model`, the pace of β is the
    stage's.

    Args:
        checkpoints: `Checkpoints` of the training.
        model: `CFEBM` that the training starts with.
        stages: list of `Stage`s.

    Returns:
        Pair of a `CFEBM` and its `resumed_at`, the arguments of `fit_progressively`:
        the given model and None where there is no checkpoint.

    Raises:
        CheckpointError: if there are checkpoints but none is intact.
        ValueError: if the stage of the checkpoint is none of those given.
    """
    with backend.scope(model):
        restored = checkpoints.restore()
        if restored is None:
            return model, None
        place = restored.stage
        resolutions = [stage.resolution for stage in stages]
        if resolutions[place : place + 1] != [restored.model.resolution]:
            raise ValueError(
                f"Expected stages that lead to the checkpoint's, number {place + 1} at "
                f"{restored.model.resolution} pixels, received stages of {resolutions}."
            )
        _set_arguments(restored.model, model, stages[: place + 1])
        return restored.model, place


def _set_arguments(restored, given, stages):
    for name in (
        "langevin",
        "data_noise",
        "energy_l2",
        "accumulation",
        "data_chains",
        "data_chain_steps",
        "data_chain_noise",
        "coarse_pool",
    ):
        setattr(restored, name, getattr(given, name))
    if None not in (restored.ema_decay, given.ema_decay):
        restored.ema_decay = given.ema_decay
    for stage in stages:
        set_sampler(restored, stage)
    fade_steps = stages[-1].fade_steps
    if restored.network.fading and restored.fade_steps != fade_steps:
        restored.fade_steps = fade_steps
        # Now, because there may be no step left that would set it.
        for network in (restored.network, restored.sampling_network):
            network.beta = min(restored.step / max(fade_steps, 1), 1.0)
