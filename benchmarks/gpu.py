"""Langevin step, chain and training step on an accelerator, on the JAX backend.

One call prints, for each resolution and dtype: the time of a Langevin step at the
finest level, of the whole chain from noise and of a training step (chain included);
images per second; which share of the device's measured peaks the work reaches; the
memory that XLA plans for the training step; and, where PyTorch is installed, a Langevin
step of the same function there (`benchmarks/_torch_bound.py`: the same rewrites,
channels-last, `torch.compile`), after a check that both agree.

The peaks are those of this device, measured now: products of large matrices in the
dtype of the convolutions, and adding one to a large array. FLOPs are those of the
convolutions as they are computed, with a quarter of the definition's where it pools
(`keras_cfebm.configs.costs`); bytes are those that XLA's cost analysis counts.

Needs Keras and JAX only. From the repository's root, on a GPU:

    python -m benchmarks.gpu --json=runs/gpu.json

On a CPU the defaults are small, so that it can be tried out.
"""

import os

os.environ["KERAS_BACKEND"] = "jax"
# Memory for PyTorch's process.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import importlib.util
import statistics
import time

import jax
import keras
from absl import flags
from jax import numpy as jnp

from benchmarks import _common, _comparison
from benchmarks._package import Package, make_ladder, settings_of
from benchmarks._worker import Worker
from keras_cfebm.backend import random
from keras_cfebm.configs.run_config import NetworkConfig
from keras_cfebm.model import CFEBM
from keras_cfebm.sampling import coarse_to_fine, langevin, uniform_start

#: What flags are where they are not given, and sides of the matrix and the array.
_ACCELERATOR = {
    "resolutions": [32, 64, 128],
    "base_width": 32,
    "batch": 256,
    "steps": 15,
    "matrix": 8192,
    "array": 2**28,
}
_CPU = {
    "resolutions": [8, 16],
    "base_width": 4,
    "batch": 4,
    "steps": 3,
    "matrix": 512,
    "array": 2**22,
}
#: Largest difference from PyTorch, relative to the largest value: TF32 is coarse, and
#: with bfloat16 sums of random weights cancel.
_TOLERANCE = {"float32": 1e-2, "mixed_bfloat16": 0.2}


def define_flags():
    flags.DEFINE_list("resolutions", None, "Finest sides, 8 times a power of two.")
    flags.DEFINE_integer("base_width", None, "b of the paper; 4b channels.")
    flags.DEFINE_integer("batch", None, "Images per chain.", lower_bound=1)
    flags.DEFINE_integer("steps", None, "Langevin steps per level.", lower_bound=1)
    flags.DEFINE_integer("channels", 3, "Image channels.", lower_bound=1)
    flags.DEFINE_list("dtypes", list(_TOLERANCE), "Keras' dtype policies.")
    flags.DEFINE_integer("repeats", 7, "Timed runs of each.", lower_bound=1)
    flags.DEFINE_bool("torch", True, "Also PyTorch, where it is installed.")
    flags.DEFINE_string("json", None, "File for all the numbers.")


def sizes_of(options):
    """The sizes of a run: flags where given, else the defaults for this device."""
    sizes = dict(_CPU if jax.default_backend() == "cpu" else _ACCELERATOR)
    for name in ("resolutions", "base_width", "batch", "steps"):
        given = getattr(options, name)
        sizes[name] = sizes[name] if given is None else given
    sizes["resolutions"] = [int(resolution) for resolution in sizes["resolutions"]]
    return sizes


def best_time(function, *arguments, repeats=5):
    """Seconds of the fastest of some calls of a compiled function."""
    function(*arguments).block_until_ready()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function(*arguments).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def peaks(dtype, sizes):
    """FLOP/s of a matrix product and bytes/s of a pass over memory, measured."""
    dtype = keras.DTypePolicy(dtype).compute_dtype
    side = sizes["matrix"]
    matrix = jnp.full((side, side), 0.5, dtype)
    array = jnp.zeros((sizes["array"],), dtype)
    product = best_time(jax.jit(jnp.matmul), matrix, matrix)
    copy = best_time(jax.jit(lambda x: x + 1), array)
    return 2 * side**3 / product, 2 * array.nbytes / copy


def compiled(function, variables, *arguments):
    """Compiles a function that reads variables.

    Returns:
        Pair of what XLA made of it and a function without arguments that runs it.
    """

    def stateless(values, *arguments):
        with keras.StatelessScope(list(zip(variables, values, strict=True))):
            return function(*arguments)

    values = [variable.value for variable in variables]
    executable = jax.jit(stateless).lower(values, *arguments).compile()
    return executable, lambda: executable(values, *arguments).block_until_ready()


def training_step(model, images):
    """The same for a model's training step, whose state goes from call to call."""
    model.compile(keras.optimizers.Adam(1e-3, beta_1=0.5))
    model.optimizer.build(model.trainable_variables)
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    # Copies: the step takes them over.
    state = tuple([jnp.array(variable.value) for variable in group] for group in groups)
    step = jax.jit(model.train_step, donate_argnums=0)
    executable = step.lower(state, (images,)).compile()

    def run():
        nonlocal state
        logs, state = executable(state, (images,))
        jax.block_until_ready(logs)

    return executable, run


def time_torch(problem, repeats):
    """Seconds of runs of the finest steps in PyTorch, and how far from ours it is.

    Raises:
        DisagreementError: if it computes another function.
    """
    exact = Package(problem.replace(dtype="float32")).energies_and_gradients()
    worker = Worker("PyTorch", "benchmarks._torch_bound:BoundTorch", (problem,))
    try:
        found = [worker.ask("energies_and_gradients")]
        workers = {"PyTorch": worker}
        agreement = _comparison.check_agreement(
            workers, exact, found, _TOLERANCE[problem.dtype]
        )
        call = "steps_at", len(problem.levels) - 1
        times = _comparison.timed(workers, call, repeats)["PyTorch"]
    finally:
        worker.close()
    return [1e-3 * milliseconds for milliseconds in times], agreement["PyTorch"]


def measure(resolution, dtype, options, sizes, peak):
    """Times one resolution and dtype.

    Returns:
        Dict of JSON values.
    """
    config = NetworkConfig(base_width=sizes["base_width"], dtype=dtype)
    size = sizes["batch"], sizes["steps"]
    problem = _comparison.make_problem(resolution, options.channels, config, *size)
    settings, ladder = settings_of(problem), make_ladder(problem)
    network = ladder[-1]
    keys = random.image_keys(0, problem.batch)
    images = jnp.asarray(problem.images(-1))

    def steps_at_the_finest(x, keys):
        return langevin(network.bind(), x, keys, settings)

    def chain(keys):
        start = uniform_start(keys, ladder[0].image_shape)
        energies = [level.bind() for level in ladder]
        return coarse_to_fine(energies, start, keys, settings)

    of_ladder = [variable for level in ladder for variable in level.variables]
    finest, run_finest = compiled(steps_at_the_finest, network.variables, images, keys)
    _, run_chain = compiled(chain, of_ladder, keys)
    training, run_training = training_step(CFEBM(ladder, settings), images)
    functions = {"step": run_finest, "chain": run_chain, "training": run_training}
    times = _common.interleaved(functions, options.repeats)
    agreement = None
    if options.torch and importlib.util.find_spec("torch"):
        times["torch"], agreement = time_torch(problem, options.repeats)
    seconds = {name: statistics.median(values) for name, values in times.items()}
    for name in {"step", "torch"} & seconds.keys():
        seconds[name] /= problem.steps
    memory = training.memory_analysis()
    return {
        "resolution": resolution,
        "dtype": dtype,
        "seconds": seconds,
        "flop_share": problem.step_flops[-1] / seconds["step"] / peak[0],
        "training_flop_share": problem.training_flops / seconds["training"] / peak[0],
        # XLA counts the loop's body once.
        "byte_share": finest.cost_analysis()["bytes accessed"]
        / seconds["step"]
        / peak[1],
        "memory": memory.argument_size_in_bytes + memory.temp_size_in_bytes,
        "agreement": agreement,
    }


def run(options):
    """Measures, and prints the table."""
    with_torch = options.torch and importlib.util.find_spec("torch")
    packages = ["jax", "keras", *(["torch"] if with_torch else [])]
    machine = _common.machine(packages)
    sizes = sizes_of(options)
    peak = {dtype: peaks(dtype, sizes) for dtype in options.dtypes}
    rows = [
        measure(resolution, dtype, options, sizes, peak[dtype])
        for resolution in sizes["resolutions"]
        for dtype in options.dtypes
    ]
    header = [
        "images",
        "step, ms",
        "chain, ms",
        "training step, ms",
        "images/s drawn",
        "images/s trained",
        "share of FLOP peak: step",
        "training",
        "share of bandwidth: step",
        "memory, MiB",
        "PyTorch step, ms",
    ]
    print(_common.markdown_table(header, [_cells(row, sizes["batch"]) for row in rows]))
    for dtype, (flops, bandwidth) in peak.items():
        print(f"\nPeaks in {dtype}: {flops / 1e12:.4g} TFLOP/s, ", end="")
        print(f"{bandwidth / 1e9:.4g} GB/s.", end="")
    print(
        f"\nBatch {sizes['batch']}, base width {sizes['base_width']}, {sizes['steps']} "
        "steps per level. Where a step's share of the bandwidth is the larger one, "
        "memory limits it, not arithmetic.\n"
        f"{_common.machine_line(machine)}"
    )
    return {"machine": machine, "sizes": sizes, "peaks": peak, "rows": rows}


def _cells(row, batch):
    seconds = row["seconds"]
    torch_step = f"{1e3 * seconds['torch']:.2f}" if "torch" in seconds else "–"
    return [
        f"{row['resolution']}×{row['resolution']} {row['dtype']}",
        *(f"{1e3 * seconds[name]:.2f}" for name in ("step", "chain", "training")),
        *(f"{batch / seconds[name]:.1f}" for name in ("chain", "training")),
        f"{row['flop_share']:.1%}",
        f"{row['training_flop_share']:.1%}",
        f"{row['byte_share']:.1%}",
        f"{row['memory'] / 2**20:.0f}",
        torch_step,
    ]


if __name__ == "__main__":
    _common.main(run, define_flags)
