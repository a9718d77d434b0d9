"""EnergyLadder: what its dials change, and that they stand at nothing."""

import numpy as np
import pytest

from keras_cfebm import tasks
from keras_cfebm.ladder import EnergyLadder
from keras_cfebm.sampling import Langevin
from keras_cfebm.tasks.energies import guided
from keras_cfebm.tasks.restoration import DENOISING, LADDER_INPAINTING

LANGEVIN = Langevin(steps=(4, 3), noise_scale=0.02)


@pytest.fixture(scope="module")
def conditional(make_network):
    coarse = make_network(num_classes=3)
    return EnergyLadder([coarse, coarse.grown()], LANGEVIN)


@pytest.fixture(scope="module")
def translator(make_network):
    return EnergyLadder([make_network()], LANGEVIN, chain_start="source")


def test_guidance_is_that_of_every_level(conditional):
    plain = conditional.generate(3, 1, labels=2)
    np.testing.assert_array_equal(
        conditional.generate(3, 1, labels=2, guidance=0.0), plain
    )
    ladder = [guided(network, 1.5) for network in conditional.sampling_ladder]
    expected = tasks.generate(ladder, 3, 1, LANGEVIN, 2)
    received = conditional.generate(3, 1, labels=2, guidance=1.5)
    np.testing.assert_array_equal(received, expected)
    assert np.abs(received - plain).max() > 0.01
    # The chain that is kept is not taken for another guidance.
    np.testing.assert_array_equal(conditional.generate(3, 1, labels=2), plain)


def test_speed_is_that_of_faster_settings(conditional, translator, noise_images):
    faster = LANGEVIN.faster(2)
    ladder = conditional.sampling_ladder
    np.testing.assert_array_equal(
        conditional.generate(2, 1, labels=0, speed=2),
        tasks.generate(ladder, 2, 1, faster, 0),
    )
    x = noise_images(2, 8)
    np.testing.assert_array_equal(
        translator.translate(x, 1, speed=2),
        tasks.translate(translator.network, x, 1, faster.at_level(0)),
    )


def test_faithfulness_reaches_the_chain(translator, noise_images):
    x = noise_images(2, 8)
    np.testing.assert_array_equal(
        translator.translate(x, 1, faithfulness=0.3),
        tasks.translate(
            translator.network, x, 1, translator.finest_settings, faithfulness=0.3
        ),
    )


def test_chains_from_noise_have_no_source_to_be_faithful_to(make_network):
    own = Langevin(steps=2, faithfulness=0.1)
    with pytest.raises(ValueError, match=r"start at noise.*received 0.1"):
        EnergyLadder([make_network()], own)


def test_a_returned_chain_leads_to_the_images(conditional):
    options = {"labels": [0, 1, 2, 1], "batch_size": 2}
    plain = conditional.generate(4, 1, **options)
    images, chain = conditional.generate(4, 1, **options, return_chain=True)
    np.testing.assert_allclose(images, plain, atol=1e-6)
    sides = [(state.resolution, state.step) for state in chain]
    assert sides == [(8, 0), (8, 4), (16, 7)]
    assert all(len(s.images) == len(s.energies) == 4 for s in chain)
    np.testing.assert_array_equal(chain[-1].images, images)
    fresh, _ = conditional.generate(4, **options, return_chain=True)
    again = conditional.generate(4, conditional.last_seed, **options)
    np.testing.assert_allclose(again, fresh, atol=1e-6)


def test_images_come_as_bytes_too(conditional, translator, noise_images):
    images = conditional.generate(2, 1, labels=0)
    levels = conditional.generate(2, 1, labels=0, dtype="uint8")
    assert levels.dtype == np.uint8
    np.testing.assert_array_equal(levels, np.rint((images + 1) * 127.5))
    x = noise_images(2, 8)
    levels = translator.translate(x, 1, dtype="uint8")
    np.testing.assert_array_equal(
        levels, np.rint((translator.translate(x, 1) + 1) * 127.5)
    )
    with pytest.raises(ValueError, match="'uint8'], received 'int8'"):
        conditional.generate(2, labels=0, dtype="int8")


def test_dials_that_do_not_fit_are_refused(conditional, translator, noise_images):
    with pytest.raises(ValueError, match="guidance"):
        conditional.generate(1, labels=0, guidance=float("nan"))
    with pytest.raises(ValueError, match="speed"):
        conditional.generate(1, labels=0, speed=0)
    with pytest.raises(ValueError, match=r"faithfulness in \[0, 0.25\]"):
        translator.translate(noise_images(1, 8), faithfulness=0.3, speed=2)


def test_tasks_take_a_model_with_the_steps_of_its_training(
    make_network, translator, noise_images
):
    networks = [make_network(8), make_network(16)]
    images = noise_images(2, 16)
    plain = EnergyLadder(networks, Langevin(steps=(25, 15)))
    assert plain.adapted(LADDER_INPAINTING) == LADDER_INPAINTING
    assert plain.adapted(DENOISING) == DENOISING
    model = EnergyLadder(networks, Langevin(steps=4, step_size=(2.0, 8.0)))
    of_ladder, of_finest = (
        model.adapted(settings)
        for settings in (LADDER_INPAINTING, DENOISING.replace(chain_levels=1))
    )
    assert (of_ladder.step_size, of_ladder.steps) == ((2.0, 8.0), (4, 3))
    assert (of_finest.step_size, of_finest.steps) == (8.0, (5,))
    for task, network, settings, options in (
        (tasks.inpaint, networks, of_ladder, {"mask": "center"}),
        (tasks.denoise, networks[-1], of_finest, {}),
    ):
        expected = task(network, images, seed=3, settings=settings, **options)
        given = task(model, images, seed=3, **options)
        np.testing.assert_array_equal(given, expected)
    np.testing.assert_array_equal(
        tasks.generate(model, 2, seed=3), model.generate(2, seed=3)
    )
    moved = tasks.denoise(translator, noise_images(2, 8), seed=3)
    expected = translator.translate(noise_images(2, 8), seed=3)
    np.testing.assert_allclose(np.clip(moved, -1, 1), expected, atol=1e-6)


def test_guidance_needs_classes(make_network):
    with pytest.raises(ValueError, match="guidance of 0 for a model without"):
        EnergyLadder(make_network(), LANGEVIN).generate(1, guidance=1.0)
