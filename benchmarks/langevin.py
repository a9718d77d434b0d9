"""Milliseconds per Langevin step, and for a whole coarse-to-fine chain.

Compared, with the same weights, settings and machine, in turn, each in a process of its
own:

- **keras_cfebm**, as its users call it, also on JAX and PyTorch where installed;
- **plain TensorFlow** and **plain PyTorch**, the definition of the same layers,
  operation by operation, with spectral normalisation at each step;
- **compiled PyTorch**, the strong peer: our rewrites under `torch.compile`;
- with `--peer=path/to/clone`, the authors' network in their own loop;
- with `--baseline=path/to/checkout`, an older version of this package.

First all contenders must agree on energies and input gradients to 1e-4, in float32; if
they do not, nothing is timed. Each runs with the allocator as it is and with one that
keeps its memory (`--malloc`), which matters on CPU. The share of the peak is that of
plain 3×3 convolutions of the same width and resolution, measured in the same run.

Run from the repository's root; the second line is the scale of `make demo`:

    python -m benchmarks.langevin --json=runs/langevin.json
    python -m benchmarks.langevin --preset=fashion_mnist_quick

The machine must do nothing else, or the ratios flatter: PyTorch's threads wait for each
other at every operation, and busy neighbours on two cores made its steps ten to a
hundred times slower. The table says when the machine was not idle. On a GPU, set
NVIDIA_TF32_OVERRIDE=0, as TF32 is coarser than the tolerance.
"""

from benchmarks import _common, _comparison


def run(options):
    """Checks, times and prints.

    Raises:
        DisagreementError: if contenders do not agree; then nothing is timed.
    """
    machine = _comparison.machine(options)
    problem = _comparison.problem_of(options)
    levels = range(len(problem.levels))
    with _comparison.agreeing_workers(options, problem) as (workers, agreement):
        times = {}
        for level in levels:
            found = _comparison.timed(workers, ("steps_at", level), options.repeats)
            times[f"{problem.levels[level]}×{problem.levels[level]}"] = {
                key: [t / problem.steps for t in own] for key, own in found.items()
            }
        times["chain"] = _comparison.timed(workers, ("chain",), options.repeats)
        peaks = [_comparison.convolution_peak(workers, problem, i) for i in levels]

    medians = {label: _comparison.medians(own) for label, own in times.items()}
    shares = {
        key: problem.step_flops[-1] / (1e-3 * milliseconds) / peaks[-1]
        for key, (milliseconds, _) in medians[list(times)[-2]].items()
    }
    header = [f"median of {options.repeats}, ms", "malloc", *times]
    rows = []
    for (name, malloc), share in shares.items():
        cells = [f"{own[name, malloc][0]:.2f}" for own in medians.values()]
        ratio = medians["chain"][name, malloc][1]
        rows.append([name, malloc, *cells, f"{ratio:.2f}×", f"{share:.0%}"])
    print(_common.markdown_table([*header, "ratio", "of the peak"], rows))
    print(
        "\nOne step at each resolution, and the whole chain; the ratio is that of "
        f"chains, the share that of the finest step, of {peaks[-1] / 1e9:.0f} "
        "GFLOP/s.\n"
        f"{_comparison.settings_line(options, problem, agreement)}\n"
        f"{_common.machine_line(machine)}"
    )
    return {
        "machine": machine,
        "agreement": agreement,
        "milliseconds": {k: _comparison.by_name(own) for k, own in times.items()},
        "peaks": peaks,
        "shares": _comparison.by_name(shares),
    }


if __name__ == "__main__":
    _common.main(run, _comparison.define_flags)
