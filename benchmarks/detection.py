"""How well anomalies are told from normal images, by every score and its rivals.

For each model and seed: `LadderDetector` is fitted to training images and calibrated by
held-out ones, on which the thresholds of all other scores are fitted too; other normal
images and up to twelve sets of anomalies are judged. "Near" anomalies are made of
normal images or are classes that the model was not trained on, "far" ones are of
another kind (the split of OpenOOD). Figures are means over seeds, which part the images
and draw the anomalies.

The scores below the line know no energy. Mahalanobis distances are in features of the
shipped classifier, which was trained on all ten classes with their labels: no fair
rival where classes are to be found that no label tells of.

Run from the repository's root. `--data` names a folder of the four published files of
Fashion-MNIST, whose 10,000 test images take the place of the 2,000 embedded ones:

    python -m benchmarks.detection --data=DIR
"""

import numpy as np
from absl import flags

from benchmarks import _common
from keras_cfebm import configs, datasets, evaluation, load_ladder, tasks
from keras_cfebm.assets.make_fashion_mnist import read_split
from keras_cfebm.datasets.embedded import CLASS_NAMES
from keras_cfebm.datasets.pixels import to_float
from keras_cfebm.tasks.anomaly import SCORES

#: Sets that are one image again and again: so many of it.
_SINGLE, _COPIES = ("black", "grey"), 8
_HELD_OUT = "held out classes"
_FIGURES = ("auroc", "aupr", "fpr95", "found")


def define_flags():
    flags.DEFINE_list(
        "models", ["fashion_mnist_eight_classes", "fashion_mnist"], "Presets."
    )
    flags.DEFINE_string("data", None, "Folder of the files of Fashion-MNIST.")
    flags.DEFINE_integer("training", 4000, "Training images.", lower_bound=70)
    flags.DEFINE_integer("normal", 2000, "Held-out images, and as many others.")
    flags.DEFINE_integer("anomalies", 300, "Images of a set.", lower_bound=1)
    flags.DEFINE_integer("seeds", 3, "Seeds.", lower_bound=1)
    flags.DEFINE_integer("batch", 100, "Images at a time.", lower_bound=1)
    flags.DEFINE_string("json", None, "File for all the numbers.")


def test_images(folder):
    """Images `(n, 32, 32, 1)` that no model was trained on, and labels `(n,)`."""
    if folder is None:
        data = datasets.load(datasets.EMBEDDED, "test", resolution=32, fit="pad")
        return data.images(), data.labels()
    images, labels = read_split(folder, "t10k")
    images = np.pad(images, ((0, 0), (2, 2), (2, 2)))[..., None]
    return to_float(images), labels.astype("int64")


def image_sets(options, config, pool, seed):
    """Training, held-out and normal images, labels of the first, and anomalies."""
    train = datasets.load(datasets.EMBEDDED, "train", resolution=32, fit="pad")
    classes = config.data.classes
    if classes is not None:
        train = train.subset(classes=classes)
    train = train.subset(limit=options.training, seed=seed)
    images, labels = pool
    known = {CLASS_NAMES.index(name) for name in classes or CLASS_NAMES}
    is_known = np.isin(labels, list(known))
    rng = np.random.default_rng(seed)
    normal = images[is_known]
    normal = normal[rng.permutation(len(normal))][: 2 * options.normal]
    held_out, normal = np.array_split(normal, 2)
    count = options.anomalies
    anomalies = {
        name: evaluation.anomaly_images(
            name, normal, min(count, _COPIES) if name in _SINGLE else count, seed
        )
        for name in evaluation.KNOWN_ANOMALIES
    }
    if not is_known.all():
        others = images[~is_known]
        chosen = rng.permutation(len(others))[:count]
        anomalies = {_HELD_OUT: others[chosen], **anomalies}
    return train, held_out, normal, anomalies


def detectors_of(options, model, train, held_out, seed):
    """Names of scores → detectors, those that know no energy last."""
    images = train.images()
    ladder = tasks.LadderDetector(model.sampling_ladder, model.langevin, options.batch)
    encoder = evaluation.fashion_classifier().encoder
    energies = model.sampling_ladder
    if model.num_classes is not None:
        energies = [tasks.energies.any_class(network) for network in energies]
    return {
        "ladder": ladder.fit(images, held_out=held_out, seed=seed),
        **{
            score: tasks.AnomalyDetector(energies[-1], score, options.batch)
            for score in SCORES
        },
        "energy_sum": evaluation.EnergySum(energies, held_out, options.batch),
        "mahalanobis": evaluation.mahalanobis_score(encoder, images, train.labels()),
        "pca": evaluation.pca_score(images, seed=seed),
        "neighbour": evaluation.neighbour_score(images),
        "isolation_forest": evaluation.isolation_forest_score(images, seed),
    }


def judged(options, name, pool):
    """Figures of a model: set → score → figure → list over seeds; false alarms."""
    model = load_ladder(name)
    figures, false_alarms = {}, {}
    for seed in range(options.seeds):
        sets = image_sets(options, configs.config(name), pool, seed)
        train, held_out, normal, anomalies = sets
        detectors = detectors_of(options, model, train, held_out, seed)
        report = evaluation.evaluate_detection(detectors, held_out, normal, anomalies)
        for kind, by_score in report.figures.items():
            for score, row in by_score.items():
                own = figures.setdefault(kind, {}).setdefault(score, {})
                for figure in _FIGURES:
                    own.setdefault(figure, []).append(row[figure])
        for score, state in report.thresholds.items():
            false_alarms.setdefault(score, []).append(state["false_positives"])
    return {"figures": figures, "false_alarms": false_alarms}


def near_and_far(figures):
    """The sets in the order of the tables: names of near ones, and of far ones."""
    near = [_HELD_OUT, *evaluation.NEAR_ANOMALIES]
    return [k for k in near if k in figures], list(evaluation.FAR_ANOMALIES)


def table_of_scores(results):
    """AUROC of each set and score, means over seeds, and means over sets."""
    figures = results["figures"]
    near, far = near_and_far(figures)
    scores = list(results["false_alarms"])

    def area(score, kinds):
        return np.mean([figures[kind][score]["auroc"] for kind in kinds])

    groups = {kind: [kind] for kind in near}
    groups |= {"**near**": near}
    groups |= {kind: [kind] for kind in far}
    groups |= {"**far**": far, "**all**": near + far}
    rows = [
        [label, *(f"{area(score, kinds):.3f}" for score in scores)]
        for label, kinds in groups.items()
    ]
    alarms = [f"{np.mean(results['false_alarms'][score]):.3f}" for score in scores]
    header = ["AUROC", *(score.replace("_", " ") for score in scores)]
    return _common.markdown_table(header, [*rows, ["false alarms", *alarms]])


def table_of_ladder(results):
    """All figures of the ladder's score, with the worst seed's AUROC."""
    figures = {kind: row["ladder"] for kind, row in results["figures"].items()}
    near, far = near_and_far(figures)

    def row(label, kinds):
        means = [np.mean([figures[k][f] for k in kinds]) for f in _FIGURES]
        worst = np.min([figures[k]["auroc"] for k in kinds])
        return [label, *(f"{value:.3f}" for value in (means[0], worst, *means[1:]))]

    rows = [row(kind, [kind]) for kind in near] + [row("**near**", near)]
    rows += [row(kind, [kind]) for kind in far] + [row("**far**", far)]
    rows += [row("**all**", near + far)]
    header = ["ladder", "AUROC", "worst seed", "AUPR", "FPR@95", "flagged at 5 %"]
    return _common.markdown_table(header, rows)


def run(options):
    """Judges, and prints two tables for each model."""
    machine = _common.machine()
    pool = test_images(options.data)
    results = {}
    for name in options.models:
        results[name] = judged(options, name, pool)
        print(f"\n{name}\n\n{table_of_scores(results[name])}", flush=True)
        print(f"\n{table_of_ladder(results[name])}", flush=True)
        alarms = ", ".join(f"{a:.3f}" for a in results[name]["false_alarms"]["ladder"])
        print(f"\nFalse alarms of the ladder by seed, at a nominal 0.05: {alarms}")
    # None of this is a time, so a busy machine does no harm.
    on = _common.machine_line({**machine, "load": None})
    print(
        f"\n{options.seeds} seeds; {options.training} training images, at most "
        f"{options.normal} held out and as many judged, {options.anomalies} of each "
        f"anomaly ({_COPIES} of {' and '.join(_SINGLE)}).\n{on}"
    )
    return {"machine": machine, "models": results}


if __name__ == "__main__":
    _common.main(run, define_flags)
