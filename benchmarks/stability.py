"""Runs that survive settings known to be unstable, with and without the guard.

Small models are trained on the embedded Fashion-MNIST images: once with the defaults,
and with some of them made worse: no spectral normalisation, LeakyReLU, too large a
Langevin step, too high a learning rate from the start or from the middle of the last
stage on. Each setting runs with several seeds, with and without `DivergenceGuard`; both
runs of a seed see the same images and start from the same weights.

A run **survives** if it ends with finite weights and its samples are usable: their
classifier FID, to training images of the same resolution, is at most twice the median
of the defaults without guard. The table has the medians over all seeds; a run without
finite samples counts as infinitely bad.

Run from the repository's root, on an idle machine (about ten minutes on two cores):

    python -m benchmarks.stability --json=runs/stability.json

`--resolution=16` grows the model once, which takes several times longer.
"""

import math
import statistics
import sys

import keras
import numpy as np
from absl import flags

from benchmarks import _common
from benchmarks._fashion import classifier_fid
from keras_cfebm import CFEBM, EnergyNetwork, Langevin, Stage, datasets
from keras_cfebm.callbacks import DivergenceError, DivergenceGuard
from keras_cfebm.growing import fit_progressively
from keras_cfebm.layers.levels import levels_of

#: Name → what differs from the defaults.
SETTINGS = {
    "defaults": {},
    "no spectral norm": {"spectral_norm": False},
    "LeakyReLU": {"activation": "leaky_relu"},
    "step size × 30": {"step_size": 30.0},
    "learning rate × 100 from the middle on": {"spike": 100.0},
    "learning rate × 1000 from the middle on": {"spike": 1000.0},
    "no spectral norm, learning rate × 30": {
        "spectral_norm": False,
        "learning_rate": 3e-2,
    },
    "no spectral norm, step size × 30": {"spectral_norm": False, "step_size": 30.0},
    "no spectral norm, LeakyReLU, both × 30": {
        "spectral_norm": False,
        "activation": "leaky_relu",
        "step_size": 30.0,
        "learning_rate": 3e-2,
    },
}


def define_flags():
    flags.DEFINE_enum("resolution", "8", ["8", "16"], "Side of the finest images.")
    flags.DEFINE_integer("seeds", 3, "Runs of each kind.", lower_bound=1)
    flags.DEFINE_integer("steps", 600, "Training steps per level.", lower_bound=20)
    flags.DEFINE_integer("width", 32, "Channels of every level.", lower_bound=1)
    flags.DEFINE_integer("samples", 1000, "Samples to judge.", lower_bound=65)
    flags.DEFINE_list("settings", list(SETTINGS), "Which settings to run.")
    flags.DEFINE_string("json", None, "File for all the numbers.")


def train(setting, seed, guard, options):
    """One run.

    Args:
        setting: dict, values of `SETTINGS`.
        seed: int.
        guard: bool.
        options: object with the values of `define_flags` as attributes.

    Returns:
        Dict: finite (of the weights), rollbacks, gave_up, classifier_fid (None if there
        are no finite samples).
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    resolution = int(options.resolution)
    levels = levels_of(resolution, 8)
    data = datasets.load(datasets.EMBEDDED, resolution=32, fit="pad")
    network = EnergyNetwork(
        levels[0],
        channels=1,
        widths={level: options.width for level in [4, *levels]},
        activation=setting.get("activation", "swish"),
        spectral_norm=setting.get("spectral_norm", True),
    )
    langevin = Langevin(step_size=setting.get("step_size", 1.0))
    model = CFEBM([network], langevin=langevin, seed=seed)
    batch_size = 64
    stages = [
        Stage(
            level,
            fade_images=options.steps * batch_size // 3 if level > levels[0] else 0,
            stabilise_images=options.steps * batch_size,
            batch_size=batch_size,
            learning_rate=setting.get("learning_rate", 1e-3),
        )
        for level in levels
    ]
    watch, last = DivergenceGuard(), Last()
    callbacks = [watch, last] if guard else [last]
    if "spike" in setting:
        callbacks.insert(0, Spike(setting["spike"], resolution, options.steps // 2))
    gave_up = False
    try:
        model = fit_progressively(
            model,
            lambda stage, start: data.batches(
                stage.resolution, stage.batch_size, seed=seed, start=start
            ),
            stages,
            callbacks=callbacks,
            report_steps=50,
            verbose=0,
        )
    except DivergenceError:
        model, gave_up = last.model, True
    finite = all(np.isfinite(weight.numpy()).all() for weight in model.weights)
    images = model.generate(options.samples, seed=seed, batch_size=250)
    judged = np.isfinite(images).all() and images.shape[1] == resolution
    return {
        "finite": finite,
        "rollbacks": len(watch.events),
        "gave_up": gave_up,
        "classifier_fid": classifier_fid(images) if judged else None,
    }


class Last(keras.callbacks.Callback):
    """Remembers the model in training."""


class Spike(keras.callbacks.Callback):
    """Raises the learning rate once, at the first epoch from a step of a stage on."""

    def __init__(self, factor, resolution, step):
        super().__init__()
        self.factor, self.resolution, self.step = factor, resolution, step

    def on_epoch_begin(self, epoch, logs=None):
        optimizer = self.model.optimizer
        here = self.model.resolution == self.resolution
        if here and self.factor and int(optimizer.iterations) >= self.step:
            optimizer.learning_rate.assign(optimizer.learning_rate * self.factor)
            self.factor = None


def run(options):
    """Trains, and prints the table."""
    machine = _common.machine()
    unknown = set(options.settings) - set(SETTINGS)
    if unknown:
        raise ValueError(f"Unknown settings {unknown}. Expected some of {[*SETTINGS]}")
    runs = []
    for name in dict.fromkeys(["defaults", *options.settings]):
        for guard in (False, True):
            for seed in range(options.seeds):
                result = train(SETTINGS[name], seed, guard, options)
                runs.append({"setting": name, "guard": guard, "seed": seed, **result})
                print(runs[-1], file=sys.stderr, flush=True)

    limit = 2 * statistics.median(_distances(runs, "defaults", False))
    rows = []
    for name in dict.fromkeys(run["setting"] for run in runs):
        row = [name]
        for guard in (False, True):
            distances = _distances(runs, name, guard)
            survivors = sum(distance <= limit for distance in distances)
            row += [f"{survivors} of {options.seeds}"]
            row += [f"{statistics.median(distances):.1f}"]
        rollbacks = [r["rollbacks"] for r in runs if r["setting"] == name]
        rows.append([*row, str(sum(rollbacks))])
    header = ["setting", "survive", "FID", "with guard", "FID", "rollbacks"]
    print(_common.markdown_table(header, rows))
    print(
        f"\n{options.resolution} × {options.resolution}, {options.steps} steps per "
        f"level, width {options.width}, {options.samples} samples. Survives: finite, "
        f"classifier FID at most {limit:.1f}.\n{_common.machine_line(machine)}"
    )
    return {"machine": machine, "limit": limit, "runs": runs}


def _distances(runs, setting, guard):
    return [
        math.inf
        if run["classifier_fid"] is None or not run["finite"]
        else run["classifier_fid"]
        for run in runs
        if run["setting"] == setting and run["guard"] == guard
    ]


if __name__ == "__main__":
    _common.main(run, define_flags)
