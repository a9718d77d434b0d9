"""The divergence guard: what it notices, what it restores, and a real run it saves."""

import json
import time
import types

import keras
import numpy as np
import pytest
import tiny_runs
from tiny_runs import batches, new_model

from keras_cfebm import datasets
from keras_cfebm.callbacks import (
    Checkpoints,
    DivergenceError,
    DivergenceGuard,
    EnergyLog,
    StopOnSignal,
)
from keras_cfebm.configs.stages import Stage
from keras_cfebm.evaluation import FeatureStatistics, frechet_distance
from keras_cfebm.growing import fit_progressively

STAGES = [Stage(8, 0, 32, batch_size=4)]  # four epochs of two steps


def fit(*callbacks, checkpoints=None):
    return tiny_runs.fit(STAGES, callbacks, checkpoints)


def largest_weight(model):
    return max(np.abs(weight.numpy()).max() for weight in model.network.weights)


def weights(model):
    return [weight.numpy() for weight in model.network.weights]


def watch(**arguments):
    """A guard for runs of a few steps."""
    return DivergenceGuard(**{"warmup": 1, **arguments})


class Provoke(keras.callbacks.Callback):
    """Makes the learning rate absurd in an epoch, once or each time."""

    def __init__(self, factor=1e6, epoch=1, always=False):
        super().__init__()
        self.factor, self.epoch, self.always = factor, epoch, always

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            optimizer = self.model.optimizer
            optimizer.learning_rate.assign(optimizer.learning_rate * self.factor)
            self.epoch = self.epoch if self.always else None


@pytest.fixture(scope="module")
def healthy():
    return weights(fit())


def test_a_diverging_run_is_turned_back_and_recorded(tmp_path):
    guard = watch(path=tmp_path / "guard.json")
    log = EnergyLog(guard=guard)
    model = fit(log, Provoke(), guard)
    (event,) = guard.events
    assert event["resolution"] == 8 and event["back_to_step"] == 2
    assert event["learning_rate"] == pytest.approx(5e-4)
    assert largest_weight(model) < 10
    assert [row["stage_step"] for row in log.rows] == [2, 4, 6, 8]
    assert [row["rollbacks"] for row in log.rows] == [0, 1, 1, 1]
    text = (tmp_path / "guard.json").read_text(encoding="utf-8")
    assert json.loads(text) == guard.events


def test_rows_of_an_epoch_broken_off_are_not_part_of_the_run():
    class Break(keras.callbacks.Callback):
        """Turns back in the midst of an epoch, as the guard does."""

        recovering = broken = False

        def on_train_begin(self, logs=None):
            self.recovering = False

        def on_train_batch_end(self, batch, logs=None):
            if self.model.step == 6 and not self.broken:
                time.sleep(1)
                self.broken = self.recovering = self.model.stop_training = True

        def on_epoch_end(self, epoch, logs=None):
            if self.recovering:
                self.model.steps.assign(4)

    log = EnergyLog()
    callbacks = [log, Break()]
    fit_progressively(
        new_model(), batches, STAGES, callbacks=callbacks, report_steps=4, verbose=0
    )
    assert callbacks[1].broken
    assert [row["stage_step"] for row in log.rows] == [4, 8]
    assert log.rows[1]["seconds"] > 1  # the time that was lost is part of the run's


def test_without_the_guard_the_same_run_is_lost():
    assert not largest_weight(fit(Provoke())) < 10


def test_a_healthy_run_is_left_alone(healthy, assert_equal):
    guard = watch()
    assert_equal(weights(fit(guard)), healthy)
    assert guard.events == []


def test_it_gives_up_and_leaves_the_last_good_model():
    class Remember(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append(self.model)

    seen = []
    guard = watch(max_rollbacks=2)
    with pytest.raises(DivergenceError, match="after 2 rollbacks"):
        fit(Remember(), Provoke(always=True), guard)
    assert len(guard.events) == 2
    assert largest_weight(seen[-1]) < 10


def test_noise_and_learning_rate_change():
    guard = watch(learning_rate_factor=0.25)
    model = new_model()
    model.compile(keras.optimizers.Adam(1e-3))
    before = model.noise_key.numpy()
    options = {"steps_per_epoch": 2, "epochs": 3, "shuffle": False, "verbose": 0}
    model.fit(batches(STAGES[0], 0), callbacks=[Provoke(), guard], **options)
    assert guard.recovering and model.stop_training
    assert float(model.optimizer.learning_rate) == pytest.approx(2.5e-4)
    assert (model.noise_key.numpy() != before).any()
    assert model.step == 2


@pytest.mark.parametrize("place", range(4))
def test_a_weight_that_is_not_finite_is_never_a_good_state(place):
    class Break(keras.callbacks.Callback):
        """Spoils a weight after the last step of an epoch, which no figure shows."""

        done = False

        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1 and not self.done:
                self.done = True
                weight = self.model.network.trainable_weights[place]
                weight.assign(np.full(weight.shape, np.nan))

    guard = watch()
    model = fit(Break(), guard)
    assert [event["reason"] for event in guard.events] == ["a weight is not finite"]
    assert np.isfinite(largest_weight(model))


def figures(guard, values):
    """Feeds the guard with steps, as Keras does: running means. Returns the reason."""
    guard.on_epoch_begin(0)
    total = size = 0.0
    for count, value in enumerate(values, start=1):
        total, size = total + value, size + abs(value)
        logs = {"gap": total / count, "data_energy": total / count}
        logs["gradient_norm"] = size / count
        guard.on_train_batch_end(count - 1, logs)
        if guard._reason is not None:
            return count, guard._reason
    return None


@pytest.fixture
def idle():
    """A guard of a model that does not train."""
    guard = DivergenceGuard()
    guard.set_model(new_model())
    return guard


def test_growth_that_stays_below_the_tolerance_per_epoch_is_noticed(idle):
    calm = [1.0] * 200
    creeping = np.repeat(1.5 ** np.arange(20), 10)  # × 1.5 every ten steps
    step, reason = figures(idle, [*calm, *creeping])
    assert 200 < step <= 200 + 10 * 9 and "gap" in reason


def test_a_spike_late_in_an_epoch_is_noticed_within_a_block(idle):
    step, _ = figures(idle, [1.0] * 995 + [1e4] + [1.0] * 10)
    assert step == 1000


def test_a_network_that_dies_is_noticed(idle):
    step, reason = figures(idle, [1.0] * 100 + [1e-5] * 20)
    assert step == 110 and "less than a thousandth" in reason


def test_a_calmer_run_is_accepted(idle):
    assert figures(idle, [1.0] * 100 + [0.01] * 200) is None


def test_a_good_epoch_between_two_rollbacks_starts_the_count_anew():
    class Twice(Provoke):
        """Makes epochs 1 and 2 diverge, each once."""

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch if epoch in epochs else None
            if self.epoch is not None:
                epochs.remove(epoch)
            super().on_epoch_begin(epoch, logs)

    epochs = [1, 2]
    guard = watch(max_rollbacks=1)
    fit(Twice(), guard)
    assert [event["back_to_step"] for event in guard.events] == [2, 4]


def test_slow_growth_as_in_a_fade_in_is_accepted(idle):
    assert figures(idle, np.linspace(0.4, 10.0, 500)) is None


def test_growth_with_beta_is_what_a_fade_in_does():
    guard = DivergenceGuard()
    guard.set_model(new_model().grown(fade_steps=300))
    guard.on_epoch_begin(0)
    total = 0.0
    for step in range(300):
        beta = guard.model.network.beta = (step + 1) / 300
        total += beta**3  # up to 13 times its median, over β up to 6 times
        logs = dict.fromkeys(("gap", "gradient_norm"), total / (step + 1))
        guard.on_train_batch_end(step, {**logs, "data_energy": 0.0})
    assert guard._reason is None


def test_a_gap_that_changes_its_sign_is_judged_by_its_size(idle):
    values = np.random.default_rng(0).normal(0, 1, 2000)
    assert figures(idle, values) is None


def test_an_energy_that_jumps_is_noticed_where_gap_and_gradients_look_sane(idle):
    idle.on_epoch_begin(0)
    total, reasons = 0.0, []
    for step in range(300):
        total += 0.1 * (-1) ** step * (1 if step < 200 else 50)
        logs = {"gap": 0.1, "gradient_norm": 1.0, "data_energy": total / (step + 1)}
        idle.on_train_batch_end(step, logs)
        reasons += [(step, idle._reason)] if idle._reason else []
    step, reason = reasons[0]
    assert step == 209 and "data energy" in reason


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_noticed_at_once(idle, value):
    step, _ = figures(idle, [1.0, value, 1.0])
    assert step == 2


class Press(keras.callbacks.Callback):
    """Asks the run to stop at a step, as Ctrl-C does."""

    def __init__(self, stop, step):
        super().__init__()
        self.stop, self.step = stop, step

    def on_train_batch_begin(self, batch, logs=None):
        if self.model.step == self.step:
            self.stop._received = 2


def test_a_run_stopped_on_its_way_to_divergence_resumes_exactly(tmp_path, assert_equal):
    def guarded(folder, step=None):
        guard = watch()
        checkpoints = Checkpoints(folder, companions=[guard])
        stop = StopOnSignal(checkpoints)
        callbacks = [guard, stop] if step is None else [Press(stop, step), guard, stop]
        return fit(Late(), *callbacks, checkpoints=checkpoints), guard

    class Late(Provoke):
        """Diverges at the second step of the second epoch, once per folder."""

        def on_train_batch_begin(self, batch, logs=None):
            first = self.model.optimizer.learning_rate == 1e-3
            if self.model.step == 2 and bool(first):
                self.model.optimizer.learning_rate.assign(1e3)

        def on_epoch_begin(self, epoch, logs=None):
            pass

    whole, guard = guarded(tmp_path / "whole")
    assert len(guard.events) == 1
    with pytest.raises(Exception, match="SIGINT"):
        guarded(tmp_path / "cut", step=2)
    resumed, again = guarded(tmp_path / "cut")
    assert again.events == guard.events
    assert_equal(weights(resumed), weights(whole))


@pytest.mark.parametrize(
    "arguments",
    [
        {"tolerance": 1},
        {"learning_rate_factor": 1.5},
        {"max_rollbacks": -1},
        {"warmup": 0},
    ],
)
def test_arguments_are_checked(arguments):
    with pytest.raises(ValueError, match="received"):
        DivergenceGuard(**arguments)


def test_a_schedule_is_lowered_as_a_whole(tmp_path):
    class Spoil(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1 and not guard.events:
                self.model.network.trainable_weights[0].assign_add([[[[np.nan] * 4]]])

    schedule = keras.optimizers.schedules.ExponentialDecay(1e-3, 10, 0.5)
    guard = watch(learning_rate_factor=0.25)
    model = new_model()
    model.compile(keras.optimizers.Adam(schedule))
    options = {"steps_per_epoch": 2, "epochs": 3, "shuffle": False, "verbose": 0}
    model.fit(batches(STAGES[0], 0), callbacks=[Spoil(), guard], **options)
    (event,) = guard.events
    assert model.step == event["back_to_step"] == 2
    assert event["learning_rate"] == pytest.approx(2.5e-4 * 0.5**0.2)
    model.fit(batches(STAGES[0], 2), callbacks=[guard], **options)
    expected = pytest.approx(2.5e-4 * 0.5 ** (model.step / 10))
    assert model.step == 8
    assert float(model.optimizer.learning_rate) == expected
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert float(loaded.optimizer.learning_rate) == expected


def statistics(images):
    """Mean and covariance of the pixels."""
    pixels = types.SimpleNamespace(name="pixels", hash="", preprocessing="")
    batches = [images.reshape(len(images), -1)]
    return FeatureStatistics.from_features(batches, pixels, "pixels")


def test_a_real_run_recovers_and_its_samples_are_as_good():
    data = datasets.load(datasets.EMBEDDED, resolution=32, fit="pad")
    reference = statistics(data.images(3000, resolution=8))

    def distance(*callbacks):
        model = fit_progressively(
            new_model(width=16, steps=6),
            lambda stage, start: data.batches(8, stage.batch_size, start=start),
            [Stage(8, 0, 64 * 240, batch_size=64)],
            callbacks=callbacks,
            report_steps=30,
            verbose=0,
        )
        samples = model.generate(1000, seed=5, batch_size=250)
        return frechet_distance(statistics(samples), reference)

    undisturbed = distance()
    guard = DivergenceGuard()
    guarded = distance(Provoke(factor=1000, epoch=4), guard)
    unguarded = distance(Provoke(factor=1000, epoch=4))
    assert [event["back_to_step"] for event in guard.events] == [120]
    assert guarded < 1.5 * undisturbed  # measured: 1.1
    assert unguarded > 3.0 * undisturbed  # measured: 9.2


def test_a_stage_is_judged_by_its_own_history_when_training_goes_on():
    """A resolution may have two stages, and training may have stopped between them."""
    guard = watch()
    fit(guard)
    state = json.loads(json.dumps(guard.get_state()))
    assert state["history"]
    older = {name: value for name, value in state.items() if name != "place"}
    for stage, given, goes_on in (
        (0, state, True),
        (1, state, False),
        (0, older, False),
    ):
        resumed, model = watch(), new_model()
        model.stage = stage
        model.compile()
        resumed.set_state(given, guard.get_arrays())
        resumed.set_model(model)
        resumed.on_train_begin()
        assert resumed.get_state()["history"] == (state["history"] if goes_on else [])
