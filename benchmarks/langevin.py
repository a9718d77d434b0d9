"""Milliseconds per Langevin step, and for a whole coarse-to-fine chain.

Compared, with the same weights, settings and machine, side by side in one run:

- **keras_cfebm**, the chain as shipped (its steps at one level include the one
  normalisation of the kernels that a chain makes);
- **plain TensorFlow**, the definition of the same layers, operation by operation:
  spectral normalisation at each step, `GradientTape`, `tf.random.normal`;
- with `--torch`, **PyTorch**: the same definition there, a stand-in for the authors'
  implementation;
- with `--peer=path/to/file.py:function`, a network of yours, for example the authors'
  own, in PyTorch. Their repository could not be had where this was written, so their
  names are not guessed: `benchmarks/_torch.py` says what the function has to return.

First all contenders must agree on energies and input gradients to 1e-4, in float32; if
they do not, nothing is timed. With `--dtype=mixed_bfloat16` each is then also held
against float32, coarsely: sums of random weights cancel, so a few percent is normal.

Run from the repository's root:

    python -m benchmarks.langevin --torch --json=runs/langevin.json

The machine must do nothing else, or the ratios flatter: PyTorch's threads wait for each
other at every operation, and busy neighbours on two cores made its steps ten to a
hundred times slower (`--torch_threads=1` tells). The table says when the machine was
not idle.

The memory allocator matters to PyTorch on CPU. For a fair figure run a second time with
MALLOC_MMAP_THRESHOLD_=4294967296 and MALLOC_TRIM_THRESHOLD_=4294967296; what is set is
reported beside the table. On a GPU, set TF_FORCE_GPU_ALLOW_GROWTH=true, so that PyTorch
finds memory, and NVIDIA_TF32_OVERRIDE=0, as TF32 is coarser than the tolerance.
"""

import pathlib

import numpy as np
import tensorflow as tf
from absl import flags

from benchmarks import _common
from benchmarks._networks import make_ladder
from benchmarks._tensorflow import NaiveTensorFlow, Shipped
from keras_cfebm.sampling import Langevin

#: Largest difference from the first contender, relative to its largest value.
TOLERANCE = {"float32": 1e-4, "mixed_bfloat16": 0.2}


class DisagreementError(_common.BenchmarkError):
    """Contenders do not compute the same function, so their times mean nothing."""


def define_flags():
    flags.DEFINE_integer("resolution", 32, "Finest side, 8 times a power of two.")
    flags.DEFINE_integer("channels", 3, "Image channels.", lower_bound=1)
    flags.DEFINE_integer("base_width", 32, "b of the paper; 4b channels.")
    flags.DEFINE_integer("batch", 64, "Images per chain.", lower_bound=1)
    flags.DEFINE_integer("steps", 15, "Langevin steps per level.", lower_bound=1)
    flags.DEFINE_integer("repeats", 7, "Timed runs of each.", lower_bound=1)
    flags.DEFINE_enum("dtype", "float32", list(TOLERANCE), "Keras' dtype policy.")
    flags.DEFINE_bool("torch", False, "Also the same network in PyTorch.")
    flags.DEFINE_integer("torch_threads", 0, "PyTorch's threads; 0 is its default.")
    flags.DEFINE_string("peer", None, "Also a PyTorch network: file.py:function.")
    flags.DEFINE_string("json", None, "File for all the numbers.")


def contenders(options, dtype):
    """The contenders of a run, this package's chain first."""
    ladder = make_ladder(
        options.resolution, options.channels, options.base_width, dtype
    )
    settings = Langevin(steps=options.steps)
    found = [Shipped(ladder, settings), NaiveTensorFlow(ladder, settings, dtype)]
    if options.torch or options.peer:
        import torch

        from benchmarks import _torch, torch_network

        if options.torch_threads:
            torch.set_num_threads(options.torch_threads)
        device = "cuda" if tf.config.list_physical_devices("GPU") else "cpu"
        builders = {"PyTorch": torch_network.naive_network} if options.torch else {}
        if options.peer:
            name = pathlib.Path(options.peer).name  # file.py:function
            builders[name] = _torch.load_builder(options.peer)
        for name, build in builders.items():
            found.append(
                _torch.TorchContender(name, ladder, settings, dtype, build, device)
            )
    return found


def check_agreement(reference, others, batches, tolerance):
    """Compares energies and input gradients on one batch of images per level.

    Returns:
        Dict of contender's name → largest relative difference.

    Raises:
        DisagreementError: if a difference exceeds the tolerance.
    """
    expected = reference.energies_and_gradients(batches)
    worst = {}
    for other in others:
        received = other.energies_and_gradients(batches)
        for images, pair, other_pair in zip(batches, expected, received, strict=True):
            size = images.shape[1]
            for what, a, b in zip(
                ("energies", "input gradients"), pair, other_pair, strict=True
            ):
                error = float(np.max(np.abs(a - b)) / np.max(np.abs(a)))
                if not error <= tolerance:  # NaN fails too
                    raise DisagreementError(
                        f"At {size}×{size} the {what} of {other.name} differ from "
                        f"{reference.name}'s by {error:.1e}. "
                        f"Tolerated: {tolerance:.0e}"
                    )
                worst[other.name] = max(error, worst.get(other.name, 0.0))
    return worst


def run(options):
    """Checks, times and prints.

    Raises:
        DisagreementError: if contenders do not agree; then nothing is timed.
    """
    with_torch = ["torch"] if options.torch or options.peer else []
    machine = _common.machine(["tensorflow", "keras", *with_torch])
    rng = np.random.default_rng(1)
    exact, *others = timed = contenders(options, "float32")
    shapes = [network.image_shape for network in exact.ladder]
    batches = [
        rng.uniform(-1, 1, (options.batch, *shape)).astype("float32")
        for shape in shapes
    ]
    agreement = check_agreement(exact, others, batches, TOLERANCE["float32"])
    if options.dtype != "float32":
        timed = contenders(options, options.dtype)
        check_agreement(exact, timed, batches, TOLERANCE[options.dtype])

    names = [contender.name for contender in timed]
    times = {}
    for level, images in enumerate(batches):
        functions = {c.name: c.steps_at(level, images) for c in timed}
        seconds = _common.interleaved(functions, options.repeats)
        times[f"one step at {images.shape[1]}×{images.shape[1]}"] = {
            name: [1e3 * t / options.steps for t in seconds[name]] for name in names
        }
    functions = {c.name: c.chain(options.batch) for c in timed}
    seconds = _common.interleaved(functions, options.repeats)
    path = "→".join(str(shape[0]) for shape in shapes)
    times[f"chain {path}, {options.steps} steps each"] = {
        name: [1e3 * t for t in seconds[name]] for name in names
    }

    header = [f"median of {options.repeats}, ms", names[0]]
    for name in names[1:]:
        header += [name, "ratio"]
    rows = [_common.comparison_row(label, values) for label, values in times.items()]
    print(_common.markdown_table(header, rows))
    print(
        f"\nBatch {options.batch}, {options.channels} channels, base width "
        f"{options.base_width}, {options.dtype}. Ratios to {names[0]}, which "
        "normalises kernels once per chain; the others do at each step. In float32 all "
        f"agree on energies and input gradients to {max(agreement.values()):.0e}.\n"
        f"{_common.machine_line(machine)}"
    )
    return {"machine": machine, "agreement": agreement, "milliseconds": times}


if __name__ == "__main__":
    _common.main(run, define_flags)
