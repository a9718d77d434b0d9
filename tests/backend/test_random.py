"""Random numbers: known answers, moments, and one stream per image."""

import numpy as np
import pytest
from keras import ops

from keras_cfebm.backend import random


def words(*values):
    return tuple(ops.convert_to_tensor(np.uint32([value])) for value in values)


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        (
            (0x13198A2E, 0x03707344),
            (0x243F6A88, 0x85A308D3),
            (0xC4923A9C, 0x483DF7A0),
        ),
    ],
)
def test_threefry_gives_the_known_answers_of_random123(key, counter, expected):
    received = random.threefry2x32(words(*key), words(*counter))
    assert tuple(int(np.array(word)[0]) for word in received) == expected


def test_normal_numbers_have_the_moments_and_quantiles_of_a_normal():
    x = np.array(random.normal(random.image_keys(0, 200), (10, 10, 5))).ravel()
    error = 4 / np.sqrt(x.size)  # four standard errors of the mean
    assert abs(x.mean()) < error
    assert abs(x.var() - 1) < error * np.sqrt(2)
    assert abs((x**3).mean()) < error * np.sqrt(15)
    assert abs((x**4).mean() - 3) < error * np.sqrt(96)
    assert abs((np.abs(x) < 1.959964).mean() - 0.95) < error * np.sqrt(0.05 * 0.95)
    assert np.isfinite(x).all()


def test_uniform_numbers_fill_their_interval_evenly():
    x = np.array(random.uniform(random.image_keys(0, 200), (10, 10, 5), -3.0, 1.0))
    assert x.min() >= -3 and x.max() < 1
    counts, _ = np.histogram(x, bins=20, range=(-3, 1))
    expected = x.size / 20
    assert np.square(counts - expected).sum() / expected < 45  # χ² with 19 degrees


def test_numbers_are_uncorrelated_within_and_between_images():
    x = np.array(random.normal(random.image_keys(3, 2), (20_000,)))
    error = 4 / np.sqrt(x.shape[1])
    assert abs(np.mean(x[0] * x[1])) < error
    for lag in (1, 2, 10_000):  # Box and Muller pairs are half an image apart
        assert abs(np.mean(x[0, :-lag] * x[0, lag:])) < error * np.sqrt(2)


@pytest.mark.parametrize("draw", [random.normal, random.uniform])
@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 7, 3), (1,)])
def test_an_image_does_not_depend_on_its_batch_mates(draw, shape):
    keys = random.image_keys(5, 4)
    together = np.array(draw(keys, shape))
    assert together.shape == (4, *shape) and together.dtype == np.float32
    alone = np.array(draw(keys[2:3], shape))
    np.testing.assert_array_equal(together[2:3], alone)


def test_image_keys_do_not_depend_on_where_a_batch_starts():
    np.testing.assert_array_equal(
        random.image_keys(9, 10)[6:], random.image_keys(9, 4, start=6)
    )


def test_seeds_indices_and_streams_all_give_different_keys():
    keys = [
        np.array(random.fold_in(random.key(seed), index, stream)).tobytes()
        for seed in (0, 1, 2**32, 2**63 - 1)
        for index in range(5)
        for stream in range(5)
    ]
    assert len(set(keys)) == len(keys)


def test_folding_twice_is_not_folding_the_sum():
    key = random.key(0)
    twice = random.fold_in(random.fold_in(key, 1), 2)
    assert (np.array(twice) != np.array(random.fold_in(key, 3))).any()


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, "1", None, True])
def test_bad_seeds_are_refused(seed):
    with pytest.raises(ValueError, match=r"Expected .*seed.* received"):
        random.key(seed)


@pytest.mark.parametrize("seed", [0, 2**63 - 1, np.int64(7), np.uint64(7)])
def test_all_integers_are_seeds(seed):
    assert np.array(random.key(seed)).shape == (2,)
