"""Restorations of the pretrained models, beside classical methods and a trained rival.

Every figure of [Tasks](../docs/tasks.md#restoration): three masks, three noises and two
enlargements, each with several seeds of images, masks, noise and chains. The mean of
the samples is to be judged by PSNR, which favours it, and one sample by the Fréchet
distance in the features of the shipped classifier; the table has both of both. The
deviation is that of the samples at a pixel, and its correlation with the error of their
mean says whether a user may trust it.

The rival is a small convolutional network that has learned to remove noise, and nothing
else, from the same 60,000 training images, which TensorFlow Datasets downloads, in as
much processor time as the training of the denoising energy took. It bounds what could
be reached from above.

Settings were chosen on training images. Run from the repository's root:

    python -m benchmarks.restoration
"""

import dataclasses
import pathlib
import time

import keras
import numpy as np
from absl import flags
from keras import layers

from benchmarks import _common
from benchmarks._single_resolution import Budget
from keras_cfebm import datasets, evaluation, load_ladder, tasks
from keras_cfebm.sampling import Langevin
from keras_cfebm.tasks.inverse_problems import REFINEMENT, RESTORATION
from keras_cfebm.visualization import comparison_grid

#: The largest noise that the denoising energy and its rival have seen.
LARGEST_NOISE = 0.5


@dataclasses.dataclass(frozen=True)
class Case:
    """One restoration.

    Args:
        operator: str, see `keras_cfebm.tasks.operator_of`.
        noise: float, standard deviation.
        denoiser: bool, whether the energy is the one that was trained to remove noise.
        initial: str, the baseline whose images the chains start from; None for noise.
        settings: `Langevin`.
    """

    operator: str
    noise: float = 0.0
    denoiser: bool = False
    initial: str | None = None
    settings: Langevin = RESTORATION


def _from(initial, operator, noise=0.0, denoiser=True, *, steps):
    settings = REFINEMENT.replace(steps=steps)
    return Case(operator, noise, denoiser, initial, settings)


#: From images of another method on through all levels: a few steps, two at 8 pixels.
_THROUGH_ALL = RESTORATION.replace(steps=(2, 7, 7))

CASES = {
    "centre": Case("center"),
    "centre from biharmonic": Case(
        "center", initial="biharmonic", settings=_THROUGH_ALL
    ),
    "left half": Case("left_half"),
    "random 25 %": _from("biharmonic", "random_25", steps=40),
    "σ = 0.1": _from("measured", "identity", 0.1, steps=4),
    "σ = 0.2": _from("measured", "identity", 0.2, steps=12),
    "σ = 0.3": _from("measured", "identity", 0.3, steps=24),
    "σ = 0.1 from a filter": _from("non_local_means", "identity", 0.1, steps=4),
    "×2": _from("bicubic", "mean_pool_2", denoiser=False, steps=2),
    "×4": Case("mean_pool_4"),
    "random 25 % from noise": Case("random_25"),
}


def define_flags():
    flags.DEFINE_string("model", "fashion_mnist", "Model that generates.")
    flags.DEFINE_string("denoiser", "fashion_mnist_denoise", "Model that denoises.")
    flags.DEFINE_integer("count", 100, "Test images of a seed.", lower_bound=65)
    flags.DEFINE_integer("samples", 8, "Chains of each image.", lower_bound=1)
    flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds.")
    flags.DEFINE_list("cases", None, "Names of the restorations; by default all.")
    flags.DEFINE_float(
        "rival_seconds",
        2460,
        "Processor seconds of the rival's training; the card of fashion_mnist_denoise "
        "says 41 minutes.",
    )
    flags.DEFINE_string("rival_data", "fashion_mnist", "What the rival learns from.")
    flags.DEFINE_string("pictures", None, "Folder for a picture of each restoration.")
    flags.DEFINE_string("json", None, "File for all the numbers.")


def images_of(split, limit=None, seed=None, name=datasets.EMBEDDED):
    """Images of Fashion-MNIST, of the embedded part or of all."""
    data = datasets.load(name, split=split, resolution=32, fit="pad")
    return data.subset(limit=limit, seed=seed).images()


def trained_rival(seconds, images, width=32, hidden=4):
    """A residual convolutional network that removes noise, of any strength.

    Args:
        seconds: float, processor time of the training.
        images: float array of clean images `(n, h, w, c)`.
        width: int, channels.
        hidden: int, layers but for the last one.

    Returns:
        Pair of the `keras.Model` and the processor seconds that it took.
    """
    keras.utils.set_random_seed(0)
    x = noisy = keras.Input(images.shape[1:])
    for _ in range(hidden):
        x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
    noise = layers.Conv2D(images.shape[-1], 3, padding="same")(x)
    rival = keras.Model(noisy, noisy - noise)
    rival.compile(keras.optimizers.Adam(1e-3), "mse")
    rng = np.random.default_rng(0)
    budget = Budget(seconds, time.process_time)
    while budget.spent < seconds:
        sigma = rng.uniform(0, LARGEST_NOISE, (len(images), 1, 1, 1))
        damaged = images + (sigma * rng.normal(size=images.shape)).astype("float32")
        rival.fit(damaged, images, batch_size=64, verbose=0, callbacks=[budget])
    return rival, budget.spent


def figures_of(options, case, chain, rival, seed, tuning_images):
    """Figures of one case and one seed, and the images that they are of."""
    images = images_of("test", options.count, seed)
    encoder = evaluation.fashion_classifier().encoder
    found = evaluation.evaluate_restoration(
        chain,
        images,
        tasks.operator_of(case.operator),
        case.noise,
        initial=case.initial,
        tuning_images=tuning_images,
        encoder=encoder,
        samples=options.samples,
        seed=seed,
    )
    if case.operator == "identity":
        noisy = tasks.add_noise(images, case.noise, seed)
        clean = np.clip(rival.predict(noisy, verbose=0), -1, 1)
        figures = evaluation.mean_figures(clean, images)
        statistics = evaluation.FeatureStatistics.from_images
        figures["frechet_distance"] = evaluation.frechet_distance(
            statistics([clean], encoder, "rival"),
            statistics([images], encoder, "originals"),
        )
        found.figures["methods"]["rival"] = figures
        found.images["rival"] = clean
    return found


def over_seeds(by_seed):
    """Mean and standard deviation of each figure of each method over the seeds."""
    first = by_seed[0]["methods"]

    def summary(method, name):
        values = [found["methods"][method][name] for found in by_seed]
        return float(np.mean(values)), float(np.std(values))

    return {
        method: {name: summary(method, name) for name in figures}
        for method, figures in first.items()
    }


def rows_of(name, by_seed):
    """Rows of the table: the best classical method, the model, and a rival."""
    methods = over_seeds(by_seed)
    own = ("model_mean", "model")
    classical = [m for m in methods if m not in (*own, "rival")]
    best = max(classical, key=lambda method: methods[method]["psnr"][0])
    trust = np.mean([found["deviation_correlation"] for found in by_seed])
    shown = [best, *own, *(["rival"] if "rival" in methods else [])]
    return [
        [
            name if method == best else "",
            method.replace("_", " "),
            "{:.2f} ± {:.2f}".format(*methods[method]["psnr"]),
            "{:.3f}".format(methods[method]["ssim"][0]),
            "{:.1f}".format(methods[method]["frechet_distance"][0]),
            f"{trust:.2f}" if method == "model_mean" else "",
        ]
        for method in shown
    ]


def run(options):
    """Restores, judges and prints the table."""
    machine = _common.machine()
    models = {
        False: load_ladder(options.model),
        True: load_ladder(options.denoiser),
    }
    cases = {name: CASES[name] for name in options.cases or CASES}
    rival, spent = None, 0.0
    if any(case.operator == "identity" for case in cases.values()):
        learned_from = images_of("train", name=options.rival_data)
        rival, spent = trained_rival(options.rival_seconds, learned_from)
    tuning_images = images_of("train", 64, 0)
    seeds = [int(seed) for seed in options.seeds]
    results, rows = {}, []
    for name, case in cases.items():
        model = models[case.denoiser]
        energies = model.sampling_ladder
        if model.num_classes is not None:  # nobody knows the classes of damaged images
            energies = [tasks.energies.any_class(network) for network in energies]
        chain = tasks.Chain(energies, model.adapted(case.settings))
        by_seed = []
        for seed in seeds:
            found = figures_of(options, case, chain, rival, seed, tuning_images)
            by_seed.append(found.figures)
            if options.pictures and seed == seeds[0]:
                folder = pathlib.Path(options.pictures)
                folder.mkdir(parents=True, exist_ok=True)
                shown = {label: images[:8] for label, images in found.images.items()}
                comparison_grid(shown, path=folder / f"{name}.png")
        results[name] = by_seed
        rows += rows_of(name, by_seed)
        print(f"{name}: done", flush=True)
    header = ["", "method", "PSNR", "SSIM", "Fréchet distance", "deviation"]
    print(_common.markdown_table(header, rows))
    print(
        f"\n{options.count} test images, {options.samples} samples of each, mean ± "
        f"standard deviation over seeds {', '.join(options.seeds)}; deviation: its "
        "correlation with the error of the mean. The rival had "
        f"{spent:.0f} s of processor time.\n{_common.machine_line(machine)}"
    )
    return {"machine": machine, "rival_seconds": spent, "restorations": results}


if __name__ == "__main__":
    _common.main(run, define_flags)
