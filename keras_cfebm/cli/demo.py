"""Train on the embedded Fashion-MNIST images and judge the samples beside controls."""

import json
import pathlib
import time

from absl import flags

from keras_cfebm import files
from keras_cfebm.cli.options import config_from_flags, define_config_flags
from keras_cfebm.metrics import fashion_mnist_figures
from keras_cfebm.run import train
from keras_cfebm.run_folder import RunFolder
from keras_cfebm.visualization import image_grid


def define_flags(values):
    """Adds the flags of this command."""
    flags.DEFINE_string("run_dir", "runs/demo", "Run folder.", flag_values=values)
    flags.DEFINE_integer(
        "samples", 2000, "Samples to judge.", lower_bound=65, flag_values=values
    )
    define_config_flags(values)


def main(values):
    """Trains, samples, and prints the classifier FID of samples and controls."""

    config = config_from_flags(values, default_preset="fashion_mnist_quick")
    began = time.monotonic()
    model = train(config, values.run_dir)
    minutes = (time.monotonic() - began) / 60
    images = model.generate(values.samples, seed=config.seed + 1)
    run = RunFolder(values.run_dir)
    grid = run.path / "samples.png"
    image_grid(images[:64], path=grid)
    figures = fashion_mnist_figures(images)
    figures["training_minutes"] = round(minutes, 1)
    files.write_text(run.path / "figures.json", json.dumps(figures, indent=2) + "\n")

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
