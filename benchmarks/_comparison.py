"""What `benchmarks.langevin` and `benchmarks.training_step` share: the contenders.

Each contender is a process of its own. They are asked in turn, A B C A B C …, after all
have been found to compute the same energies and input gradients.
"""

import contextlib
import importlib.util
import pathlib
import statistics

import numpy as np
from absl import flags

from benchmarks import _common
from benchmarks._problem import Problem, random_layers
from benchmarks._worker import Worker
from keras_cfebm import configs
from keras_cfebm.configs import costs
from keras_cfebm.configs.run_config import NetworkConfig
from keras_cfebm.layers.levels import levels_of

#: Largest difference from this package in float32, relative to its largest value. With
#: bfloat16 sums of random weights cancel, so a few percent is normal.
TOLERANCE = {"float32": 1e-4, "mixed_bfloat16": 0.2}
OURS = "keras_cfebm"
#: name → class, Keras' backend or None, and what has to be installed.
CONTENDERS = {
    OURS: ("benchmarks._package:Package", "tensorflow", "tensorflow"),
    "plain TensorFlow": ("benchmarks._tensorflow:PlainTensorFlow", None, "tensorflow"),
    "plain PyTorch": ("benchmarks._torch:PlainTorch", None, "torch"),
    "compiled PyTorch": (
        "benchmarks._torch_bound:BoundTorch",
        None,
        "torch",
    ),
    "keras_cfebm on JAX": ("benchmarks._package:Package", "jax", "jax"),
    "keras_cfebm on PyTorch": ("benchmarks._package:Package", "torch", "torch"),
}
#: What the memory allocator is told; stock takes back what the caller has set.
_MALLOC = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
MALLOC = {
    "stock": dict.fromkeys(_MALLOC),
    "tuned": dict.fromkeys(_MALLOC, str(2**32)),
}


class DisagreementError(_common.BenchmarkError):
    """Contenders do not compute the same function, so their times mean nothing."""


def define_flags():
    flags.DEFINE_string("preset", None, "Size of a preset, in place of the next four.")
    flags.DEFINE_integer("resolution", 32, "Finest side, 8 times a power of two.")
    flags.DEFINE_integer("channels", 3, "Image channels.", lower_bound=1)
    flags.DEFINE_integer("base_width", 32, "b of the paper; 4b channels.")
    flags.DEFINE_integer("batch", 64, "Images per chain.", lower_bound=1)
    flags.DEFINE_integer("steps", 15, "Langevin steps per level.", lower_bound=1)
    flags.DEFINE_integer("repeats", 5, "Timed runs of each.", lower_bound=1)
    flags.DEFINE_enum("dtype", "float32", list(TOLERANCE), "Keras' dtype policy.")
    flags.DEFINE_list("contenders", None, f"Beside {OURS}: of {list(CONTENDERS)}.")
    flags.DEFINE_list("malloc", list(MALLOC), "Settings of the memory allocator.")
    flags.DEFINE_string("peer", None, "Clone of github.com/YangNaruto/ProEBM.")
    flags.DEFINE_string("baseline", None, "Checkout of an older version of this.")
    flags.DEFINE_string("json", None, "File for all the numbers.")


def make_problem(resolution, channels, network, batch, steps):
    """The `Problem` of a `NetworkConfig`, with random weights."""
    levels = levels_of(resolution, network.base_resolution)
    rng = np.random.default_rng(0)
    return Problem(
        levels=levels,
        channels=channels,
        base_width=network.base_width,
        widths=network.widths,
        inner=network.inner,
        layers=[
            random_layers(costs.convolutions(level, channels, network), rng)
            for level in levels
        ],
        step_flops=[
            batch * costs.langevin_step_flops(level, channels, network)
            for level in levels
        ],
        batch=batch,
        steps=steps,
        dtype=network.dtype,
    )


def problem_of(options):
    """The `Problem` that the flags ask for, in float32."""
    if options.preset is None:
        network = NetworkConfig(base_width=options.base_width)
        size = options.resolution, options.channels
    else:
        preset = configs.find(options.preset)
        network = preset.config.network
        size = preset.config.stages[-1].resolution, preset.channels
        known = NetworkConfig(
            base_width=network.base_width, widths=network.widths, inner=network.inner
        )
        if network != known:
            raise _common.BenchmarkError(
                f"the contenders know networks like {known}, not {network}."
            )
    return make_problem(*size, network, options.batch, options.steps)


def machine(options):
    """`_common.machine` with the versions of all that is compared."""
    packages = {"tensorflow": None, "keras": None}
    packages |= dict.fromkeys(CONTENDERS[name][2] for name in _chosen(options))
    return _common.machine(list(packages))


def _chosen(options):
    """Names of the contenders, this package first: those asked for, or installed."""
    if options.contenders is None:
        return [n for n, (*_, p) in CONTENDERS.items() if importlib.util.find_spec(p)]
    unknown = set(options.contenders) - set(CONTENDERS)
    if unknown:
        raise _common.BenchmarkError(
            f"expected contenders of {list(CONTENDERS)}, received {sorted(unknown)}."
        )
    return list(dict.fromkeys([OURS, *options.contenders]))


def _workers(options, problem):
    """Starts the processes: dict of (name, malloc) → `Worker`, this package first."""
    entrants = {
        name: (spec, (problem,), backend, None)
        for name, (spec, backend, _) in CONTENDERS.items()
        if name in _chosen(options)
    }
    if options.baseline:
        folder = pathlib.Path(options.baseline).resolve()
        spec, backend, _ = CONTENDERS[OURS]
        entrants[f"keras_cfebm of {folder.name}"] = spec, (problem,), backend, folder
    if options.peer:
        folder = str(pathlib.Path(options.peer).resolve())
        spec = "benchmarks._authors:Authors"
        entrants["the authors' own loop"] = spec, (problem, folder), None, None
    return {
        (name, malloc): Worker(
            f"{name} ({malloc} malloc)",
            spec,
            arguments,
            {
                "KERAS_BACKEND": backend,
                # On a GPU they share its memory.
                "TF_FORCE_GPU_ALLOW_GROWTH": "true",
                "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
                **MALLOC[malloc],
            },
            package,
        )
        for malloc in options.malloc
        for name, (spec, arguments, backend, package) in entrants.items()
    }


@contextlib.contextmanager
def agreeing_workers(options, problem):
    """The contenders' processes, once they agree; they end with the context.

    All must agree in float32. In another dtype each is then also held against this
    package in float32, coarsely.

    Yields:
        Pair of a dict of (name, malloc) → `Worker`, this package first for each malloc,
        and a dict of the worker's name → largest relative difference in float32.

    Raises:
        DisagreementError: if a difference exceeds the tolerance.
    """
    workers = _workers(options, problem)
    try:
        expected, agreement = _agreement(options, workers, None, "float32")
        if options.dtype != "float32":
            _close(workers)
            workers = _workers(options, problem.replace(dtype=options.dtype))
            _agreement(options, workers, expected, options.dtype)
        yield workers, agreement
    finally:
        _close(workers)


def _agreement(options, workers, expected, dtype):
    """Checks those of one malloc: the others compute the same."""
    own = {key: w for key, w in workers.items() if key[1] == options.malloc[0]}
    found = ask_all(own, "energies_and_gradients")
    expected = found[0] if expected is None else expected
    return expected, check_agreement(own, expected, found, TOLERANCE[dtype])


def _close(workers):
    for worker in workers.values():
        worker.close()


def ask_all(workers, *call):
    """The results of a call in each process, all at once."""
    for worker in workers.values():
        worker.send(*call)
    return [worker.receive() for worker in workers.values()]


def difference(expected, received):
    """Largest difference of two arrays, relative to the first's largest value."""
    return float(np.max(np.abs(expected - received)) / np.max(np.abs(expected)))


def check_agreement(workers, expected, found, tolerance):
    """Compares energies and input gradients at each level.

    Args:
        workers: dict of `Worker`s.
        expected: list of pairs of arrays, for each level.
        found: list of such lists, of each worker.
        tolerance: float.

    Returns:
        Dict of the worker's name → largest relative difference.

    Raises:
        DisagreementError: if a difference exceeds the tolerance.
    """
    worst = {}
    for worker, pairs in zip(workers.values(), found, strict=True):
        errors = []
        for pair, other in zip(expected, pairs, strict=True):
            for what, a, b in zip(("energies", "gradients"), pair, other, strict=True):
                errors.append(difference(a, b))
                if not errors[-1] <= tolerance:  # NaN fails too
                    side = pair[1].shape[1]
                    raise DisagreementError(
                        f"At {side}×{side} the {what} of {worker.name} differ from "
                        f"{OURS}'s by {errors[-1]:.1e}. Tolerated: {tolerance:.0e}"
                    )
        worst[worker.name] = max(errors)
    return worst


def timed(workers, call, repeats):
    """Milliseconds of a call in each process, in turn; the first ones are untimed.

    Args:
        workers: dict of `Worker`s.
        call: tuple of a contender's method that returns a function, and arguments.
        repeats: int.

    Returns:
        Dict of the keys of `workers` → list of float.
    """
    ask_all(workers, "run", *call)  # compiles, at once
    functions = {
        key: lambda worker=worker: worker.ask("run", *call)
        for key, worker in workers.items()
    }
    seconds = _common.interleaved(functions, repeats, warm_up=False)
    return {key: [1e3 * t for t in times] for key, times in seconds.items()}


def convolution_peak(workers, problem, level, repeats=5):
    """FLOP/s of plain 3×3 convolutions at a level, in the fastest of some calls."""
    ours = {key: worker for key, worker in workers.items() if key[0] == OURS}
    times = timed(ours, ("convolutions", level), repeats)
    fastest = min(min(own) for own in times.values())
    return problem.convolutions_flops(level) / (1e-3 * fastest)


def medians(times):
    """The median of each list, and its ratio to this package's with that malloc."""
    found = {key: statistics.median(values) for key, values in times.items()}
    return {key: (m, m / found[OURS, key[1]]) for key, m in found.items()}


def by_name(times):
    """The same with names for keys, as JSON needs them."""
    return {f"{name} ({malloc} malloc)": own for (name, malloc), own in times.items()}


def settings_line(options, problem, agreement):
    """What was compared, for below the table."""
    widths = {level: problem.width(i) for i, level in enumerate(problem.levels)}
    return (
        f"Batch {problem.batch}, {problem.channels} channels, widths {widths}, "
        f"{problem.steps} steps per level, {options.dtype}. Ratios are to {OURS} with "
        "the same malloc. In float32 all agree on energies and input gradients to "
        f"{max(agreement.values()):.0e}."
    )
