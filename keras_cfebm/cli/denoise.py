"""Remove noise, and compare with classical filters (Sec. 4.2)."""

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
from keras_cfebm.tasks.restoration import DENOISING
from keras_cfebm.visualization import comparison_grid

#: Held-out images on which strengths are chosen.
TUNING = 64


def define_flags(values):
    """Adds the flags of this command."""
    define_task_flags(values, count=200)
    define_chain_flags(values)
    flags.DEFINE_list(
        "sigma",
        [str(sigma) for sigma in evaluation.SIGMAS],
        "Standard deviations of the noise, on images in [-1, 1].",
        flag_values=values,
    )


def main(values):
    """Adds noise to held-out images and removes it."""

    sigmas = [_number(text) for text in values.sigma]
    task = Task("denoise", values)
    test, tuning = two_parts(task.data(), values.count, TUNING, values.seed)
    own = task.model.finest_settings
    settings = chain_settings(
        values, own if task.model.chain_start == "source" else DENOISING
    )
    found = evaluation.evaluate_denoising(
        task.model.sampling_network,
        test.images(),
        sigmas,
        tuning_images=tuning.images(),
        settings=settings,
        steps=values.steps,
        labels=task.labels(test),
        tuning_labels=task.labels(tuning),
        seed=values.seed,
        batch_size=values.batch_size,
        progress=True,
    )
    for sigma in found.figures:
        mark = f" · σ = {sigma}"
        rows = {"original": found.images["original"]} | {
            label.removesuffix(mark): images
            for label, images in found.images.items()
            if label.endswith(mark)
        }
        comparison_grid(
            {label: images[:SHOWN] for label, images in rows.items()},
            path=task.output / f"denoised_{sigma}.png",
        )
    print_table(
        ["σ", "method", "PSNR", "SSIM", "strength"],
        [
            (sigma, method, row["psnr"], row["ssim"], row.get("strength"))
            for sigma, methods in found.figures.items()
            for method, row in methods.items()
        ],
    )
    print(
        f"PSNR in dB. All know σ; strengths (the model's: Langevin steps) are the best "
        f"on {len(tuning)} other held-out images."
    )
    if task.model.chain_start != "source":
        print(
            "This energy has seen no white noise at its finest level; one that learned "
            "to remove it:\n  cfebm train --preset=fashion_mnist_denoise"
        )
    task.finish(found.figures, data=test.name, images=len(test))


def _number(text):
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"--sigma: expected numbers. Received: {text!r}") from error
