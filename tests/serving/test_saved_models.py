"""The pretrained models: what each has to be, in both of its forms."""

import json
import pathlib
import socket
import warnings

import numpy as np
import pytest
import tensorflow as tf

from keras_cfebm import configs, datasets, tasks
from keras_cfebm.assets import card_sections
from keras_cfebm.datasets.embedded import CLASS_NAMES
from keras_cfebm.model import CFEBM

FOLDER = pathlib.Path(__file__).parents[2] / "saved_models"
NAMES = sorted(path.name for path in FOLDER.iterdir())


def test_one_of_each_kind_is_there():
    assert {
        "fashion_mnist",
        "fashion_mnist_conditional",
        "fashion_mnist_sneaker_to_boot",
        "fashion_mnist_boot_to_sneaker",
        "fashion_mnist_shirt_to_dress",
        "fashion_mnist_dress_to_shirt",
        "emoji_portraits",
        "emoji_yellow_to_dark",
        "emoji_woman_to_man",
    } <= set(NAMES)


def test_a_ladder_without_its_last_level_is_a_model():
    portraits = CFEBM.from_preset("emoji_portraits")
    # σ falls over the whole chain: of a shorter one it is another.
    portraits.langevin = portraits.langevin.replace(noise_scale=0.0)
    smaller = CFEBM(portraits.ladder[:3], portraits.langevin)
    states = tasks.chain_states(portraits, 2, seed=0)
    below = [s.images for s in states if s.images.shape[1] == 32][-1]
    np.testing.assert_allclose(smaller.generate(2, seed=0), below, atol=1e-4)


def test_the_detector_comes_with_the_model():
    model = CFEBM.from_preset("fashion_mnist")
    data = datasets.load(datasets.EMBEDDED, "test", resolution=32, fit="pad")
    normal = data.images(40)
    anomalies = [np.full((1, 32, 32, 1), -1, "float32"), -normal[:3]]
    assert model.detector.detect(np.concatenate(anomalies)).all()
    assert model.detector.detect(normal).mean() <= 0.2


@pytest.mark.parametrize("name", NAMES)
def test_the_card_says_what_the_model_is(name):
    folder = FOLDER / name
    card = (folder / "README.md").read_text(encoding="utf-8")
    for row in ("made by", "data", "chain", "stages", "seed", "training", "machine"):
        assert f"| {row} | " in card
    judged = "classifier FID of"
    if configs.PRESETS[name].channels == 3:
        pairs = configs.config(name).source is not None
        judged = "true psnr" if pairs else "Fréchet distance on emoji-encoder of"
    for text in (
        f"cfebm train --preset={name} ",
        judged,
        "| licence | ",
        "## What it does",
    ):
        assert text in card
    assert (folder / "samples.png").is_file()


def test_all_models_together_are_small():
    size = sum(p.stat().st_size for p in FOLDER.rglob("*") if p.is_file())
    assert size <= 60e6


@pytest.mark.parametrize("name", NAMES)
def test_both_forms_are_the_model_of_the_preset(name, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("no network is needed")

    monkeypatch.setattr(socket, "socket", refuse)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # as of an untrained model
        model = CFEBM.from_preset(name)
    recorded = json.loads((FOLDER / name / "figures.json").read_text(encoding="utf-8"))
    found = card_sections.checked(model)
    for what, numbers in recorded["check"].items():
        np.testing.assert_allclose(found[what], numbers, atol=1e-3)

    config = configs.config(name)
    side = config.data.resolution
    assert model.image_shape == (side, side, configs.PRESETS[name].channels)
    assert (model.chain_start == "source") == (config.source is not None)
    assert (model.num_classes == 10) == config.network.conditional
    assert model.class_names == (CLASS_NAMES if model.num_classes else None)

    data = datasets.load(datasets.EMBEDDED, "test", resolution=side, fit="pad")
    images, labels = data.images(3), None
    if model.num_classes is not None:
        labels = data.labels(3).astype("int32")
    if model.image_shape[-1] == 3:
        images = images.repeat(3, axis=-1)
    given = {} if labels is None else {"labels": tf.constant(labels)}
    served = tf.saved_model.load(str(FOLDER / name / "serving" / "1")).signatures
    if model.detector is not None:
        found = served["anomaly_score"](images=tf.constant(images))
        scores = model.detector.scores(images)
        tolerance = 1e-3  # of −log p: curves are steep where scores are dense
    else:
        found = served["anomaly_score"](images=tf.constant(images), **given)
        scores = tasks.anomaly_scores(model.sampling_network, images, labels=labels)
        tolerance = 1e-5
    np.testing.assert_allclose(found["score"], scores, rtol=1e-5, atol=tolerance)
    assert ("anomalous" in found) == (model.detector is not None)
    assert all(output.shape == (3,) for output in found.values())

    given |= {"seeds": tf.constant([3] * 3, tf.int64), "steps": tf.constant([1] * 3)}
    given |= {"speed": tf.ones(3), "guidance": tf.zeros(3)}
    chain = served["translate" if model.chain_start == "source" else "generate"]
    asked = chain.structured_input_signature[1]
    given = {name: value for name, value in given.items() if name in asked}
    if model.chain_start == "source":
        found = chain(images=tf.constant(images), **given)["images"]
        settings = model.finest_settings.replace(steps=1)
        wanted = tasks.translate(model.sampling_network, images[:1], 3, settings)
    else:
        found = chain(**given)["images"]
        settings = model.langevin.replace(steps=1)
        first = None if labels is None else labels[:1]
        wanted = tasks.generate(model.sampling_ladder, 1, 3, settings, labels=first)
    np.testing.assert_allclose(found[:1], wanted, atol=1e-5)
