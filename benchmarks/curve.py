"""How good a preset's samples are after how many minutes: the Fréchet distance, to its
training images, of shorter and longer trainings.

Each point is a training of its own, all of whose stages are shorter or longer by one
factor: samples in the middle of one training would be those of a coarser level. With
--control, one network of the finest resolution is trained from scratch beside each, for
the same CPU time, with the Langevin steps of all levels together, and η of the finest
level or those of --control_step_sizes.

Run from the repository's root; a training that was stopped goes on, and one that is
finished is not trained again:

    python -m benchmarks.curve --factors=0.25,0.5,1,2 --json=runs/curve/curve.json
    python -m benchmarks.curve --preset=emoji_portraits --folder=runs/curve_portraits
"""

import dataclasses
import pathlib
import statistics
import sys
import time

import numpy as np
from absl import flags

from benchmarks import _common
from benchmarks._single_resolution import Budget, train_single, training_time
from keras_cfebm import configs, evaluation
from keras_cfebm.assets.yardsticks import Yardstick
from keras_cfebm.runs.run_folder import RunFolder
from keras_cfebm.runs.train import load_data, train


def define_flags():
    flags.DEFINE_string("preset", "fashion_mnist_demo", "Preset of garments or emoji.")
    flags.DEFINE_list("factors", ["0.25", "0.5", "1", "2"], "Lengths, 1 the preset's.")
    flags.DEFINE_integer("seeds", 1, "Trainings of each length.", lower_bound=1)
    flags.DEFINE_bool("control", False, "Also train one resolution alone.")
    flags.DEFINE_list("control_step_sizes", None, "Its η, one after the other.")
    flags.DEFINE_integer("samples", 2000, "Samples of a figure.", lower_bound=65)
    flags.DEFINE_string("folder", "runs/curve", "Folder for the trainings.")
    flags.DEFINE_string("json", None, "File for all the numbers.")


def scaled(config, factor):
    """A configuration all of whose stages are `factor` times as long."""
    stages = [
        dataclasses.replace(
            stage,
            fade_images=round(factor * stage.fade_images),
            stabilise_images=round(factor * stage.stabilise_images),
            decay_images=int(factor * stage.decay_images),
        )
        for stage in config.stages
    ]
    return config.replace(stages=tuple(stages))


def distance_of(samples, yardstick):
    """Fréchet distance of samples to all training images at hand."""
    figures = evaluation.evaluate_samples(
        [samples.clip(-1, 1)], yardstick.reference(), yardstick.encoder
    )
    return figures["frechet_distance"]


def point(config, folder, options):
    """One training, and its control.

    Returns:
        Dict: CPU seconds, training steps, Fréchet distance; with the control also a
        list of its η, steps and distance.
    """
    model = train(config, folder, verbose=0)
    seconds, clock, steps = training_time(RunFolder(folder).metrics)

    def judged(model):
        labels = None
        if model.num_classes is not None:
            labels = np.arange(options.samples) % model.num_classes
        samples = model.generate(options.samples, seed=config.seed, labels=labels)
        return distance_of(samples, Yardstick(config.data))

    found = {
        "seconds": seconds,
        "clock": clock,
        "steps": steps,
        "distance": judged(model),
    }
    if options.control:
        levels = config.levels
        clock = time.process_time if clock == "CPU" else time.monotonic
        chain = config.final_langevin.total_steps(levels)
        finest = (config.final_langevin.step_size_at(levels - 1),)
        found["controls"] = []
        for eta in map(float, options.control_step_sizes or finest):
            budget = Budget(seconds, clock)
            single = train_single(config, load_data(config.data), chain, budget, eta)
            control = {
                "step_size": eta,
                "steps": budget.steps,
                "distance": judged(single),
            }
            print(control, file=sys.stderr, flush=True)
            found["controls"].append(control)
    return found


def run(options):
    """Trains every point and prints the table."""
    machine = _common.machine()
    preset = configs.find(options.preset).config
    points, rows = [], []
    for factor in map(float, options.factors):
        of_factor = []
        for seed in range(options.seeds):
            config = scaled(preset, factor).replace(seed=seed)
            folder = pathlib.Path(options.folder) / f"{factor:g}_seed_{seed}"
            found = {"factor": factor, "seed": seed, **point(config, folder, options)}
            print(found, file=sys.stderr, flush=True)
            of_factor.append(found)
        points += of_factor
        minutes = statistics.mean(found["seconds"] for found in of_factor) / 60
        row = [f"{factor:g}", f"{minutes:.1f}"]
        trained = [[found, *found.get("controls", ())] for found in of_factor]
        for same in zip(*trained, strict=True):
            row.append(" ".join(f"{found['distance']:.2f}" for found in same))
        rows.append(row)
    metric = Yardstick(preset.data).encoder.frechet_name
    header = ["length", f"{points[0]['clock']} minutes", metric]
    header += [
        f"one resolution, η = {control['step_size']:g}"
        for control in points[0].get("controls", ())
    ]
    print(_common.markdown_table(header, rows))
    print(
        f"\n{options.preset}, {options.samples} samples, seeds 0 to "
        f"{options.seeds - 1}.\n{_common.machine_line(machine)}"
    )
    return {"machine": machine, "points": points}


if __name__ == "__main__":
    _common.main(run, define_flags)
