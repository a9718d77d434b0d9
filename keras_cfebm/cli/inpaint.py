"""Fill missing pixels, and compare with classical methods (Sec. 4.2)."""

import dataclasses

from absl import flags

from keras_cfebm import evaluation
from keras_cfebm.cli.task import (
    SHOWN,
    Task,
    chain_settings,
    define_chain_flags,
    define_task_flags,
    print_table,
    two_parts,
)
from keras_cfebm.tasks.masks import MASKS
from keras_cfebm.tasks.restoration import INPAINTING, LADDER_INPAINTING
from keras_cfebm.visualization import comparison_grid


def define_flags(values):
    """Adds the flags of this command."""
    define_task_flags(values, count=100)
    define_chain_flags(values)
    flags.DEFINE_string(
        "mask",
        "center",
        f"{', '.join(MASKS)}, or an image file that is white where pixels are missing.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "ladder",
        True,
        "Fill from coarse to fine; --noladder fills at the finest level alone.",
        flag_values=values,
    )


def main(values):
    """Hides parts of held-out images and fills them."""

    task = Task("inpaint", values)
    model = task.model
    test, _ = two_parts(task.data(), values.count, 1, values.seed)
    settings = chain_settings(
        values, LADDER_INPAINTING if values.ladder else INPAINTING
    )
    found = evaluation.evaluate_inpainting(
        model.sampling_ladder if values.ladder else model.sampling_network,
        test.images(),
        values.mask,
        settings=settings,
        labels=task.labels(test),
        seed=values.seed,
        batch_size=values.batch_size,
        progress=True,
    )
    comparison_grid(
        {label: images[:SHOWN] for label, images in found.images.items()},
        path=task.output / "inpainted.png",
    )
    figures = dict(found.figures)
    missing = figures.pop("missing")
    print_table(
        ["in the hole", "PSNR", "SSIM"],
        [(method, row["psnr"], row["ssim"]) for method, row in figures.items()],
    )
    print(f"PSNR in dB; {missing:.0%} of the pixels are missing.")
    task.finish(
        found.figures,
        data=test.name,
        images=len(test),
        mask=values.mask,
        ladder=values.ladder,
        langevin=dataclasses.asdict(settings),
    )
