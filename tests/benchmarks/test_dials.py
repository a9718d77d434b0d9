"""The benchmarks of guidance, speed, faithfulness and restoration, without training."""

import dataclasses
import pathlib
import types

import numpy as np
import pytest

from keras_cfebm import CFEBM, Langevin
from keras_cfebm.datasets.embedded import CLASS_NAMES

ROOT = pathlib.Path(__file__).parents[2]
LANGEVIN = Langevin(steps=3, noise_scale=0.1)


def few_images():
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 0.5, (4, 32, 32, 1)).astype("float32")


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def test_recall_counts_images_within_reach_of_a_sample():
    from benchmarks.guidance import recall

    def encoder(images):
        return images.reshape(len(images), -1)

    samples = np.arange(8.0).reshape(8, 1, 1, 1)  # each reaches its third neighbour
    images = np.array([-3.5, -3.0, 0.5, 10.0, 10.1]).reshape(5, 1, 1, 1)
    assert recall(samples, images, encoder) == 3 / 5
    assert recall(samples, samples, encoder) == 1


def test_guidance_prints_both_tables(make_network, tmp_path, monkeypatch, capsys):
    from benchmarks import guidance

    monkeypatch.setattr(guidance, "classifier_fid", lambda images: images.std())
    network = make_network(32, num_classes=10)
    model = CFEBM([network], langevin=LANGEVIN, class_names=CLASS_NAMES)
    model.save(tmp_path / "model.keras")
    options = types.SimpleNamespace(
        model=str(tmp_path / "model.keras"),
        guidance=["0", "1"],
        samples=70,
        pair=["Shirt", "Bag"],
        composed=2,
        batch=70,
        seed=0,
    )
    results = guidance.run(options)
    shown = capsys.readouterr().out
    assert "| guidance " in shown and "| 1.5 E(x, Shirt) − 0.5 E(x, Bag) " in shown
    first, second = results["classes"]
    assert (first["guidance"], second["guidance"]) == (0, 1)
    assert first["classifier_fid"] != second["classifier_fid"]
    assert np.mean(first["by_class"]) == pytest.approx(first["accuracy"])


def test_speed_counts_the_steps(make_network, tmp_path, capsys):
    from benchmarks import speed

    model = CFEBM([make_network(8), make_network(16)], langevin=LANGEVIN)
    model.save(tmp_path / "model.keras")
    options = types.SimpleNamespace(
        model=str(tmp_path / "model.keras"),
        speeds=["1", "2"],
        batches=2,
        batch=35,
        seed=0,
    )
    first, second = speed.run(options)["speeds"]
    assert "| 2 + 2 | 1.5 |" in capsys.readouterr().out
    assert first["steps"] == [3, 3] and second["step_sizes"] == [1.5, 1.5]
    assert first["images_per_second"] > 0 and second["classifier_fid"] > 0


def test_faithfulness_stands_between_its_baselines(make_network, tmp_path, capsys):
    from benchmarks import faithfulness

    model = CFEBM([make_network(32)], langevin=LANGEVIN, chain_start="source")
    model.save(tmp_path / "model.keras")
    options = types.SimpleNamespace(
        model=str(tmp_path / "model.keras"),
        source="Sneaker",
        target="Ankle boot",
        faithfulness=["0", "0.2"],
        count=70,
        batch=70,
        seed=0,
    )
    figures = faithfulness.run(options)["figures"]
    assert "| λ = 0.2 " in capsys.readouterr().out
    source, target, free, near = figures.values()
    assert source["correlation"] == pytest.approx(1) and source["psnr"] is None
    assert target["frechet_distance"] < source["frechet_distance"]
    assert near["psnr"] > free["psnr"] > target["psnr"]


def test_chains_differ_in_one_setting_each(make_network, tmp_path, monkeypatch, capsys):
    from benchmarks import chains

    monkeypatch.setattr(chains, "classifier_fid", lambda images: float(images.std()))
    ladder = [make_network(8), make_network(16)]
    CFEBM(ladder, langevin=LANGEVIN).save(tmp_path / "model.keras")
    options = types.SimpleNamespace(
        model=str(tmp_path / "model.keras"), samples=35, batch=35, seed=0
    )
    figures = chains.run(options)["chains"]
    assert "| one level below " in capsys.readouterr().out
    steps = {name: row["steps"] for name, row in figures.items()}
    assert steps.pop("a third, two thirds and all of the steps") == [1, 2]
    assert set(map(tuple, steps.values())) == {(3, 3)}
    # Two levels: a chain from one level below is the whole one.
    settings = chains.changed(Langevin(steps=(9, 6, 3)), {"chain_levels": 2}, levels=3)
    assert settings.steps == (6, 3) and settings.step_size == (1.0, 1.0)
    found = [row["classifier_fid"] for row in figures.values()]
    assert found[0] == found[1] and len(set(found)) == len(found) - 1


@pytest.mark.parametrize("num_classes", [None, 10])
def test_levels_are_measured_apart(
    num_classes, make_network, tmp_path, monkeypatch, capsys
):
    from benchmarks import levels

    monkeypatch.setattr(levels, "classifier_fid", lambda images: float(images.mean()))
    still = LANGEVIN.replace(step_size=0.0, noise_scale=0.0)
    networks = [make_network(side, num_classes=num_classes) for side in (8, 16, 32)]
    model = CFEBM(networks, langevin=still)
    model.save(tmp_path / "model.keras")
    options = types.SimpleNamespace(
        model=str(tmp_path / "model.keras"), samples=35, batch=10, seed=0
    )
    coarse, fine, finest = levels.run(options)["levels"].values()
    assert "| 16×16 " in capsys.readouterr().out
    # Chains that do not move end where they start: at noise, and at held-out images.
    assert abs(coarse["generated"]) < 0.1 > abs(fine["generated"])
    assert fine["from_images"] == fine["enlarged"]
    assert fine["enlarged"] == pytest.approx(coarse["held_out"], abs=1e-5)
    assert fine["enlarged"] == pytest.approx(fine["held_out"], abs=1e-5)
    assert fine["enlarged"] < -0.2
    # At the finest level: from noise, and from held-out images of 8 and of 16 pixels.
    assert coarse["at_finest"] == finest["generated"]
    assert fine["at_finest"] == pytest.approx(coarse["held_out"], abs=1e-5)
    assert finest["at_finest"] == finest["from_images"]


@pytest.mark.filterwarnings("ignore:The covariance of 4 images")
def test_restoration_has_a_row_for_each_method(
    make_network, tmp_path, monkeypatch, capsys
):
    from benchmarks import restoration

    model = tmp_path / "model.keras"
    CFEBM([make_network(32)]).save(model)
    name = "σ = 0.2"
    brief = dataclasses.replace(restoration.CASES[name], settings=LANGEVIN)
    monkeypatch.setitem(restoration.CASES, name, brief)
    monkeypatch.setattr(restoration, "images_of", lambda *_, **__: few_images())
    options = types.SimpleNamespace(
        model=str(model),
        denoiser=str(model),
        count=4,
        samples=2,
        seeds=["0", "1"],
        cases=[name],
        rival_seconds=0.1,
        rival_data="fashion_mnist_embedded",
        pictures=str(tmp_path),
    )
    results = restoration.run(options)
    assert results["rival_seconds"] >= 0.1
    by_seed = results["restorations"][name]
    methods = [found["methods"] for found in by_seed]
    assert len(methods) == 2
    rows = [line for line in capsys.readouterr().out.splitlines() if "±" in line][:4]
    # The best classical method comes first, with the name of the restoration.
    classical = set(methods[0]) - {"model", "model_mean", "rival"}
    best = max(np.mean([row[m]["psnr"] for row in methods]) for m in classical)
    for row, start in zip(rows, [name, "", "", ""], strict=True):
        assert row.startswith(f"| {start}")
    assert f" {best:.2f} ± " in rows[0] and " rival |" in rows[3]
    assert (tmp_path / f"{name}.png").is_file()
