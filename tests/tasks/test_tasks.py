"""Tasks on energies whose chains have a closed form, and on a tiny network."""

import itertools
import json

import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image

from keras_cfebm import tasks
from keras_cfebm.backend import random, value_and_input_gradient
from keras_cfebm.network import EnergyNetwork
from keras_cfebm.sampling import Langevin, langevin
from keras_cfebm.tasks.batches import run_batches

MEAN = 0.25
RATE = 0.1
QUIET = Langevin(steps=7, step_size=1.0, noise_scale=0.0)
NOISY = Langevin(steps=(3, 4), noise_scale=0.02)


def quadratic(x):
    """½ · RATE · ‖x − MEAN‖²: a step without noise is x − RATE · (x − MEAN)."""
    return 0.5 * RATE * ops.sum(ops.square(x - MEAN), axis=(1, 2, 3))


def after(x, steps):
    return MEAN + (1 - RATE) ** steps * (x - MEAN)


def images(count=5, side=8, channels=1, seed=0):
    shape = (count, side, side, channels)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


@pytest.fixture(scope="module")
def ladder():
    keras.utils.set_random_seed(1)
    coarse = EnergyNetwork(4, channels=1, base_resolution=4, base_width=2)
    fine = coarse.grown()
    fine.beta = 0.5
    return [coarse, fine]


@pytest.fixture(scope="module")
def chain(ladder):
    return tasks.Chain(ladder, NOISY)


# --- Batches ------------------------------------------------------------------------


def test_batches_are_equal_bounded_and_put_together_in_order():
    sizes = []

    def double(x, absent):
        sizes.append(len(x))
        assert absent is None
        return {"twice": 2 * x}

    x = np.arange(11, dtype="float32")
    results = run_batches(double, (x, None), batch_size=4)
    np.testing.assert_array_equal(results["twice"], 2 * x)
    assert sizes == [4, 4, 4]


def test_progress_bar_counts_images(capsys):
    tasks.denoise(quadratic, images(), settings=QUIET, batch_size=2, progress=True)
    assert "5/5" in capsys.readouterr().out


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="PyTorch runs functions as they are"
)
def test_a_chain_is_traced_once_for_all_batches_and_segments():
    traces = []

    def counted(x):
        traces.append(x.shape)
        return quadratic(x)

    chain = tasks.Chain(counted, QUIET)
    tasks.denoise(chain, images(6), batch_size=3)
    first = len(traces)
    tasks.denoise(chain, images(3, seed=1), batch_size=3)
    assert first > 0 and len(traces) == first


def test_one_chain_serves_every_shape_and_option():
    chain = tasks.Chain(quadratic, QUIET)

    def moved(images, **options):
        keys = random.image_keys(0, len(images))
        return np.array(chain.run(ops.convert_to_tensor(images), keys, **options)[0])

    for x in (images(3), images(2), images(2, side=16), images(2, channels=3)):
        np.testing.assert_allclose(moved(x), after(x, 7), atol=1e-6)
    x, steps = images(3), np.array([0, 1, 20], "int32")
    expected = after(x, np.array([7, 1, 20]).reshape(3, 1, 1, 1))
    received = moved(x, steps=ops.convert_to_tensor(steps))
    np.testing.assert_allclose(received, expected, atol=1e-6)
    free = ops.ones((3, 8, 8, 1), "bool")
    known = (ops.convert_to_tensor(x), free)
    np.testing.assert_allclose(moved(x, known=known), after(x, 7), atol=1e-6)
    np.testing.assert_allclose(moved(x), after(x, 7), atol=1e-6)


# --- Generation ---------------------------------------------------------------------


def test_an_image_depends_on_seed_and_index_only(chain, ladder):
    whole = tasks.generate(chain, 5, seed=3)
    assert whole.shape == (5, 8, 8, 1) and whole.dtype == np.float32
    np.testing.assert_array_equal(whole, tasks.generate(chain, 5, seed=3))
    parts = tasks.generate(chain, 5, seed=3, batch_size=2)
    np.testing.assert_allclose(parts, whole, atol=1e-5)
    tail = tasks.generate(ladder, 2, seed=3, settings=NOISY, start=3)
    np.testing.assert_allclose(tail, whole[3:], atol=1e-5)
    assert np.abs(tasks.generate(chain, 5, seed=4) - whole).max() > 0.1


def test_generate_with_plain_functions():
    start = ops.convert_to_numpy(
        tasks.Chain(quadratic).noise(random.image_keys(0, 3), (2, 2, 1))
    )
    sample = tasks.generate([quadratic, quadratic], 3, 0, QUIET, image_shape=(2, 2, 1))
    upsampled = start.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(sample, after(upsampled, 14), atol=1e-6)
    with pytest.raises(ValueError, match="image_shape"):
        tasks.generate(quadratic, 3, settings=QUIET)


def test_labels_decide_the_class():
    def conditional(x, labels):
        centres = 0.5 * ops.cast(labels, "float32")[:, None, None, None]
        return 0.5 * ops.sum(ops.square(x - centres), axis=(1, 2, 3))

    settings = Langevin(steps=1, noise_scale=0.0)
    sample = tasks.generate(
        conditional, 3, 0, settings, [0, 1, 2], image_shape=(4, 4, 1), batch_size=2
    )
    np.testing.assert_allclose(sample.mean((1, 2, 3)), [0.0, 0.5, 1.0], atol=1e-6)


def test_labels_of_a_network_are_checked():
    network = EnergyNetwork(4, 1, base_resolution=4, base_width=2, num_classes=3)
    assert tasks.generate(network, 2, labels=2, settings=QUIET).shape == (2, 4, 4, 1)
    for labels, message in ((None, "labels"), (3, "from 0 to 2"), ([0], "shape")):
        with pytest.raises(ValueError, match=message):
            tasks.generate(network, 2, labels=labels, settings=QUIET)
    with pytest.raises(ValueError, match="from 0 to 2"):
        tasks.denoise(network, images(2, 4), labels=-1)
    with pytest.raises(ValueError, match="from 0 to 2"):
        tasks.anomaly_scores(network, images(2, 4), labels=7)


def test_interpolation_ends_at_generated_images(chain, ladder):
    rows = tasks.interpolate(chain, 2, 4, seed=5)
    assert rows.shape == (2, 4, 8, 8, 1)
    generated = tasks.generate(chain, 4, seed=5)
    np.testing.assert_allclose(rows[:, 0], generated[0::2], atol=1e-5)

    quiet = tasks.Chain(ladder, QUIET)
    rows = tasks.interpolate(quiet, 2, 3, seed=5, batch_size=4)
    generated = tasks.generate(quiet, 4, seed=5)
    np.testing.assert_allclose(rows[:, 0], generated[0::2], atol=1e-5)
    np.testing.assert_allclose(rows[:, -1], generated[1::2], atol=1e-5)


def test_interpolation_mixes_the_starts_by_the_formula():
    settings = Langevin(steps=0)
    shape = (2, 2, 1)
    rows = tasks.interpolate(quadratic, 1, 3, 0, settings, image_shape=shape)
    x0, x1 = tasks.generate(quadratic, 2, 0, settings, image_shape=shape)
    middle = np.clip(np.sqrt(0.5) * (x0 + x1), -1, 1)  # θ = π/4
    np.testing.assert_allclose(rows[0, 1], middle, atol=1e-6)


def test_even_interpolation_is_even_in_what_one_sees(chain):
    usual, even = (
        tasks.interpolate(chain, 3, 5, seed=5, even=even) for even in (False, True)
    )
    assert even.shape == usual.shape
    for end in (0, -1):
        np.testing.assert_allclose(even[:, end], usual[:, end], atol=1e-5)

    def unevenness(rows):
        steps = np.sqrt(np.square(np.diff(rows, axis=1)).mean(axis=(2, 3, 4)))
        return (steps.max(axis=1) / steps.mean(axis=1)).mean()

    assert unevenness(even) - 1 < (unevenness(usual) - 1) / 2


def test_even_interpolation_takes_no_image_twice():
    def steep(x):  # its chain ends at −1 or 1, with nothing between
        return -1e3 * ops.sum(ops.square(x), axis=(1, 2, 3))

    shape = (1, 1, 1)
    row = tasks.interpolate(steep, 1, 6, 3, QUIET, even=True, image_shape=shape)
    assert set(np.abs(row).flat) == {1.0}
    settings = Langevin(steps=0)
    row = tasks.interpolate(quadratic, 1, 6, 3, settings, even=True, image_shape=shape)
    assert len(set(row.flat)) == 6


def test_chain_states_end_at_the_generated_image(chain, ladder):
    states = list(tasks.chain_states(chain, 3, seed=1, every=2))
    assert [(s.resolution, s.step) for s in states] == [
        (4, 0),
        (4, 2),
        (4, 3),
        (8, 5),
        (8, 7),
    ]
    np.testing.assert_allclose(
        states[-1].images, tasks.generate(chain, 3, seed=1), atol=1e-6
    )
    energies = ops.convert_to_numpy(ladder[1](states[-1].images))
    np.testing.assert_allclose(states[-1].energies, energies, rtol=1e-4, atol=1e-6)


def test_chain_states_from_given_images():
    x = images(2)
    states = list(tasks.chain_states(quadratic, images=x, settings=QUIET, every=3))
    assert [s.step for s in states] == [0, 3, 6, 7]
    for state in states:
        np.testing.assert_allclose(state.images, after(x, state.step), atol=1e-6)
    with pytest.raises(ValueError, match="count"):
        tasks.chain_states(quadratic, 3, images=x)
    with pytest.raises(ValueError, match="every"):
        tasks.chain_states(quadratic, images=x, every=0)


@pytest.mark.parametrize(
    "bad", [{"count": 0}, {"batch_size": 0}, {"start": -1}, {"seed": -1}]
)
def test_generate_refuses_bad_numbers(chain, bad):
    with pytest.raises(ValueError):
        tasks.generate(chain, **{"count": 1, **bad})


def test_a_chain_brings_its_own_settings(chain):
    tasks.generate(chain, 1, settings=NOISY)
    with pytest.raises(ValueError, match="settings"):
        tasks.generate(chain, 1, settings=QUIET)
    with pytest.raises(ValueError, match="energy"):
        tasks.Chain([])
    with pytest.raises(ValueError, match="ladder"):
        tasks.denoise(chain, images())


def test_without_a_seed_images_are_fresh_and_their_seed_can_be_read(ladder):
    chain = tasks.Chain(ladder, NOISY)
    assert chain.last_seed is None
    first, seed = tasks.generate(chain, 2), chain.last_seed
    assert np.abs(tasks.generate(chain, 2) - first).max() > 0.1
    np.testing.assert_array_equal(tasks.generate(chain, 2, seed), first)
    assert chain.last_seed == seed
    keras.utils.set_random_seed(1)  # as what Keras draws
    tasks.generate(chain, 1)
    seed = chain.last_seed
    keras.utils.set_random_seed(1)
    tasks.generate(chain, 1)
    assert chain.last_seed == seed


def test_a_drawn_seed_is_that_of_mask_and_chain(ladder):
    chain, x = tasks.Chain(ladder[1], NOISY), images(2)
    filled = tasks.inpaint(chain, x, "random_25")
    again = tasks.inpaint(chain, x, "random_25", chain.last_seed)
    np.testing.assert_array_equal(filled, again)


# --- Denoising, translation, saliency -----------------------------------------------


def test_denoise_moves_to_the_mean_by_the_closed_form():
    noisy = tasks.add_noise(images(), 0.3)
    assert noisy.max() > 1
    restored, maps = tasks.denoise(
        quadratic, noisy, settings=QUIET, saliency=True, batch_size=2
    )
    expected = after(noisy, 7)
    np.testing.assert_allclose(restored, np.clip(expected, -1, 1), atol=1e-6)
    # Without noise all steps of a pixel go the same way; outside nobody sees them.
    moved = np.abs(np.clip(expected, -1, 1) - np.clip(noisy, -1, 1)).mean(axis=-1)
    np.testing.assert_allclose(maps, moved, atol=1e-6)


def test_added_noise_has_its_deviation_and_is_not_the_chain_noise():
    x = np.zeros((4, 32, 32, 1), "float32")
    noise = tasks.add_noise(x, 0.5, seed=2)
    assert abs(noise.std() - 0.5) < 0.02
    np.testing.assert_array_equal(noise[2:], tasks.add_noise(x[2:], 0.5, 2, start=2))
    keys = random.image_keys(2, 4)
    step = ops.convert_to_numpy(random.normal(random.fold_in(keys, 0), (32, 32, 1)))
    assert abs(np.corrcoef(step.ravel(), noise.ravel())[0, 1]) < 0.1
    np.testing.assert_array_equal(tasks.add_noise(images(), 0.0), images())
    with pytest.raises(ValueError, match="sigma"):
        tasks.add_noise(x, -0.1)


def test_translation_is_langevin_from_the_source(ladder):
    settings = Langevin(steps=4, noise_scale=0.02)
    sources = images(3, channels=1)
    keys = random.image_keys(6, 3)
    x = langevin(ladder[1].bind(), ops.convert_to_tensor(sources), keys, settings)
    translated = tasks.translate(ladder[1], sources, seed=6, settings=settings)
    np.testing.assert_allclose(translated, np.clip(x, -1, 1), atol=1e-5)
    for bad in (images(2, channels=3), images(2, side=4)):
        with pytest.raises(ValueError, match="source images"):
            tasks.translate(ladder[1], bad)


def test_the_source_holds_a_translation_back_by_the_closed_form():
    # x' = x − η(a(x − m) + 2λ(x − s)) contracts towards (a·m + 2λs) / (a + 2λ).
    sources, weight = images(), 0.2
    settings = Langevin(steps=9, step_size=0.5, noise_scale=0.0)
    fixed = (RATE * MEAN + 2 * weight * sources) / (RATE + 2 * weight)
    rate = (1 - settings.step_size * (RATE + 2 * weight)) ** 9
    expected = fixed + rate * (sources - fixed)
    received = tasks.translate(
        quadratic, sources, 0, settings, batch_size=2, faithfulness=weight
    )
    np.testing.assert_allclose(received, expected, atol=1e-6)
    own = settings.replace(faithfulness=weight)
    for given in (None, weight):
        found = tasks.translate(quadratic, sources, 0, own, faithfulness=given)
        np.testing.assert_allclose(found, expected, atol=1e-6)
    *_, last = tasks.chain_states(quadratic, images=sources, settings=own, every=2)
    np.testing.assert_allclose(last.images, expected, atol=1e-6)
    free = tasks.translate(quadratic, sources, 0, own, faithfulness=0.0)
    assert np.abs(free - MEAN).mean() < np.abs(expected - MEAN).mean()
    with pytest.raises(ValueError, match=r"chains up a ladder.*received 0.2"):
        tasks.Chain([quadratic, quadratic], own)


def test_faithfulness_goes_from_nothing_to_one_step_from_the_source(ladder):
    sources, settings = images(3), Langevin(steps=3, step_size=2.0, noise_scale=0.0)
    chain = tasks.Chain(ladder[1], settings)
    free = tasks.translate(chain, sources)
    np.testing.assert_array_equal(
        tasks.translate(chain, sources, faithfulness=0.0), free
    )
    energy, start = ladder[1].bind(), ops.convert_to_tensor(sources)
    x = start
    for _ in range(3):  # At 2ηλ = 1 each step begins at the source.
        _, gradient = value_and_input_gradient(energy, x)
        x = start - settings.step_size * gradient
    most = tasks.translate(chain, sources, faithfulness=0.25)
    np.testing.assert_allclose(most, np.clip(x, -1, 1), atol=1e-5)
    assert np.abs(most - sources).mean() < np.abs(free - sources).mean()
    for bad in (-0.1, 0.26, float("nan"), "0.1"):
        with pytest.raises(ValueError, match=r"faithfulness in \[0, 0.25\]"):
            tasks.translate(chain, sources, faithfulness=bad)


def test_saliency_adds_up_the_visible_steps_of_a_chain(ladder):
    settings = Langevin(steps=4, noise_scale=0.4)
    chain = tasks.Chain(ladder[1], settings)
    x = images(2)
    result, maps = tasks.translate(chain, x, seed=0, saliency=True)
    every = tasks.chain_states(
        ladder[1],
        images=x,
        settings=settings.replace(clip=None),
        seed=0,
        every=1,
    )
    states = [state.images for state in every]
    assert np.abs(states[2]).max() > 1.1
    seen = [np.clip(state, -1, 1) for state in states]
    steps = [np.abs(b - a).mean(axis=-1) for a, b in itertools.pairwise(seen)]
    np.testing.assert_allclose(maps, np.sum(steps, axis=0), atol=1e-5)
    np.testing.assert_allclose(result, seen[-1], atol=1e-6)


def test_saliency_of_a_chain_that_does_not_move_is_zero(ladder):
    still = Langevin(steps=3, step_size=0.0, noise_scale=0.0)
    x = images(2)
    result, maps = tasks.denoise(ladder[1], x, settings=still, saliency=True)
    np.testing.assert_array_equal(result, x)
    assert maps.shape == (2, 8, 8) and not maps.any()
    _, maps = tasks.generate(ladder, 2, settings=still, saliency=True)
    assert maps.shape == (2, 8, 8) and not maps.any()


# --- Inpainting ---------------------------------------------------------------------


@pytest.mark.parametrize("mask", ["center", "left_half", "random_25"])
def test_inpainting_keeps_known_pixels_and_fills_the_hole(mask):
    x = images(channels=3)
    hole = tasks.hole_masks(mask, x.shape, seed=1)
    filled, maps = tasks.inpaint(
        quadratic, x, mask, seed=1, settings=QUIET, batch_size=2, saliency=True
    )
    known = np.broadcast_to(~hole, x.shape)
    np.testing.assert_array_equal(filled[known], x[known])
    assert not maps[~hole[..., 0]].any() and (maps[hole[..., 0]] > 0).all()
    keys = random.image_keys(1, 5)
    start = ops.convert_to_numpy(tasks.Chain(quadratic).noise(keys, x.shape[1:]))
    np.testing.assert_allclose(filled[~known], after(start, 7)[~known], atol=1e-6)


def test_inpainting_from_what_is_in_the_hole():
    x = images()
    filled = tasks.inpaint(quadratic, x, "center", settings=QUIET, fill="image")
    hole = tasks.hole_masks("center", x.shape)
    np.testing.assert_allclose(filled, np.where(hole, after(x, 7), x), atol=1e-6)
    with pytest.raises(ValueError, match="fill"):
        tasks.inpaint(quadratic, x, "center", fill="zeros")


def test_inpainting_ignores_the_hole_and_other_images(ladder):
    x = images()
    hole = tasks.hole_masks("random_25", x.shape)
    first = tasks.inpaint(ladder[1], x, hole, 0, NOISY)
    other = tasks.inpaint(ladder[1], np.where(hole, -x, x), hole, 0, NOISY)
    np.testing.assert_array_equal(first, other)
    alone = tasks.inpaint(ladder[1], x[2:3], "random_25", 0, NOISY, start=2)
    np.testing.assert_allclose(alone, first[2:3], atol=1e-5)


def test_inpainting_up_a_ladder_knows_the_pooled_pixels():
    x = images()
    hole = tasks.hole_masks("left_half", x.shape)
    settings = Langevin(steps=(5, 0), noise_scale=0.0)
    filled, maps = tasks.inpaint(
        [quadratic, quadratic], x, hole, settings=settings, saliency=True
    )
    known = ~hole
    np.testing.assert_array_equal(filled[known], x[known])
    assert not maps[known[..., 0]].any() and (maps[hole[..., 0]] > 0).all()
    with pytest.raises(ValueError, match="halvings"):
        tasks.inpaint([quadratic, quadratic], images(side=7), "center")


def test_coarse_pixels_are_means_of_what_is_known():
    x = images()
    hole = tasks.hole_masks("random_25", x.shape)
    settings = Langevin(steps=(0, 0))  # missing pixels stay those of the coarse level
    filled = tasks.inpaint([quadratic, quadratic], x, hole, 0, settings)
    other = np.where(hole, -x, x)
    again = tasks.inpaint([quadratic, quadratic], other, hole, 0, settings)
    np.testing.assert_array_equal(filled, again)
    blocks = (len(x), 4, 2, 4, 2, x.shape[-1])
    known = np.broadcast_to(~hole, x.shape).reshape(blocks)
    sums = np.where(known, x.reshape(blocks), 0).sum((2, 4), keepdims=True)
    counts = known.sum((2, 4), keepdims=True)
    expected = np.broadcast_to(sums / np.maximum(counts, 1), blocks)
    judged = ~known & (counts >= 2)
    np.testing.assert_allclose(
        filled.reshape(blocks)[judged], expected[judged], atol=1e-6
    )


def test_masks_cover_what_they_say():
    shape = (3, 8, 8, 1)
    for name, share in (("center", 1 / 4), ("left_half", 1 / 2), ("random_25", 1 / 4)):
        mask = tasks.hole_masks(name, shape)
        assert mask.shape == (3, 8, 8, 1) and mask.dtype == bool
        np.testing.assert_array_equal(mask.mean((1, 2, 3)), share)
    assert (mask[0] != mask[1]).any()
    assert tasks.hole_masks("center", shape)[0, 2:6, 2:6].all()
    assert tasks.hole_masks("left_half", shape)[0, :, :4].all()


def test_masks_of_every_form_agree(tmp_path):
    shape = (3, 8, 8, 1)
    expected = tasks.hole_masks("center", shape)
    hole = expected[0, ..., 0]
    path = tmp_path / "mask.png"
    Image.fromarray(np.uint8(255 * hole)).save(path)
    forms = (hole, hole.astype("float32"), expected[..., 0], expected, path, str(path))
    for mask in forms:
        np.testing.assert_array_equal(tasks.hole_masks(mask, shape), expected)


def test_masks_refuse_what_makes_no_sense(tmp_path):
    shape = (3, 8, 8, 1)
    one_known = np.stack([np.eye(8), np.eye(8), np.zeros((8, 8))])
    for mask, message in (
        (np.zeros((8, 8), bool), "no pixel to fill"),
        (one_known, "no pixel to fill in image 2"),
        (np.ones((8, 8), bool), "no known pixel"),
        (np.eye(7), "shape"),
        (np.ones((3, 8, 8, 3)), "shape"),
        (2 * np.eye(8), "zeros and ones"),
        (np.full((8, 8), np.nan), "zeros and ones"),
    ):
        with pytest.raises(ValueError, match=message):
            tasks.hole_masks(mask, shape)
    with pytest.raises(FileNotFoundError, match="center"):
        tasks.hole_masks("centre", shape)
    (tmp_path / "mask.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="Expected an image file as mask"):
        tasks.hole_masks(tmp_path / "mask.png", shape)


# --- Anomalies ----------------------------------------------------------------------


def test_scores_are_high_for_anomalies():
    x = images()
    far = RATE * np.sqrt(((x - MEAN) ** 2).sum((1, 2, 3)))
    energy = far**2 / RATE / 2
    scores = tasks.anomaly_scores(quadratic, x, batch_size=2)
    np.testing.assert_allclose(scores, energy, rtol=1e-5)
    scores = tasks.anomaly_scores(quadratic, x, "gradient_norm")
    np.testing.assert_allclose(scores, far, rtol=1e-5)
    scores = tasks.anomaly_scores(quadratic, x, "typicality", reference=energy[0])
    np.testing.assert_allclose(scores, np.abs(energy - energy[0]), atol=1e-5)


def test_scores_refuse_bad_input(ladder):
    for arguments in ({"score": "entropy"}, {"score": "typicality"}, {"reference": 1}):
        with pytest.raises(ValueError):
            tasks.anomaly_scores(quadratic, images(), **arguments)
    with pytest.raises(ValueError, match="shape"):
        tasks.anomaly_scores(ladder[1], images(channels=3))


@pytest.mark.parametrize("score", ["energy", "gradient_norm", "typicality"])
def test_a_detector_keeps_to_its_false_positive_rate(score):
    normal = 0.1 * images(100) + MEAN
    detector = tasks.AnomalyDetector(quadratic, score)
    with pytest.raises(ValueError, match="fit"):
        detector.detect(normal)
    with pytest.raises(ValueError, match="false_positive_rate"):
        detector.fit(normal, 1.0)
    detector.fit(normal, false_positive_rate=0.1)
    assert detector.detect(normal).mean() == pytest.approx(0.1)
    anomalies = images(20, seed=1)
    assert detector.detect(anomalies).all()
    # What is more likely than normal images is an anomaly to typicality only.
    likely = np.full((1, 8, 8, 1), MEAN, "float32")
    assert detector.detect(likely)[0] == (score == "typicality")

    state = json.loads(json.dumps(detector.state()))
    again = tasks.AnomalyDetector.from_state(quadratic, state)
    np.testing.assert_array_equal(again.detect(anomalies), detector.detect(anomalies))
    np.testing.assert_array_equal(again.scores(normal), detector.scores(normal))
