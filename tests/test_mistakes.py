"""The ten most likely mistakes: each is refused by a message that names the remedy."""

import re

import keras
import numpy as np
import pytest

from keras_cfebm.model import CFEBM
from keras_cfebm.runs.run_folder import RunError, RunFolder, load_ladder

GREY = np.random.default_rng(0).uniform(-1, 1, (2, 8, 8, 1)).astype("float32")


@pytest.fixture(scope="module")
def grey(make_network):
    return CFEBM(make_network())


@pytest.fixture(scope="module")
def colour(make_network):
    network = make_network(channels=3, num_classes=2)
    return CFEBM(network, class_names=["cat", "dog"])


MISTAKES = {
    "bytes": (np.uint8(127 * GREY + 127), "model.value_range = (0, 255)"),
    "levels": (127.5 * GREY + 127.5, "model.value_range = (0, 255)"),
    "shares": ((GREY + 1) / 2, "model.value_range = (0, 1)"),
    "channels first": (
        GREY.transpose(0, 3, 1, 2),
        "keras.ops.transpose(images, (0, 2, 3, 1))",
    ),
    "size": (GREY.repeat(2, axis=1), "keras.ops.image.resize(images, (8, 8))"),
    "one image": (GREY[0], "For one image add [None]"),
    "channels": (GREY.repeat(3, axis=-1), "keras.ops.image.rgb_to_grayscale(images)"),
}


@pytest.mark.parametrize(("images", "remedy"), MISTAKES.values(), ids=MISTAKES)
def test_images_are_refused_with_a_remedy(grey, images, remedy):
    for method in (grey.fit, grey.predict):
        with pytest.raises(ValueError, match=re.escape(remedy)):
            method(images, verbose=0)


def test_remedies_of_shapes_help(grey, colour):
    grey.predict(keras.ops.transpose(GREY.transpose(0, 3, 1, 2), (0, 2, 3, 1)))
    grey.predict(keras.ops.image.resize(GREY.repeat(2, axis=1), (8, 8)))
    grey.predict(keras.ops.image.rgb_to_grayscale(GREY.repeat(3, axis=-1)))
    repeated = keras.ops.repeat(GREY, 3, axis=-1)
    assert colour((repeated, np.int32([0, 1]))).shape == (2,)
    with pytest.raises(ValueError, match=r"keras\.ops\.repeat\(images, 3, axis=-1\)"):
        colour.predict((GREY, np.int32([0, 1])))


def test_missing_labels_are_asked_for(colour):
    for ask in (lambda: colour.generate(2), lambda: colour.fit(GREY.repeat(3, -1))):
        with pytest.raises(
            ValueError, match=r"received None: .* a label .* each image"
        ):
            ask()


def test_an_unknown_label_is_spelled(colour):
    with pytest.raises(ValueError, match=r"\['cat', 'dog'\].* Did you mean 'dog'\?"):
        colour.generate(2, labels="dgo")


def test_a_model_that_is_not_trained_says_how_to_train_it(tmp_path):
    with pytest.warns(UserWarning, match="cfebm train --preset=tiny --run_dir="):
        CFEBM.from_preset("tiny")
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    run.config.write_text("{}")
    with pytest.raises(RunError, match=f"cfebm train --run_dir={run.path} goes on"):
        load_ladder(run.path)
