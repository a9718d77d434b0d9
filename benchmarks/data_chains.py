"""What chains from data do at 32 pixels: classifier FID at 1, 3 and 10 times K.

The finest level of a shipped model is trained anew, from scratch, above the model's own
coarser levels: once as a preset does it, once in two stages, in the second of which a
share of the chains starts at images and runs longer. Both have the same CPU time and
the same sampler, and in the last three quarters of a stage the learning rate falls.
Longer chains than K steps have not been trained: they show whether the energy has a
minimum where images are.

Run from the repository's root (an hour of one core for both trainings of a seed):

    python -m benchmarks.data_chains --json=runs/data_chains.json

and of models that are trained already

    python -m benchmarks.data_chains --judge=fashion_mnist_conditional,runs/plain
"""

import statistics
import sys
import time

import keras
from absl import flags

from benchmarks import _common
from benchmarks._fashion import SIDE, fid_of_longer_chains
from benchmarks._single_resolution import ENDLESS, Budget
from keras_cfebm import CFEBM, Stage, datasets, load_ladder
from keras_cfebm.callbacks import DivergenceGuard
from keras_cfebm.growing import fit_progressively

#: Lengths of the finest level's chain, in lengths of training.
FACTORS = (1, 3, 10)
#: Share of a stage in which the learning rate falls.
_FALLING = 0.75


def define_flags():
    flags.DEFINE_string("model", "fashion_mnist_conditional", "Model of 32 pixels.")
    flags.DEFINE_list(
        "judge",
        [],
        "Trained models to judge: names or run folders. Nothing is trained.",
    )
    flags.DEFINE_list("trainings", ["plain", "data_chains"], "Which of these to do.")
    flags.DEFINE_integer("seeds", 1, "Trainings of each kind.", lower_bound=1)
    flags.DEFINE_float("seconds", 1800.0, "CPU time of a training.", lower_bound=1.0)
    flags.DEFINE_float("share", 0.25, "Chains that start at images: 1/n.")
    flags.DEFINE_integer("chain_steps", 48, "Steps of those chains.", lower_bound=1)
    flags.DEFINE_integer("fade_steps", 200, "Training steps of the fade-in.")
    flags.DEFINE_integer("batch", 32, "Images of a training step.", lower_bound=1)
    flags.DEFINE_float("rate", 2e-3, "Learning rate at the start.")
    flags.DEFINE_float(
        "second_part", 0.65, "Time of the stage with chains from images; 1 for all."
    )
    flags.DEFINE_float("second_rate", 1e-3, "Learning rate at its start.")
    flags.DEFINE_integer("pool", 8000, "Samples of the coarser levels.")
    flags.DEFINE_float("guidance", 0.25, "Of samples of a model with classes.")
    flags.DEFINE_integer("samples", 2000, "Samples to judge.", lower_bound=65)
    flags.DEFINE_string("json", None, "File for all the numbers.")


def train(kind, seed, options):
    """One training of the finest level.

    Args:
        kind: `"plain"` or `"data_chains"`.
        seed: int.
        options: object with the values of `define_flags` as attributes.

    Returns:
        Dict: training steps of each stage, rollbacks, and the classifier FID of each of
        `FACTORS`.
    """
    keras.backend.clear_session()
    whole = load_ladder(options.model)
    data = datasets.load(datasets.EMBEDDED, resolution=SIDE, fit="pad")
    model = CFEBM(
        whole.ladder[:-1],
        whole.langevin,
        ema_decay=0.998,
        seed=seed,
        class_names=whole.class_names,
        data_chain_steps=options.chain_steps,
        coarse_pool=options.pool,
    )
    parts = [(1.0, 0.0, options.rate)]
    if kind == "data_chains":
        second = options.second_part
        parts = [
            (1.0 - second, 0.0, options.rate),
            (second, options.share, options.second_rate),
        ]
    parts = [part for part in parts if part[0] > 0]
    steps, rollbacks, fade_images = [], 0, options.fade_steps * options.batch
    for part, share, rate in parts:
        guard = DivergenceGuard()
        budget = Budget(part * options.seconds, time.process_time, falling=_FALLING)
        model.data_chains = share
        model = fit_progressively(
            model,
            lambda stage, start: data.batches(
                stage.resolution,
                stage.batch_size,
                seed=seed,
                start=start,
                labels=whole.num_classes is not None,
            ),
            [Stage(SIDE, fade_images, ENDLESS, options.batch, rate)],
            callbacks=[guard, budget],
            verbose=0,
        ).finished()
        steps.append(budget.steps)
        rollbacks += len(guard.events)
        fade_images = 0
    return {
        "steps": steps,
        "rollbacks": rollbacks,
        "classifier_fid": judged(model, seed, options),
    }


def judged(model, seed, options):
    """Classifier FID of a model's chains of each of `FACTORS`."""
    guidance = None if model.num_classes is None else options.guidance
    return fid_of_longer_chains(model, FACTORS, options.samples, seed, guidance)


def _columns():
    return [f"FID at {factor} × K" for factor in FACTORS]


def judge(options):
    """Judges models that are trained already, and prints the table."""
    machine = _common.machine()
    runs = [
        {"model": name, "classifier_fid": judged(load_ladder(name), 0, options)}
        for name in options.judge
    ]
    rows = [
        [found["model"], *map("{:.2f}".format, found["classifier_fid"].values())]
        for found in runs
    ]
    print(_common.markdown_table(["model", *_columns()], rows))
    print(f"\n{options.samples} samples.\n{_common.machine_line(machine)}")
    return {"machine": machine, "runs": runs}


def run(options):
    """Trains, and prints the table."""
    if options.judge:
        return judge(options)
    machine = _common.machine()
    runs, rows = [], []
    for kind in options.trainings:
        of_kind = []
        for seed in range(options.seeds):
            of_kind.append({"training": kind, "seed": seed})
            of_kind[-1] |= train(kind, seed, options)
            print(of_kind[-1], file=sys.stderr, flush=True)
        runs += of_kind

        distances = (
            statistics.mean(found["classifier_fid"][factor] for found in of_kind)
            for factor in FACTORS
        )
        of_kind_steps = zip(*(found["steps"] for found in of_kind), strict=True)
        rows.append(
            [kind]
            + [" + ".join(f"{statistics.mean(steps):.0f}" for steps in of_kind_steps)]
            + [str(sum(found["rollbacks"] for found in of_kind))]
            + [f"{distance:.2f}" for distance in distances]
        )
    header = ["training", "training steps", "rollbacks", *_columns()]
    print(_common.markdown_table(header, rows))
    print(
        f"\n{options.model}, its finest level for {options.seconds:.0f} s of CPU time, "
        f"{options.share:g} of the chains from data for {options.chain_steps} steps; "
        f"{options.samples} samples, seeds 0 to {options.seeds - 1}.\n"
        f"{_common.machine_line(machine)}"
    )
    return {"machine": machine, "runs": runs}


if __name__ == "__main__":
    _common.main(run, define_flags)
