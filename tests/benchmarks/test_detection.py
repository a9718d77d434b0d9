"""The benchmark of detection, on an untrained model and few images."""

import pathlib
import types

import numpy as np
import pytest

from keras_cfebm import CFEBM, Langevin, configs, datasets, evaluation

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def detection(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import detection

    return detection


@pytest.fixture
def options():
    return types.SimpleNamespace(
        models=["fashion_mnist_eight_classes"],
        data=None,
        training=70,
        normal=30,
        anomalies=4,
        seeds=2,
        batch=70,
    )


def test_sets_are_disjoint_and_of_the_right_classes(detection, options):
    pool = detection.test_images(None)
    config = configs.config("fashion_mnist_eight_classes")
    train, held_out, normal, anomalies = detection.image_sets(options, config, pool, 0)
    assert len(train) == 70 and len(held_out) == len(normal) == 30
    assert set(train.labels()).isdisjoint({1, 8})  # trousers and bags
    images, labels = pool
    others = images[np.isin(labels, (1, 8))].tolist()
    assert all(image.tolist() in others for image in anomalies["held out classes"])
    seen = np.concatenate([held_out, normal]).reshape(60, -1)
    assert len(np.unique(seen, axis=0)) == 60
    near, far = detection.near_and_far(anomalies)
    assert sorted(near + far) == sorted(anomalies)


def test_both_tables_are_printed(detection, options, monkeypatch, capsys):
    def detectors_of(options, model, train, held_out, seed):
        pca = evaluation.pca_score(train.images(), seed=seed)
        return {"ladder": lambda images: images.mean(axis=(1, 2, 3)), "pca": pca}

    monkeypatch.setattr(detection, "load_ladder", lambda name: None)
    monkeypatch.setattr(detection, "detectors_of", detectors_of)
    found = detection.run(options)["models"]["fashion_mnist_eight_classes"]
    shown = capsys.readouterr().out
    assert "| AUROC " in shown and "| **far** " in shown and "2 seeds; 70" in shown
    assert found["figures"]["uniform"]["pca"]["auroc"] == [1, 1]
    assert len(found["false_alarms"]["ladder"]) == 2
    first, second = (x for x in shown.splitlines() if x.startswith("| black"))
    assert first.split("|")[2].strip() == second.split("|")[2].strip() == "0.000"


def test_a_model_with_classes_needs_no_labels(detection, options, make_network):
    ladder = [make_network(side, num_classes=2) for side in (16, 32)]
    model = CFEBM(ladder, Langevin(steps=1), class_names=["a", "b"])
    train = datasets.load(datasets.EMBEDDED, resolution=32, fit="pad").subset(limit=70)
    images = train.images(30)
    found = detection.detectors_of(options, model, train, images, 0)
    by_class = [model.predict((images, np.full(30, label))) for label in (0, 1)]
    energies = -np.logaddexp(*(-energy for energy in by_class))
    np.testing.assert_allclose(found["energy"].scores(images), energies, rtol=1e-4)
