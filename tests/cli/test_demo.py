"""`cfebm demo`, on a model of a few channels, as if trained."""

import json

import numpy as np
import PIL.Image
import pytest

from keras_cfebm.cli import demo
from keras_cfebm.cli.main import main
from keras_cfebm.evaluation import fashion_classifier


@pytest.fixture
def run_demo(monkeypatch, tmp_path, capsys):
    """A function that runs the command with a model, and returns what it leaves."""

    def figures_of(images):
        judged.append(images)
        return {"classifier_fid": {"samples": 4.5}, "reference": "20 images"}

    judged = []
    monkeypatch.setattr(demo, "fashion_mnist_figures", figures_of)
    monkeypatch.setattr(demo, "read_metrics", lambda run: [{"seconds": 90.0}])

    def run(model, *arguments):
        monkeypatch.setattr(demo, "train", lambda config, folder: model)
        folder = tmp_path / "run"
        folder.mkdir()
        given = [f"--run_dir={folder}", "--samples=90", *arguments]
        assert main(["demo", *given]) == 0
        with PIL.Image.open(folder / "samples.png") as grid:
            size = grid.size
        figures = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
        return judged[0], figures, size, capsys.readouterr().out

    return run


def test_samples_of_classes_are_judged_with_guidance(make_model, run_demo):
    model = make_model(32, num_classes=10, class_names=[f"name {n}" for n in range(10)])
    images, figures, (width, height), shown = run_demo(model)
    labels = np.repeat(np.arange(10), 9)
    expected = model.generate(90, seed=1, labels=labels, guidance=0.5)
    np.testing.assert_allclose(images, expected, atol=1e-6)
    called = fashion_classifier().predict_classes(expected)
    assert figures["class_accuracy"] == pytest.approx((called == labels).mean())
    assert (figures["guidance"], figures["training_minutes"]) == (0.5, 1.5)
    assert "Samples of their class to the classifier: " in shown
    assert height > width  # eight of each of ten classes, and their names


def test_samples_without_classes_are_judged_as_they_are(make_model, run_demo):
    model = make_model(32)
    images, figures, (width, height), shown = run_demo(model, "--noconditional")
    np.testing.assert_allclose(images, model.generate(90, seed=1), atol=1e-6)
    assert "class_accuracy" not in figures and "of their class" not in shown
    assert width == height
