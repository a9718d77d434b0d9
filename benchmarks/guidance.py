"""What guidance does to a conditional model, and a composed energy to one class.

The first table draws as many samples of every class with the guidance w of each row
(`keras_cfebm.tasks.energies.guided`) and reports the share that the shipped classifier
puts into the class asked for, of all classes and of the worst one, the classifier FID,
and the recall: the share of test images that lie within the samples, as far as the
third-nearest neighbour of a sample (Kynkäänniemi et al. 2019). Guidance is paid with
recall.

The second table draws one class that is taken for another, by itself, with guidance,
and by the energy 1.5 · E(x, class) − 0.5 · E(x, other).

Run from the repository's root:

    python -m benchmarks.guidance
"""

import numpy as np
from absl import flags

from benchmarks import _common
from benchmarks._fashion import classifier_fid
from keras_cfebm import datasets, load_ladder, tasks
from keras_cfebm.evaluation import fashion_classifier
from keras_cfebm.tasks.energies import of_class, weighted


def define_flags():
    flags.DEFINE_string("model", "fashion_mnist_conditional", "Conditional model.")
    flags.DEFINE_list("guidance", ["0", "0.5", "1", "2"], "Values of w.")
    flags.DEFINE_integer("samples", 500, "Samples of a row.", lower_bound=70)
    flags.DEFINE_list("pair", ["Shirt", "T-shirt/top"], "A class, and another.")
    flags.DEFINE_integer("composed", 64, "Samples of the pair.", lower_bound=1)
    flags.DEFINE_integer("batch", 64, "Images at a time.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Stream of images.", lower_bound=0)
    flags.DEFINE_string("json", None, "File for all the numbers.")


def recall(samples, images, encoder, nearest=3):
    """Share of images that lie within the reach of a sample, in features.

    Args:
        samples: float array `(n, h, w, c)`, n above `nearest`.
        images: float array `(m, h, w, c)` of real images.
        encoder: `Encoder`.
        nearest: int, the neighbour among the samples that a sample reaches to.

    Returns:
        float in [0, 1].
    """
    own, other = encoder(samples).astype("float64"), encoder(images).astype("float64")

    def distances(a, b):
        squares = (a**2).sum(1)[:, None] - 2 * a @ b.T + (b**2).sum(1)
        return np.sqrt(np.maximum(squares, 0))

    reach = np.sort(distances(own, own), axis=1)[:, nearest]  # 0 is the sample itself
    return float((distances(other, own) <= reach).any(axis=1).mean())


def classes(options, model):
    """Figures of all classes, a dict for each guidance."""
    classifier = fashion_classifier()
    labels = np.arange(options.samples) % model.num_classes
    test = datasets.load(datasets.EMBEDDED, split="test", resolution=32, fit="pad")
    real = test.subset(limit=options.samples, seed=options.seed).images()
    figures = []
    for guidance in map(float, options.guidance):
        images = model.generate(
            options.samples,
            options.seed,
            labels,
            batch_size=options.batch,
            guidance=guidance,
        )
        right = classifier.predict_classes(images) == labels
        by_class = [float(right[labels == c].mean()) for c in range(model.num_classes)]
        worst = int(np.argmin(by_class))
        figures.append(
            {
                "guidance": guidance,
                "accuracy": float(right.mean()),
                "by_class": by_class,
                "worst_class": classifier.class_names[worst],
                "classifier_fid": classifier_fid(images),
                "recall": recall(images, real, classifier.encoder),
            }
        )
    return figures


def composed(options, model):
    """Where samples of one class go: share of the class, and of the other."""
    classifier = fashion_classifier()
    name, other = options.pair
    wanted, unwanted = map(classifier.class_names.index, options.pair)
    ladder = [
        weighted([(of_class(network, name), 1.5), (of_class(network, other), -0.5)])
        for network in model.sampling_ladder
    ]

    def drawn(guidance):
        return model.generate(
            options.composed,
            options.seed,
            wanted,
            batch_size=options.batch,
            guidance=guidance,
        )

    versions = {
        f"E(x, {name})": drawn(0.0),
        "the same, guidance 1": drawn(1.0),
        f"1.5 E(x, {name}) − 0.5 E(x, {other})": tasks.generate(
            ladder,
            options.composed,
            options.seed,
            model.langevin,
            batch_size=options.batch,
        ),
    }
    figures = {}
    for version, images in versions.items():
        called = classifier.predict_classes(images)
        shares = float((called == wanted).mean()), float((called == unwanted).mean())
        figures[version] = {"class": shares[0], "other": shares[1]}
    return figures


def run(options):
    """Draws, judges and prints both tables."""
    machine = _common.machine()
    model = load_ladder(options.model)
    of_classes, of_pair = classes(options, model), composed(options, model)
    rows = [
        [
            f"{row['guidance']:g}",
            f"{row['accuracy']:.3f}",
            f"{min(row['by_class']):.2f} ({row['worst_class']})",
            f"{row['classifier_fid']:.1f}",
            f"{row['recall']:.2f}",
        ]
        for row in of_classes
    ]
    header = ["guidance", "class accuracy", "worst class", "classifier FID", "recall"]
    print(_common.markdown_table(header, rows))
    rows = [
        [version, f"{row['class']:.2f}", f"{row['other']:.2f}"]
        for version, row in of_pair.items()
    ]
    header = ["energy", *(f"called {name}" for name in options.pair)]
    print(f"\n{_common.markdown_table(header, rows)}")
    print(
        f"\n{options.samples} samples of a row above, {options.composed} below, seed "
        f"{options.seed}.\n{_common.machine_line(machine)}"
    )
    return {"machine": machine, "classes": of_classes, "composed": of_pair}


if __name__ == "__main__":
    _common.main(run, define_flags)
