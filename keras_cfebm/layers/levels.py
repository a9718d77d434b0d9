"""The resolutions of a ladder, and the channels that a network has at each."""

from typing import NamedTuple

from keras_cfebm.utils.validation import check_count

#: How wide a block is between its two 3×3 convolutions.
INNER = ("input", "output")


class LevelWidths(NamedTuple):
    """Channels of one block.

    Attributes:
        width: int, channels at the full resolution.
        inner_width: int, channels between the two 3×3 convolutions.
        filters: int, channels that are handed to the next coarser level.
    """

    width: int
    inner_width: int
    filters: int


def default_width(resolution: int, base_width: int) -> int:
    """Channels at a resolution (appendix of the paper).

    `4b` up to 32 pixels, `2b` at 64, `b` at 128, `b/2` at 256 and `b/4` at 512.

    Args:
        resolution: int, side of the feature map.
        base_width: int, the `b` of the formula.

    Returns:
        int, at least 1.
    """
    width = 4 * base_width
    while resolution > 32:
        resolution //= 2
        width //= 2
    return max(1, width)


def levels_of(resolution: int, base_resolution: int) -> list[int]:
    """Resolutions from the base to `resolution`, each twice the one before.

    Args:
        resolution: int, side of the finest images.
        base_resolution: int, side of the coarsest ones.

    Returns:
        List of ints, coarsest first.

    Raises:
        ValueError: if `resolution` is not `base_resolution` times a power of two.
    """
    check_count(resolution, "resolution", minimum=0)
    check_count(base_resolution, "base_resolution", minimum=0)
    levels = [base_resolution]
    while 2 <= levels[-1] < resolution:
        levels.append(2 * levels[-1])
    if levels[-1] != resolution or base_resolution < 2:
        raise ValueError(
            "Expected a resolution of base_resolution · 2^k, with a base of at least "
            f"2, received resolution={resolution}, base_resolution={base_resolution}."
        )
    return levels


def level_widths(
    resolution: int,
    base_resolution: int,
    base_width: int,
    widths: dict[int, int],
    inner: str = "input",
) -> dict[int, LevelWidths]:
    """Channels of every block of a network.

    Args:
        resolution: int, side of the finest images.
        base_resolution: int, side of the coarsest ones.
        base_width: int, see `default_width`.
        widths: dict of resolution → channels that overrides single levels.
        inner: `"input"` or `"output"`, see `keras_cfebm.EnergyNetwork`.

    Returns:
        Dict of resolution → `LevelWidths`, finest first.
    """
    check_inner(inner)

    def width_of(level):
        return widths.get(level, default_width(level, base_width))

    levels = levels_of(resolution, base_resolution)
    filters = {level: width_of(level // 2) for level in levels}
    # Features of the coarsest block: those of the base, unless given.
    filters[levels[0]] = widths.get(levels[0] // 2, width_of(levels[0]))
    found = {}
    for level in reversed(levels):
        ends = width_of(level), filters[level]
        found[level] = LevelWidths(ends[0], ends[INNER.index(inner)], ends[1])
    return found


def check_inner(inner: str) -> str:
    """Returns `inner`; ValueError if it is none of `INNER`."""
    if inner not in INNER:
        raise ValueError(f"Expected inner as one of {INNER}, received {inner!r}.")
    return inner


def checked_widths(widths: dict) -> dict[int, int]:
    """A dict of resolution → channels, whose keys JSON may have turned to strings.

    Raises:
        ValueError: if a key or value is not an integer of at least 1.
    """
    levels = [int(level) if isinstance(level, str) else level for level in widths]
    for level, width in zip(levels, widths.values(), strict=True):
        check_count(level, "resolution in widths")
        check_count(width, f"width at {level} pixels")
    return dict(zip(levels, widths.values(), strict=True))
