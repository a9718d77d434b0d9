"""Show where a chain changes an image, and which pixels its energy depends on."""

from absl import flags

from keras_cfebm import evaluation, tasks
from keras_cfebm.cli.task import SHOWN, Task
from keras_cfebm.cli.text import print_table
from keras_cfebm.visualization import saliency_overlay

#: Training images whose features are compared with.
NORMAL = 1000


def main(values: flags.FlagValues) -> None:
    """Runs the chain, explains the energy, and lays the maps over the images."""
    task = Task("saliency", values)
    model = task.model
    translates = model.chain_start == "source"
    denoises = task.config is not None and task.config.source_noise > 0
    of = values.of or ("translate" if translates and not denoises else "denoise")
    if of == "translate" and not translates:
        raise ValueError(
            "Expected --model that was trained to translate for --of=translate, "
            "received one whose chains start at noise."
        )
    data = task.source() if of == "translate" else task.data()
    data = data.subset(limit=values.count, seed=values.seed)
    images, labels = data.images(), task.labels(data)
    network = model.sampling_network
    run = tasks.translate if of == "translate" else tasks.denoise
    if of == "denoise":
        start = tasks.add_noise(images, values.sigma, values.seed)
    else:
        start = images
    of_chain = {"labels": labels, "batch_size": values.batch_size, "saliency": True}
    results, generative = run(model, start, values.seed, **of_chain)
    figures, maps = evaluation.saliency_maps(
        network, images, generative, labels, values.seed, values.batch_size
    )
    defects = {}
    if values.defects:
        normal = task.data(training=True).subset(limit=NORMAL, seed=values.seed)
        given = (model.sampling_ladder, images, normal.images())
        maps["neighbours"] = tasks.neighbour_map(*given, values.batch_size)
        options = {"seed": values.seed, "batch_size": values.batch_size}
        defects = evaluation.evaluate_defects(*given, labels, **options)
    task.record(figures, data=data.name, images=len(data), of=of, defects=defects)
    for name, heat in maps.items():
        # What the chain did is best seen on its result.
        below = results if name == "generative" else images
        saliency_overlay(below[:SHOWN], heat[:SHOWN], path=task.output / f"{name}.png")
    print_table(
        ["map", "mean", "largest", "correlation with generative"],
        [(name, *row.values()) for name, row in figures.items()],
    )
    if defects:
        print_table(
            ["AUROC of pixels", *next(iter(defects.values()))],
            [(kind, *row.values()) for kind, row in defects.items()],
        )
    task.say_where()
