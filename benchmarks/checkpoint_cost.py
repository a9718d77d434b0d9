"""The share of training time that goes into checkpoints.

For every stage of a preset: the median time of a training step and of writing one
checkpoint (all levels, averages, optimizer, checksums, synced to disk), and from those
the share at the preset's own interval, one checkpoint per epoch of about `report_steps`
steps. The divergence guard's copy of the weights, made at the same moments, is counted
in. Steps are timed from batch to batch inside `fit`, after the first ones.

Run from the repository's root, with `--folder` on the disk that will hold the run:

    python -m benchmarks.checkpoint_cost
"""

import itertools
import pathlib
import statistics
import tempfile
import time

import keras
from absl import flags

from benchmarks import _common
from keras_cfebm import configs
from keras_cfebm.callbacks import Checkpoints, DivergenceGuard, EnergyLog
from keras_cfebm.growing import adam, grown_to
from keras_cfebm.runs.train import load_data, new_model

#: Steps at the start of `fit` that are not timed: the first one compiles.
_WARM_UP = 3


def define_flags():
    flags.DEFINE_string("preset", "fashion_mnist_quick", "Configuration to measure.")
    flags.DEFINE_integer("steps", 12, "Timed steps per stage.", lower_bound=1)
    flags.DEFINE_integer("saves", 5, "Checkpoints per stage.", lower_bound=1)
    flags.DEFINE_string("folder", None, "Where to write; default the system's.")
    flags.DEFINE_string("json", None, "File for all the numbers.")


class StepTimes(keras.callbacks.Callback):
    """Seconds from the end of each step to the end of the next."""

    def on_train_begin(self, logs=None):
        self.ends = []

    def on_train_batch_end(self, batch, logs=None):
        self.ends.append(time.perf_counter())

    def seconds(self):
        """Durations after the warm-up."""
        ends = self.ends[_WARM_UP - 1 :]
        return [b - a for a, b in itertools.pairwise(ends)]


def grown_untrained(model, stage):
    """`grown_to`, as if the stage before had been trained to its end."""
    if model.network.fading:
        model.network.beta = model.ema_network.beta = 1.0
    return grown_to(model.finished(), stage)


def measure(model, batches, folder, options):
    """Times one stage.

    Args:
        model: compiled `CFEBM`.
        batches: `tf.data.Dataset` without end.
        folder: where checkpoints go.
        options: object with the values of `define_flags` as attributes.

    Returns:
        Dict of lists of seconds `step`, `save`, `snapshot`, and `bytes` of one
        checkpoint.
    """
    guard, log, times = DivergenceGuard(), EnergyLog(), StepTimes()
    checkpoints = Checkpoints(folder, companions=[log, guard])
    model.fit(
        batches,
        steps_per_epoch=_WARM_UP + options.steps,
        shuffle=False,
        callbacks=[log, guard, times],
        verbose=0,
    )
    checkpoints.set_model(model)
    saves, snapshots = [], []
    for _ in range(options.saves):
        began = time.perf_counter()
        path = checkpoints.save()
        saves.append(time.perf_counter() - began)
        began = time.perf_counter()
        guard.snapshot()
        snapshots.append(time.perf_counter() - began)
    size = sum(file.stat().st_size for file in path.iterdir())
    seconds = {"step": times.seconds(), "save": saves, "snapshot": snapshots}
    return {**seconds, "bytes": size}


def run(options):
    """Times every stage and prints the table."""
    machine = _common.machine()
    config = configs.config(options.preset)
    data = load_data(config.data)
    model, rows, results = new_model(config, data), [], []
    training, saving = 0.0, 0.0
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for index, stage in enumerate(config.stages):
            if index:
                model = grown_untrained(model, stage)
            model.compile(adam(stage))
            batches = data.batches(stage.resolution, stage.batch_size)
            place = pathlib.Path(folder) / str(stage.resolution)
            result = measure(model, batches, place, options)
            epochs, steps = stage.epochs(config.report_steps)
            step = statistics.median(result["step"])
            save = statistics.median(result["save"])
            save += statistics.median(result["snapshot"])
            training += epochs * steps * step
            saving += epochs * save
            share = save / (save + steps * step)
            results.append({"resolution": stage.resolution, "share": share, **result})
            rows.append(
                [
                    f"{stage.resolution} × {stage.resolution}",
                    f"{1e3 * step:.0f} ms",
                    str(steps),
                    f"{1e3 * save:.0f} ms",
                    f"{result['bytes'] / 1e6:.1f} MB",
                    f"{100 * share:.2f} %",
                ]
            )
    share = saving / (training + saving)
    rows.append(["whole run", "", "", "", "", f"{100 * share:.2f} %"])
    header = ["stage", "step", "steps between", "checkpoint", "size", "share of time"]
    print(_common.markdown_table(header, rows))
    print(f"\nPreset {options.preset}.\n{_common.machine_line(machine)}")
    return {"machine": machine, "share": share, "stages": results}


if __name__ == "__main__":
    _common.main(run, define_flags)
