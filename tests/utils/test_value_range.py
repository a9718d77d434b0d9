"""Ranges of images: what is declared is scaled everywhere, what is not is refused."""

import re

import keras
import numpy as np
import pytest

from keras_cfebm.datasets.pipeline import Batches
from keras_cfebm.datasets.pixels import to_float
from keras_cfebm.model import CFEBM
from keras_cfebm.sampling import Langevin
from keras_cfebm.utils.value_range import check_inputs, check_value_range

LEVELS = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), "uint8")
IMAGES = to_float(LEVELS)
#: Declared ranges and the images above in them.
FORMS = {
    "bytes": ((0, 255), LEVELS),
    "levels": ((0, 255), LEVELS.astype("float32")),
    "shares": ((0, 1), (LEVELS / 255).astype("float32")),
    "others": ((-3, 1), 2 * IMAGES - 1),
}


@pytest.fixture(scope="module")
def model(make_network):
    return CFEBM(make_network(), Langevin(steps=1))


@pytest.fixture(scope="module")
def energies(model):
    return model.predict(IMAGES, verbose=0)


@pytest.mark.parametrize("form", FORMS)
def test_images_of_a_declared_range_have_the_same_energies(model, energies, form):
    model.value_range, images = FORMS[form]
    options = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(model.predict(images, verbose=0), energies, **options)
    np.testing.assert_allclose(model(images), energies, **options)
    data = Batches(lambda index: images, 1)
    np.testing.assert_allclose(model.predict(data, verbose=0), energies, **options)
    model.value_range = None
    np.testing.assert_allclose(model.predict(IMAGES, verbose=0), energies, **options)


def test_training_on_bytes_is_training_on_floats(make_network):
    weights = []
    for value_range, images in ((None, IMAGES), ((0, 255), LEVELS)):
        network = make_network()
        model = CFEBM(network, Langevin(steps=1), value_range=value_range)
        model.compile(keras.optimizers.SGD(1e-2))
        before = network.get_weights()
        model.fit(images, batch_size=4, verbose=0)
        weights.append(network.get_weights())
    for of_floats, of_bytes in zip(*weights, strict=True):
        np.testing.assert_allclose(of_bytes, of_floats, atol=1e-6)
    assert np.abs(weights[0][0] - before[0]).max() > 1e-5


def test_sources_are_of_the_declared_range_and_the_translation_is_not(make_network):
    settings = Langevin(steps=0)
    model = CFEBM(make_network(), settings, chain_start="source", value_range=(0, 255))
    np.testing.assert_allclose(model.translate(LEVELS, seed=0), IMAGES, atol=1e-6)
    again = model.translate(LEVELS, seed=0, dtype="uint8")
    np.testing.assert_array_equal(again, LEVELS)
    batch = model.unpack((LEVELS, LEVELS.astype("float32")))
    np.testing.assert_allclose(batch.images, IMAGES, atol=1e-6)
    np.testing.assert_allclose(batch.sources, IMAGES, atol=1e-6)


def test_the_range_is_saved_and_grows_along(model, tmp_path):
    model.value_range = [0, 255]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.value_range == model.grown(1).value_range == (0.0, 255.0)
    model.value_range = None


@pytest.mark.parametrize("value_range", [(1, 0), (0, 0), 255, "ab", (0, np.inf), (0,)])
def test_what_is_no_range_is_refused(value_range):
    with pytest.raises(ValueError, match=r"value_range as \(smallest, largest\)"):
        check_value_range(value_range)


def stretched(low, high):
    return np.linspace(low, high, 64, dtype="float32").reshape(1, 8, 8, 1)


@pytest.mark.parametrize(
    ("declared", "low", "high", "line"),
    [
        (None, 0, 255, "(0, 255)."),
        (None, 0, 1, "(0, 1), or (-1, 1) for images without anything dark."),
        ((-1, 1), 0, 255, "(0, 255)."),
        ((0, 1), 0, 255, "(0, 255)."),
        ((0, 1), -1, 1, "(-1, 1)."),
        ((0, 255), 0, 1, "(0, 1)."),
        ((0, 255), -1, 1, "(-1, 1)."),
    ],
)
def test_another_range_than_was_declared_is_refused(declared, low, high, line):
    declared = check_value_range(declared)
    with pytest.raises(ValueError, match=re.escape(f"model.value_range = {line}")):
        check_inputs(stretched(low, high), (8, 8, 1), declared)


@pytest.mark.parametrize(
    ("declared", "low", "high"),
    [
        (None, -1, 1),
        (None, 0, 0.4),
        ((-1, 1), 0, 1),  # bright all over, as declared
        ((0, 1), 0, 1),
        ((0, 255), 0, 2),  # nearly black
        ((0, 65535), 0, 1),  # who knows
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_fits_the_declared_range_is_taken(declared, low, high):
    least, most = (-1, 1) if declared is None else declared
    received = check_inputs(
        stretched(low, high), (8, 8, 1), check_value_range(declared)
    )
    expected = stretched(*(2 * (x - least) / (most - least) - 1 for x in (low, high)))
    np.testing.assert_allclose(received, expected, atol=1e-5)


@pytest.mark.parametrize("declared", [None, (0.0, 1.0)])
def test_bytes_need_a_range_of_levels(declared):
    with pytest.raises(ValueError, match=r"uint8: model.value_range = \(0, 255\) take"):
        check_inputs(LEVELS, (8, 8, 1), declared)
