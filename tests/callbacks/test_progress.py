"""StageProgress: the heading and the rows of a stage, with a clock of our own."""

import types

import pytest

from keras_cfebm.callbacks import StageProgress, progress
from keras_cfebm.configs.stages import Stage

STAGE = Stage(16, fade_images=600, stabilise_images=1800, batch_size=60)
LOGS = {"data_energy": -123.456, "gap": 1.2345e8, "gradient_norm": 0.25}


@pytest.fixture
def clock(monkeypatch):
    """Seconds, which a test moves by hand."""
    clock = types.SimpleNamespace(now=100.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock.now)
    return clock


@pytest.fixture
def stage(monkeypatch):
    """A function that makes a callback and a model that it watches."""
    monkeypatch.setattr(progress.backend, "is_chief", lambda model: True)

    def make(fading=True, index=1, **options):
        callback = StageProgress(STAGE, index, 3, 40, **{"live": False, **options})
        network = types.SimpleNamespace(fading=fading, beta=0.0)
        callback._model = types.SimpleNamespace(step=0, network=network)
        return callback, callback._model

    return make


def test_a_row_tells_the_step_and_beta_of_now_the_pace_and_what_is_left(
    stage, clock, capsys
):
    callback, model = stage()
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    clock.now += 50  # compiling
    for _ in range(10):
        model.step += 1
        model.network.beta = model.step / 10
        clock.now += 2 * (model.step > 1)
        callback.on_train_batch_end(0, LOGS)
    callback.on_epoch_end(0, LOGS)
    heading, columns, row = capsys.readouterr().out.strip().splitlines()
    assert heading == (
        "Stage 2 of 3: 16 × 16 pixels, 40 steps of 60 images, β from 0 to 1 in 10"
    )
    assert columns.split() == list(progress._HEADINGS)
    # 60 images in 2 seconds; 30 steps are left.
    assert row.split() == [
        "2/3",
        "1.00",
        "10/40",
        "-123.5",
        "1.234e+08",
        "0.25",
        "30",
        "0:01:00",
    ]
    assert max(map(len, (heading, columns, row))) <= 100


@pytest.mark.parametrize(
    ("fading", "text"), [(False, "β = 1 throughout"), (True, "in 10")]
)
def test_a_heading_says_what_beta_does(stage, clock, capsys, fading, text):
    callback, model = stage(fading)
    model.step = 7
    callback.on_train_begin()
    callback.on_train_begin()  # once more, after a rollback
    shown = capsys.readouterr().out
    assert shown.count("Stage 2 of 3") == 1 and "60 images, from 7 on, " in shown
    assert text in shown


def test_nothing_is_estimated_from_the_first_step(stage, clock, capsys):
    callback, model = stage()
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    clock.now += 50
    model.step = 1
    callback.on_train_batch_end(0, LOGS)
    callback.on_epoch_end(0, LOGS)
    assert capsys.readouterr().out.splitlines()[-1].split()[-2:] == ["-", "-"]


def test_on_a_terminal_the_row_changes_in_its_place(stage, clock, capsys, monkeypatch):
    monkeypatch.setattr(progress.sys.stdout, "isatty", lambda: True)
    callback, model = stage(live=True)
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    for _ in range(4):
        model.step += 1
        clock.now += 0.2
        callback.on_train_batch_end(0, LOGS)
    shown = capsys.readouterr().out
    assert shown.count("\r") == 2 and "1/40" in shown and "3/40" in shown
    assert "2/40" not in shown  # too soon after the first


def test_workers_that_are_not_the_chief_are_silent(stage, monkeypatch, capsys):
    monkeypatch.setattr(progress.backend, "is_chief", lambda model: False)
    callback, _ = stage()
    callback.on_train_begin()
    assert capsys.readouterr().out == ""


def test_a_long_stage_fits_100_columns():
    cells = ("12/12", "0.67", "1,234,567/1,234,567", *["-1.234e+08"] * 3, "123,456")
    assert len(progress._row((*cells, "123:45:06"))) <= 100
    assert progress._time(3725) == "1:02:05"
