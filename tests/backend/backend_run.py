"""What a process of its own does, as a backend is chosen once per process.

python backend_run.py exchange FOLDER
python backend_run.py devices
python backend_run.py without_tensorflow FOLDER
"""

import os
import pathlib
import sys

import numpy as np


def images(count, resolution, seed=0):
    shape = (count, resolution, resolution, 1)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


def adam():
    import keras

    # Adam divides tiny gradients by their own size, so that the last bit of a sum
    # decides about whole steps; with a large epsilon it does not.
    return keras.optimizers.Adam(0.01, beta_1=0.5, epsilon=0.1)


def train(model, steps=2, batch_size=4):
    data = images(steps * batch_size, model.resolution)
    labels = None if model.num_classes is None else np.arange(len(data)) % 3
    history = model.fit(
        data, labels, batch_size=batch_size, shuffle=False, verbose=0
    ).history
    return {name: np.array(values) for name, values in history.items()}


def new_model(num_classes=None):
    """A model of 8 × 8 pixels, untrained."""
    import keras

    import keras_cfebm as cf

    keras.utils.set_random_seed(0)
    network = cf.EnergyNetwork(8, channels=1, base_width=1, num_classes=num_classes)
    model = cf.CFEBM([network], langevin=cf.Langevin(steps=5), data_noise=0.1, seed=3)
    model.compile(adam())
    return model


def new_ladder():
    """A conditional ladder of 8 and 16 in the middle of its fade-in."""
    model = new_model(num_classes=3).grown(fade_steps=4)
    model.compile(adam())
    train(model)
    return model


def _load(path):
    import keras

    import keras_cfebm  # noqa: F401  makes the classes known to Keras

    return keras.saving.load_model(path)


def figures(path):
    """Energies and chains of a saved ladder."""
    model = _load(path)
    labels = np.arange(6) % 3
    energies = model.predict((images(6, 16), labels), verbose=0)
    chains = model.generate(6, seed=1, labels=labels)
    return {"energies": energies, "chains": chains}


def two_more_steps(path):
    """What further training makes of a saved ladder, and what it logs."""
    model = _load(path)
    logs = train(model)
    return {**logs, **{weight.path: weight.numpy() for weight in model.weights}}


def exchange(folder):
    """Saves a ladder as other.keras; figures of it and of tensorflow.keras here."""
    folder = pathlib.Path(folder)
    new_ladder().save(folder / "other.keras")
    for name in ("other", "tensorflow"):
        np.savez(folder / f"{name}.npz", **figures(folder / f"{name}.keras"))
    steps = two_more_steps(folder / "tensorflow.keras")
    np.savez(folder / "steps.npz", **steps)


def devices():
    """Trains on one device, then on two, and compares."""
    import jax
    import keras

    single, expected = _results()
    keras.distribution.set_distribution(keras.distribution.DataParallel())
    several, results = _results()
    placed = several.network.weights[0].value.sharding.device_set
    assert len(placed) == len(jax.devices()) == 2, placed
    for one, other in zip(single.weights, several.weights, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-5, err_msg=one.path)
    for one, other in zip(expected, results, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-3)


def _results():
    model = new_model()
    logs = train(model)
    return model, (
        *logs.values(),
        model.evaluate(images(4, 8), verbose=0),
        model.predict(images(4, 8), verbose=0),
        model.generate(4, seed=0),
    )


class Absent:
    """Makes imports of packages fail, as if they were not installed."""

    def __init__(self, *packages):
        self.packages = packages

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.packages:
            raise ModuleNotFoundError(f"No module named {name!r}")


def without_tensorflow(folder):
    """Everything that does not need TensorFlow, and what is said of the rest."""
    packages = ("tensorflow", "tensorflow_datasets", "tensorboard", "tf_keras_vis")
    if os.environ["KERAS_BACKEND"] == "torch":
        import torch._dynamo  # noqa: F401  only looks whether TensorFlow is there
    sys.meta_path.insert(0, Absent(*packages))
    from PIL import Image

    import keras_cfebm as cf
    from keras_cfebm.cli.main import main

    folder = pathlib.Path(folder)
    model = new_model()
    train(model)
    model.save(folder / "model.keras")
    loaded = cf.load_ladder(folder / "model.keras")
    np.testing.assert_array_equal(loaded.generate(2, seed=0), model.generate(2, seed=0))

    run, photos = folder / "run", folder / "photos"
    photos.mkdir()
    for place, image in enumerate(cf.datasets.to_uint8(images(20, 16))):
        Image.fromarray(image[..., 0]).save(photos / f"{place}.png")
    sizes = ["--fade_images=8", "--stabilise_images=8", "--batch_size=4"]
    flags = ["--preset=tiny", f"--data={photos}", *sizes, f"--run_dir={run}"]
    assert main(["train", *flags]) == 0
    assert main(["inpaint", f"--model={run}", "--count=4"]) == 0
    assert main(["report", f"--run_dir={run}"]) == 0
    # These explain, on standard error, what they lack.
    assert main(["saliency", f"--model={run}", "--count=4"]) == 1
    assert main(["export", f"--model={run}"]) == 1
    assert main(["train", "--data=cifar10", f"--run_dir={folder / 'other'}"]) == 1
    assert not [name for name in sys.modules if name.split(".")[0] in packages]


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    globals()[command](*arguments)
