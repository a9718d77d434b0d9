"""Fill missing pixels, and compare with classical methods (Sec. 4.2)."""

import dataclasses

from absl import flags

from keras_cfebm import evaluation
from keras_cfebm.cli.task import Task, two_parts
from keras_cfebm.cli.text import print_table
from keras_cfebm.tasks.inverse_problems import RESTORATION
from keras_cfebm.tasks.restoration import INPAINTING


def main(values: flags.FlagValues) -> None:
    """Hides parts of held-out images and fills them."""
    task = Task("inpaint", values)
    model = task.model
    test, _ = two_parts(task.data(), values.count, 1, values.seed)
    default = RESTORATION if values.ladder else INPAINTING.replace(chain_levels=1)
    settings = task.langevin(model.adapted(default)).faster(values.speed)
    found = evaluation.evaluate_inpainting(
        model.sampling_ladder if values.ladder else model.sampling_network,
        test.images(),
        values.mask,
        samples=values.samples,
        settings=settings,
        labels=task.labels(test),
        seed=values.seed,
        batch_size=values.batch_size,
    )
    task.record(
        found.figures,
        data=test.name,
        images=len(test),
        mask=values.mask,
        ladder=values.ladder,
        samples=values.samples,
        langevin=dataclasses.asdict(settings),
    )
    task.show(found.images, "inpainted.png")
    figures = dict(found.figures)
    missing, correlation = map(figures.pop, ("missing", "deviation_correlation"))
    print_table(
        ["in the hole", "PSNR", "SSIM"],
        [(method, row["psnr"], row["ssim"]) for method, row in figures.items()],
    )
    print(
        f"PSNR in dB; {missing:.0%} of the pixels are missing. model is one sample, "
        f"model_mean the mean of {values.samples}, whose deviation correlates with the "
        f"error at {correlation:.2f}."
    )
    task.say_where()
