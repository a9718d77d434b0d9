"""What the benchmarks share: fair timing, the machine's description, the table."""

import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import sys
import time

import keras
from absl import app, flags

#: Environment variables that change timings; those that are set are reported.
_TUNING = (
    "LD_PRELOAD",
    "GLIBC_TUNABLES",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_TOP_PAD_",
    "OMP_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
    "NVIDIA_TF32_OVERRIDE",
)


def _gpus():
    """Names of the graphics processors that the backend sees."""
    if keras.backend.backend() == "jax":
        import jax

        return [d.device_kind for d in jax.devices() if d.platform != "cpu"]
    import tensorflow as tf

    details = map(
        tf.config.experimental.get_device_details,
        tf.config.list_physical_devices("GPU"),
    )
    return [found.get("device_name", "unknown GPU") for found in details]


def machine(packages=("tensorflow", "keras")):
    """Describes where and when a benchmark ran.

    Args:
        packages: names of the distributions whose versions matter.

    Returns:
        Dict of JSON values: processor, cores, load (processes that were running in the
        last minute, where the system tells; call this before the benchmark's own work),
        gpus, date, versions, environment.
    """
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    model = platform.processor() or platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count()
    environment = {name: os.environ[name] for name in _TUNING if name in os.environ}
    if "LD_PRELOAD" in environment:  # the library tells enough, not its folder
        environment["LD_PRELOAD"] = os.path.basename(environment["LD_PRELOAD"])
    return {
        "processor": model,
        "cores": cores,
        "load": load,
        "gpus": _gpus(),
        "date": datetime.date.today().isoformat(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "environment": environment,
    }


def machine_line(description):
    """Text for a dict from `machine`; it says so when the machine was not idle."""
    cores = f"{description['cores']} core{'' if description['cores'] == 1 else 's'}"
    versions = [f"{name} {value}" for name, value in description["versions"].items()]
    environment = [f"{k}={v}" for k, v in description["environment"].items()]
    parts = [
        description["processor"],
        cores,
        *description["gpus"],
        *versions,
        *environment,
        description["date"],
    ]
    line = ", ".join(parts)
    if (description["load"] or 0) > 0.5:
        line += (
            f"\nNOT TO BE QUOTED: the machine was busy, load {description['load']} "
            "before the run."
        )
    return line


def interleaved(functions, repeats, warm_up=True):
    """Times functions side by side, A B C A B C …

    A machine that slows down half-way then slows all of them alike.

    Args:
        functions: dict of name → function without arguments, which returns only when
            its work is done.
        repeats: int, timed calls of each.
        warm_up: bool, call each once before, untimed.

    Returns:
        Dict of name → list of `repeats` durations in seconds.
    """
    if warm_up:
        for function in functions.values():
            function()
    seconds = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def markdown_table(header, rows):
    """A markdown table: first column to the left, the others to the right.

    Args:
        header: list of str.
        rows: list of lists of str of the same length.

    Returns:
        str without a final newline.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * width for width in widths]
    rule[1:] = [f"{dashes[:-1]}:" for dashes in rule[1:]]

    def line(cells):
        first = cells[0].ljust(widths[0])
        rest = [
            cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)
        ]
        return f"| {' | '.join([first, *rest])} |"

    return "\n".join(line(cells) for cells in (header, rule, *rows))


def write_json(path, results):
    """Writes results, indented, and the folders they need."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


class BenchmarkError(Exception):
    """Why there are no figures: they would mean nothing, or cannot be had."""


def main(run, define_flags):
    """Runs a benchmark with the command line's flags; writes its `--json`.

    Args:
        run: function of an object with the values of the flags as attributes, which
            prints a table and returns a dict of JSON values.
        define_flags: function without arguments that defines the flags.
    """
    define_flags()
    app.run(lambda argv: run_and_save(run, argv))


def run_and_save(run, argv):
    """What `main` does once the flags are defined; `argv` holds what is no flag."""
    if len(argv) > 1:
        raise app.UsageError(f"Expected flags only. Received: {argv[1:]}")
    options = flags.FLAGS
    try:
        results = run(options)
    except BenchmarkError as error:
        sys.exit(f"No figures: {error}")
    if options.json:
        names = options.flags_by_module_dict().get(sys.argv[0], [])
        results["flags"] = {flag.name: flag.value for flag in names}
        write_json(options.json, results)
