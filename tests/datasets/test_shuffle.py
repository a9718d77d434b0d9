"""The order of images: a pure function of seed and position, for ever the same."""

import itertools

import numpy as np
import pytest

from keras_cfebm.datasets.shuffle import batch_order, epoch_order


def drawn(count, *arguments, **options):
    """The first batches as lists of positions."""
    batches = itertools.islice(batch_order(*arguments, **options), count)
    return [order.tolist() for order, _ in batches]


def test_an_epoch_is_a_permutation_and_flips_are_fair_coins():
    order, flips = epoch_order(10_000, seed=3, epoch=2)
    assert sorted(order.tolist()) == list(range(10_000))
    assert flips.dtype == bool and 4_800 < flips.sum() < 5_200
    assert abs(np.corrcoef(order, np.arange(10_000))[0, 1]) < 0.05


def test_the_order_is_that_of_philox_words():
    # NumPy promises these words for ever: resumed runs depend on them.
    words = np.random.Philox(key=np.array([7, 1], np.uint64)).random_raw(8)
    order, _ = epoch_order(8, seed=7, epoch=1)
    assert order.tolist() == sorted(range(8), key=lambda i: words[i])
    # Recorded from this code.
    order, flips = epoch_order(8, seed=0, epoch=0)
    assert order.tolist() == [0, 2, 1, 5, 4, 3, 6, 7]
    assert flips.astype(int).tolist() == [0, 0, 1, 0, 1, 0, 1, 1]


def test_seeds_and_epochs_differ():
    orders = {
        tuple(epoch_order(20, seed, epoch)[0])
        for seed in (0, 1, 2**63 - 1)
        for epoch in (0, 1)
    }
    assert len(orders) == 6


def test_batches_straddle_epochs_and_lose_nothing():
    batches = drawn(9, 6, 4, seed=1)
    assert all(len(batch) == 4 for batch in batches)
    flat = list(itertools.chain(*batches))
    for epoch in range(6):
        part = flat[6 * epoch : 6 * (epoch + 1)]
        assert part == epoch_order(6, seed=1, epoch=epoch)[0].tolist()


@pytest.mark.parametrize("start", [0, 1, 5, 1_000_000])
def test_a_later_start_is_the_rest_of_the_same_sequence(start):
    whole = itertools.islice(batch_order(10, 4, seed=5, start=start), 6)
    rest = itertools.islice(batch_order(10, 4, seed=5, start=start + 2), 4)
    for expected, received in zip(itertools.islice(whole, 2, 6), rest, strict=True):
        np.testing.assert_array_equal(expected, received)


def test_one_epoch_ends_with_a_smaller_batch():
    batches = drawn(None, 10, 4, repeat=False)
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert sorted(itertools.chain(*batches)) == list(range(10))
    assert drawn(None, 10, 4, repeat=False, start=2) == batches[2:]
    assert drawn(None, 10, 4, repeat=False, start=3) == []


def test_the_stored_order_keeps_the_flips_of_the_seed():
    (order, flips), (again, _) = itertools.islice(batch_order(5, 5, shuffle=False), 2)
    assert order.tolist() == again.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(flips, epoch_order(5, seed=0, epoch=0)[1])
