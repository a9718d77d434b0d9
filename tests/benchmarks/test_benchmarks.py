"""Benchmarks run, and time only contenders that compute the same function."""

import json
import pathlib
import subprocess
import sys
import types

import pytest

ROOT = pathlib.Path(__file__).parents[2]
TINY = {
    "resolution": 16,
    "channels": 3,
    "base_width": 2,
    "batch": 2,
    "steps": 1,
    "repeats": 1,
    "dtype": "float32",
    "torch": False,
    "torch_threads": 0,
    "peer": None,
}


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import langevin

    return langevin


def options(**changes):
    return types.SimpleNamespace(**{**TINY, **changes})


def test_langevin_prints_a_table_of_agreeing_contenders(tmp_path):
    path = tmp_path / "results.json"
    names = ("resolution", "base_width", "batch", "steps", "repeats")
    command = [sys.executable, "-m", "benchmarks.langevin", f"--json={path}"]
    command += [f"--{name}={TINY[name]}" for name in names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "| one step at 16×16 " in done.stdout
    results = json.loads(path.read_text(encoding="utf-8"))
    assert results["agreement"]["plain TensorFlow"] < 1e-4
    assert results["flags"]["base_width"] == 2
    assert list(results["milliseconds"]) == [
        "one step at 8×8",
        "one step at 16×16",
        "chain 8→16, 1 steps each",
    ]
    for times in results["milliseconds"].values():
        assert [len(values) for values in times.values()] == [1, 1]


@pytest.mark.parametrize(
    ("layer", "array"),
    [("residual_16/conv1", 0), ("from_image", 1), ("head/linear", 1)],
)
def test_nothing_is_timed_when_one_weight_differs(
    bench, monkeypatch, capsys, layer, array
):
    from benchmarks import _tensorflow

    original = _tensorflow.layer_weights

    def perturbed(network):
        layers = original(network)
        if layer in layers:
            layers[layer][array].flat[0] += 0.1
        return layers

    monkeypatch.setattr(_tensorflow, "layer_weights", perturbed)
    with pytest.raises(bench.DisagreementError, match="plain TensorFlow differ"):
        bench.run(options())
    assert capsys.readouterr().out == ""


def test_bfloat16_is_held_against_float32(bench, capsys):
    bench.run(options(dtype="mixed_bfloat16", resolution=8))
    assert "mixed_bfloat16" in capsys.readouterr().out


def test_pytorch_agrees_given_as_stand_in_and_as_peer(bench):
    pytest.importorskip("torch")
    peer = f"{ROOT}/benchmarks/torch_network.py:naive_network"
    results = bench.run(options(torch=True, peer=peer))
    assert set(results["agreement"]) == {
        "plain TensorFlow",
        "PyTorch",
        "torch_network.py:naive_network",
    }


def test_peer_of_other_shapes_is_refused(bench, tmp_path):
    pytest.importorskip("torch")
    path = tmp_path / "peer.py"
    path.write_text(
        "import torch\n\ndef build(settings):\n    return torch.nn.Linear(3, 7)\n"
    )
    with pytest.raises(ValueError, match="No free parameter of the peer"):
        bench.run(options(peer=f"{path}:build"))
    with pytest.raises(ValueError, match=r"path/to/file\.py:function"):
        bench.run(options(peer=str(path)))


def test_the_gpu_benchmark_measures_on_a_cpu_too(tmp_path):
    path = tmp_path / "gpu.json"
    command = [sys.executable, "-m", "benchmarks.gpu", f"--json={path}"]
    command += ["--resolutions=16", "--base_width=2", "--repeats=1", "--notorch"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    assert [row["dtype"] for row in rows] == ["float32", "mixed_bfloat16"]
    for row in rows:
        assert f"| 16×16 {row['dtype']} " in done.stdout
        # The step is one of those of the chain, and the chain is in the training step.
        assert all(value > 0 for value in row["seconds"].values())
        assert row["flop_share"] > 0 and row["memory"] > 0


def test_timing_is_interleaved_after_a_warm_up(bench):
    from benchmarks import _common

    calls = []
    functions = {name: lambda name=name: calls.append(name) for name in "ab"}
    seconds = _common.interleaved(functions, 2)
    assert calls == list("ababab")
    assert [len(values) for values in seconds.values()] == [2, 2]


def test_ratios_are_to_the_first_contender(bench):
    from benchmarks import _common

    row = _common.comparison_row("x", {"ours": [1.0, 9.0, 2.0], "other": [5.0]})
    assert row == ["x", "2.00", "5.00", "2.50×"]
    table = _common.markdown_table(["what", "ms", "ms", "ratio"], [row])
    assert len({len(line) for line in table.splitlines()}) == 1


def test_a_budget_ends_training_when_its_epochs_have_used_it_up(bench):
    from benchmarks._single_resolution import Budget

    now = iter([0.0, 1.0, 2.0, 10.0, 11.0, 12.0])  # 8 seconds between two epochs
    budget = Budget(3.5, lambda: next(now))
    budget.set_model(types.SimpleNamespace(stop_training=False))
    for _ in range(2):
        budget.on_epoch_begin(0)
        for batch in range(2):
            assert not budget.model.stop_training
            budget.on_train_batch_end(batch)
    assert budget.model.stop_training
    assert (budget.spent, budget.steps) == (4.0, 4)


@pytest.mark.parametrize("column", ["cpu_seconds", "other"])
def test_training_time_is_of_the_processor_where_it_is_known(bench, tmp_path, column):
    from benchmarks._single_resolution import training_time

    path = tmp_path / "metrics.csv"
    path.write_text(f"step,seconds,{column}\n5,1.5,2.5\n9,1,2\n", encoding="utf-8")
    known = column == "cpu_seconds"
    expected = (4.5, "CPU", 9) if known else (2.5, "wall-clock", 9)
    assert training_time(path) == expected
