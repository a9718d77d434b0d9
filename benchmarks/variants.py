"""What settings of the training do to the model, at equal time.

A small network grows from 4 over 8 to 16 pixels on the embedded Fashion-MNIST images,
each stage for the same CPU time, once as the package does it by default, once with each
of the authors' settings that the package offers, and with each of its own: chains from
data, a pool of coarse samples, and steps that grow with the resolution. The figures are
the classifier FID of samples, to training images of 16 pixels, drawn with the chain of
the training, and with 3 and 10 times its steps at the finest level.

Run from the repository's root (three CPU minutes for each variant and seed):

    python -m benchmarks.variants --json=runs/variants.json
"""

import statistics
import sys
import time

import keras
from absl import flags

from benchmarks import _common
from benchmarks._fashion import fid_of_longer_chains
from benchmarks._single_resolution import ENDLESS, Budget
from keras_cfebm import CFEBM, EnergyNetwork, Langevin, Stage, datasets
from keras_cfebm.callbacks import DivergenceGuard
from keras_cfebm.growing import fit_progressively

#: Name → arguments of `EnergyNetwork`, `Langevin` and `CFEBM`, where not the defaults.
VARIANTS = {
    "defaults": ({}, {}, {}),
    "equalised 1×1 and linear layers": ({"equalized": True}, {}, {}),
    "truncated normal starts": ({}, {"start_noise": "truncated_normal"}, {}),
    "chains from one level below": ({}, {"chain_levels": 2}, {}),
    "5 + 10 + 15 steps": ({}, {"steps": (5, 10, 15)}, {}),
    "noise ρ = 0.1 at transitions": ({}, {"transition_noise": 0.1}, {}),
    "1/4 of the chains from data": ({}, {}, {"data_chains": 0.25}),
    "a pool of 10000 coarse samples": ({}, {}, {"coarse_pool": 10_000}),
    "η × 4 at each level": ({}, {"step_size": (1.0, 4.0, 16.0)}, {}),
}
#: Levels, with their share of the time.
STAGES = {4: 1 / 7, 8: 2 / 7, 16: 4 / 7}
#: Lengths of the finest level's chain, in lengths of training.
FACTORS = (1, 3, 10)


def define_flags():
    flags.DEFINE_list("variants", list(VARIANTS), "Which variants to train.")
    flags.DEFINE_integer("seeds", 2, "Runs of each variant.", lower_bound=1)
    flags.DEFINE_float("seconds", 150.0, "CPU time of a run.", lower_bound=0.0)
    flags.DEFINE_integer("width", 16, "Channels of every level.", lower_bound=1)
    flags.DEFINE_integer("samples", 2000, "Samples to judge.", lower_bound=65)
    flags.DEFINE_string("json", None, "File for all the numbers.")


def train(variant, seed, options):
    """One run.

    Args:
        variant: three dicts, a value of `VARIANTS`.
        seed: int.
        options: object with the values of `define_flags` as attributes.

    Returns:
        Dict: training steps per level, and the classifier FID of each of `FACTORS`.
    """
    keras.backend.clear_session()
    network, chain, training = variant
    data = datasets.load(datasets.EMBEDDED, resolution=32, fit="pad")
    first = EnergyNetwork(
        min(STAGES),
        channels=1,
        base_resolution=min(STAGES),
        widths={level: options.width for level in [2, *STAGES]},
        **network,
    )
    first.draw_weights(seed)
    langevin = Langevin(**{"steps": 15, "noise_scale": 0.005, **chain})
    model = CFEBM([first], langevin, ema_decay=0.999, seed=seed, **training)
    steps = {}
    for level, share in STAGES.items():
        budget = Budget(share * options.seconds, time.process_time)
        fade = 32 * 100 if level > min(STAGES) else 0
        model = fit_progressively(
            model,
            lambda stage, start: data.batches(
                stage.resolution, stage.batch_size, seed=seed, start=start
            ),
            [Stage(level, fade, ENDLESS, batch_size=32)],
            callbacks=[DivergenceGuard(), budget],
            verbose=0,
        ).finished()
        steps[level] = budget.steps
    distances = fid_of_longer_chains(model, FACTORS, options.samples, seed)
    return {"steps": steps, "classifier_fid": distances}


def run(options):
    """Trains, and prints the table."""
    machine = _common.machine()
    unknown = set(options.variants) - set(VARIANTS)
    if unknown:
        raise ValueError(f"Unknown variants {unknown}. Expected some of {[*VARIANTS]}")
    runs, rows = [], []
    for name in options.variants:
        of_name = []
        for seed in range(options.seeds):
            result = train(VARIANTS[name], seed, options)
            of_name.append({"variant": name, "seed": seed, **result})
            print(of_name[-1], file=sys.stderr, flush=True)
        runs += of_name
        distances = {
            factor: [found["classifier_fid"][factor] for found in of_name]
            for factor in FACTORS
        }
        steps = [
            round(statistics.mean(found["steps"][level] for found in of_name))
            for level in STAGES
        ]
        rows.append(
            [
                name,
                " + ".join(map(str, steps)),
                *(f"{statistics.mean(distances[factor]):.2f}" for factor in FACTORS),
                " ".join(f"{distance:.2f}" for distance in distances[FACTORS[0]]),
            ]
        )
    chains = (f"FID at {factor} × K" for factor in FACTORS)
    header = ["variant", "training steps", *chains, "of each seed"]
    print(_common.markdown_table(header, rows))
    print(
        f"\n{options.seconds:.0f} s of CPU time a run, width {options.width}, "
        f"{options.samples} samples.\n{_common.machine_line(machine)}"
    )
    return {"machine": machine, "runs": runs}


if __name__ == "__main__":
    _common.main(run, define_flags)
