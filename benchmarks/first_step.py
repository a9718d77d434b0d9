"""Seconds from `cfebm train` to its first line of progress, and to that of each stage.

A preset is trained for two steps a stage, with a row for each step. What a user waits
for is Python's imports, the data, and the tracing and compiling of a stage's step.
`--baseline` names a checkout of an older version, which is asked in turn with this one.

Run from the repository's root, on an idle machine:

    python -m benchmarks.first_step --json=runs/first_step.json
"""

import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

from absl import flags

from benchmarks import _common

#: The line with which a stage begins.
_STAGE = re.compile(r"Stage (\d+) of \d+")
#: A row of progress. Older versions print Keras' own.
_ROW = re.compile(r"^\s*\d+/\d+\s+[\d.]+\s|- loss: ")


def define_flags():
    flags.DEFINE_string("preset", "fashion_mnist_quick", "What is trained.")
    flags.DEFINE_integer("batch", 32, "Images of a step.", lower_bound=1)
    flags.DEFINE_integer("repeats", 3, "Runs of each version.", lower_bound=1)
    flags.DEFINE_string("baseline", None, "Checkout of an older version of this.")
    flags.DEFINE_string("json", None, "File for all the numbers.")


def first_rows(checkout, options):
    """Seconds until the first row of each stage, from the command, or the row before.

    Args:
        checkout: folder of a version of the package.
        options: object with the values of `define_flags` as attributes.

    Returns:
        List of float, one for each stage.

    Raises:
        BenchmarkError: if the command fails.
    """
    help_text = _output(checkout, "train", "--help")
    stabilise = "stabilise" if "stabilise_images" in help_text else "settle"
    with tempfile.TemporaryDirectory() as folder:
        arguments = [
            f"--preset={options.preset}",
            f"--run_dir={folder}/run",
            f"--batch_size={options.batch}",
            f"--fade_images={options.batch}",
            f"--{stabilise}_images={options.batch}",
            "--report_steps=1",
        ]
        began, seconds, stages = time.perf_counter(), [], set()
        for line in _lines(checkout, "train", *arguments):
            now = time.perf_counter()
            if stage := _STAGE.search(line):
                stages.add(stage[1])
            if _ROW.search(line):
                if len(seconds) < len(stages):
                    seconds.append(now - began)
                began = now
    return seconds


def _command(*arguments):
    return [sys.executable, "-u", "-m", "keras_cfebm", *arguments]


def _environment(checkout):
    return {**os.environ, "PYTHONPATH": str(checkout), "TF_CPP_MIN_LOG_LEVEL": "3"}


def _output(checkout, *arguments):
    options = {"cwd": checkout, "env": _environment(checkout), "text": True}
    return subprocess.run(_command(*arguments), capture_output=True, **options).stdout


def _lines(checkout, *arguments):
    with subprocess.Popen(
        _command(*arguments),
        cwd=checkout,
        env=_environment(checkout),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            yield line
    if process.returncode:
        raise _common.BenchmarkError(f"cfebm train ended with: {''.join(lines[-5:])}")


def run(options):
    """Times the versions in turn and prints the table."""
    machine = _common.machine()
    checkouts = {"keras_cfebm": pathlib.Path(__file__).resolve().parents[1]}
    if options.baseline:
        folder = pathlib.Path(options.baseline).resolve()
        checkouts[f"keras_cfebm of {folder.name}"] = folder
    times = {name: [] for name in checkouts}
    for _ in range(options.repeats):
        for name, checkout in checkouts.items():
            times[name].append(first_rows(checkout, options))
    medians = {
        name: [statistics.median(stage) for stage in zip(*runs, strict=True)]
        for name, runs in times.items()
    }
    stages = range(1, 1 + len(medians["keras_cfebm"]))
    for name, own in medians.items():
        if len(own) != len(stages):
            raise _common.BenchmarkError(
                f"expected a row of each of {len(stages)} stages, received {len(own)} "
                f"of {name}: its rows have another form."
            )
    header = ["version", *(f"first row of stage {stage}, s" for stage in stages)]
    rows = [[name, *(f"{s:.1f}" for s in own)] for name, own in medians.items()]
    print(_common.markdown_table(header, rows))
    print(
        f"\nMedian of {options.repeats}, {options.preset}, batches of {options.batch}; "
        "later stages are counted from the last row of the one before.\n"
        f"{_common.machine_line(machine)}"
    )
    return {"machine": machine, "seconds": times}


if __name__ == "__main__":
    _common.main(run, define_flags)
