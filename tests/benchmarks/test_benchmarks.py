"""The benchmark of an accelerator, fair timing and time budgets."""

import json
import pathlib
import subprocess
import sys
import types

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


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


def test_timing_is_interleaved_after_a_warm_up():
    from benchmarks import _common

    calls = []
    functions = {name: lambda name=name: calls.append(name) for name in "ab"}
    seconds = _common.interleaved(functions, 2)
    assert calls == list("ababab")
    assert [len(values) for values in seconds.values()] == [2, 2]
    _common.interleaved(functions, 1, warm_up=False)
    assert calls == list("abababab")


def test_a_budget_ends_training_when_its_epochs_have_used_it_up():
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


def test_a_learning_rate_falls_in_the_last_share_of_a_budget():
    from benchmarks._single_resolution import Budget

    now = iter(range(100))
    budget = Budget(10, lambda: next(now), falling=0.5)
    optimizer = types.SimpleNamespace(learning_rate=0.4)
    budget.set_model(types.SimpleNamespace(optimizer=optimizer, stop_training=False))
    budget.on_epoch_begin(0)
    rates = []
    for batch in range(10):
        if batch == 7:
            optimizer.learning_rate /= 2  # a rollback
        budget.on_train_batch_end(batch)
        rates.append(optimizer.learning_rate)
    assert rates[:5] == [0.4] * 5
    assert rates[5:] == pytest.approx([0.32, 0.24, 0.08, 0.04, 0.002])


@pytest.mark.parametrize("column", ["cpu_seconds", "other"])
def test_training_time_is_of_the_processor_where_it_is_known(tmp_path, column):
    from benchmarks._single_resolution import training_time

    path = tmp_path / "metrics.csv"
    path.write_text(f"step,seconds,{column}\n5,1.5,2.5\n9,1,2\n", encoding="utf-8")
    known = column == "cpu_seconds"
    expected = (4.5, "CPU", 9) if known else (2.5, "wall-clock", 9)
    assert training_time(path) == expected
