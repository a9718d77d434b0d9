"""Checkpoints, log, signals and grids, on a model of a few weights."""

import csv
import dataclasses
import os
import shutil
import signal
from typing import ClassVar

import keras
import numpy as np
import pytest
import quick_graphs
import tiny_runs

from keras_cfebm.callbacks import (
    CheckpointError,
    Checkpoints,
    EnergyLog,
    Interrupted,
    SampleGrid,
    StopOnSignal,
)
from keras_cfebm.callbacks.signals import SIGNALS
from keras_cfebm.configs.stages import Stage
from keras_cfebm.model import CFEBM
from keras_cfebm.sampling import Langevin

STAGES = [Stage(8, 0, 24, batch_size=4), Stage(16, 16, 8, batch_size=4)]


def fit(callbacks=(), checkpoints=None, model=None, stages=STAGES):
    return tiny_runs.fit(stages, callbacks, checkpoints, model)


def weights(model):
    return [weight.numpy() for network in model.ladder for weight in network.weights]


def assert_same_weights(a, b):
    for x, y in zip(weights(a), weights(b), strict=True):
        np.testing.assert_array_equal(x, y)


class StopAt(keras.callbacks.Callback):
    """Ends a run without a trace after so many epochs, as a kill would."""

    class Killed(Exception):
        pass

    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs -= 1
        if self.epochs < 0:
            raise self.Killed


@pytest.fixture(scope="module")
def whole():
    """A run that nothing has interrupted, and its log."""
    log = EnergyLog()
    return fit(callbacks=[log]), log


@pytest.fixture(scope="module")
def saved_run(tmp_path_factory):
    """The folder of checkpoints of a finished run."""
    folder = tmp_path_factory.mktemp("checkpoints")
    fit(checkpoints=Checkpoints(folder, keep=3))
    return folder


@pytest.fixture
def saved(saved_run, tmp_path):
    """Checkpoints of a finished run, in a copy of their own."""
    shutil.copytree(saved_run, tmp_path / "copy")
    return Checkpoints(tmp_path / "copy", keep=3)


@pytest.mark.parametrize("epochs", [1, 4])
def test_resumed_run_is_bitwise_the_uninterrupted_one(tmp_path, whole, epochs):
    whole, whole_log = whole
    log = EnergyLog()
    with pytest.raises(StopAt.Killed):
        fit(
            callbacks=[EnergyLog(), StopAt(epochs)],
            checkpoints=Checkpoints(tmp_path),
        )
    resumed = fit(callbacks=[log], checkpoints=Checkpoints(tmp_path))
    assert_same_weights(whole, resumed)
    gaps = [row["gap"] for row in whole_log.rows]
    assert [row["gap"] for row in log.rows] == gaps[epochs:]


def test_a_run_resumes_in_the_second_stage_of_one_resolution(tmp_path):
    """In the middle of it, with its rate and its chains from data."""
    first = Stage(8, 0, 8, batch_size=4)
    second = Stage(8, 0, 16, batch_size=4, learning_rate=1e-4, data_chains=0.5)

    def trained(*stages, callbacks=(), checkpoints=None):
        model = tiny_runs.new_model()
        model.data_chain_steps, model.data_chain_noise = 2, 0.5
        with quick_graphs.eagerly():
            return fit(callbacks, checkpoints, model, stages)

    whole, log = trained(first, second), EnergyLog()
    saved = Checkpoints(tmp_path)
    with pytest.raises(StopAt.Killed):
        trained(first, second, callbacks=[StopAt(2)], checkpoints=saved)
    resumed = trained(first, second, callbacks=[log], checkpoints=saved)
    assert [row["stage"] for row in log.rows] == [2]
    assert_same_weights(whole, resumed)
    plain = trained(first, dataclasses.replace(second, data_chains=0.0))
    assert any(map(np.any, map(np.subtract, weights(plain), weights(whole))))


def test_a_run_resumes_at_a_level_that_is_trained_again(tmp_path):
    """With the finer level that waits meanwhile."""
    stages = [Stage(8, 0, 16, batch_size=4), Stage(16, 0, 4, batch_size=4)]

    def trained(callbacks=(), checkpoints=None):
        coarse = tiny_runs.new_model().network
        fine = coarse.grown(0)
        fine.beta = 1.0
        model = CFEBM([coarse, fine.without_fade()], Langevin(steps=1), seed=1)
        with quick_graphs.eagerly():
            return fit(callbacks, checkpoints, model, stages)

    whole, log = trained(), EnergyLog()
    saved = Checkpoints(tmp_path)
    with pytest.raises(StopAt.Killed):
        trained([StopAt(1)], saved)
    resumed = trained([log], saved)
    assert [row["stage"] for row in log.rows] == [1, 2]
    assert len(whole.ladder) == 2
    assert_same_weights(whole, resumed)


def test_a_resumed_run_takes_the_settings_of_the_given_model(tmp_path):
    with pytest.raises(StopAt.Killed):
        fit(callbacks=[StopAt(1)], checkpoints=Checkpoints(tmp_path))
    given = tiny_runs.new_model()
    given.langevin = Langevin(steps=1)
    given.data_noise, given.energy_l2, given.ema_decay = 0.1, 0.2, 0.5
    given.data_chains, given.data_chain_steps = 0.5, 3
    given.data_chain_noise = 0.7
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append((self.model.resolution, self.model.arguments()))

    fit([Watch()], Checkpoints(tmp_path), given)
    assert {resolution for resolution, _ in seen} == {8, 16}
    for _, settings in seen:
        assert settings["langevin"].steps == 1
        names = ("data_noise", "energy_l2", "ema_decay", "data_chains")
        assert [settings[name] for name in names] == [0.1, 0.2, 0.5, 0.5]
        assert settings["data_chain_steps"] == 3
        assert settings["data_chain_noise"] == 0.7


@pytest.fixture(scope="module")
def killed_in_the_fade(tmp_path_factory):
    """The folder of a run killed after two of the four steps over which β goes up."""
    folder = tmp_path_factory.mktemp("killed")
    with pytest.raises(StopAt.Killed):
        fit(callbacks=[StopAt(4)], checkpoints=Checkpoints(folder))
    return folder


@pytest.fixture
def stopped_in_the_fade(tmp_path, killed_in_the_fade):
    """A copy of its checkpoints."""
    shutil.copytree(killed_in_the_fade, tmp_path / "copy")
    return Checkpoints(tmp_path / "copy")


@pytest.mark.parametrize("images", [8, 12])
def test_a_resumed_stage_fades_at_its_new_pace(stopped_in_the_fade, images):
    stages = [STAGES[0], Stage(16, images, 0, batch_size=4)]
    seen = []
    log = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(logs["beta"])
    )
    model = fit([log], stopped_in_the_fade, stages=stages)
    assert not model.network.fading
    # After 3 of 3 steps; or 2 of 2 had been made already.
    assert seen[-1:] == ([1.0] if images == 12 else [])


@pytest.mark.parametrize("stages", [STAGES[:1], [STAGES[0], Stage(32, 4, 4)]])
def test_stages_have_to_lead_to_the_checkpoint(stopped_in_the_fade, stages):
    with pytest.raises(ValueError, match="number 2 at 16 pixels"):
        fit(checkpoints=stopped_in_the_fade, stages=stages)


def test_companions_travel_with_the_checkpoint(tmp_path):
    log = EnergyLog(tmp_path / "metrics.csv")
    with pytest.raises(StopAt.Killed):
        fit(
            callbacks=[log, StopAt(3)],
            checkpoints=Checkpoints(tmp_path / "c", companions=[log]),
        )
    again = EnergyLog(tmp_path / "metrics.csv")
    checkpoints = Checkpoints(tmp_path / "c", companions=[again])
    fit(callbacks=[again], checkpoints=checkpoints)
    with open(tmp_path / "metrics.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [2, 4, 6, 8, 10, 12]
    assert [int(row["resolution"]) for row in rows] == [8, 8, 8, 16, 16, 16]


def test_arrays_of_companions_travel_with_the_checkpoint(tmp_path):
    class Companion(keras.callbacks.Callback):
        arrays: ClassVar[dict] = {"a": np.arange(3), "b/c": np.ones((2, 2))}

        def get_state(self):
            return {"some": 1}

        def get_arrays(self):
            return self.arrays

        def set_state(self, state, arrays):
            self.received = state, arrays

    companions = [EnergyLog(), Companion()]
    fit(callbacks=companions, checkpoints=Checkpoints(tmp_path, companions=companions))
    again = Companion()
    checkpoints = Checkpoints(tmp_path, companions=[EnergyLog(), again])
    checkpoints.restore()
    state, arrays = again.received
    assert state == {"some": 1} and list(arrays) == ["a", "b/c"]
    np.testing.assert_array_equal(arrays["b/c"], np.ones((2, 2)))
    file = checkpoints.paths()[-1] / "companions.npz"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="damaged"):
        assert checkpoints.restore() is not None


def test_an_epoch_cut_in_two_is_logged_as_one(tmp_path, whole):
    log = EnergyLog()
    checkpoints = Checkpoints(tmp_path, companions=[log])
    stop = StopOnSignal(checkpoints)

    class Press(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if self.model.step == 2:
                stop._received = signal.SIGTERM

    with pytest.raises(Interrupted):
        fit(callbacks=[log, Press(), stop], checkpoints=checkpoints)
    again = EnergyLog()
    fit(callbacks=[again], checkpoints=Checkpoints(tmp_path, companions=[again]))
    for name in ("step", "gap", "gradient_norm", "sample_energy"):
        expected = [row[name] for row in whole[1].rows]
        assert [row[name] for row in again.rows] == pytest.approx(expected, rel=1e-4)


def test_the_newest_are_kept(saved):
    names = [path.name for path in saved.paths()]
    assert names == [
        "000004_0016px_step_2",
        "000005_0016px_step_4",
        "000006_0016px_step_6",
    ]


@pytest.mark.parametrize("name", ["model.keras", "state.json", "SHA256SUMS"])
@pytest.mark.parametrize("damage", ["truncate", "alter", "remove"])
def test_a_damaged_checkpoint_is_passed_over(saved, name, damage):
    file = saved.paths()[-1] / name
    content = file.read_bytes()
    if damage == "truncate":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "alter":
        middle = len(content) // 2
        altered = bytes([content[middle] ^ 1])
        file.write_bytes(content[:middle] + altered + content[middle + 1 :])
    else:
        file.unlink()
    with pytest.warns(UserWarning, match="is damaged and is passed over"):
        restored = saved.restore()
    assert restored.model.step == 4


def test_without_an_intact_checkpoint_nothing_starts_over_silently(saved):
    for path in saved.paths():
        (path / "model.keras").write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="damaged"),
        pytest.raises(CheckpointError, match="None of the 3 checkpoints"),
    ):
        saved.restore()


def test_half_written_checkpoints_are_removed(saved):
    leftover = saved.folder / ".000009_0016px_step_6-abc"
    leftover.mkdir()
    saved.restore()
    assert not leftover.exists()


def test_a_checkpoint_that_cannot_be_written_leaves_the_others(saved, monkeypatch):
    before = saved.paths()
    saved.set_model(saved.restore().model)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saved.model, "save", full)
    with pytest.raises(CheckpointError, match="No space left"):
        saved.save()
    assert saved.paths() == before
    assert saved.restore().stage == 1


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_saves_in_the_middle_of_an_epoch(tmp_path, whole, number):
    class Press(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if self.model.step == 2:
                os.kill(os.getpid(), number)

    checkpoints = Checkpoints(tmp_path)
    with StopOnSignal(checkpoints) as stop, pytest.raises(Interrupted) as caught:
        fit(callbacks=[Press(), stop], checkpoints=checkpoints)
    assert caught.value.exit_code == 128 + number
    assert checkpoints.paths()[-1].name.endswith("0008px_step_3")
    if number == SIGNALS[0]:  # which one it was makes no difference
        assert_same_weights(whole[0], fit(checkpoints=Checkpoints(tmp_path)))


def test_a_signal_that_is_ignored_stays_so(tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with StopOnSignal(Checkpoints(tmp_path)):
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


def test_sample_grids_are_written_per_epoch(tmp_path):
    fit(callbacks=[SampleGrid(tmp_path, count=4, every=2)])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "01_0008px_epoch_0002.png",
        "01_0008px_epoch_0003.png",
        "02_0016px_epoch_0002.png",
        "02_0016px_epoch_0003.png",
    ]


@pytest.mark.parametrize("chain_start", ["noise", "source"])
def test_grids_show_what_lies_in_range_of_chains_that_do_not_clip(
    chain_start, make_network, noise_images, tmp_path
):
    network = make_network(8)
    settings = Langevin(steps=1, noise_scale=9.0, final_noise_scale=9.0, clip=None)
    model = CFEBM([network], settings, ema_decay=None, chain_start=chain_start)
    sources = noise_images(4, 8) if chain_start == "source" else None
    grid = SampleGrid(tmp_path, count=4, sources=sources)
    grid.set_model(model)
    grid.set_params({"epochs": 1})
    grid.on_epoch_end(0)
    assert (tmp_path / "01_0008px_epoch_0001.png").is_file()
