"""Train on the embedded Fashion-MNIST images and judge the samples beside controls."""

import pathlib

from absl import flags

from keras_cfebm.cli.config import config_from_flags
from keras_cfebm.cli.text import write_json
from keras_cfebm.configs.run_config import RunConfig
from keras_cfebm.datasets import EMBEDDED
from keras_cfebm.evaluation import fashion_mnist_figures
from keras_cfebm.runs.run_folder import RunFolder, read_metrics
from keras_cfebm.runs.train import train
from keras_cfebm.visualization import image_grid

_PRESET = "fashion_mnist_demo"


def _check(config: RunConfig) -> None:
    """Raises, before hours of training, unless the samples can be judged after it."""
    of_fashion = config.data.name in (EMBEDDED, "fashion_mnist")
    plain = config.source is None and not config.network.conditional
    if not (of_fashion and plain and config.data.resolution in (8, 16, 32)):
        received = [f"--data={config.data.name}"]
        received += [f"--resolution={config.data.resolution}"]
        received += ["--conditional"] * config.network.conditional
        if config.source is not None:
            received += [f"--source={config.source.name}"]
        raise ValueError(
            "Expected Fashion-MNIST images of 8, 16 or 32 pixels, without classes and "
            "without a source, as the demo judges samples of just those, received "
            f"{' '.join(received)}. `cfebm train` trains anything."
        )


def main(values: flags.FlagValues) -> None:
    """Trains, samples, and prints the classifier FID of samples and controls."""
    config = config_from_flags(values, _PRESET)
    _check(config)
    model = train(config, values.run_dir)
    images = model.generate(values.samples, seed=config.seed + 1)
    run = RunFolder(values.run_dir)
    # Of all processes that have worked on the run.
    minutes = sum(row["seconds"] for row in read_metrics(run)) / 60
    grid = run.path / "samples.png"
    image_grid(images[:64], path=grid)
    figures = fashion_mnist_figures(images)
    figures["training_minutes"] = round(minutes, 1)
    write_json(run.path / "figures.json", figures)

    print(f"\nTrained to {model.resolution} × {model.resolution} in {minutes:.1f} min.")
    print(f"Classifier FID against {figures['reference']} (0 is best):")
    for name, distance in figures["classifier_fid"].items():
        print(f"  {name:<28} {distance:8.2f}")
    print("\nLook at the pictures:")
    pictures = [
        ("samples", grid),
        ("training, epoch by epoch", run.samples),
        ("chains from noise to image", run.chain),
        ("the same as a film", run.film),
        ("energy curves", run.energies),
    ]
    for name, path in pictures:
        print(f"  {name:<28} {pathlib.Path(path)}")
