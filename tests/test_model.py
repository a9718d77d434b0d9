"""CFEBM: the loss and its gradient, what a step moves, samples, saving, bad data."""

import itertools
import math
import random
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from autodiff import value_and_gradients
from keras import ops

from keras_cfebm import tasks
from keras_cfebm.configs.stages import Stage
from keras_cfebm.datasets.pipeline import Batches
from keras_cfebm.growing import grown_to
from keras_cfebm.layers import mean_pool
from keras_cfebm.model import CFEBM
from keras_cfebm.network import EnergyNetwork
from keras_cfebm.sampling import Langevin, coarse_to_fine, langevin, noise_start
from keras_cfebm.utils.training_data import first_batch


class Recorder(keras.callbacks.Callback):
    """Keeps what `read(model)` returns after every training step."""

    def __init__(self, read):
        super().__init__()
        self.read = read
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(self.read(self.model))


def fit(model, images, epochs=1, labels=None, **options):
    """Trains in the stored order, in batches of 4."""
    return model.fit(
        images, labels, batch_size=4, epochs=epochs, shuffle=False, verbose=0, **options
    )


@pytest.fixture(scope="module")
def grow():
    """A function that returns a model's compiled successor of twice the resolution."""

    def make(model, fade_steps=4, rate=1e-3):
        network = model.sampling_network
        if network.fading:
            network.beta = 1.0
        grown = model.grown(fade_steps=fade_steps)
        grown.compile(keras.optimizers.Adam(rate, beta_1=0.5))
        return grown

    return make


@pytest.fixture(scope="module")
def trained(make_model, grow, noise_images):
    """A ladder of 8 and 16 after three steps of training."""
    model = grow(make_model())
    fit(model, noise_images(12, 16))
    return model


# --- The loss and its gradient ------------------------------------------------------


def test_a_step_follows_the_data_term_minus_the_model_term(
    make_model, noise_images, drawn
):
    model = make_model(optimizer=keras.optimizers.SGD(1.0), ema_decay=None)
    images = ops.convert_to_tensor(noise_images(4, 8))
    twin = make_model(optimizer=keras.optimizers.SGD(1.0), ema_decay=None)
    twin.network.power_iteration()
    positives, negatives = drawn(twin, images)
    weights = twin.network.trainable_weights
    (data_term, data_gradient), (model_term, model_gradient) = (
        value_and_gradients(lambda x=x: ops.mean(twin.network(x)), [], weights)
        for x in (positives, negatives)
    )
    expected = [
        weight.value - (data - samples)
        for weight, data, samples in zip(
            weights, data_gradient, model_gradient, strict=True
        )
    ]
    logs = model.train_on_batch(images, return_dict=True)
    for weight, value in zip(model.network.trainable_weights, expected, strict=True):
        np.testing.assert_allclose(weight, value, atol=1e-5)
    assert logs["data_energy"] == pytest.approx(float(data_term), abs=1e-5)
    assert logs["sample_energy"] == pytest.approx(float(model_term), abs=1e-5)
    assert logs["loss"] == pytest.approx(float(data_term - model_term), abs=1e-5)
    assert logs["gap"] == pytest.approx(-logs["loss"], abs=1e-5)


def test_negatives_are_constants(make_model, noise_images, drawn):
    model = make_model()
    images = noise_images(4, 8)

    def total():
        return ops.sum(drawn(model, images)[1])

    _, gradients = value_and_gradients(total, [], model.network.trainable_weights)
    assert not any(np.array(gradient).any() for gradient in gradients)


def test_negatives_are_the_models_own_chains(make_model, grow, noise_images, drawn):
    model = grow(make_model())
    _, negatives = drawn(model, noise_images(4, 16))
    assert negatives.shape == (4, 16, 16, 1)
    assert np.abs(negatives).max() <= 1
    again = drawn(model, noise_images(4, 16, seed=1))[1]
    np.testing.assert_array_equal(again, negatives)  # data do not matter, only the step
    model.steps.assign(1)
    later = drawn(model, noise_images(4, 16))[1]
    assert (np.array(later) != np.array(negatives)).mean() > 0.9


def test_a_share_of_the_chains_starts_at_the_images(make_model, noise_images, drawn):
    settings = Langevin(steps=(2, 3), step_size=0.1, noise_scale=0.05)
    model = make_model(langevin=settings, data_chains=0.5, data_chain_steps=7)
    batch = model.unpack(ops.convert_to_tensor(noise_images(5, 8)))
    keys = model.training_keys(batch.places)
    found = np.array(model.negatives_beside(batch.images, batch, keys))
    from_noise = np.array(drawn(model, batch.images)[1])
    np.testing.assert_allclose(found[1::2], from_noise[1::2], atol=1e-6)
    from_data = langevin(
        model.network.bind(),
        batch.images[::2],
        keys[::2],
        Langevin(steps=7, step_size=0.1, noise_scale=0.05),
    )
    np.testing.assert_allclose(found[::2], np.clip(from_data, -1, 1), atol=1e-6)
    assert np.abs(found[::2] - from_noise[::2]).mean() > 0.1


def test_such_chains_may_start_at_noisy_images(make_model, noise_images):
    clean = np.zeros((400, 8, 8, 1), "float32")
    model = make_model(data_chains=0.25, data_chain_noise=0.3)
    batch = model.unpack(ops.convert_to_tensor(clean))
    keys = model.training_keys(batch.places)
    noise = np.array(model.with_chain_noise(batch.images, keys))
    spread = noise.std(axis=(1, 2, 3))  # S·u² of each image, whose mean is S / 3
    assert 0 <= spread.min() < 0.01 and 0.25 < spread.max() < 0.4
    assert spread.mean() == pytest.approx(0.1, abs=0.015)
    model.data_chain_noise = 9.0
    assert np.abs(model.with_chain_noise(batch.images, keys)).max() == 1
    found = [
        np.array(m.negatives_beside(batch.images, batch, keys))
        for m in (model, make_model(data_chains=0.25))
    ]
    moved = np.abs(found[0] - found[1]).mean(axis=(1, 2, 3))
    assert moved[::4].mean() > 0.1 and not moved[1::4].any()


def test_data_noise_is_added_to_data_only(make_model, noise_images, drawn):
    model, images = make_model(data_noise=0.5), noise_images(64, 8)
    positives, negatives = drawn(model, images)
    noise = np.array(positives) - images
    assert noise.std() == pytest.approx(0.5, rel=4 / np.sqrt(2 * noise.size))
    quiet = make_model()
    positives, same = drawn(quiet, images)
    np.testing.assert_array_equal(positives, images)
    np.testing.assert_array_equal(same, negatives)


def test_energy_l2_adds_both_mean_squares(make_model, noise_images, drawn):
    model = make_model(energy_l2=0.1)
    images = noise_images(4, 8)
    pair = drawn(model, images)
    positive, negative = (np.array(model.network(x)) for x in pair)
    expected = positive.mean() - negative.mean()
    expected += 0.1 * (np.square(positive).mean() + np.square(negative).mean())
    loss = model.losses(*pair, model.unpack(images))["loss"]
    assert float(loss) == pytest.approx(expected, abs=1e-5)


# --- What training moves ------------------------------------------------------------


def test_training_moves_the_finest_weights_and_only_those(
    make_model, grow, noise_images, values, assert_equal
):
    model = grow(make_model())
    coarse, fine = model.ladder
    frozen = values(coarse)
    before = [weight.numpy() for weight in fine.trainable_weights]
    history = fit(model, noise_images(8, 16), epochs=2).history
    assert_equal(values(coarse), frozen)
    for weight, value in zip(fine.trainable_weights, before, strict=True):
        # A constant added to the energy changes no sample, and the loss cancels it.
        moves = weight.path != "head/linear/bias"
        assert (weight.numpy() != value).any() == moves, weight.path
    assert set(history) == {
        *("loss", "data_energy", "sample_energy", "gap", "gradient_norm", "beta")
    }
    assert np.isfinite(list(history.values())).all()
    assert (np.array(history["gradient_norm"]) > 0).all()


def test_beta_goes_from_0_to_1_over_the_fade_steps(make_model, grow, noise_images):
    model = grow(make_model(), fade_steps=4)
    assert model.network.beta == model.sampling_network.beta == 0
    betas = Recorder(lambda m: (m.network.beta, m.sampling_network.beta))
    fit(model, noise_images(20, 16), callbacks=[betas])
    assert betas.seen == [(beta, beta) for beta in (0.25, 0.5, 0.75, 1.0, 1.0)]
    assert not model.finished().network.fading


def test_a_fading_model_does_not_finish(make_model, grow):
    with pytest.raises(ValueError, match="β"):
        grow(make_model()).finished()


def test_averages_follow_their_formula(make_model, noise_images):
    model = make_model(ema_decay=0.3)
    network, average = model.network, model.ema_network
    assert not average.trainable_weights
    names = [weight.path for weight in network.trainable_weights]
    places = [i for i, w in enumerate(network.weights) if w.path in names]
    seen = Recorder(lambda m: [network.weights[i].numpy() for i in places])
    expected = [average.weights[i].numpy() for i in places]
    fit(model, noise_images(20, 8), callbacks=[seen])
    for step, weights in enumerate(seen.seen, start=1):
        decay = min(0.3, (1 + step) / (10 + step))
        expected = [
            decay * old + (1 - decay) * new
            for old, new in zip(expected, weights, strict=True)
        ]
    for i, value in zip(places, expected, strict=True):
        np.testing.assert_allclose(average.weights[i], value, atol=1e-6)
    assert average.beta == network.beta
    for (
        convolution
    ) in average.spectral_convolutions():  # its own norms, not the others'
        assert largest_singular_value(convolution) == pytest.approx(1, abs=1e-3)


def test_without_averages_the_weights_themselves_sample(make_model):
    model = make_model(ema_decay=None)
    assert model.sampling_network is model.network


def largest_singular_value(convolution):
    kernel = np.array(convolution.normalized_kernel())
    return np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), 2)


def test_kernels_stay_normalised_at_every_step_of_a_fast_training(
    make_model, noise_images
):
    model = make_model(langevin=Langevin(steps=1))
    model.compile(keras.optimizers.Adam(3e-3, beta_1=0.5))
    model.network.draw_weights(0)  # the same on every backend
    convolutions = model.network.spectral_convolutions()
    assert len(convolutions) == 4
    norms = Recorder(lambda m: [largest_singular_value(c) for c in convolutions])
    fit(model, noise_images(400, 8), callbacks=[norms])
    assert len(norms.seen) == 100
    assert np.min(norms.seen) > 0.99 and np.max(norms.seen) < 1.01


# --- What a model is given, and what it leaves alone ----------------------------------


def test_the_callers_networks_are_left_trainable(make_network, noise_images):
    coarse, fine = make_network(8), make_network(16)
    ladder = CFEBM([coarse, fine], Langevin(steps=1))
    assert len(coarse.trainable_weights) > 0 and ladder.network is fine
    assert not ladder.ladder[0].trainable_weights
    alone = CFEBM([coarse], Langevin(steps=1))
    alone.compile(keras.optimizers.SGD(0.1))
    frozen = [w.numpy() for w in ladder.ladder[0].weights]
    before = coarse.get_weights()
    fit(alone, noise_images(4, 8))
    assert any(
        (a != b).any() for a, b in zip(coarse.get_weights(), before, strict=True)
    )
    for weight, value in zip(ladder.ladder[0].weights, frozen, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_training_goes_on_where_it_was_when_compiled_again(
    make_model, grow, noise_images, drawn
):
    model = grow(make_model(), fade_steps=8)
    fit(model, noise_images(8, 16))
    negatives = drawn(model, noise_images(4, 16))[1]
    model.compile(keras.optimizers.Adam(1e-3, beta_1=0.5))
    assert model.step == 2 and int(model.optimizer.iterations) == 0
    np.testing.assert_array_equal(drawn(model, noise_images(4, 16))[1], negatives)
    fit(model, noise_images(4, 16))
    assert model.step == 3 and model.network.beta == 3 / 8


def test_every_step_of_an_accumulating_optimizer_has_noise_of_its_own(
    make_model, noise_images, drawn
):
    optimizer = keras.optimizers.Adam(1e-3, gradient_accumulation_steps=2)
    model = make_model(optimizer=optimizer, langevin=Langevin(steps=0))
    seen = Recorder(lambda m: np.array(drawn(m, noise_images(4, 8))[1]))
    fit(model, noise_images(16, 8), callbacks=[seen])
    assert model.step == 4 and int(optimizer.iterations) == 2
    for first, second in itertools.pairwise(seen.seen):
        assert np.not_equal(first, second).mean() > 0.9


def test_stages_share_no_noise(make_model, drawn):
    model = make_model(langevin=Langevin(steps=0))
    successors = [model.finished(), model.grown(4), model.finished().grown(4)]
    coarse = [np.array(drawn(model, np.zeros((4, 8, 8, 1), "float32"))[1])]
    for each in successors:
        images = np.zeros((4, *each.image_shape), "float32")
        coarse.append(
            np.array(drawn(each, images)[1])[
                :, :: each.resolution // 8, :: each.resolution // 8
            ]
        )
    for first, second in itertools.combinations(coarse, 2):
        assert np.not_equal(first, second).mean() > 0.9


def test_a_renewed_key_outlives_growth(make_model, drawn):
    images = np.zeros((4, 16, 16, 1), "float32")
    model = make_model(langevin=Langevin(steps=0))
    before = np.array(drawn(model.grown(4), images)[1])
    model.renew_noise(1)
    after = np.array(drawn(model.grown(4), images)[1])
    assert (after != before).mean() > 0.9


def test_weights_weigh_the_data_term(make_model, noise_images, drawn):
    model = make_model()
    images, weights = noise_images(4, 8), np.array([0.0, 1.0, 2.0, 5.0], "float32")
    positives, negatives = drawn(model, images)
    energies = np.array(model.network(positives))
    batch = model.unpack((images, None, weights))
    losses = model.losses(positives, negatives, batch)
    expected = np.average(energies, weights=weights)
    assert float(losses["data_energy"]) == pytest.approx(expected, rel=1e-5)
    mean = np.mean(np.array(model.network(negatives)))
    assert float(losses["sample_energy"]) == pytest.approx(mean, rel=1e-5)


def test_class_weights_and_sample_weights_move_the_model_alike(
    make_model, noise_images, values
):
    images, labels = noise_images(4, 8), np.array([0, 1, 0, 1])
    by_class = make_model(num_classes=2, class_names=["cat", "dog"])
    by_sample = make_model(num_classes=2)
    fit(by_class, images, labels=labels, class_weight={"cat": 1.0, 1: 3.0})
    fit(by_sample, images, labels=labels, sample_weight=np.array([1.0, 3.0, 1.0, 3.0]))
    plain = make_model(num_classes=2)
    fit(plain, images, labels=labels)
    for a, b in zip(values(by_class), values(by_sample), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert any(
        np.abs(a - b).max() > 1e-4
        for a, b in zip(values(by_class), values(plain), strict=True)
    )


def test_weights_of_images_without_labels_count(make_model, noise_images, values):
    images = noise_images(4, 8)
    plain, weighted, weightless = make_model(), make_model(), make_model()
    before = [np.array(w) for w in weightless.network.trainable_weights]
    fit(plain, images)
    fit(weighted, images, sample_weight=np.array([0.0, 0.0, 0.0, 1.0]))
    fit(weightless, images, sample_weight=np.zeros(4))
    assert any(
        np.abs(a - b).max() > 1e-4
        for a, b in zip(values(weighted), values(plain), strict=True)
    )
    for a, b in zip(weightless.network.trainable_weights, before, strict=True):
        np.testing.assert_array_equal(a, b)
    energies = [
        plain.evaluate(images, sample_weight=weights, batch_size=4, verbose=0)
        for weights in (None, np.array([0.0, 0.0, 0.0, 1.0]))
    ]
    assert energies[0] != energies[1]


def test_a_new_model_trains_at_once_by_the_adam_of_the_paper(
    make_network, noise_images
):
    model = CFEBM(make_network(), Langevin(steps=1))
    assert not model.compiled
    fit(model, noise_images(4, 8))
    settings = model.optimizer.get_config()
    assert model.step == 1 and isinstance(model.optimizer, keras.optimizers.Adam)
    assert settings["beta_1"] == 0.5 and settings["beta_2"] == 0.999
    assert settings["learning_rate"] == pytest.approx(1e-3)


def test_a_new_model_takes_single_batches_as_fit_and_evaluate_do(
    make_network, noise_images, values, assert_equal
):
    images, options = noise_images(4, 8), {"verbose": 0, "return_dict": True}
    arguments = {"langevin": Langevin(steps=1), "class_names": ["cat", "dog"]}
    fitted, stepped = (CFEBM(make_network(num_classes=2), **arguments) for _ in "ab")
    names = ["dog", "cat", "cat", "dog"]
    found = stepped.test_on_batch(images, names, return_dict=True)
    assert found == stepped.evaluate(images, names, batch_size=4, **options)
    assert stepped.step == 0
    stepped.reset_metrics()  # Keras 3.8 averages over batches
    logs = stepped.train_on_batch(images, names, return_dict=True)
    history = fit(fitted, images, labels=[1, 0, 0, 1]).history
    assert stepped.step == 1
    assert_equal(values(stepped), values(fitted))
    assert float(logs["gap"]) == pytest.approx(float(history["gap"][0]), rel=1e-5)
    with pytest.raises(ValueError, match="Did you mean 'dog'"):
        stepped.train_on_batch(images, ["dogs"] * 4)


@pytest.mark.parametrize("name", ["loss", "metrics", "loss_weights"])
def test_another_loss_or_metric_is_refused(make_model, name):
    with pytest.raises(ValueError, match=f"Expected no {name}"):
        make_model().compile("adam", **{name: ["mse"]})
    with pytest.raises(ValueError, match="Expected no loss"):
        make_model().compile("adam", "mse")


def test_a_frozen_network_is_not_trained_in_silence(trained, noise_images):
    model = CFEBM(trained.sampling_ladder)
    with pytest.raises(ValueError, match="received a frozen one"):
        model.fit(noise_images(4, model.resolution), verbose=0)
    assert CFEBM([n.copy() for n in trained.sampling_ladder]).trainable_weights


def test_labels_that_would_be_ignored_are_refused(make_model, noise_images):
    with pytest.raises(ValueError, match=r"no classes.*num_classes"):
        fit(make_model(), noise_images(4, 8), labels=np.arange(4))


@pytest.fixture(params=["channels_first", "float64", "float16"])
def foreign_default(request):
    """A default of Keras' that another project may have left in keras.json."""
    config = keras.config
    data_format, floatx = config.image_data_format(), config.floatx()
    if request.param == "channels_first":
        config.set_image_data_format("channels_first")
    else:
        config.set_floatx(request.param)
        config.set_dtype_policy(request.param)
    yield
    config.set_image_data_format(data_format)
    config.set_floatx(floatx)
    config.set_dtype_policy(floatx)


# Keras itself asks JAX for float64, which JAX has only where it is told to.
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype:UserWarning")
def test_foreign_defaults_of_keras_change_nothing(
    foreign_default, make_model, trained, noise_images, tmp_path
):
    trained.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    samples = loaded.generate(2, seed=0)
    np.testing.assert_allclose(samples, trained.generate(2, seed=0), atol=1e-6)
    model = make_model(16)
    fit(model, noise_images(4, 16))
    assert {w.dtype for w in model.network.weights} == {"float32"}
    assert model.predict(noise_images(2, 16), verbose=0).dtype == np.float32


@pytest.mark.parametrize("beta", [1.5, -0.2, math.nan])
def test_beta_is_a_share(make_network, beta):
    network = make_network().grown()
    with pytest.raises(ValueError, match="β"):
        network.beta = beta


def test_finer_levels_are_saved_and_loaded(
    make_network, tmp_path, assert_equal, values
):
    ladder = [make_network(8), make_network(16)]
    model = CFEBM(ladder, Langevin(steps=2)).at_resolution(8)
    assert [n.resolution for n in model.finer] == [16]
    assert not model.finer[0].trainable_weights and model.network.trainable_weights
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal(values(model.finer[0]), values(loaded.finer[0]))
    samples = [m.at_resolution(16).generate(2, seed=0) for m in (model, loaded)]
    np.testing.assert_array_equal(*samples)
    with pytest.raises(ValueError, match=r"without finer levels .* has \[16\] pixels"):
        model.grown(0)


def test_only_levels_that_are_there_can_be_trained(make_model, make_network):
    with pytest.raises(ValueError, match=r"level of the model, \[8\], received 16"):
        make_model().at_resolution(16)
    with pytest.raises(ValueError, match="twice the resolution"):
        CFEBM([make_network()], finer=[make_network(32)])


def test_growing_leaves_other_random_numbers_alone(make_model):
    model = make_model(seed=3)
    stage = Stage(16, 0, 8, batch_size=4)
    random.seed(0)
    first, one = grown_to(model, stage), random.random()
    random.seed(1)
    second, other = grown_to(model, stage), random.random()
    assert one != other  # not seeded anew
    for a, b in zip(first.network.weights, second.network.weights, strict=True):
        np.testing.assert_array_equal(a, b)


# --- Sampling and scoring -----------------------------------------------------------


def test_predicted_energies_are_the_averaged_networks(trained, noise_images):
    images = noise_images(5, 16)
    energies = trained.predict(images, batch_size=2, verbose=0)
    assert energies.shape == (5,) and energies.dtype == np.float32
    np.testing.assert_allclose(
        energies, trained.sampling_network(images), rtol=1e-5, atol=1e-6
    )
    assert np.abs(energies - np.array(trained.network(images))).max() > 0


def test_evaluation_is_deterministic_and_moves_nothing(
    trained, noise_images, values, assert_equal
):
    images = noise_images(8, 16)
    before = values(trained)
    options = {"batch_size": 4, "verbose": 0, "return_dict": True}
    first = trained.evaluate(images, **options)
    assert trained.evaluate(images, **options) == first
    assert_equal(values(trained), before)
    assert np.isfinite(list(first.values())).all()
    energy = float(ops.mean(trained.sampling_network(images)))
    assert float(first["data_energy"]) == pytest.approx(energy, abs=1e-5)
    assert float(first["gap"]) == pytest.approx(-float(first["loss"]), abs=1e-5)


def test_generated_images_are_deterministic_and_in_range(trained):
    images = trained.generate(5, seed=3)
    assert images.shape == (5, 16, 16, 1) and images.dtype == np.float32
    assert np.abs(images).max() <= 1 and images.std() > 0.1
    np.testing.assert_array_equal(trained.generate(5, seed=3), images)
    assert (trained.generate(5, seed=4) != images).mean() > 0.5


def test_a_generated_image_does_not_depend_on_its_batch(trained):
    images = trained.generate(5, seed=3)
    for options in (
        {"count": 5, "batch_size": 2},
        {"count": 4, "batch_size": 3},
        {"count": 3, "start": 2},
    ):
        first = options.get("start", 0)
        some = trained.generate(seed=3, **options)
        expected = images[first : first + len(some)]
        np.testing.assert_allclose(some, expected, atol=1e-5)


def test_classes_are_learned_and_generated(make_model, noise_images, tmp_path):
    names = ("cat", "dog", "horse")
    model = make_model(num_classes=3, channels=3, class_names=names)
    embedding = model.network.head.embedding.embeddings
    labels = np.arange(8) % 3
    before = embedding.numpy()
    some = noise_images(4, 8, 3), np.array(names)[labels[:4]]
    fit(model, noise_images(8, 8, 3), labels=labels, epochs=2, validation_data=some)
    assert (embedding.numpy() != before).any(axis=1).all()
    model.ema_network.head.embedding.embeddings.assign(before * 20)
    images = model.generate(4, seed=0, labels=[0, 1, 2, 1])
    assert images.shape == (4, 8, 8, 3)
    ones = model.generate(4, seed=0, labels=1)
    np.testing.assert_allclose(ones[[1, 3]], images[[1, 3]], atol=1e-5)
    assert (np.abs(ones[[0, 2]] - images[[0, 2]]).max(axis=(1, 2, 3)) > 1e-4).all()
    energies = model.predict((images, np.int32([0, 1, 2, 1])), verbose=0)
    assert energies.shape == (4,)
    with pytest.raises(ValueError, match="labels"):
        model.generate(4)
    with pytest.raises(ValueError, match="from 0 to 2"):
        model.generate(4, labels=3)
    np.testing.assert_array_equal(model.generate(4, seed=0, labels="dog"), ones)
    named = tasks.denoise(model.sampling_network, ones, 0, labels=["dog"] * 4)
    np.testing.assert_array_equal(
        named, tasks.denoise(model.sampling_network, ones, 0, labels=1)
    )
    with pytest.raises(ValueError, match="Did you mean 'horse'"):
        model.generate(1, labels="horses")
    numbers = np.int32([0, 1, 2, 1])
    animals = np.array(names, object)[numbers]
    np.testing.assert_array_equal(model.predict((images, animals), verbose=0), energies)
    options = {"batch_size": 4, "verbose": 0, "return_dict": True}
    by_name = model.evaluate(images, list(animals), **options)
    assert by_name == model.evaluate(images, numbers, **options)
    named = tf.data.Dataset.from_tensor_slices((images, list(animals))).batch(4)
    assert by_name == model.evaluate(named, verbose=0, return_dict=True)
    model.fit(named, validation_data=named, verbose=0)
    alone = tf.data.Dataset.from_tensors((images,))  # no labels beside them
    with pytest.raises(ValueError, match="needs a label for each image"):
        model.fit(alone)
    with pytest.raises(ValueError, match="the model has no class_names"):
        make_model(num_classes=3, channels=3).fit(named)
    with pytest.raises(ValueError, match="Did you mean 'dog'"):
        model.fit(ones, np.array(["dogs"] * 4), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for other in (loaded, loaded.grown(1)):
        assert other.class_names == other.sampling_network.class_names == names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "count of at least 1"),
        ({"count": 2.0}, "integer count"),
        ({"count": 1, "batch_size": 0}, "batch_size"),
        ({"count": 1, "start": -1}, "start"),
        ({"count": 1, "seed": -1}, "seed"),
        ({"count": 1, "labels": 0}, "labels=None"),
    ],
)
def test_bad_requests_are_refused(make_model, arguments, message):
    with pytest.raises(ValueError, match=message):
        make_model().generate(**arguments)


def test_without_a_seed_images_are_fresh_and_can_be_made_again(trained):
    first, seed = trained.generate(2), trained.last_seed
    assert np.abs(trained.generate(2) - first).max() > 0.1
    np.testing.assert_array_equal(trained.generate(2, seed), first)
    assert trained.last_seed == seed


def test_one_image_alone_is_refused_with_a_hint(trained, noise_images):
    with pytest.raises(ValueError, match=r"For one image add \[None\]"):
        trained(noise_images(1, 16)[0])
    assert trained(noise_images(1, 16)[0][None]).shape == (1,)


def test_the_summary_counts_each_level_once_and_the_average_apart(trained, capsys):
    trained.summary()
    shown = capsys.readouterr().out
    coarse, fine = trained.ladder
    names = [coarse.name, fine.name, trained.ema_network.name]
    assert names == ["energy_8", "energy_16", "energy_16_average"]
    assert all(name in shown for name in names)
    counts = [
        sum(math.prod(weight.shape) for weight in network.trainable_weights)
        for network in (
            EnergyNetwork(8, 1, base_width=1),
            EnergyNetwork(16, 1, base_width=1),
        )
    ]
    assert trained.parameters() == dict(zip((8, 16), counts, strict=True))
    assert f"{counts[1]:,} of the finest network, {sum(counts):,} of the" in shown


def test_networks_of_older_files_are_named_anew(make_network):
    config = make_network().get_config()
    assert EnergyNetwork.from_config({**config, "name": "energy_network_4"}).name == (
        "energy_8"
    )
    assert EnergyNetwork.from_config({**config, "name": "mine"}).name == "mine"


# --- Saving -------------------------------------------------------------------------


def test_the_old_format_of_keras_is_refused(trained, tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.keras, received '.*model\.h5'"):
        trained.save(tmp_path / "model.h5")


def test_a_saved_ladder_scores_and_samples_as_before(trained, noise_images, tmp_path):
    trained.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, CFEBM) and loaded.langevin == trained.langevin
    assert loaded.get_config() == trained.get_config()
    for resolution, ours, theirs in zip(
        (8, 16), trained.sampling_ladder, loaded.sampling_ladder, strict=True
    ):
        images = noise_images(4, resolution)
        np.testing.assert_allclose(theirs(images), ours(images), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        loaded.generate(3, seed=0), trained.generate(3, seed=0), atol=1e-6
    )


def test_a_resumed_run_is_bitwise_the_one_never_interrupted(
    make_model, grow, noise_images, values, assert_equal, tmp_path
):
    images = noise_images(8, 16)
    model = grow(make_model(data_noise=0.1))
    fit(model, images, epochs=2)
    model.save(tmp_path / "model.keras")
    resumed = keras.saving.load_model(tmp_path / "model.keras")
    for each in (model, resumed):
        fit(each, images, initial_epoch=2, epochs=4)
    assert resumed.step == 8
    assert_equal(values(resumed), values(model))
    states = [[v.numpy() for v in m.optimizer.variables] for m in (resumed, model)]
    assert_equal(*states)


def test_the_seed_decides_the_noise(make_model, noise_images, drawn):
    draws = []
    for seed in (5, 5, 6):
        model = make_model(seed=seed, data_noise=0.1)
        draws.append(drawn(model, noise_images(4, 8)))
    for first, same, other in zip(*draws, strict=True):
        np.testing.assert_array_equal(first, same)
        assert (np.array(first) != np.array(other)).mean() > 0.9


def test_a_file_names_the_optimizer_as_every_backend_knows_it(make_model):
    optimizer = make_model().get_compile_config()["optimizer"]
    assert (optimizer["module"], optimizer["class_name"]) == (
        "keras.optimizers",
        "Adam",
    )


# --- Growth of the ladder -----------------------------------------------------------


def test_growth_starts_from_the_averages_and_leaves_the_old_model(
    make_model, noise_images, values, assert_equal
):
    model = make_model()
    fit(model, noise_images(8, 8))
    before = values(model)
    grown = model.grown(fade_steps=3)
    images = noise_images(4, 16)
    np.testing.assert_allclose(
        grown.network(images),
        model.sampling_network(mean_pool(images)),
        rtol=1e-5,
        atol=1e-6,
    )
    assert [network.resolution for network in grown.ladder] == [8, 16]
    assert (grown.fade_steps, grown.seed) == (3, model.seed)
    assert_equal(values(model), before)
    assert model.network.trainable_weights and not grown.ladder[0].trainable_weights


# --- What is refused ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fade_steps": -1}, "fade_steps"),
        ({"data_noise": float("nan")}, "data_noise"),
        ({"energy_l2": -0.1}, "energy_l2"),
        ({"ema_decay": 1.0}, r"ema_decay in \[0, 1\)"),
        ({"seed": -1}, "seed"),
        ({"data_chains": 0.7}, r"data_chains in \[0, 0.5\]"),
        ({"data_chains": 0.4}, "1/2, 1/3"),
        ({"data_chains": 0.5, "chain_start": "source"}, "start at noise"),
        ({"data_chain_steps": 0}, "data_chain_steps"),
        ({"data_chain_noise": -0.1}, "data_chain_noise"),
    ],
)
def test_bad_arguments_are_refused(make_network, arguments, message):
    with pytest.raises(ValueError, match=message):
        CFEBM([make_network()], **arguments)


def test_bad_ladders_are_refused(make_network):
    coarse = make_network()
    for ladder in (
        [],
        [coarse, coarse],
        [make_network(16), coarse],
        [coarse, make_network(32)],
        [coarse, make_network(16, channels=3)],
        [coarse, make_network(16, num_classes=2)],
        ["network"],
    ):
        with pytest.raises(ValueError, match=r"(networks|EnergyNetworks).* received"):
            CFEBM(ladder)


def zeros(*shape, dtype="float32"):
    return np.zeros(shape, dtype)


BAD_IMAGES = {
    "resolution": (zeros(4, 16, 16, 1), r"\(n, 8, 8, 1\).*\(4, 16, 16, 1\)"),
    "channels": (zeros(4, 8, 8, 3), r"\(n, 8, 8, 1\).*\(4, 8, 8, 3\)"),
    "rank": (zeros(4, 8, 8), r"\(n, 8, 8, 1\).*\(4, 8, 8\)"),
    "bytes": (zeros(4, 8, 8, 1, dtype="uint8"), "floats.*received uint8"),
    "nan": (zeros(4, 8, 8, 1) + np.nan, "finite"),
    "infinite": (zeros(4, 8, 8, 1) - np.inf, "finite"),
    "none": (zeros(0, 8, 8, 1), "n >= 1"),
}


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
@pytest.mark.parametrize(("images", "message"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_bad_arrays_are_explained(make_model, method, images, message):
    with pytest.raises(ValueError, match=message):
        getattr(make_model(), method)(images, verbose=0)


@pytest.mark.parametrize(("images", "message"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_bad_data_sets_are_explained(make_model, images, message):
    tf = pytest.importorskip("tensorflow")
    with pytest.raises(ValueError, match=message):
        make_model().fit(tf.data.Dataset.from_tensors(images), verbose=0)


@pytest.mark.parametrize("case", ["resolution", "channels", "rank", "bytes"])
def test_bad_batches_are_explained_while_tracing(make_model, case):
    images, message = BAD_IMAGES[case]
    with pytest.raises(ValueError, match=message):
        make_model().train_on_batch(images)


def test_bad_labels_are_explained(make_model, noise_images):
    model, images = make_model(num_classes=3), noise_images(4, 8)
    for labels, message in (
        (None, "labels"),
        (np.arange(4), "from 0 to 2"),
        (np.zeros(3, int), "labels"),
        (np.zeros(4), "integer labels"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(images, labels, verbose=0)
    with pytest.raises(ValueError, match="from 0 to 2, received None"):
        model.train_on_batch(images)


def test_forgotten_scaling_is_noticed_once(make_model, noise_images, monkeypatch):
    monkeypatch.setattr("keras_cfebm.utils.image_range._warned", set())
    model, images = make_model(), 100 * noise_images(4, 8)
    with pytest.warns(UserWarning, match="was the scaling forgotten") as caught:
        model.predict(images, verbose=0)
        model.predict(images + 1, verbose=0)
    # NumPy warns of Keras' arrays from PyTorch.
    assert [warning.category for warning in caught].count(UserWarning) == 1


#: Forms in which `fit` and `predict` take images of a batch.
FORMS = {
    "array": lambda images: images,
    "tensor": ops.convert_to_tensor,
    "generator": lambda images: (batch for batch in [(images,)]),
    "data set": lambda images: tf_dataset(images),
    "PyDataset": lambda images: Batches(lambda index: images, 1),
}


def tf_dataset(images):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensors(images)


@pytest.fixture(scope="module")
def small(make_model):
    return make_model()


@pytest.mark.parametrize("form", FORMS)
def test_the_range_is_checked_at_every_door(small, noise_images, form):
    model, make = small, FORMS[form]
    levels = np.uint8(127.5 * (noise_images(4, 8) + 1))
    for method in (model.fit, model.evaluate, model.predict):
        for images, value_range in (
            (levels, "(0, 255)"),
            (np.float32(levels), "(0, 255)"),
            (np.float32(levels / 255), "(0, 1)"),
        ):
            line = re.escape(f"model.value_range = {value_range}")
            with pytest.raises(ValueError, match=f"received .*{line}"):
                method(make(images), verbose=0)


def test_a_generator_that_is_looked_at_loses_nothing():
    batches = [(zeros(1, 8, 8, 1),), (zeros(2, 8, 8, 1),)]
    (images, paired), again = first_batch(batch for batch in batches)
    assert images is batches[0][0] and paired is None
    assert list(again) == batches
    nothing, again = first_batch(batch for batch in [])
    assert nothing is None and not list(again)


def test_bytes_are_refused_while_tracing(small):
    for call in (small, small.predict_on_batch, small.train_on_batch):
        with pytest.raises(ValueError, match=r"floats in .*, received uint8"):
            call(zeros(1, 8, 8, 1, dtype="uint8"))


def test_noise_on_sources_is_that_of_training_alone(make_network, noise_images):
    settings = Langevin(steps=0, clip=None)
    model = CFEBM(
        [make_network(8)],
        langevin=settings,
        chain_start="source",
        chain_start_noise=0.5,
        data_noise=0.25,
    )
    images, keys = noise_images(64, 8), model.training_keys(ops.arange(64))
    sources = np.array(model.negatives(keys, sources=images)) - images
    targets = np.array(model.with_data_noise(images, keys)) - images
    assert sources.std() == pytest.approx(0.5, rel=0.05)
    assert abs(np.corrcoef(sources.ravel(), targets.ravel())[0, 1]) < 0.05
    np.testing.assert_array_equal(model.translate(images, seed=0), images)
    assert CFEBM.from_config(model.get_config()).chain_start_noise == 0.5


def test_negatives_of_a_shorter_chain_start_one_level_below(make_network):
    ladder = [make_network(side) for side in (8, 16, 32)]
    settings = Langevin(
        steps=(1, 2),
        step_size=0.1,
        chain_levels=2,
        start_noise="truncated_normal",
        transition_noise=0.3,
    )
    model = CFEBM(ladder, langevin=settings, ema_decay=None)
    keys = model.training_keys(ops.arange(2))
    start = noise_start(keys, (16, 16, 1), settings)
    expected = coarse_to_fine([n.bind() for n in ladder[1:]], start, keys, settings)
    np.testing.assert_allclose(model.negatives(keys), expected, atol=1e-5)
    assert model.finest_settings.steps == 2
    loaded = CFEBM.from_config(model.get_config())
    assert loaded.langevin == settings
