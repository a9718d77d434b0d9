"""Images per second of a whole training step at the finest level.

A step draws its negatives through the whole ladder, follows the gradient of the loss
with Adam, and moves the average of the weights. Contenders, checks and flags are those
of `benchmarks.langevin`. The authors' own loop runs as their script has it: the norms
of the coarser networks move on at each Langevin step, and weights are not averaged.

    python -m benchmarks.training_step --json=runs/training_step.json
    python -m benchmarks.training_step --preset=fashion_mnist_quick
"""

from benchmarks import _common, _comparison


def run(options):
    """Checks, times and prints.

    Raises:
        DisagreementError: if contenders do not agree; then nothing is timed.
    """
    machine = _comparison.machine(options)
    problem = _comparison.problem_of(options)
    with _comparison.agreeing_workers(options, problem) as (workers, agreement):
        times = _comparison.timed(workers, ("training_step",), options.repeats)
        last = len(problem.levels) - 1
        peak = _comparison.convolution_peak(workers, problem, last)

    rows, shares = [], {}
    for (name, malloc), (median, ratio) in _comparison.medians(times).items():
        shares[name, malloc] = problem.training_flops / (1e-3 * median) / peak
        rows.append(
            [
                name,
                malloc,
                f"{median:.1f}",
                f"{ratio:.2f}×",
                f"{1e3 * problem.batch / median:.1f}",
                f"{shares[name, malloc]:.0%}",
            ]
        )
    header = ["training step", "malloc", "ms", "ratio", "images/s", "of the peak"]
    print(_common.markdown_table(header, rows))
    print(
        f"\nMedian of {options.repeats}, at {problem.levels[last]}×"
        f"{problem.levels[last]}. The peak: {peak / 1e9:.0f} GFLOP/s.\n"
        f"{_comparison.settings_line(options, problem, agreement)}\n"
        f"{_common.machine_line(machine)}"
    )
    return {
        "machine": machine,
        "agreement": agreement,
        "milliseconds": _comparison.by_name(times),
        "peak": peak,
        "shares": _comparison.by_name(shares),
    }


if __name__ == "__main__":
    _common.main(run, _comparison.define_flags)
