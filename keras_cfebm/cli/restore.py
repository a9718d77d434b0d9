"""Restore what was measured of images, and compare with classical methods."""

import dataclasses

from absl import flags

from keras_cfebm import evaluation, tasks
from keras_cfebm.cli.task import Task, require_noise, two_parts
from keras_cfebm.cli.text import print_table
from keras_cfebm.tasks.inverse_problems import REFINEMENT, RESTORATION

#: Held-out images on which strengths of filters are chosen.
TUNING = 64


def main(values: flags.FlagValues) -> None:
    """Measures held-out images and restores them."""
    operator = tasks.operator_of(values.operator)
    task = Task("restore", values)
    if values.initial is None:
        require_noise(task.model)
    test, tuning = two_parts(task.data(), values.count, TUNING, values.seed)
    default = RESTORATION if values.initial is None else REFINEMENT
    settings = task.langevin(task.model.adapted(default)).faster(values.speed)
    classifier = task.classifier()
    # A Fréchet distance takes more images than there are features.
    encoder = classifier and len(test) > 64 and classifier.encoder
    found = evaluation.evaluate_restoration(
        task.model.sampling_ladder,
        test.images(),
        operator,
        values.sigma,
        initial=values.initial,
        tuning_images=tuning.images(),
        encoder=encoder or None,
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
        operator=values.operator,
        sigma=values.sigma,
        initial=values.initial,
        samples=values.samples,
        langevin=dataclasses.asdict(settings),
    )
    task.show(found.images, "restored.png")
    methods = found.figures["methods"]
    names = list(methods["model"])
    print_table(
        ["", *(name.replace("_", " ") for name in names)],
        [(method, *(row[name] for name in names)) for method, row in methods.items()],
    )
    print(
        f"PSNR in dB. model is one sample, model_mean the mean of {values.samples}, "
        "whose deviation correlates with the error at "
        f"{found.figures['deviation_correlation']:.2f}."
    )
    task.say_where()
