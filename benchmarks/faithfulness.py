"""Realism against faithfulness of a translation, for several λ of ‖x − source‖².

A row of the table is one `faithfulness` of `tasks.translate`: the Fréchet distance to
images of the target (realism, low is good), the share that the shipped classifier calls
the target class, and what is kept of the source: PSNR and correlation. Two baselines
bound them: the source unchanged, which is as faithful as can be, and a random image of
the target, which is as realistic as can be.

Run from the repository's root:

    python -m benchmarks.faithfulness
"""

import numpy as np
from absl import flags

from benchmarks import _common
from keras_cfebm import datasets, evaluation, load_ladder, tasks


def define_flags():
    flags.DEFINE_string("model", "fashion_mnist_sneaker_to_boot", "Model.")
    flags.DEFINE_string("source", "Sneaker", "Class that is translated.")
    flags.DEFINE_string("target", "Ankle boot", "Class that it becomes.")
    weights = ["0", "0.01", "0.02", "0.05", "0.1", "0.2"]
    flags.DEFINE_list("faithfulness", weights, "Values of λ.")
    flags.DEFINE_integer("count", 200, "Images.", lower_bound=70)
    flags.DEFINE_integer("batch", 64, "Images at a time.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Of the images and their noise.", lower_bound=0)
    flags.DEFINE_string("json", None, "File for all the numbers.")


def images_of(name, split, limit=None, seed=0):
    """Images of one class of the embedded Fashion-MNIST."""
    data = datasets.load(datasets.EMBEDDED, split=split, resolution=32, fit="pad")
    return data.subset(classes=[name], limit=limit, seed=seed).images()


def run(options):
    """Translates with every λ and prints the table."""
    machine = _common.machine()
    model = load_ladder(options.model)
    classifier = evaluation.fashion_classifier()
    sources = images_of(options.source, "test", options.count, options.seed)
    targets = images_of(options.target, "test")
    reference = images_of(options.target, "train")
    target_class = classifier.class_names.index(options.target)
    rng = np.random.default_rng(options.seed)
    versions = {
        "source": sources,
        "random target": targets[
            np.resize(rng.permutation(len(targets)), len(sources))
        ],
    }
    chain = tasks.Chain(model.sampling_network, model.finest_settings)
    for weight in map(float, options.faithfulness):
        versions[f"λ = {weight:g}"] = tasks.translate(
            chain,
            sources,
            options.seed,
            batch_size=options.batch,
            faithfulness=weight,
        )
    statistics = evaluation.FeatureStatistics.from_images
    encoder = classifier.encoder
    of_targets = statistics([reference], encoder, "targets")
    figures = {}
    for name, images in versions.items():
        of_images = statistics([images], encoder, name)
        called = classifier.predict_classes(images) == target_class
        decibels = evaluation.psnr(images, sources)
        figures[name] = {
            "frechet_distance": evaluation.frechet_distance(of_images, of_targets),
            "called_target": float(called.mean()),
            "psnr": None if name == "source" else float(decibels.mean()),
            "correlation": float(evaluation.pixel_correlation(images, sources).mean()),
        }
    rows = [
        [
            name,
            f"{row['frechet_distance']:.1f}",
            f"{row['called_target']:.3f}",
            "∞" if row["psnr"] is None else f"{row['psnr']:.1f}",
            f"{row['correlation']:.3f}",
        ]
        for name, row in figures.items()
    ]
    header = ["", "Fréchet distance", "called target", "PSNR", "correlation"]
    print(_common.markdown_table(header, rows))
    print(
        f"\n{len(sources)} images, {options.source} to {options.target}; PSNR and "
        f"correlation are with the source.\n{_common.machine_line(machine)}"
    )
    return {"machine": machine, "figures": figures}


if __name__ == "__main__":
    _common.main(run, define_flags)
