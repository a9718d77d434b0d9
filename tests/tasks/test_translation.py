"""CFEBM(..., chain_start="source"): training on pairs, and the pairs themselves."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from keras_cfebm import tasks
from keras_cfebm.backend import random
from keras_cfebm.configs.stages import Stage
from keras_cfebm.datasets import from_arrays, pairs
from keras_cfebm.growing import fit_progressively
from keras_cfebm.model import CFEBM
from keras_cfebm.network import EnergyNetwork
from keras_cfebm.sampling import Langevin, faithful, langevin

SETTINGS = Langevin(steps=(2, 3), noise_scale=0.01)


def images(count=6, side=4, channels=1, seed=0):
    shape = (count, side, side, channels)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


def network(**changes):
    keras.utils.set_random_seed(0)
    return EnergyNetwork(4, 1, base_resolution=4, base_width=2, **changes)


def translator(*ladder, **changes):
    model = CFEBM(
        ladder or [network()], SETTINGS, chain_start="source", seed=3, **changes
    )
    model.compile(keras.optimizers.Adam(1e-3))
    return model


def test_negatives_are_langevin_from_the_sources_at_the_current_resolution(drawn):
    coarse = network()
    model = translator(coarse, coarse.grown())
    targets, sources = images(side=8), images(side=8, seed=1)
    positives, negatives = drawn(model, (targets, sources))
    np.testing.assert_array_equal(positives, targets)

    level_key = random.fold_in(random.key(3), 8, 2)
    keys = random.fold_in(random.fold_in(level_key, 0), ops.arange(6))
    settings = SETTINGS.replace(steps=3)  # those of the second level
    x = langevin(model.network.bind(), ops.convert_to_tensor(sources), keys, settings)
    np.testing.assert_allclose(negatives, np.clip(x, -1, 1), atol=1e-6)


def test_sources_hold_the_negatives_of_a_faithful_training_back(drawn):
    own = SETTINGS.replace(faithfulness=0.2)
    model = CFEBM([network()], own, chain_start="source", seed=3)
    model.compile(keras.optimizers.Adam(1e-3))
    targets, sources = images(), images(seed=1)
    _, negatives = drawn(model, (targets, sources))
    keys = model.training_keys(ops.arange(6))
    source = ops.convert_to_tensor(sources)
    energy = faithful(model.network.bind(), source, 0.2)
    x = langevin(energy, source, keys, model.finest_settings)
    np.testing.assert_allclose(negatives, np.clip(x, -1, 1), atol=1e-6)
    _, free = drawn(translator(), (targets, sources))
    assert np.abs(negatives - sources).mean() < np.abs(free - sources).mean()
    np.testing.assert_array_equal(
        model.translate(sources, 1), model.translate(sources, 1, faithfulness=0.2)
    )


def test_a_grown_model_moves_sources_as_the_old_one_moves_the_pooled_ones():
    old = network()
    sources = images(side=8)
    still = Langevin(steps=1, noise_scale=0.0, clip=None)
    pooled = sources.reshape(6, 4, 2, 4, 2, 1).mean((2, 4))
    moved = tasks.translate(old.grown(), sources, settings=still) - sources
    coarse = tasks.translate(old, pooled, settings=still) - pooled
    # A pixel has a quarter of the slope of the mean of four.
    np.testing.assert_allclose(
        moved, coarse.repeat(2, axis=1).repeat(2, axis=2) / 4, atol=1e-6
    )


def test_fit_evaluate_save_and_translate(tmp_path):
    model = translator()
    targets, sources = images(8), images(8, seed=1)
    before = model.network.get_weights()
    history = model.fit(targets, sources, batch_size=4, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert any(
        (a != b).any() for a, b in zip(before, model.network.get_weights(), strict=True)
    )
    figures = model.evaluate(targets, sources, verbose=0, return_dict=True)
    assert np.isfinite(figures["gap"])

    translated = model.translate(sources, seed=2)
    expected = tasks.translate(
        model.sampling_network, sources, 2, SETTINGS.replace(steps=2)
    )
    np.testing.assert_allclose(translated, expected, atol=1e-6)
    np.testing.assert_allclose(
        model.translate(sources[5:], seed=2, start=5), translated[5:], atol=1e-5
    )

    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.chain_start == "source"
    np.testing.assert_allclose(again.translate(sources, seed=2), translated, atol=1e-6)


def test_generate_points_to_translate_and_the_reverse():
    with pytest.raises(ValueError, match="translate"):
        translator().generate(1)
    with pytest.raises(ValueError, match="chain_start='source'"):
        CFEBM(network()).translate(images())


def test_translators_grow():
    source, target = (from_arrays(images(8, 8, seed=seed)) for seed in (0, 1))
    stages = [Stage(4, 0, 8, batch_size=4), Stage(8, 8, 8, batch_size=4)]

    def make_dataset(stage, start):
        return pairs(source, target, stage.resolution, stage.batch_size, start=start)

    model = fit_progressively(translator(), make_dataset, stages, verbose=0)
    assert model.chain_start == "source" and len(model.ladder) == 2
    assert model.translate(source.images()).shape == (8, 8, 8, 1)


def test_bad_input():
    model = translator()
    for sources in (None, images(channels=3), images(side=8), np.arange(6)):
        with pytest.raises(ValueError, match="source images"):
            model.fit(images(), sources, verbose=0)
    for bad in (images(channels=3), images(side=8), np.zeros((2, 4, 4, 1), "uint8")):
        with pytest.raises(ValueError, match="source images"):
            model.translate(bad)
    with pytest.raises(ValueError, match="chain_start"):
        CFEBM(network(), chain_start="image")
    with pytest.raises(ValueError, match="classes"):
        CFEBM(network(num_classes=2), chain_start="source")


def test_a_model_keeps_its_compiled_chain_until_its_settings_change():
    model = CFEBM(network(), Langevin(steps=2))
    first = model.generate(2, seed=0)
    sampler = model._sampler
    np.testing.assert_array_equal(model.generate(2, seed=0), first)
    assert model._sampler is sampler
    model.langevin = Langevin(steps=0)
    assert np.abs(model.generate(2, seed=0) - first).max() > 1e-3


# --- Pairs --------------------------------------------------------------------------


def batches(iterator, count):
    return list(itertools.islice(iterator, count))


def test_pairs_are_unpaired_deterministic_and_resumable():
    data = from_arrays(images(8, 8))
    options = {"resolution": 4, "batch_size": 3, "seed": 5, "as_numpy": True}
    whole = batches(pairs(data, data, **options), 6)
    for (targets, sources), again in zip(
        whole[2:], batches(pairs(data, data, start=2, **options), 4), strict=True
    ):
        assert targets.shape == sources.shape == (3, 4, 4, 1)
        np.testing.assert_array_equal(targets, again[0])
        np.testing.assert_array_equal(sources, again[1])
    assert any((targets != sources).any() for targets, sources in whole)


def test_pairs_come_as_targets_and_sources():
    source, target = from_arrays(-(images(4) ** 2)), from_arrays(images(4) ** 2 - 1)
    targets, sources = next(
        iter(pairs(source, target, batch_size=4, seed=1, as_numpy=True))
    )
    for drawn, data in ((targets, target), (sources, source)):
        np.testing.assert_array_equal(
            np.sort(drawn.ravel()), np.sort(data.images().ravel())
        )
    dataset = pairs(source, target, batch_size=4, seed=1)
    for drawn, expected in zip(next(iter(dataset)), (targets, sources), strict=True):
        np.testing.assert_array_equal(drawn, expected)


def test_noisy_sources_are_deterministic_and_resumable():
    data = from_arrays(np.zeros((8, 4, 4, 1), "float32"))
    options = {"batch_size": 4, "seed": 5, "source_noise": 0.3}
    whole = batches(pairs(data, data, as_numpy=True, **options), 4)
    again = batches(pairs(data, data, start=2, as_numpy=True, **options), 2)
    as_dataset = batches(iter(pairs(data, data, start=2, **options)), 2)
    for (targets, sources), *others in zip(whole[2:], again, as_dataset, strict=True):
        assert (targets == 0).all() and 0 < sources.std() < 0.3
        for _, other in others:
            np.testing.assert_array_equal(other, sources)
    assert (whole[0][1] != whole[1][1]).any()
    with pytest.raises(ValueError, match="source_noise"):
        pairs(data, data, batch_size=4, source_noise=-1.0)


def test_pairs_refuse_sets_that_do_not_go_together():
    grey, colour = from_arrays(images()), from_arrays(images(channels=3))
    with pytest.raises(ValueError, match="channels"):
        pairs(grey, colour)
    with pytest.raises(ValueError, match="resolution"):
        pairs(grey, from_arrays(images(side=8)), batch_size=2)
    with pytest.raises(ValueError, match="seed"):
        pairs(grey, grey, batch_size=2, seed=-1)
