"""Quality of a trained run: samples, anomaly detection, restoration, translation.

The first table holds the paper's claim against a control: coarse-to-fine training
against one energy network of the same shape that is trained from scratch at the finest
resolution **for the same time**: CPU time of all cores together where the run's
metrics.csv has it (`cpu_seconds`), wall-clock time otherwise, of the training epochs
alone in both cases. The control's chains start at uniform noise, too; it is trained
once for each entry of --single_steps, the number of Langevin steps of its chain (by
default that of one level of the run, and that of all its levels together). Beside both
stand what scales the figure: the test set, pixelated and noisy images.

The other tables are the figures of `cfebm detect`, `denoise`, `inpaint` and `translate`
with the same seed; `--ood_run_dir`, `--denoise_run_dir` and `--translation_run_dirs`
name further runs.

Run from the repository's root, on an otherwise idle machine, after for example
`cfebm train --preset=fashion_mnist_quick --run_dir=runs/quick`:

    python -m benchmarks.quality --run_dir=runs/quick --json=runs/quality.json
"""

import contextlib
import io
import json
import pathlib
import tempfile
import time

from absl import flags

from benchmarks import _common
from benchmarks._single_resolution import Budget, train_single, training_time
from keras_cfebm.cli.main import main as cfebm
from keras_cfebm.evaluation import fashion_mnist_figures
from keras_cfebm.runs.run_folder import RunFolder
from keras_cfebm.runs.train import load_data


class CommandError(_common.BenchmarkError):
    """A command of the package has failed."""


def define_flags():
    flags.DEFINE_string("run_dir", "runs/quick", "Run at 32×32 on the embedded images.")
    flags.DEFINE_string("ood_run_dir", None, "Run trained on some classes only.")
    flags.DEFINE_string("denoise_run_dir", None, "Run that learned to remove noise.")
    flags.DEFINE_list("translation_run_dirs", [], "Runs that translate.")
    flags.DEFINE_integer("samples", 2000, "Samples judged.", lower_bound=65)
    flags.DEFINE_integer("images", 200, "Images restored.", lower_bound=4)
    flags.DEFINE_integer("seed", 1, "Of samples, noise and choices.", lower_bound=0)
    flags.DEFINE_list("single_steps", None, "Langevin steps of the controls.")
    flags.DEFINE_float(
        "budget", None, "Seconds for each control, in place of the run's."
    )
    flags.DEFINE_string("json", None, "File for all the numbers.")


def sample_table(options):
    """Classifier FID of the run, its controls trained alike, and known images.

    Returns:
        List of dicts: name, distance, steps (None for images), seconds.
    """
    run = RunFolder(options.run_dir)
    config, ladder = run.read_config(), run.load()
    if config.network.conditional or config.source is not None:
        raise ValueError(
            f"Expected a run without classes and sources in {run.path}: its samples "
            "are compared with those of a single resolution."
        )
    seconds, clock_name, made = training_time(run.metrics)
    clock = time.process_time if clock_name == "CPU" else time.monotonic
    data = load_data(config.data)
    found = fashion_mnist_figures(ladder.generate(options.samples, options.seed))
    path = "→".join(str(stage.resolution) for stage in config.stages)
    rows = [_row(f"coarse to fine, {path}", found, made, seconds)]
    chain, levels = config.final_langevin, config.levels
    chains = options.single_steps or sorted(
        {chain.steps_at(levels - 1), chain.total_steps(levels)}
    )
    for steps in map(int, chains):
        budget = Budget(options.budget or seconds, clock)
        single = train_single(config, data, steps, budget)
        figures = fashion_mnist_figures(single.generate(options.samples, options.seed))
        name = f"single resolution, {steps} Langevin steps"
        rows.append(_row(name, figures, budget.steps, budget.spent))
    for name, distance in found["classifier_fid"].items():
        if name != "samples":
            label = f"{name.replace('_', ' ')} ({found['control_samples']} images)"
            rows.append({"name": label, "distance": distance})
    return rows, clock_name


def _row(name, figures, steps, seconds):
    distance = figures["classifier_fid"]["samples"]
    return {"name": name, "distance": distance, "steps": steps, "seconds": seconds}


def command(name, run_dir, folder, *arguments, seed=1):
    """Runs a `cfebm` command and returns its figures.json."""
    output = pathlib.Path(folder) / name
    given = [name, f"--model={run_dir}", f"--output={output}", f"--seed={seed}"]
    with contextlib.redirect_stdout(io.StringIO()):  # its table; ours is markdown
        code = cfebm([*given, *arguments])
    if code:
        raise CommandError(f"cfebm {name} ended with code {code}.")
    return json.loads((output / "figures.json").read_text(encoding="utf-8"))


def run(options):
    """Measures and prints everything.

    Raises:
        CommandError: if one of the package's commands fails.
    """
    results = {"machine": _common.machine(["tensorflow", "keras", "scikit-image"])}
    results["samples"], clock = sample_table(options)
    header = ["classifier FID", "distance", "training steps", f"{clock} seconds"]
    rows = [
        [
            row["name"],
            f"{row['distance']:.1f}",
            str(row.get("steps", "")),
            f"{row['seconds']:.0f}" if "seconds" in row else "",
        ]
        for row in results["samples"]
    ]
    print(_common.markdown_table(header, rows))
    print(f"\n{options.samples} samples each, against the training images.\n")
    with tempfile.TemporaryDirectory() as folder:

        def figures(name, run_dir, *arguments):
            return command(name, run_dir, folder, *arguments, seed=options.seed)

        for name in filter(None, [options.run_dir, options.ood_run_dir]):
            found = figures("detect", name)["figures"]
            results.setdefault("detection", {})[pathlib.Path(name).name] = found
            print(f"{_detection(found, pathlib.Path(name).name)}\n")
        count = f"--count={options.images}"
        for name in filter(None, [options.run_dir, options.denoise_run_dir]):
            found = figures("denoise", name, count)["figures"]
            results.setdefault("denoising", {})[pathlib.Path(name).name] = found
            print(f"{_denoising(found, pathlib.Path(name).name)}\n")
        results["inpainting"] = {}
        for mask in ("center", "left_half", "random_25"):
            found = figures("inpaint", options.run_dir, count, f"--mask={mask}")
            results["inpainting"][mask] = found["figures"]
        print(f"{_inpainting(results['inpainting'])}\n")
        for name in options.translation_run_dirs:
            found = figures("translate", name)["figures"]
            results.setdefault("translation", {})[pathlib.Path(name).name] = found
            print(f"{_translation(found, pathlib.Path(name).name)}\n")
    print(_common.machine_line(results["machine"]))
    return results


def _detection(found, name):
    scores = list(next(iter(found.values())))
    rows = [
        [kind.replace("_", " "), *(f"{row[score]['auroc']:.3f}" for score in scores)]
        for kind, row in found.items()
    ]
    names = [score.replace("_", " ") for score in scores]
    return _common.markdown_table([f"AUROC of {name}", *names], rows)


def _quality(row):
    psnr = "–" if row["psnr"] is None else f"{row['psnr']:.2f}"
    return f"{psnr} / {row['ssim']:.3f}"


def _denoising(found, name):
    methods = list(next(iter(found.values())))
    rows = [
        [method.replace("_", " "), *(_quality(found[sigma][method]) for sigma in found)]
        for method in methods
    ]
    header = [f"denoising by {name}, PSNR / SSIM", *(f"σ = {sigma}" for sigma in found)]
    return _common.markdown_table(header, rows)


def _inpainting(found):
    first = next(iter(found.values()))
    methods = [name for name, row in first.items() if isinstance(row, dict)]
    rows = [
        [method.replace("_", " "), *(_quality(found[mask][method]) for mask in found)]
        for method in methods
    ]
    header = ["inpainting, PSNR / SSIM in the hole"]
    header += [mask.replace("_", " ") for mask in found]
    return _common.markdown_table(header, rows)


def _translation(found, name):
    columns = list(found["translation"])
    rows = [
        [version.replace("_", " "), *(f"{row[c]:.3f}" for c in columns)]
        for version, row in found.items()
    ]
    header = [f"translation of {name}", *(c.replace("_", " ") for c in columns)]
    return _common.markdown_table(header, rows)


if __name__ == "__main__":
    _common.main(run, define_flags)
