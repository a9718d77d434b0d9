"""Shared fixtures. Everything is tiny, so that the suite runs in minutes on a CPU."""

import signal

import keras
import numpy as np
import pytest
import quick_graphs  # noqa: F401

from keras_cfebm.model import CFEBM
from keras_cfebm.network import EnergyNetwork
from keras_cfebm.sampling import Langevin

# A shell ignores Ctrl-C for what it starts with `&`, and nohup a terminal's end; and so
# would every process of ours.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

if keras.backend.backend() == "torch":
    import torch

    # Tests compare energies as arrays, which PyTorch makes of constants only.
    torch.set_grad_enabled(False)

#: The longest modules. They start first, so that no worker is left alone with one.
_LONGEST = ("test_kill", "test_tutorials", "test_faults", "test_task_commands")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.stem not in _LONGEST)


@pytest.fixture(scope="module", autouse=True)
def compiled_no_longer_than_needed():
    """Frees what JAX has compiled, which would fill gigabytes by the last module."""
    yield
    if keras.backend.backend() == "jax":
        import jax

        jax.clear_caches()


@pytest.fixture(scope="session")
def noise_images():
    """A function that returns images of uniform noise."""

    def draw(count, resolution, channels=1, seed=0):
        shape = (count, resolution, resolution, channels)
        return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")

    return draw


@pytest.fixture(scope="session")
def scramble():
    """A function that moves every trainable weight, biases too, away from its start."""

    def move(layer, seed=0):
        rng = np.random.default_rng(seed)
        for weight in layer.trainable_weights:
            change = 0.3 * rng.normal(size=tuple(weight.shape)).astype("float32")
            weight.assign(weight + change)
        return layer

    return move


@pytest.fixture(scope="session")
def make_network(scramble):
    """A function that returns an `EnergyNetwork` four channels wide."""

    def make(resolution=8, **changes):
        keras.utils.set_random_seed(1)
        arguments = {"channels": 1, "base_width": 1, **changes}
        return scramble(EnergyNetwork(resolution, **arguments))

    return make


@pytest.fixture(scope="session")
def make_model(make_network):
    """A function that returns a compiled `CFEBM` of one network, two Langevin steps."""

    def make(resolution=8, *, channels=1, num_classes=None, optimizer=None, **changes):
        network = make_network(resolution, channels=channels, num_classes=num_classes)
        model = CFEBM([network], **{"langevin": Langevin(steps=2), **changes})
        model.compile(optimizer or keras.optimizers.Adam(1e-3, beta_1=0.5))
        return model

    return make


@pytest.fixture(scope="session")
def drawn():
    """A function that returns what a training step draws: positives and negatives."""

    def draw(model, data, first=0):
        batch = model.unpack(data)
        keys = model.training_keys(first + batch.places)
        negatives = model.negatives(keys, batch.labels, batch.sources)
        return model.with_data_noise(batch.images, keys), negatives

    return draw


@pytest.fixture(scope="session")
def values():
    """A function that copies the values of a model's or layer's weights."""
    return lambda model: [weight.numpy() for weight in model.weights]


@pytest.fixture(scope="session")
def assert_equal():
    """A function that compares two lists of arrays bit by bit."""

    def compare(first, second):
        for a, b in zip(first, second, strict=True):
            np.testing.assert_array_equal(a, b)

    return compare
