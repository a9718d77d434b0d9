"""Judge an energy: long chains, their duration, energies, detail, images of nothing."""

import textwrap
from typing import Any

from absl import flags

from keras_cfebm import evaluation
from keras_cfebm.cli.task import Task
from keras_cfebm.cli.text import as_number, print_table
from keras_cfebm.visualization import energy_histogram


def main(values: flags.FlagValues) -> None:
    """Measures and judges."""
    factors = [as_number(int, "factors", factor) for factor in values.factors]
    task = Task("diagnose", values)
    classifier = task.classifier()
    found = evaluation.diagnose(
        task.model,
        task.data(),
        task.data(training=True),
        None if classifier is None else classifier.encoder,
        values.count,
        factors,
        seed=values.seed,
        batch_size=values.batch_size,
    )
    task.record(found.figures)
    task.show(found.images, "chains.png")
    energies = {name.replace("_", " "): some for name, some in found.energies.items()}
    energy_histogram(energies, path=task.output / "energies.png")
    _print_tables(found.figures)
    for name, check in found.figures["checks"].items():
        _print_verdict(check["verdict"], name.replace("_", " "), check["meaning"])
    print()
    _print_verdict(found.figures["verdict"], "in all", found.figures["meaning"])
    task.say_where()


def _print_tables(figures: dict[str, Any]) -> None:
    distance, scale = figures["metric"], figures["scale"]
    print_table(
        ["real images", distance],
        [(name.replace("_", " "), d) for name, d in scale.items() if name != "samples"],
    )
    print()
    print_table(
        ["chains from", "steps at the finest level", distance, "saturated"],
        [
            (f"{start}, {length}", *row.values())
            for start, lengths in figures["chains"].items()
            for length, row in lengths.items()
        ],
    )
    print()
    print_table(
        ["whole chains", "steps K", "duration K·η", distance],
        [
            (name.replace("_", " "), *row.values())
            for name, row in figures["durations"].items()
        ],
    )
    print()
    print_table(
        ["energy of", "mean", "deviation", "AUROC"],
        [
            (name.replace("_", " "), *row.values(), figures["nonsense"].get(name))
            for name, row in figures["energies"].items()
        ],
    )
    print()


def _print_verdict(verdict: str, name: str, meaning: str) -> None:
    print(f"{verdict:<7}{name}")
    print(textwrap.indent(textwrap.fill(meaning, width=73), " " * 7))
