"""What the speed dial costs: classifier FID against seconds.

At speed 2 a chain takes half as many steps of twice the size, so that its duration
steps · η, which training has fixed, stays (`Langevin.faster`). Seconds are of whole
batches of one size, after one that is not timed.

Run from the repository's root:

    python -m benchmarks.speed
"""

import time

import numpy as np
from absl import flags

from benchmarks import _common
from benchmarks._fashion import classifier_fid
from keras_cfebm import load_ladder


def define_flags():
    flags.DEFINE_string("model", "fashion_mnist", "Model that generates.")
    flags.DEFINE_list("speeds", ["1", "2", "4"], "Values of the dial.")
    flags.DEFINE_integer("batches", 8, "Batches of a row.", lower_bound=2)
    flags.DEFINE_integer("batch", 64, "Images of a batch.", lower_bound=35)
    flags.DEFINE_integer("seed", 0, "Stream of images.", lower_bound=0)
    flags.DEFINE_string("json", None, "File for all the numbers.")


def measured(model, speed, options):
    """Figures of one speed."""
    labels = None
    if model.num_classes is not None:
        labels = np.arange(options.batch) % model.num_classes

    def draw(batch):
        return model.generate(
            options.batch,
            options.seed,
            labels,
            batch_size=options.batch,
            start=batch * options.batch,
            speed=speed,
        )

    drawn = [draw(0)]
    begin = time.perf_counter()
    drawn += [draw(batch) for batch in range(1, options.batches)]
    seconds = time.perf_counter() - begin
    settings, levels = model.langevin.faster(speed), range(len(model.ladder))
    return {
        "speed": speed,
        "steps": [settings.steps_at(level) for level in levels],
        "step_sizes": [settings.step_size_at(level) for level in levels],
        "images_per_second": (options.batches - 1) * options.batch / seconds,
        "classifier_fid": classifier_fid(np.concatenate(drawn)),
    }


def run(options):
    """Draws at every speed and prints the table."""
    machine = _common.machine()
    model = load_ladder(options.model)
    figures = [measured(model, speed, options) for speed in map(float, options.speeds)]
    rows = [
        [
            f"{row['speed']:g}",
            " + ".join(map(str, row["steps"])),
            ", ".join(sorted({f"{size:.3g}" for size in row["step_sizes"]})),
            f"{row['images_per_second']:.1f}",
            f"{row['classifier_fid']:.1f}",
        ]
        for row in figures
    ]
    header = ["speed", "steps", "η", "images per second", "classifier FID"]
    print(_common.markdown_table(header, rows))
    print(
        f"\n{options.batches * options.batch} samples of a row, seed {options.seed}.\n"
        f"{_common.machine_line(machine)}"
    )
    return {"machine": machine, "speeds": figures}


if __name__ == "__main__":
    _common.main(run, define_flags)
