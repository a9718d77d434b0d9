"""A run of a few weights and steps, from its last checkpoint if there is one."""

import keras
import numpy as np

from keras_cfebm.growing import fit_progressively
from keras_cfebm.model import CFEBM
from keras_cfebm.network import EnergyNetwork
from keras_cfebm.runs.resume import resume
from keras_cfebm.sampling import Langevin


def new_model(width=4, steps=2):
    """A model at 8 pixels, half as wide at 16."""
    keras.utils.set_random_seed(1)
    widths = {4: width, 8: width, 16: width // 2}
    network = EnergyNetwork(8, channels=1, widths=widths)
    return CFEBM([network], langevin=Langevin(steps=steps), seed=1)


def batches(stage, start):
    """Forty batches of four images of uniform noise, but for the first `start`."""
    side = stage.resolution
    shape = (40, 4, side, side, 1)
    images = np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")
    return ((batch,) for batch in images[start:])


def fit(stages, callbacks=(), checkpoints=None, model=None):
    """Trains two steps per epoch, from the last checkpoint if there are any."""
    model, place = new_model() if model is None else model, None
    if checkpoints is not None:
        model, place = resume(checkpoints, model, stages)
        callbacks = [*callbacks, checkpoints]
    return fit_progressively(
        model,
        batches,
        stages,
        resumed_at=place,
        callbacks=callbacks,
        report_steps=2,
        verbose=0,
    )
