"""Contenders run in processes of their own, and only those that agree are timed."""

import json
import pathlib
import types

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]
OPTIONS = {
    "preset": None,
    "resolution": 16,
    "channels": 3,
    "base_width": 2,
    "batch": 2,
    "steps": 1,
    "repeats": 1,
    "dtype": "float32",
    "contenders": ["plain TensorFlow"],
    "malloc": ["stock"],
    "peer": None,
    "baseline": None,
}


@pytest.fixture(scope="module")
def comparison():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        from benchmarks import _comparison

        yield _comparison


@pytest.fixture(scope="module")
def problem(comparison):
    return comparison.problem_of(options())


@pytest.fixture(scope="module")
def ours(problem):
    from benchmarks._package import Package

    return Package(problem)


@pytest.fixture(scope="module")
def exact(ours):
    return ours.energies_and_gradients()


def options(**changes):
    return types.SimpleNamespace(**{**OPTIONS, **changes})


def worst(comparison, expected, found):
    return max(
        comparison.difference(a, b)
        for pair, other in zip(expected, found, strict=True)
        for a, b in zip(pair, other, strict=True)
    )


def test_langevin_prints_a_table_of_agreeing_contenders(comparison, capsys):
    from benchmarks import langevin

    results = langevin.run(options(malloc=["tuned"]))
    shown = capsys.readouterr().out
    assert "| keras_cfebm " in shown and "| plain TensorFlow " in shown
    assert results["agreement"]["plain TensorFlow (tuned malloc)"] < 1e-4
    assert list(results["milliseconds"]) == ["8×8", "16×16", "chain"]
    for times in results["milliseconds"].values():
        assert [len(own) for own in times.values()] == [1, 1]
    assert 0 < results["shares"]["keras_cfebm (tuned malloc)"] < 1
    json.dumps(results)


def test_training_step_compares_with_an_older_version(comparison, capsys):
    from benchmarks import training_step

    given = options(contenders=[], baseline=str(ROOT), resolution=8)
    results = training_step.run(given)
    older = f"keras_cfebm of {ROOT.name} (stock malloc)"
    assert list(results["milliseconds"]) == ["keras_cfebm (stock malloc)", older]
    assert f"| keras_cfebm of {ROOT.name} " in capsys.readouterr().out


def test_plain_tensorflow_computes_the_same_and_trains(comparison, problem, exact):
    from benchmarks._tensorflow import PlainTensorFlow

    plain = PlainTensorFlow(problem)
    assert worst(comparison, exact, plain.energies_and_gradients()) < 1e-4
    assert plain.chain()().shape == (2, 16, 16, 3)
    before = plain.networks[-1].weights[0].numpy()
    plain.training_step()()
    assert np.abs(plain.networks[-1].weights[0].numpy() - before).max() > 1e-5


@pytest.mark.parametrize(
    ("layer", "array"),
    [("residual_16/conv1", 0), ("from_image_16", 1), ("head/linear", 1)],
)
def test_one_weight_that_differs_is_found(comparison, problem, exact, layer, array):
    from benchmarks._tensorflow import PlainTensorFlow

    layers = [dict(own) for own in problem.layers]
    layers[1][layer] = tuple(
        None if a is None else np.array(a) for a in layers[1][layer]
    )
    layers[1][layer][array].flat[0] += 0.1
    found = PlainTensorFlow(problem.replace(layers=layers)).energies_and_gradients()
    workers = {"plain": types.SimpleNamespace(name="the plain one")}
    with pytest.raises(
        comparison.DisagreementError, match=r"At 16×16 .* the plain one"
    ):
        comparison.check_agreement(workers, exact, [found], 1e-4)


@pytest.mark.parametrize("name", ["_torch:PlainTorch", "_torch_bound:BoundTorch"])
def test_pytorch_computes_the_same_and_trains(comparison, problem, exact, name):
    pytest.importorskip("torch")
    import importlib

    module, _, contender = name.partition(":")
    module = importlib.import_module(f"benchmarks.{module}")
    contender = getattr(module, contender)(problem)
    assert worst(comparison, exact, contender.energies_and_gradients()) < 1e-4
    assert contender.chain()().shape == (2, 3, 16, 16)
    assert np.isfinite(contender.training_step()())


def test_problems_are_counted(problem):
    # Langevin: 2 · 1 step at both levels; of the loss, 3 forward passes over 2 batches.
    assert problem.chain_flops == sum(problem.step_flops)
    assert problem.training_flops == problem.chain_flops + 3 * problem.step_flops[1]
    assert (
        problem.convolutions_flops(0) == 10 * 2 * 2 * 9 * 8**2 * problem.width(0) ** 2
    )
    assert problem.noise_scales(2) == pytest.approx([0.015, 0.0])


def test_presets_give_the_size(comparison):
    found = comparison.problem_of(options(preset="fashion_mnist_quick"))
    assert (found.levels, found.channels) == ([8, 16, 32], 1)
    assert [found.width(level) for level in range(3)] == [64, 64, 32]
    with pytest.raises(Exception, match="the contenders know networks like"):
        comparison.problem_of(options(preset="fashion_mnist_conditional"))


def test_unknown_contenders_are_refused(comparison):
    with pytest.raises(Exception, match=r"expected contenders .* received \['x'\]"):
        comparison.machine(options(contenders=["x"]))


def test_ratios_are_to_ours_with_the_same_malloc(comparison):
    times = {
        ("keras_cfebm", "stock"): [1.0, 9.0, 2.0],
        ("other", "stock"): [5.0],
        ("keras_cfebm", "tuned"): [1.0],
        ("other", "tuned"): [5.0],
    }
    found = list(comparison.medians(times).values())
    assert found == [(2.0, 1.0), (5.0, 2.5), (1.0, 1.0), (5.0, 5.0)]


def test_a_worker_answers_reports_errors_and_takes_another_package(
    comparison, tmp_path
):
    from benchmarks._common import BenchmarkError
    from benchmarks._worker import Worker

    (tmp_path / "made_up.py").write_text(
        "import os\n\nclass Contender(list):\n"
        "    def appended(self, x):\n        return lambda: self.append(x)\n"
        "    def variable(self):\n        return os.environ.get('MADE_UP')\n"
        "    def end(self):\n        os._exit(1)\n"
    )
    environment = {"MADE_UP": "yes", "KERAS_BACKEND": None}
    worker = Worker(
        "it", "made_up:Contender", ([1],), environment, package=str(tmp_path)
    )
    try:
        assert worker.ask("variable") == "yes"
        for _ in range(2):
            worker.ask("run", "appended", 1)
        assert worker.ask("count", 1) == 3
        with pytest.raises(BenchmarkError, match=r"it failed.\n.*pop from|IndexError"):
            worker.ask("pop", 7)
        with pytest.raises(BenchmarkError, match="the process of it ended"):
            worker.ask("end")
    finally:
        worker.close()


def test_the_first_row_of_each_stage_is_timed(monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import first_step

    clock = iter([0.0, 1.0, 5.0, 6.0, 9.0, 10.0, 0.0, 2.0, 8.0, 8.5, 9.5, 10.0])
    commands = []

    def lines(checkout, *arguments):
        commands.append((checkout, arguments))
        row = "    {}/2  1.00    1/2    -0.03   0.02   0.3   5    0:00:06\n"
        if checkout != ROOT:  # an older version
            row = "1/1 ━━ 4s 4s/step - beta: 1.0000 - gap: 0.02 - loss: {}\n"
        yield "Stage 1 of 2: 8 × 8 pixels\n"
        yield row.format(1)
        yield row.format(1)
        yield "Stage 2 of 2: 16 × 16 pixels\n"
        yield row.format(2)

    monkeypatch.setattr(first_step, "_lines", lines)
    monkeypatch.setattr(first_step, "_output", lambda *_: "--settle_images")
    monkeypatch.setattr(first_step.time, "perf_counter", lambda: next(clock))
    given = {"preset": "tiny", "batch": 4, "repeats": 1, "baseline": str(tmp_path)}
    seconds = first_step.run(types.SimpleNamespace(**given))["seconds"]
    # From the command, and from the last row of the stage before.
    assert list(seconds.values()) == [[[5.0, 4.0]], [[8.0, 1.5]]]
    assert f"keras_cfebm of {tmp_path.name} |" in capsys.readouterr().out
    assert [checkout for checkout, _ in commands] == [ROOT, tmp_path]
    assert "--settle_images=4" in commands[0][1]
