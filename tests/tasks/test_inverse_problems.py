"""restore: operators in closed form, and chains that agree with what was measured."""

import numpy as np
import pytest
from keras import ops

from keras_cfebm import tasks
from keras_cfebm.sampling import Langevin
from keras_cfebm.tasks.operators import LUMA, fidelity, measured_levels

MEAN, RATE = 0.25, 0.1
QUIET = Langevin(steps=60, noise_scale=0.0)
NOISY = Langevin(steps=(3, 4), noise_scale=0.05)
OPERATORS = [
    tasks.Identity(),
    tasks.Mask("random_25"),
    tasks.MeanPool(2),
    tasks.Grey(),
]
names = {"ids": str}


def quadratic(x):
    return 0.5 * RATE * ops.sum(ops.square(x - MEAN), axis=(1, 2, 3))


def images(count=3, side=8, channels=1, seed=0):
    shape = (count, side, side, channels)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


def levels_of(operator, y, image_shape, levels, **noise):
    known = operator.known(y.shape, 0, 0)
    return measured_levels(
        ops.convert_to_tensor(y),
        ops.convert_to_tensor(known),
        levels,
        image_shape,
        **noise,
    )


def pooled(x, times):
    count, side, _, channels = x.shape
    size = side // 2**times
    return x.reshape(count, size, 2**times, size, 2**times, channels).mean((2, 4))


# --- Operators ----------------------------------------------------------------------


@pytest.mark.parametrize("operator", OPERATORS, **names)
def test_the_step_is_the_minimum_that_it_stands_for(operator):
    shape, variance, temperature = (4, 4, 3), 0.3**2, 0.05
    x, truth = images(1, 4, 3), images(1, 4, 3, seed=1)
    y = np.asarray(operator.forward(truth)) + 0.1
    units = np.eye(48, dtype="float32").reshape(48, *shape)
    # A mask by name is another one for each image: here that of the only one.
    rows = [np.asarray(operator.forward(unit[None])).ravel() for unit in units]
    a = np.stack(rows, axis=1).astype("float64")
    seen = operator.known(y.shape, 0, 0)
    y_seen = np.where(seen, y, 0).ravel()
    system = np.eye(48) / temperature + a.T @ a / variance
    wanted = np.linalg.solve(system, x.ravel() / temperature + a.T @ y_seen / variance)

    noise = {"noise": 0.3, "temperature": temperature}
    (measured,) = levels_of(operator, y, shape, 1, **noise)
    received = fidelity(measured)(ops.convert_to_tensor(x))
    np.testing.assert_allclose(np.ravel(received), wanted, atol=1e-5)


@pytest.mark.parametrize("operator", OPERATORS, **names)
def test_the_truth_agrees_at_every_level_and_other_images_come_to_agree(operator):
    truth = images(2, 8, 3)
    y = np.asarray(operator.forward(truth))
    for level, measured in enumerate(levels_of(operator, y, (8, 8, 3), 3)):
        step = fidelity(measured)
        here = pooled(truth, 2 - level)
        if not isinstance(
            operator, tasks.Mask
        ):  # whose coarse pixels are means of some
            np.testing.assert_allclose(
                step(ops.convert_to_tensor(here)), here, atol=1e-5
            )
        moved = step(ops.convert_to_tensor(images(2, here.shape[1], 3, seed=5)))
        again = step(moved)
        np.testing.assert_allclose(again, moved, atol=1e-5)
        assert np.abs(np.asarray(moved) - here).mean() < 1


def test_pooling_averages_the_noise_and_coarse_blocks_are_seen_whole():
    y = images(1, 4)
    noise = {"noise": 0.2, "temperature": 0.04}
    coarse, same, fine = levels_of(tasks.MeanPool(2), y, (8, 8, 1), 3, **noise)
    np.testing.assert_allclose(coarse.values, pooled(y, 1), atol=1e-6)
    for measured, variance in ((coarse, 0.01), (same, 0.04), (fine, 0.16)):
        np.testing.assert_allclose(measured.strength, 0.04 / (0.04 + variance), 1e-5)


def test_images_of_a_batch_may_have_noise_of_their_own():
    y, sigmas = images(3), np.float32([0.0, 0.2, 0.5])
    together = levels_of(tasks.MeanPool(2), y, (16, 16, 1), 3, noise=sigmas)
    for index, sigma in enumerate(sigmas):
        row = slice(index, index + 1)
        alone = levels_of(tasks.MeanPool(2), y[row], (16, 16, 1), 3, noise=float(sigma))
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_allclose(other.strength[row], one.strength, rtol=1e-6)
    assert (np.asarray(together[0].strength)[0] == 1).all()


def test_coarse_pixels_are_known_if_half_of_theirs_are():
    hole = np.ones((4, 4), bool)
    hole[0, :2] = hole[2, 2] = False
    y = images(1, 4)
    coarse, _ = levels_of(tasks.Mask(hole), y, (4, 4, 1), 2)
    wanted = np.array([[1, 0], [0, 0]])
    np.testing.assert_array_equal(np.squeeze(coarse.strength), wanted)
    value = np.asarray(coarse.values)[0, 0, 0, 0]
    np.testing.assert_allclose(value, y[0, 0, :2].mean(), atol=1e-6)


def test_operators_of_names_and_wrong_ones():
    assert tasks.operator_of("identity") == tasks.Identity()
    assert tasks.operator_of("grey") == tasks.Grey()
    assert tasks.operator_of("mean_pool_4") == tasks.MeanPool(4)
    assert tasks.operator_of("center").mask == "center"
    for name in ("mean_pool_3", "mean_pool_x", "mean_pool_1"):
        with pytest.raises(ValueError, match="factor"):
            tasks.operator_of(name)
    with pytest.raises(ValueError, match="three channels"):
        tasks.Grey().forward(images())
    grey = tasks.Grey().forward(images(channels=3))
    np.testing.assert_allclose(
        grey[..., 0], images(channels=3) @ np.array(LUMA), atol=1e-6
    )


# --- restore ------------------------------------------------------------------------


@pytest.mark.parametrize("operator", [tasks.MeanPool(4), tasks.Grey()], **names)
def test_samples_agree_with_what_was_measured(operator):
    truth = 0.5 * images(2, 8, 3)
    y = np.asarray(operator.forward(truth))
    ladder = [quadratic, quadratic]
    found = tasks.restore(ladder, y, operator, 0.0, 2, 0, NOISY, image_shape=(8, 8, 3))
    for result in (found.sample, found.mean):
        assert result.shape == (2, 8, 8, 3) and result.dtype == np.float32
        # What is left out of [-1, 1] by the clipping at the end is little.
        seen = np.asarray(operator.forward(result))
        assert np.abs(seen - y).mean() < 0.02
    assert found.std.shape == (2, 8, 8)


def test_a_mask_without_noise_is_inpainting():
    x = images(4)
    found = tasks.restore([quadratic] * 2, x, tasks.Mask("center"), 0, 3, 7, NOISY)
    filled = tasks.inpaint([quadratic] * 2, x, "center", 7, NOISY)
    np.testing.assert_allclose(found.sample, filled, atol=1e-6)
    known = np.broadcast_to(~tasks.hole_masks("center", x.shape), x.shape)
    np.testing.assert_array_equal(found.mean[known], x[known])
    assert not found.std[known[..., 0]].any()
    assert (found.std[~known[..., 0]] > 0).all()


def test_noisy_pixels_and_energy_meet_where_their_pulls_are_equal():
    y, noise, temperature = images(2), 0.3, 0.01
    settings = {"settings": QUIET, "temperature": temperature}
    found = tasks.restore(quadratic, y, tasks.Identity(), noise, 1, 0, **settings)
    s = temperature / (temperature + noise**2)
    kept = (1 - s) * (1 - RATE)
    wanted = ((1 - s) * RATE * MEAN + s * y) / (1 - kept)
    np.testing.assert_allclose(found.sample, wanted, atol=1e-3)
    np.testing.assert_array_equal(found.sample, found.mean)
    assert not found.std.any()


def test_mean_and_deviation_are_those_of_the_samples():
    still = Langevin(steps=1, step_size=0.0, noise_scale=0.1, clip=None)
    x = images(2, 4, 3)
    arguments = (quadratic, x, tasks.Mask(np.eye(4)), 0.0, 200, 3, still)
    found = tasks.restore(*arguments, initial=x)
    free = np.eye(4, dtype=bool)
    np.testing.assert_allclose(found.std[:, free], 0.1, rtol=0.15)
    assert np.abs(found.mean - x).max() < 0.04 < np.abs(found.sample - x).max()


def test_a_restoration_depends_on_seed_and_index_only():
    x = images(5)
    options = {"initial": images(5, seed=2), "settings": NOISY}
    whole = tasks.restore(quadratic, x, tasks.Mask("random_25"), 0.1, 2, 4, **options)
    options["initial"] = options["initial"][2:4]
    part = tasks.restore(
        quadratic, x[2:4], tasks.Mask("random_25"), 0.1, 2, 4, start=2, **options
    )
    for all_of_them, some in zip(whole, part, strict=True):
        np.testing.assert_allclose(some, all_of_them[2:4], atol=1e-6)
    other = tasks.restore(
        quadratic, x[2:4], tasks.Mask("random_25"), 0.1, 2, 5, start=2, **options
    )
    assert np.abs(other.sample - part.sample).max() > 0.05


def test_wrong_arguments_of_restore():
    y, pool = images(2, 4), tasks.MeanPool(2)
    wrong = [
        ((quadratic, y, pool), {"image_shape": (4, 4, 1)}, r"\(n, 2, 2, 1\)"),
        ((quadratic, y, pool), {"image_shape": (8, 8, 3)}, r"\(n, 4, 4, 3\)"),
        ((quadratic, y, tasks.Identity(), -0.1), {}, "noise"),
        ((quadratic, y + np.float32(300), tasks.Identity()), {}, "measurements"),
        ((quadratic, y, tasks.Identity(), 0, 0), {}, "samples"),
        ((quadratic, y, tasks.Identity()), {"temperature": 0}, "temperature"),
        ((quadratic, y, tasks.Identity()), {"initial": y[:1]}, "2 initial images"),
        ((quadratic, y, tasks.Identity()), {"initial": images()}, "initial images"),
        (([quadratic] * 4, y, tasks.Identity()), {}, "halvings"),
    ]
    for arguments, options, said in wrong:
        with pytest.raises(ValueError, match=said):
            tasks.restore(*arguments, **options)
