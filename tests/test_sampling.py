"""Langevin sampling against closed forms, and who may influence whose noise."""

import numpy as np
import pytest
from keras import ops

from keras_cfebm import backend
from keras_cfebm.backend import random
from keras_cfebm.sampling import (
    Langevin,
    bind,
    coarse_to_fine,
    coarse_to_fine_states,
    faster_steps,
    langevin,
    langevin_step,
    noise_start,
    uniform_start,
    upsample,
)
from keras_cfebm.tasks import Chain, chain_states, generate

CENTRE, STIFFNESS = 0.25, 4.0


def quadratic(x):
    """E(x) = a |x − m|² / 2."""
    return 0.5 * STIFFNESS * ops.sum(ops.square(x - CENTRE), axis=(1, 2, 3))


def flat(x):
    return ops.sum(0.0 * x, axis=(1, 2, 3))


@pytest.fixture
def start():
    keys = random.image_keys(0, 4)
    return uniform_start(keys, (6, 6, 2)), keys


def test_without_noise_a_quadratic_contracts_geometrically(start):
    x, keys = start
    settings = Langevin(steps=7, step_size=0.1, noise_scale=0.0)
    expected = CENTRE + (1 - 0.1 * STIFFNESS) ** 7 * (x - CENTRE)
    np.testing.assert_allclose(
        langevin(quadratic, x, keys, settings), expected, atol=1e-6
    )


def test_a_step_returns_the_energies_of_where_it_started(start):
    x, _ = start
    _, energies = langevin_step(quadratic, x, ops.ones_like(x), 0.1, 0.5)
    np.testing.assert_allclose(energies, quadratic(x))


def test_the_stationary_variance_is_that_of_the_discrete_chain():
    # x' − m = (1 − ηa)(x − m) + δε with η = δ²/2 has the variance
    # δ² / (1 − (1 − ηa)²), which tends to the 1/a of exp(−E) as δ → 0.
    noise = 0.6
    step_size = noise**2 / 2
    settings = Langevin(40, step_size, noise, final_noise_scale=noise, clip=None)
    keys = random.image_keys(1, 400)
    run = backend.compiled(lambda x: langevin(quadratic, x, keys, settings))
    x = np.array(run(uniform_start(keys, (10, 10, 1))))
    expected = noise**2 / (1 - (1 - step_size * STIFFNESS) ** 2)
    assert x.mean() == pytest.approx(CENTRE, abs=4 * np.sqrt(expected / x.size))
    assert x.var() == pytest.approx(expected, rel=4 * np.sqrt(2 / x.size))
    assert abs(expected - 1 / STIFFNESS) > 8 * expected * np.sqrt(2 / x.size)


def test_zero_step_size_and_zero_noise_leave_images_where_they_are(start):
    x, keys = start
    still = Langevin(steps=3, step_size=0.0, noise_scale=0.0)
    np.testing.assert_array_equal(langevin(quadratic, x, keys, still), x)


def test_noise_falls_linearly_to_its_end_over_the_whole_chain():
    settings = Langevin(noise_scale=0.5, final_noise_scale=0.1)
    scales = [float(settings.noise_scale_at(step, 5)) for step in range(5)]
    np.testing.assert_allclose(scales, [0.5, 0.4, 0.3, 0.2, 0.1], rtol=1e-6)
    assert float(Langevin().noise_scale_at(44, 45)) == 0
    assert float(settings.noise_scale_at(0, 1)) == 0.5


def test_each_step_adds_its_own_noise_at_its_own_scale(start):
    x, keys = start
    settings = Langevin(3, step_size=1.0, noise_scale=0.4, final_noise_scale=0.1)
    noises = [
        random.normal(random.fold_in(keys, step, 0), (6, 6, 2)) for step in (5, 6, 7)
    ]
    moved = langevin(flat, x, keys, settings, first_step=5, total_steps=11)
    scales = [0.4 - 0.03 * step for step in (5, 6, 7)]
    expected = x + sum(s * n for s, n in zip(scales, noises, strict=True))
    np.testing.assert_allclose(moved, expected, atol=1e-5)
    assert abs(np.corrcoef(np.ravel(noises[0]), np.ravel(noises[1]))[0, 1]) < 0.3


def test_a_ladder_is_its_levels_one_after_the_other(start):
    x, keys = start
    settings = Langevin((2, 3), 0.1, 0.3, 0.05, clip=(-0.5, 0.5))
    result = coarse_to_fine([quadratic] * 3, x, keys, settings)
    for level, first in enumerate((0, 2, 5)):
        x = x if level == 0 else upsample(x)
        steps = {"steps": (2, 3, 3)[level], "first_step": first, "total_steps": 8}
        x = ops.clip(langevin(quadratic, x, keys, settings, **steps), -0.5, 0.5)
    assert result.shape == (4, 24, 24, 2)
    np.testing.assert_array_equal(result, x)


def test_upsampling_repeats_pixels():
    x = np.arange(8.0).reshape(1, 2, 2, 2)
    fine = np.array(upsample(x))
    assert fine.shape == (1, 4, 4, 2)
    for i in (0, 1):
        for j in (0, 1):
            np.testing.assert_array_equal(fine[:, i::2, j::2], x)


def test_images_are_clipped_after_a_resolution_or_not_at_all(start):
    x, keys = start
    settings = Langevin(2, step_size=0.0, noise_scale=0.5, clip=(-0.1, 0.2))
    clipped = np.array(coarse_to_fine([flat], x, keys, settings))
    free = np.array(coarse_to_fine([flat], x, keys, settings.replace(clip=None)))
    np.testing.assert_array_equal(clipped, np.clip(free, -0.1, 0.2))
    assert np.abs(free).max() > 1


def test_steps_are_counted_per_level():
    settings = Langevin(steps=[2, 3])
    assert settings.steps == (2, 3)
    assert [settings.steps_at(level) for level in range(4)] == [2, 3, 3, 3]
    assert settings.total_steps(4) == 11
    assert Langevin(steps=5).total_steps(3) == 15


def test_levels_may_have_step_sizes_of_their_own(start):
    x, keys = start
    settings = Langevin((2, 3), step_size=[0.1, 0.2], noise_scale=0.0)
    assert settings.at_level(4) == Langevin(3, 0.2, noise_scale=0.0)
    contracted = (1 - 0.1 * STIFFNESS) ** 2 * (1 - 0.2 * STIFFNESS) ** 3
    received = coarse_to_fine([quadratic] * 2, x, keys, settings)
    expected = CENTRE + contracted * (upsample(x) - CENTRE)
    np.testing.assert_allclose(received, expected, atol=1e-6)


@pytest.mark.parametrize("speed", [0.3, 1.0, 1.7, 2, 3, 40])
@pytest.mark.parametrize("steps", [15, 1, (7, 0, 5)])
@pytest.mark.parametrize("step_size", [0.3, (1.0, 0.5)])
def test_a_faster_chain_has_the_same_duration_at_every_level(steps, step_size, speed):
    settings = Langevin(steps, step_size)
    faster = settings.faster(speed)
    for level in range(4):
        own, other = settings.at_level(level), faster.at_level(level)
        duration = own.steps * own.step_size
        assert other.steps * other.step_size == pytest.approx(duration, rel=1e-12)
        assert abs(other.steps - own.steps / speed) <= (0.5 if own.steps > speed else 1)


def test_twice_the_speed_is_half_the_steps_and_speed_1_is_nothing():
    settings = Langevin(steps=(16, 15))
    assert settings.faster(1) is settings
    faster = settings.faster(2)
    assert faster.steps == (8, 8) and faster.step_size == (2.0, 1.875)
    assert Langevin(15).faster(2) == Langevin((8,), (1.875,))
    for speed in (0, -1.0, float("nan"), 1000, "2"):
        with pytest.raises(ValueError, match="speed"):
            settings.faster(speed)


def test_images_of_a_batch_may_have_speeds_of_their_own():
    speeds = [1.0, 2.0, 3.0, 40.0, 2.5]
    for own in (15, 1, 0, 7):
        steps, sizes = faster_steps(own, ops.convert_to_tensor(speeds))
        for speed, count, size in zip(speeds, steps, sizes, strict=True):
            faster = Langevin(own).faster(speed)
            assert int(count) == faster.steps_at(0)
            if own:
                np.testing.assert_allclose(size, faster.step_size_at(0), rtol=1e-6)


def test_images_of_a_batch_may_have_step_sizes_of_their_own(start):
    x, keys = start
    settings = Langevin(steps=3, step_size=0.1, noise_scale=0.1)
    sizes = np.float32([0.1, 0.0, 0.2, 0.05])
    together = np.array(langevin(quadratic, x, keys, settings, step_size=sizes))
    for index, size in enumerate(sizes):
        row, own = slice(index, index + 1), settings.replace(step_size=float(size))
        alone = langevin(quadratic, x[row], keys[row], own)
        np.testing.assert_allclose(together[row], alone, atol=1e-6)


def test_no_steps_are_no_steps(start):
    x, keys = start
    np.testing.assert_array_equal(langevin(quadratic, x, keys, Langevin(steps=0)), x)


def test_the_same_keys_give_the_same_images_and_others_do_not(start):
    x, keys = start
    settings = Langevin(steps=3, step_size=0.1, noise_scale=0.1)
    first = np.array(langevin(quadratic, x, keys, settings))
    np.testing.assert_array_equal(langevin(quadratic, x, keys, settings), first)
    others = langevin(quadratic, x, random.image_keys(1, 4), settings)
    assert (np.array(others) != first).mean() > 0.99


def test_an_image_does_not_depend_on_its_batch(start):
    x, keys = start
    settings = Langevin(steps=3, step_size=0.1, noise_scale=0.1)
    together = np.array(coarse_to_fine([quadratic] * 2, x, keys, settings))
    for some in (slice(2, 3), slice(1, 4)):
        apart = coarse_to_fine([quadratic] * 2, x[some], keys[some], settings)
        np.testing.assert_array_equal(apart, together[some])


def test_compiled_and_eager_chains_agree(start, make_network):
    _, keys = start
    energies = [make_network(8), make_network(8).grown()]
    energies[1].beta = 0.5
    settings = Langevin(steps=3, step_size=0.05, noise_scale=0.1)

    def chain(keys):
        x = uniform_start(keys, (8, 8, 1))
        return coarse_to_fine([bind(energy) for energy in energies], x, keys, settings)

    compiled = backend.compiled(chain)(keys)
    np.testing.assert_allclose(compiled, chain(keys), atol=1e-5)


def test_binding_passes_labels_and_reads_the_weights_once(make_network, noise_images):
    network, x = make_network(num_classes=2), noise_images(2, 8)
    labels = np.int32([0, 1])
    bound = bind(network, labels)
    np.testing.assert_allclose(bound(x), network((x, labels)), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(bind(quadratic)(x), quadratic(x))
    scaled = bind(lambda x, labels: labels * quadratic(x), ops.ones(2))
    np.testing.assert_array_equal(scaled(x), quadratic(x))


def test_observing_sees_every_step_and_changes_nothing(start):
    x, keys = start
    settings = Langevin(steps=4, step_size=0.1, noise_scale=0.1)
    plain = langevin(quadratic, x, keys, settings)

    def observe(observed, x, new_x, energies):
        moved, count, first = observed
        energies = ops.where(count == 0, energies, first)
        return moved + ops.abs(new_x - x), count + 1, energies

    begin = (ops.zeros_like(x), 0, ops.zeros(4))
    result, (moved, count, first) = langevin(
        quadratic, x, keys, settings, observe=observe, observed=begin
    )
    np.testing.assert_array_equal(result, plain)
    assert int(count) == 4
    assert (np.array(moved) >= np.abs(np.array(plain - x)) - 1e-6).all()
    np.testing.assert_allclose(first, quadratic(x))


def test_a_constraint_holds_at_its_level_from_the_start_to_the_end(start):
    x, keys = start
    known = np.random.default_rng(0).uniform(-1, 1, (4, 12, 12, 2)).astype("float32")
    mask = np.arange(12)[:, None, None] < 5
    settings = Langevin(steps=3, step_size=0.1, noise_scale=0.1)

    def constraint(x):
        assert x.shape == known.shape
        return ops.where(mask, known, x)

    constraints = [None, constraint]
    result = coarse_to_fine([quadratic] * 2, x, keys, settings, constraints=constraints)
    np.testing.assert_array_equal(np.array(result)[:, :5], known[:, :5])
    assert (np.array(result)[:, 5:] != known[:, 5:]).all()


def test_states_are_the_one_chain_seen_on_its_way(start):
    x, keys = start
    settings = Langevin(steps=(3, 2), step_size=0.1, noise_scale=0.1)
    energies = [quadratic] * 2
    states = list(coarse_to_fine_states(energies, x, keys, settings, every=2))
    places = [(level, int(done), state.shape[1]) for level, done, state in states]
    assert places == [(0, 2, 6), (0, 3, 6), (1, 5, 12)]
    whole = coarse_to_fine(energies, x, keys, settings)
    np.testing.assert_allclose(states[-1][2], whole, atol=1e-6)


@pytest.mark.parametrize("clip", [(-1.0, 1.0), (0.0, 3.0), None])
def test_normal_starts_are_truncated_at_the_ends_of_the_range(clip):
    stats = pytest.importorskip("scipy.stats")
    keys = random.image_keys(0, 3)
    settings = Langevin(start_noise="truncated_normal", clip=clip)
    found = np.array(noise_start(keys, (5, 5, 1), settings))
    low, high = clip or (-1.0, 1.0)
    uniform = np.array(uniform_start(keys, (5, 5, 1), clip))
    quantiles = (uniform - low) / (high - low)
    middle, half = (low + high) / 2, (high - low) / 2
    expected = stats.truncnorm.ppf(quantiles, -1, 1, loc=middle, scale=half)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    plain = noise_start(keys, (5, 5, 1), Langevin(clip=clip))
    np.testing.assert_array_equal(plain, uniform)


def test_fresh_noise_is_mixed_in_where_a_finer_level_begins(start):
    x, keys = start

    def ends(share, x=x, keys=keys):
        settings = Langevin(steps=1, noise_scale=0.0, transition_noise=share)
        return np.array(coarse_to_fine([flat] * 2, x, keys, settings))

    noise = ends(1.0)
    np.testing.assert_array_equal(ends(1.0, 0.5 * x), noise)  # nothing else is left
    assert noise.std() == pytest.approx(3**-0.5, rel=0.1)
    assert abs(np.corrcoef(noise.ravel(), np.array(upsample(x)).ravel())[0, 1]) < 0.1
    np.testing.assert_array_equal(ends(0.0), upsample(x))
    mixed = np.clip(0.8 * upsample(x) + 0.6 * noise, -1, 1)
    np.testing.assert_allclose(ends(0.6), mixed, atol=1e-6)
    np.testing.assert_array_equal(ends(0.6, x[1:2], keys[1:2]), ends(0.6)[1:2])
    three = Langevin(steps=1, noise_scale=0.0, transition_noise=1.0)
    finest = np.array(coarse_to_fine([flat] * 3, x, keys, three))
    assert (finest != np.array(upsample(noise))).all()


def test_a_chain_runs_through_the_finest_levels_alone(make_network):
    ladder = [make_network(side) for side in (8, 16, 32)]
    settings = Langevin(steps=(1, 2), step_size=0.1, chain_levels=2)
    chain = Chain(ladder, settings)
    assert chain.start_shape == (16, 16, 1) and chain.image_shape == (32, 32, 1)
    found = generate(chain, 2, seed=1)
    whole = settings.replace(chain_levels=None)
    np.testing.assert_array_equal(found, generate(ladder[1:], 2, 1, whole))
    assert len(settings.of_chain(ladder[:1])) == 1
    states = list(chain_states(chain, 2, 1, every=1))
    # Entries of `steps` are those of the levels run through: 1, and then 2.
    assert [(s.resolution, s.step) for s in states] == [
        (16, 0),
        (16, 1),
        (32, 2),
        (32, 3),
    ]


def test_fewer_steps_at_coarse_levels(start):
    x, keys = start
    settings = Langevin(steps=(1, 3), step_size=0.1, noise_scale=0.0)
    found = coarse_to_fine([quadratic] * 2, x, keys, settings)
    expected = CENTRE + (1 - 0.1 * STIFFNESS) ** 4 * (upsample(x) - CENTRE)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start_noise": "gaussian"}, r"'truncated_normal'\), received 'gaussian'"),
        ({"chain_levels": 0}, "chain_levels of at least 1, received 0"),
        ({"transition_noise": 1.5}, r"transition_noise in \[0, 1\], received 1.5"),
        ({"faithfulness": 0.6}, r"faithfulness in \[0, 0.5\], received 0.6"),
        ({"faithfulness": 0.2, "step_size": (1.0, 4.0)}, r"in \[0, 0.125\]"),
        ({"steps": -1}, "steps from 0"),
        ({"steps": 1.5}, "integer steps"),
        ({"steps": True}, "integer steps"),
        ({"steps": ()}, "number of levels"),
        ({"steps": (3, -1)}, "steps from 0"),
        ({"step_size": -1.0}, r"step_size in \[0, inf\)"),
        ({"step_size": float("nan")}, "step_size"),
        ({"step_size": ()}, "number of levels"),
        ({"step_size": (1.0, -1.0)}, r"step_size in \[0, inf\)"),
        ({"noise_scale": float("inf")}, "noise_scale"),
        ({"final_noise_scale": "0"}, "final_noise_scale"),
        ({"clip": (1.0, -1.0)}, "clip"),
        ({"clip": 1.0}, "clip"),
        ({"clip": (0.0, float("nan"))}, "clip"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Langevin(**settings)


def test_replacing_checks_again():
    assert Langevin().replace(steps=2).steps == 2
    with pytest.raises(ValueError, match="steps"):
        Langevin().replace(steps=-2)
