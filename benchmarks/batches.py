"""What it costs a training step that batches come from a Python generator.

`tf.data.Dataset.from_generator` sets the C library's M_MMAP_THRESHOLD to 128 KiB, under
Python 3.11 and later (TensorFlow 2.21). From then on each larger tensor of the process
is made of new memory pages, which the system has to find and to clear. The package's
own batches are read by their number. The same batches are trained on both ways, in two
processes that are asked in turn.

Run from the repository's root, on an idle machine:

    python -m benchmarks.batches
"""

import resource
import statistics
import time

from absl import flags

from benchmarks import _common
from benchmarks._worker import Worker

#: Name → whether batches come from a generator.
WAYS = {"by number, as here": False, "`from_generator`": True}


def define_flags():
    flags.DEFINE_string("preset", "fashion_mnist_demo", "Whose last stage is trained.")
    flags.DEFINE_integer("steps", 10, "Steps of a timed run.", lower_bound=1)
    flags.DEFINE_integer("repeats", 3, "Timed runs of each way.", lower_bound=1)
    flags.DEFINE_string("json", None, "File for all the numbers.")


class Training:
    """The last stage of a preset, at its start.

    Args:
        preset: str, of a data set that comes with the package, or is on this machine.
        from_generator: bool, whether its batches come from a Python generator.
    """

    def __init__(self, preset, from_generator):
        import tensorflow as tf

        from benchmarks.checkpoint_cost import grown_untrained
        from keras_cfebm import configs
        from keras_cfebm.growing import adam
        from keras_cfebm.runs.train import load_data, new_model

        config = configs.config(preset)
        data = load_data(config.data)
        self._model = new_model(config, data)
        self._model.coarse_pool = min(self._model.coarse_pool, 100)
        for stage in config.stages[1:]:
            self._model = grown_untrained(self._model, stage)
        last = config.stages[-1]
        self._model.compile(adam(last))
        options = {"labels": config.network.conditional}
        batches = data.batches(last.resolution, last.batch_size, **options)
        if from_generator:
            signature = batches.element_spec
            arrays = data.batches(
                last.resolution, last.batch_size, as_numpy=True, **options
            )
            batches = tf.data.Dataset.from_generator(
                lambda: arrays, output_signature=signature
            ).prefetch(2)
        self._batches = batches
        self.measure(1)  # compiles

    def measure(self, steps):
        """Milliseconds and page faults of a step: two floats."""
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        start = time.perf_counter()
        self._model.fit(self._batches, steps_per_epoch=steps, shuffle=False, verbose=0)
        seconds = time.perf_counter() - start
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
        return 1e3 * seconds / steps, faults / steps


def run(options):
    """Trains both ways and prints the table."""
    machine = _common.machine()
    workers = {
        name: Worker(name, "benchmarks.batches:Training", (options.preset, way))
        for name, way in WAYS.items()
    }
    found = {name: [] for name in workers}
    try:
        for _ in range(options.repeats):
            for name, worker in workers.items():
                found[name].append(worker.ask("measure", options.steps))
    finally:
        for worker in workers.values():
            worker.close()
    medians = {
        name: [statistics.median(column) for column in zip(*runs, strict=True)]
        for name, runs in found.items()
    }
    first, _ = next(iter(medians.values()))
    rows = [
        [name, f"{milliseconds:.0f}", f"{milliseconds / first:.2f}×", f"{faults:,.0f}"]
        for name, (milliseconds, faults) in medians.items()
    ]
    header = ["batches", "step, ms", "ratio", "page faults of a step"]
    print(_common.markdown_table(header, rows))
    print(
        f"\nLast stage of {options.preset}, medians of {options.repeats} runs of "
        f"{options.steps} steps.\n{_common.machine_line(machine)}"
    )
    return {"machine": machine, "runs": found}


if __name__ == "__main__":
    _common.main(run, define_flags)
