"""Remove noise, and compare with classical filters (Sec. 4.2)."""

from absl import flags

from keras_cfebm import evaluation
from keras_cfebm.cli.task import Task, two_parts
from keras_cfebm.cli.text import as_number, print_table
from keras_cfebm.tasks.restoration import DENOISING
from keras_cfebm.tasks.translation import single_settings

#: Held-out images on which strengths are chosen.
TUNING = 64


def main(values: flags.FlagValues) -> None:
    """Adds noise to held-out images and removes it."""
    sigmas = [as_number(float, "sigma", text) for text in values.sigma]
    task = Task("denoise", values)
    test, tuning = two_parts(task.data(), values.count, TUNING, values.seed)
    settings = task.langevin(single_settings(task.model, DENOISING))
    found = evaluation.evaluate_denoising(
        task.model,
        test.images(),
        sigmas,
        tuning_images=tuning.images(),
        settings=settings,
        steps=values.steps,
        samples=values.samples,
        labels=task.labels(test),
        tuning_labels=task.labels(tuning),
        seed=values.seed,
        batch_size=values.batch_size,
    )
    task.record(found.figures, data=test.name, images=len(test))
    for sigma in found.figures:
        mark = f" · σ = {sigma}"
        rows = {"original": found.images["original"]} | {
            label.removesuffix(mark): images
            for label, images in found.images.items()
            if label.endswith(mark)
        }
        task.show(rows, f"denoised_{sigma}.png")
    print_table(
        ["σ", "method", "PSNR", "SSIM", "strength"],
        [
            (sigma, method, row["psnr"], row["ssim"], row.get("strength"))
            for sigma, methods in found.figures.items()
            for method, row in methods.items()
        ],
    )
    print(
        "PSNR in dB. All know σ; strengths (the model's: Langevin steps) are the best "
        f"on {len(tuning)} other held-out images. filter_then_model starts its chains "
        "at the images of non_local_means."
    )
    if task.model.chain_start != "source":
        print(
            "This energy has seen no white noise at its finest level; one that learned "
            "to remove it:\n  cfebm train --preset=fashion_mnist_denoise"
        )
    task.say_where()
