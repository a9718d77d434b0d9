"""The resolutions of a ladder and the channels at each, worked out by hand."""

import pytest

from keras_cfebm.layers.levels import (
    checked_widths,
    default_width,
    level_widths,
    levels_of,
)


@pytest.mark.parametrize(
    ("resolution", "base_resolution", "expected"),
    [
        (8, 8, [8]),
        (64, 8, [8, 16, 32, 64]),
        (28, 7, [7, 14, 28]),
        (4, 2, [2, 4]),
    ],
)
def test_levels_double_from_the_base(resolution, base_resolution, expected):
    assert levels_of(resolution, base_resolution) == expected


@pytest.mark.parametrize(
    ("resolution", "base_resolution"),
    [(48, 8), (4, 8), (8, 1), (0, 0), (0, 8), (8, 0), (-8, 8)],
)
def test_what_doubling_does_not_reach_is_refused(resolution, base_resolution):
    with pytest.raises(ValueError, match="resolution"):
        levels_of(resolution, base_resolution)
    with pytest.raises(ValueError, match="integer resolution"):
        levels_of(8.0, 8)


def test_default_widths_are_those_of_the_paper():
    """4b up to 32 pixels, then half as many at each level."""
    levels = (4, 8, 32, 64, 128, 256, 512)
    widths = [default_width(level, base_width=32) for level in levels]
    assert widths == [128, 128, 128, 64, 32, 16, 8]
    assert default_width(512, 1) == 1  # a quarter, but at least one


def test_each_block_hands_on_the_width_of_the_next_coarser_level():
    assert level_widths(128, 8, 32, {}) == {
        128: (32, 32, 64),
        64: (64, 64, 128),
        32: (128, 128, 128),
        16: (128, 128, 128),
        8: (128, 128, 128),
    }
    assert list(level_widths(32, 8, 1, {})) == [32, 16, 8]  # finest first


def test_single_widths_are_overridden():
    widths = {4: 5, 8: 6, 32: 8}
    expected = {32: (8, 8, 8), 16: (8, 8, 6), 8: (6, 6, 5)}
    assert level_widths(32, 8, 2, widths) == expected
    # The coarsest block keeps its width unless the level below it is given.
    assert level_widths(8, 8, 2, {8: 6}) == {8: (6, 6, 6)}


def test_blocks_are_as_wide_inside_as_their_input_or_their_output():
    ends = {64: (64, 128), 32: (128, 128), 16: (128, 128), 8: (128, 128)}
    for index, inner in enumerate(("input", "output")):
        found = level_widths(64, 8, 32, {}, inner)
        assert {r: (w.width, w.filters) for r, w in found.items()} == ends
        assert all(w.inner_width == ends[r][index] for r, w in found.items())
    with pytest.raises(ValueError, match=r"\('input', 'output'\), received 'both'"):
        level_widths(64, 8, 32, {}, "both")


def test_widths_from_json_get_their_integers_back():
    assert checked_widths({"8": 6, 16: 4}) == {8: 6, 16: 4}
    assert checked_widths({}) == {}


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ({"eight": 4}, "eight"),
        ({0: 4}, "resolution in widths of at least 1, received 0"),
        ({8: 0}, "width at 8 pixels of at least 1, received 0"),
        ({8: 1.5}, "integer width at 8 pixels, received 1.5"),
    ],
)
def test_widths_that_are_none_are_refused(widths, message):
    with pytest.raises(ValueError, match=message):
        checked_widths(widths)
