"""The benchmarks of stability, variants and checkpoints, at tiny size."""

import dataclasses
import math
import pathlib
import types

import numpy as np
import pytest
import quick_graphs

from keras_cfebm import CFEBM, Langevin, datasets

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def test_variants_train_for_their_time(monkeypatch, capsys):
    from benchmarks import variants

    monkeypatch.setattr(variants, "STAGES", {8: 1.0})
    monkeypatch.setattr(variants, "FACTORS", (1, 3))
    options = types.SimpleNamespace(
        variants=["1/4 of the chains from data"],
        seeds=1,
        seconds=0.0,
        width=2,
        samples=65,
    )
    (found,) = variants.run(options)["runs"]
    assert found["steps"] == {8: 1} and set(found["classifier_fid"]) == {1, 3}
    assert min(found["classifier_fid"].values()) > 0
    assert "| 1/4 of the chains from data |" in capsys.readouterr().out


def test_chains_from_data_are_compared_at_equal_time(
    make_network, monkeypatch, tmp_path, capsys
):
    from benchmarks import _fashion, data_chains

    drawn = []
    monkeypatch.setattr(data_chains, "FACTORS", (1, 3))
    monkeypatch.setattr(_fashion, "classifier_fid", lambda x: drawn.append(x) or 1.0)
    ladder = [make_network(side, num_classes=2) for side in (16, 32)]
    model = CFEBM(ladder, Langevin(steps=(1, 2)), class_names=["a", "b"])
    monkeypatch.setattr(data_chains, "load_ladder", lambda name: model)
    arrays = np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 1)).astype("float32")
    data = datasets.from_arrays(arrays, labels=np.array([0, 1, 0, 1]))
    monkeypatch.setattr(data_chains.datasets, "load", lambda *_, **__: data)
    options = types.SimpleNamespace(
        **{"model": "tiny", "trainings": ["plain", "data_chains"], "seeds": 1},
        **{"seconds": 1e-3, "share": 0.5, "chain_steps": 3, "fade_steps": 1},
        **{"batch": 4, "rate": 0.1, "second_part": 0.5, "second_rate": 0.1},
        **{"pool": 4, "guidance": 0.5, "samples": 4, "judge": []},
    )
    with quick_graphs.eagerly():
        runs = data_chains.run(options)["runs"]
    assert [found["training"] for found in runs] == ["plain", "data_chains"]
    assert [found["steps"] for found in runs] == [[1], [1, 1]]
    # Longer chains end elsewhere, and so do those of the other training.
    assert len({images.tobytes() for images in drawn}) == len(drawn) == 4
    assert "| data_chains |" in capsys.readouterr().out
    options.judge = ["runs/trained"]
    (found,) = data_chains.run(options)["runs"]
    assert (found["model"], found["classifier_fid"]) == (
        "runs/trained",
        {1: 1.0, 3: 1.0},
    )
    assert len({images.tobytes() for images in drawn}) == len(drawn) == 6
    assert "| runs/trained |" in capsys.readouterr().out


def test_the_curve_trains_shorter_runs_beside_a_control(monkeypatch, tmp_path, capsys):
    from benchmarks import curve

    def train_single(config, data, steps, budget, step_size):
        assert steps == config.langevin.total_steps(2) and data.channels == 1
        budgets.append((budget.seconds, step_size))
        return types.SimpleNamespace(
            generate=lambda count, **_: np.full(count, 7.0), num_classes=None
        )

    budgets = []
    monkeypatch.setattr(curve, "train_single", train_single)
    monkeypatch.setattr(curve, "distance_of", lambda images, _: images.mean())
    options = types.SimpleNamespace(
        preset="tiny",
        factors=["0.5"],
        seeds=1,
        control=True,
        control_step_sizes=["2", "8"],
        samples=4,
        folder=str(tmp_path),
    )
    (found,) = curve.run(options)["points"]
    assert found["steps"] == 4 and abs(found["distance"]) < 1
    assert budgets == [(found["seconds"], 2.0), (found["seconds"], 8.0)]
    assert [control["distance"] for control in found["controls"]] == [7, 7]
    table = capsys.readouterr().out
    assert "| 0.5 " in table and "| one resolution, η = 8 |" in table
    assert curve.run(options)["points"] == [found]  # not trained again


def test_the_curve_judges_by_the_training_images():
    from benchmarks import curve
    from keras_cfebm import configs
    from keras_cfebm.assets.yardsticks import Yardstick

    yardstick = Yardstick(configs.find("fashion_mnist_demo").config.data)
    images = yardstick.images("test", 400)
    near, far = (curve.distance_of(x, yardstick) for x in (images, -images))
    assert 0 < near < 2 < 20 < far


def test_stability_counts_survivors(monkeypatch, capsys):
    from benchmarks import stability

    def train(setting, seed, guard, options):
        bad = bool(setting) and not guard
        fid = (None, 99.0)[seed] if bad else 10.0 + seed
        return {
            "finite": fid is not None,
            "rollbacks": 2 if setting and guard else 0,
            "gave_up": False,
            "classifier_fid": fid,
        }

    monkeypatch.setattr(stability, "train", train)
    options = types.SimpleNamespace(
        resolution="8", seeds=2, steps=20, width=2, samples=65, settings=["LeakyReLU"]
    )
    results = stability.run(options)
    row = next(
        line for line in capsys.readouterr().out.splitlines() if "LeakyReLU" in line
    )
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["LeakyReLU", "0 of 2", "inf", "2 of 2", "10.5", "4"]
    assert results["limit"] == 21.0 and len(results["runs"]) == 8


def test_stability_trains(monkeypatch):
    from benchmarks import stability

    options = types.SimpleNamespace(resolution="8", steps=20, width=2, samples=65)
    setting = stability.SETTINGS["no spectral norm, LeakyReLU, both × 30"]
    result = stability.train(setting, seed=1, guard=True, options=options)
    assert result["finite"] and math.isfinite(result["classifier_fid"])


def test_checkpoint_cost_covers_every_stage(tmp_path, capsys):
    from benchmarks import checkpoint_cost

    options = types.SimpleNamespace(
        preset="tiny", steps=2, saves=1, folder=str(tmp_path)
    )
    results = checkpoint_cost.run(options)
    shown = capsys.readouterr().out
    assert "| 8 × 8 " in shown and "| 16 × 16 " in shown
    assert 0 < results["share"] < 1 and not list(tmp_path.iterdir())


def test_the_control_of_a_run_with_classes_has_them_too():
    from benchmarks._single_resolution import Budget, train_single
    from keras_cfebm import configs
    from keras_cfebm.runs.train import load_data

    config = configs.find("tiny").config
    config = config.replace(
        network=dataclasses.replace(config.network, conditional=True)
    )
    budget = Budget(0.0, lambda: 1.0)
    model = train_single(config, load_data(config.data), 2, budget, 4.0)
    assert model.num_classes == 10 and budget.steps == 1
    assert (model.langevin.steps, model.langevin.step_size) == (2, 4.0)


def test_a_shorter_training_has_its_rates_fall_in_the_same_share():
    from benchmarks import curve
    from keras_cfebm import configs

    config = configs.find("fashion_mnist_demo").config
    last, half = config.stages[-1], curve.scaled(config, 0.5).stages[-1]
    assert half.stabilise_images == last.stabilise_images / 2
    assert half.decay_images == last.decay_images / 2 > 0


def test_the_authors_levels_share_the_time_and_grow():
    from benchmarks import authors_quality

    def ask(method, *arguments):
        asked.append((method, *arguments))
        return arguments[0] if method == "train" else np.zeros((*arguments, 32, 32, 1))

    asked = []
    steps, samples = authors_quality.trained(
        types.SimpleNamespace(ask=ask), seconds=100, count=500
    )
    assert steps == {8: 1, 16: 2, 32: 3} and samples.shape == (500, 32, 32, 1)
    trained = [found for found in asked if found[0] == "train"]
    assert [images.shape for _, _, images, *_ in trained] == [
        (10_000, side, side, 1) for side in (8, 16, 32)
    ]
    assert sum(seconds for *_, seconds in trained) == pytest.approx(100)
    assert [found[1:] for found in asked[3:]] == [(200,), (200,), (100,)]


def test_batches_of_a_generator_are_timed_beside_those_by_number(capsys):
    from benchmarks import batches

    options = types.SimpleNamespace(preset="tiny", steps=1, repeats=1)
    results = batches.run(options)
    assert "| `from_generator`" in capsys.readouterr().out
    assert set(results["runs"]) == set(batches.WAYS)
    assert all(step > 0 for runs in results["runs"].values() for step, _ in runs)
