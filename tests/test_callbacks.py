"""Checkpoints, divergence guard, log and grids, on a model of a few weights."""

import csv
import json
import os
import shutil
import signal

import keras
import numpy as np
import pytest

from keras_cfebm.callbacks import (
    CheckpointError,
    Checkpoints,
    DivergenceError,
    DivergenceGuard,
    EnergyLog,
    Interrupted,
    SampleGrid,
    StopOnSignal,
)
from keras_cfebm.growing import Stage, fit_progressively
from keras_cfebm.model import CFEBM
from keras_cfebm.network import EnergyNetwork
from keras_cfebm.sampling import Langevin

STAGES = [Stage(8, 0, 24, batch_size=4), Stage(16, 16, 8, batch_size=4)]


def new_model():
    keras.utils.set_random_seed(1)
    network = EnergyNetwork(8, channels=1, widths={4: 4, 8: 4, 16: 2})
    return CFEBM([network], langevin=Langevin(steps=2), seed=1)


def batches(stage, start):
    random = np.random.default_rng(0)
    side = stage.resolution
    images = random.uniform(-1, 1, (40, 4, side, side, 1)).astype("float32")
    return ((batch,) for batch in images[start:])


def fit(**options):
    return fit_progressively(
        new_model(), batches, STAGES, report_steps=2, verbose=0, **options
    )


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
    assert int(restored.model.optimizer.iterations) == 4


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_in_the_middle_of_an_epoch(tmp_path, whole, number):
    class Press(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == 2:
                os.kill(os.getpid(), number)

    checkpoints = Checkpoints(tmp_path)
    with StopOnSignal(checkpoints) as stop, pytest.raises(Interrupted) as caught:
        fit(callbacks=[Press(), stop], checkpoints=checkpoints)
    assert caught.value.exit_code == 128 + number
    assert checkpoints.paths()[-1].name.endswith("0008px_step_3")
    assert_same_weights(whole[0], fit(checkpoints=Checkpoints(tmp_path)))


class Provoke(keras.callbacks.Callback):
    """Makes the learning rate absurd once, in the second epoch."""

    done = False

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1 and not self.done:
            self.done = True
            self.model.optimizer.learning_rate.assign(1e3)


def test_the_guard_turns_a_diverging_run_back():
    guard = DivergenceGuard(window=2)
    model = fit(callbacks=[Provoke(), guard])
    assert len(guard.events) == 1
    event = guard.events[0]
    assert event["resolution"] == 8 and event["back_to_step"] == 2
    assert all(np.isfinite(weight).all() for weight in weights(model))
    assert max(np.abs(weight).max() for weight in weights(model)) < 10


def test_without_the_guard_the_same_run_is_lost():
    model = fit(callbacks=[Provoke()])
    assert not max(np.abs(weight).max() for weight in weights(model)) < 10


def test_the_guard_gives_up_and_leaves_the_last_good_model():
    class Always(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                self.model.optimizer.learning_rate.assign(1e3)
                seen.append(self.model)

    seen = []
    guard = DivergenceGuard(max_rollbacks=2, window=2)
    with pytest.raises(DivergenceError, match="after 2 rollbacks"):
        fit(callbacks=[Always(), guard])
    assert len(guard.events) == 2
    assert max(np.abs(w).max() for w in weights(seen[-1])) < 10


def test_the_guard_changes_noise_and_learning_rate():
    guard = DivergenceGuard(learning_rate_factor=0.25, window=2)
    model = new_model()
    model.compile(keras.optimizers.Adam(1e-3))
    before = model.noise_key.numpy()
    model.fit(
        batches(STAGES[0], 0),
        steps_per_epoch=2,
        epochs=3,
        verbose=0,
        callbacks=[Provoke(), guard],
    )
    assert guard.recovering and model.stop_training
    assert float(model.optimizer.learning_rate) == pytest.approx(2.5e-4)
    assert (model.noise_key.numpy() != before).any()
    assert int(model.optimizer.iterations) == 2


def test_the_guard_leaves_a_healthy_run_alone(whole):
    guard = DivergenceGuard(window=2)
    assert_same_weights(fit(callbacks=[guard]), whole[0])
    assert guard.events == []


def test_guard_state_is_plain_data():
    guard = DivergenceGuard(window=2)
    fit(callbacks=[Provoke(), guard])
    state = json.loads(json.dumps(guard.get_state()))
    again = DivergenceGuard()
    again.set_state(state)
    assert again.get_state() == guard.get_state()


@pytest.mark.parametrize(
    "arguments",
    [{"tolerance": 1}, {"learning_rate_factor": 1.5}, {"max_rollbacks": -1}],
)
def test_guard_arguments_are_checked(arguments):
    with pytest.raises(ValueError, match="Received"):
        DivergenceGuard(**arguments)


def test_sample_grids_are_written_per_epoch(tmp_path):
    fit(callbacks=[SampleGrid(tmp_path, count=4, every=2)])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "0008px_epoch_0002.png",
        "0008px_epoch_0003.png",
        "0016px_epoch_0002.png",
        "0016px_epoch_0003.png",
    ]
