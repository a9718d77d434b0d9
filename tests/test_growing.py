"""Progressive training: the arithmetic of stages, and a run of two of them."""

import keras
import numpy as np
import pytest
import quick_graphs

from keras_cfebm.callbacks import EnergyLog
from keras_cfebm.configs.stages import Stage
from keras_cfebm.datasets import from_arrays
from keras_cfebm.growing import adam, fit_progressively, grown_to
from keras_cfebm.model import CFEBM
from keras_cfebm.sampling import Langevin

STAGES = [
    Stage(8, fade_images=0, stabilise_images=8, batch_size=4, learning_rate=1e-3),
    Stage(16, 8, 4, batch_size=4, learning_rate=5e-4, langevin=Langevin(steps=1)),
]


@pytest.fixture
def make_dataset(noise_images):
    """Batches of 16 images, pooled to the stage's resolution, without end."""
    data = from_arrays(noise_images(16, 32))

    def make(stage, start):
        return data.batches(stage.resolution, stage.batch_size, start=start)

    return make


def test_the_optimizer_is_adam_of_the_paper():
    optimizer = adam(STAGES[1])
    assert isinstance(optimizer, keras.optimizers.Adam)
    assert float(optimizer.learning_rate) == pytest.approx(5e-4)
    assert (optimizer.beta_1, optimizer.beta_2) == (0.5, 0.999)


def test_the_learning_rate_falls_at_the_end_of_a_stage():
    stage = Stage(8, 0, 40, batch_size=4, learning_rate=0.1, decay_images=14)
    schedule = adam(stage)._learning_rate
    copy = type(schedule).from_config(schedule.get_config())
    for step, expected in ((0, 0.1), (6, 0.1), (8, 0.05), (9, 0.025), (11, 0.001)):
        assert float(copy(step)) == pytest.approx(expected)


def test_a_stage_continues_or_doubles_the_resolution(make_model):
    model = make_model()
    assert grown_to(model, STAGES[0]).resolution == 8
    grown = grown_to(model, STAGES[1])
    assert (grown.resolution, grown.fade_steps, grown.network.beta) == (16, 2, 0)
    assert grown.langevin.steps == 1 and grown.data_chains == 0
    for resolution in (4, 24, 32):
        with pytest.raises(
            ValueError, match=rf"resolutions, \[8\], or .* received {resolution}"
        ):
            grown_to(model, Stage(resolution, 1, 1))


def test_a_stage_has_its_own_share_of_chains_from_data(make_model):
    chains = {"data_chains": 0.5, "data_chain_steps": 12, "data_chain_noise": 0.3}
    grown = grown_to(make_model(), Stage(16, 4, 4, batch_size=4, **chains))
    assert {name: getattr(grown, name) for name in chains} == chains
    grown = grown_to(grown, Stage(16, 0, 4))  # from there on
    assert {name: getattr(grown, name) for name in chains} == chains
    assert grown_to(grown, Stage(16, 0, 4, data_chains=0.0)).data_chains == 0


def test_a_resolution_may_have_two_stages(make_model, make_dataset):
    first = Stage(8, 0, 8, batch_size=4)
    second = Stage(8, 0, 12, batch_size=4, learning_rate=5e-4, data_chains=0.5)
    seen, log = [], EnergyLog()

    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            rate = float(self.model.optimizer.learning_rate)
            key = tuple(np.asarray(self.model.noise_key))
            seen.append((self.model.step, self.model.data_chains, round(rate, 6), key))

    with quick_graphs.eagerly():
        model = fit_progressively(
            make_model(data_chain_steps=3),
            make_dataset,
            [first, second],
            callbacks=[Watch(), log],
            verbose=0,
        )
    assert len(model.ladder) == 1
    assert [row[:3] for row in seen] == [(0, 0, 1e-3), (0, 0.5, 5e-4)]
    assert seen[0][3] != seen[1][3]  # other noise
    places = [(r["stage"], r["step"], r["stage_step"]) for r in log.rows]
    assert places == [(1, 2, 2), (2, 5, 3)]


def test_a_coarser_level_may_be_trained_again_below_finer_ones(
    make_model, make_dataset, assert_equal, values
):
    begun = []

    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            begun.append(self.model)

    again = Stage(8, 0, 8, batch_size=4)
    with quick_graphs.eagerly():
        model = fit_progressively(
            make_model(),
            make_dataset,
            [*STAGES, again, Stage(32, 0, 4, batch_size=4)],
            callbacks=[Watch()],
            verbose=0,
        )
    sides = [([n.resolution for n in m.ladder], len(m.finer)) for m in begun]
    assert sides == [([8], 0), ([8, 16], 0), ([8], 1), ([8, 16, 32], 0)]
    _, second, retrained, _ = begun
    kernels = [m.ladder[0].trainable_weights for m in (second, retrained)]
    assert not kernels[0] and kernels[1]  # a frozen sampler, then in training
    assert_equal(values(retrained.finer[0]), values(model.ladder[1]))
    coarse = values(model.ladder[0])
    old = values(second.ladder[0])
    assert any(np.any(a != b) for a, b in zip(coarse, old, strict=True))
    keys = [tuple(np.asarray(m.noise_key)) for m in begun]
    assert len(set(keys)) == 4  # also the second time at 8 pixels
    assert model.finer == [] and model.generate(2).shape == (2, 32, 32, 1)


def test_a_training_may_end_at_a_coarser_level(make_network, make_dataset, values):
    model = CFEBM([make_network(8), make_network(16)], Langevin(steps=1))
    with quick_graphs.eagerly():
        model = fit_progressively(model, make_dataset, STAGES[:1], verbose=0)
    assert (model.resolution, model.finer[0].resolution) == (8, 16)
    whole = model.at_resolution(16)
    assert whole.generate(2).shape == (2, 16, 16, 1)
    np.testing.assert_array_equal(
        values(whole.ladder[0])[0], values(model.sampling_network)[0]
    )


def test_a_run_without_stages_is_refused(make_model, make_dataset):
    with pytest.raises(ValueError, match="at least one stage"):
        fit_progressively(make_model(), make_dataset, [])


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # Keras' own
def test_batches_that_end_are_an_error(make_model):
    def finite(stage, start):
        return ((batch,) for batch in np.zeros((3, 4, 8, 8, 1), "float32"))

    stages = [Stage(8, 0, stabilise_images=40, batch_size=4)]
    with pytest.raises(ValueError, match="without end"):
        fit_progressively(make_model(), finite, stages, verbose=0)


def test_two_stages_end_in_a_model_without_fade_the_same_for_the_same_seed(
    make_model, make_dataset, values, assert_equal
):
    runs, steps = [], []
    for _ in range(2):
        log = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: steps.append(batch)
        )
        model = fit_progressively(
            make_model(), make_dataset, STAGES, callbacks=[log], verbose=0
        )
        runs.append(model)
    model = runs[0]
    assert [network.resolution for network in model.ladder] == [8, 16]
    assert not any(network.fading for network in model.ladder)
    assert len(steps) == 2 * (2 + 3)  # steps of the two stages, twice
    images = model.generate(2)
    assert images.shape == (2, 16, 16, 1) and np.isfinite(images).all()
    assert_equal(values(runs[0]), values(runs[1]))
