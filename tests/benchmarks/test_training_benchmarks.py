"""The benchmarks of stability, long chains and checkpoints, at tiny size."""

import math
import pathlib
import types

import numpy as np
import pytest

from keras_cfebm import CFEBM, Langevin

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture
def ladder(make_network):
    """An untrained model of two levels."""
    langevin = Langevin(steps=(2, 3), step_size=10.0, noise_scale=0.1)
    return CFEBM([make_network(8), make_network(16)], langevin=langevin)


def test_a_long_chain_begins_as_samples_do(ladder):
    from benchmarks.long_chain import LongChain

    chain = LongChain(ladder)
    assert chain.noise_scale == pytest.approx((0.05 + 0.0) / 2)
    states = [images for images, _ in chain.states([1, 3], seed=4, start=2, count=3)]
    np.testing.assert_allclose(
        np.clip(states[0], -1, 1), ladder.generate(3, seed=4, start=2), atol=1e-5
    )
    assert np.abs(states[1] - states[0]).max() > 0.01


def test_long_chain_prints_its_table(ladder, tmp_path, capsys):
    from benchmarks import long_chain

    ladder.save(tmp_path / "ladder.keras")
    options = types.SimpleNamespace(
        model=str(tmp_path / "ladder.keras"),
        factors=["1", "2"],
        samples=70,
        batch=35,
        seed=0,
        noise_scale=None,
        picture=str(tmp_path / "strip.png"),
    )
    results = long_chain.run(options)
    shown = capsys.readouterr().out
    assert "| 2× (6 steps) " in shown and "| held-out images " in shown
    assert [chain["steps"] for chain in results["chains"]] == [3, 6]
    assert all(chain["classifier_fid"] > 0 for chain in results["chains"])
    assert (tmp_path / "strip.png").stat().st_size > 0


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
