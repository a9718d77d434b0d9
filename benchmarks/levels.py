"""Which level costs a model its quality: classifier FID, level by level.

Chains of each level start once at the model's own samples of the level below, once at
held-out images of it. What the second costs is the level's own fault, and what the
first costs beyond it comes from below. Beside both stand what scales them: the held-out
images themselves, and those of the level below, enlarged. Each level is compared with
training images of its own resolution, so that perfect samples are at 0.

The last column weighs the levels by what is seen in the end: chains that start at
held-out images of the level below, in the first row at noise, go on to the finest.
Where it falls most from one row to the next, the level of the upper row costs most.

Run from the repository's root:

    python -m benchmarks.levels --model=runs/demo
"""

import numpy as np
from absl import flags

from benchmarks import _common
from benchmarks._fashion import SIDE, classifier_fid
from keras_cfebm import backend, datasets, load_ladder, tasks
from keras_cfebm.backend import random
from keras_cfebm.sampling import coarse_to_fine, upsample

_COLUMNS = {
    "held_out": "held-out images",
    "enlarged": "enlarged from below",
    "from_images": "from held-out images below",
    "generated": "from samples below",
    "at_finest": "from held-out images below, at the finest level",
}


def define_flags():
    flags.DEFINE_string("model", "fashion_mnist", "Model of 32 pixels that generates.")
    flags.DEFINE_integer("samples", 2000, "Samples of a figure.", lower_bound=35)
    flags.DEFINE_integer("batch", 128, "Images of a batch.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Of the noise.", lower_bound=0)
    flags.DEFINE_string("json", None, "File for all the numbers.")


def held_out(levels, count):
    """The first held-out images.

    Returns:
        Pair of a dict of level → array `(count, level, level, 1)`, and their labels.
    """
    data = datasets.load(datasets.EMBEDDED, split="test", resolution=SIDE, fit="pad")
    options = {"repeat": False, "shuffle": False, "as_numpy": True}
    images = {
        level: np.concatenate(list(data.batches(level, 100, **options)))[:count]
        for level in levels
    }
    return images, np.asarray(data.labels()[:count], "int32")


def ends(ladder, settings, keys, batch, below=None, labels=None, first=0):
    """Where chains end at the last level of a ladder.

    Args:
        ladder: list of energies, coarsest first.
        settings: `Langevin` of the whole model.
        keys: uint32 array `(n, 2)`.
        batch: int.
        below: images of the level below `first`, where chains start; None for noise.
        labels: int32 array `(n,)` of a model with classes.
        first: int, index of the first level that they run through.
    """
    starts = below if below is not None else tasks.Chain(ladder, settings).noise(keys)

    @backend.compiled
    def run(x, keys, labels):
        energies = [energy.bind(labels) for energy in ladder]
        return coarse_to_fine(energies, x, keys, settings, first_level=first)

    return tasks.batches.run_batches(run, (np.asarray(starts), keys, labels), batch)


def measured(model, options):
    """Dict of level → figures."""
    levels = [network.resolution for network in model.ladder]
    images, true_labels = held_out(levels, options.samples)
    wanted = None
    if model.num_classes is None:
        true_labels = None
    else:
        wanted = np.arange(options.samples, dtype="int32") % model.num_classes
    keys = np.asarray(random.image_keys(options.seed, options.samples))
    figures, below = {}, None
    for count, level in enumerate(images, start=1):
        ladder = model.sampling_ladder[:count]
        chain = ladder, model.langevin, keys, options.batch
        own = {
            "held_out": classifier_fid(images[level]),
            "generated": classifier_fid(ends(*chain, labels=wanted)),
        }
        if below is not None:
            own["enlarged"] = classifier_fid(np.asarray(upsample(below)))
            start = below, true_labels, count - 1
            own["from_images"] = classifier_fid(ends(*chain, *start))
            if level != levels[-1]:
                chain = model.sampling_ladder, *chain[1:]
                own["at_finest"] = classifier_fid(ends(*chain, *start))
        figures[level], below = own, images[level]
    own["at_finest"] = own.get("from_images")
    figures[levels[0]]["at_finest"] = own["generated"]
    return figures


def run(options):
    """Draws the chains and prints the table."""
    machine = _common.machine()
    figures = measured(load_ladder(options.model), options)
    rows = [
        [f"{level}×{level}"]
        + [f"{own[name]:.2f}" if name in own else "" for name in _COLUMNS]
        for level, own in figures.items()
    ]
    print(_common.markdown_table(["level", *_COLUMNS.values()], rows))
    print(
        f"\n{options.samples} images of a figure, seed {options.seed}, "
        f"{options.model}.\n{_common.machine_line(machine)}"
    )
    return {"machine": machine, "levels": figures}


if __name__ == "__main__":
    _common.main(run, define_flags)
