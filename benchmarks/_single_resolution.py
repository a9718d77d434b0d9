"""The control of the quality table: one resolution, the same time."""

import csv

import keras
import numpy as np

from keras_cfebm import CFEBM, EnergyNetwork, Stage, fit_progressively
from keras_cfebm.callbacks import DivergenceGuard

#: More images than any budget allows: the time decides.
ENDLESS = 10**9


class Budget(keras.callbacks.Callback):
    """Ends training when its epochs have used up a time.

    Args:
        seconds: float.
        clock: function that returns seconds.
        falling: float, the last share of the time, in which the learning rate falls in
            a line to a hundredth.

    Attributes:
        spent: float, seconds used.
        steps: int, training steps made.
    """

    def __init__(self, seconds, clock, falling=0.0):
        super().__init__()
        self.seconds, self.clock, self.falling = seconds, clock, falling
        self.spent, self.steps, self._factor = 0.0, 0, 1.0

    def on_epoch_begin(self, epoch, logs=None):
        self._last = self.clock()

    def on_train_batch_end(self, batch, logs=None):
        now = self.clock()
        self.spent += now - self._last
        self._last = now
        self.steps += 1
        if self.spent >= self.seconds:
            self.model.stop_training = True
        if self.falling:
            left = 1 - self.spent / self.seconds
            factor = min(max(left / self.falling, 0.01), 1.0)
            # In proportion: the guard may have lowered the rate.
            rate = float(np.asarray(self.model.optimizer.learning_rate))
            self.model.optimizer.learning_rate = rate * factor / self._factor
            self._factor = factor


def training_time(metrics):
    """What a run's training has cost.

    Args:
        metrics: path of its metrics.csv.

    Returns:
        Tuple of the seconds, the clock that they are of ("CPU" or "wall-clock"), and
        the number of training steps.
    """
    with open(metrics, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    has_cpu = all(row.get("cpu_seconds") for row in rows)
    column = "cpu_seconds" if has_cpu else "seconds"
    seconds = sum(float(row[column]) for row in rows)
    return seconds, "CPU" if has_cpu else "wall-clock", int(rows[-1]["step"])


def train_single(config, data, steps, budget, step_size=None):
    """Trains the run's finest network alone, from scratch, at its resolution.

    Args:
        config: `RunConfig` of the run.
        data: its `ImageData`.
        steps: int, Langevin steps.
        budget: `Budget`; its learning rate falls in the share of the time in which that
            of the run's last stage does.
        step_size: float, η; None for that of the run's finest level.

    Returns:
        Trained `CFEBM` of one level.
    """
    last = config.stages[-1]
    keras.utils.set_random_seed(config.seed)
    settings = {
        name: getattr(config.network, name)
        for name in (
            "base_resolution",
            "base_width",
            "widths",
            "activation",
            "spectral_norm",
            "inner",
            "equalized",
            "dtype",
        )
    }
    if config.network.conditional:
        settings["num_classes"] = int(data.labels().max()) + 1
    network = EnergyNetwork(last.resolution, channels=data.channels, **settings)
    own = config.final_langevin.at_level(config.levels - 1)
    model = CFEBM(
        [network],
        langevin=own.replace(steps=steps, step_size=step_size or own.step_size),
        data_noise=config.data_noise,
        energy_l2=config.energy_l2,
        ema_decay=config.ema_decay,
        seed=config.seed,
    )
    images = last.fade_images + last.stabilise_images
    budget.falling = last.decay_images / images if images else 0.0
    stage = Stage(last.resolution, 0, ENDLESS, last.batch_size, last.learning_rate)

    def batches(stage, start):
        return data.batches(
            stage.resolution,
            stage.batch_size,
            seed=config.seed,
            flip=config.data.flip,
            start=start,
            labels=config.network.conditional,
        )

    return fit_progressively(
        model,
        batches,
        [stage],
        callbacks=[DivergenceGuard(), budget],
        report_steps=config.report_steps,
        verbose=0,
    )
