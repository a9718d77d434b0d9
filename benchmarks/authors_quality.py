"""The authors' own code, trained on Fashion-MNIST for a given time, judged as we are.

Their network and their sampler grow from 8 over 16 to 32 pixels on the embedded images:
15 Langevin steps of η = 1 at each level, Adam with β₁ = 0.5 and a rate of 0.001, noise
of 0.03 on images, as in the scripts of their repository. Levels have shares of the CPU
time in place of numbers of images; each fades in during the first half of its time.

Run from the repository's root, where PyTorch is installed too:

    python -m benchmarks.authors_quality --peer=CLONE --seconds=800
"""

import pathlib
import sys

import numpy as np
from absl import flags

from benchmarks import _common
from benchmarks._fashion import SIDE, classifier_fid
from benchmarks._worker import Worker
from keras_cfebm import datasets

#: Resolution → share of the time, images of a batch.
LEVELS = {8: (0.13, 128), 16: (0.27, 64), 32: (0.6, 64)}


def define_flags():
    flags.DEFINE_string("peer", None, "Clone of github.com/YangNaruto/ProEBM.")
    flags.mark_flag_as_required("peer")
    flags.DEFINE_float("seconds", 800.0, "CPU time of a training.", lower_bound=0.0)
    flags.DEFINE_integer("seeds", 1, "Trainings.", lower_bound=1)
    flags.DEFINE_integer("base_width", 16, "Their base_channel.", lower_bound=4)
    flags.DEFINE_integer("samples", 2000, "Samples judged.", lower_bound=65)
    flags.DEFINE_string("images", None, "File for the last samples, .npy.")
    flags.DEFINE_string("json", None, "File for all the numbers.")


def trained(contender, seconds, count, batch=200):
    """Trains level after level and draws samples.

    Args:
        contender: a `Worker` of `benchmarks._authors_training`.
        seconds: float, CPU time of all levels.
        count: int, images to draw.
        batch: int, images of a chain.

    Returns:
        Pair of a dict of resolution → training steps and the images.
    """
    data = datasets.load(datasets.EMBEDDED, split="train", resolution=SIDE, fit="pad")
    options = {"repeat": False, "shuffle": False, "as_numpy": True}
    steps = {}
    for level, (side, (share, size)) in enumerate(LEVELS.items(), start=1):
        images = np.concatenate(list(data.batches(side, 500, **options)))
        arguments = level, images, size, share * seconds
        steps[side] = contender.ask("train", *arguments)
        print(f"{side} pixels: {steps[side]} steps", file=sys.stderr, flush=True)
    sizes = [min(batch, count - first) for first in range(0, count, batch)]
    return steps, np.concatenate([contender.ask("sample", size) for size in sizes])


def run(options):
    """Trains, judges and prints the table."""
    machine = _common.machine(["torch", "tensorflow", "keras"])
    clone = str(pathlib.Path(options.peer).resolve())
    runs = []
    for seed in range(options.seeds):
        arguments = clone, len(LEVELS), min(LEVELS), options.base_width, seed
        name = "benchmarks._authors_training:AuthorsTraining"
        contender = Worker("the authors' code", name, arguments)
        try:
            steps, samples = trained(contender, options.seconds, options.samples)
        finally:
            contender.close()
        runs.append({"steps": steps, "classifier_fid": classifier_fid(samples)})
        if options.images:
            np.save(options.images, samples)
    header = ["the authors' code, seed", "training steps", "classifier FID"]
    rows = [
        [
            str(seed),
            " + ".join(map(str, found["steps"].values())),
            f"{found['classifier_fid']:.1f}",
        ]
        for seed, found in enumerate(runs)
    ]
    print(_common.markdown_table(header, rows))
    print(
        f"\n{options.seconds:.0f} CPU seconds of training, {options.samples} samples.\n"
        f"{_common.machine_line(machine)}"
    )
    return {"machine": machine, "runs": runs}


if __name__ == "__main__":
    _common.main(run, define_flags)
