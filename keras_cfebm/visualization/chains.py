"""Langevin chains from noise to image: as a strip of states, and as a film."""

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from keras_cfebm.utils.atomic_files import save
from keras_cfebm.utils.typing import PathLike, Tensor
from keras_cfebm.utils.validation import check_number
from keras_cfebm.visualization.sheet import (
    PADDING,
    caption_font,
    checked_captions,
    compose,
    drawable,
    in_rows,
    to_tiles,
)

# Most viewers play a GIF frame shorter than 0.02 s at 0.1 s instead.
MAXIMUM_FRAMES_PER_SECOND = 50


def chain_strip(
    states: Iterable[Tensor],
    captions: Sequence[str] | None = None,
    scale: int | None = None,
    padding: int = PADDING,
    *,
    path: PathLike | None = None,
) -> Image.Image:
    """Shows chains side by side: one row per chain, one column per recorded state.

    Args:
        states: list of float arrays `(n, height, width, channels)` in [-1, 1], one
            per recorded state. Resolutions may differ, as in a coarse-to-fine
            chain: coarse states are enlarged, without smoothing, to the finest.
        captions: one string per state, written under its column, as
            "8 px · step 5"; None names each resolution where it begins.
        scale: whole enlargement of the finest states; None for tiles of at least
            64 pixels.
        padding: white pixels between tiles and around them.
        path: where to save the picture as well.

    Returns:
        An RGB `PIL.Image.Image` of `n` rows and `len(states)` columns.

    Raises:
        ValueError: if a state is not as described, states differ in the number of
            chains, a resolution does not divide the finest, or captions are not one
            per state.
    """
    images = _checked_states(states)
    names = checked_captions(captions, len(images), "captions")
    if captions is None:
        sizes = ["", *_resolutions(images)]
        names = [new * (new != old) for old, new in itertools.pairwise(sizes)]
    rows = list(zip(*to_tiles(images, scale), strict=True))
    return compose(rows, padding, column_captions=names, path=path)


def chain_film(
    states: Iterable[Tensor],
    path: PathLike,
    frames_per_second: float = 10,
    *,
    hold_seconds: float = 2.0,
    captions: Sequence[str] | None = None,
    columns: int | None = None,
    scale: int | None = None,
    padding: int = PADDING,
) -> Image.Image:
    """Writes an animated GIF that shows all chains at once, state after state.

    The film loops, and rests on its last frame. GIF holds 256 colours per frame:
    grey images keep theirs exactly, colour images are quantised.

    Args:
        states: as for `chain_strip`.
        path: file to write, ending in ".gif".
        frames_per_second: speed, above 0 and at most 50.
        hold_seconds: how long the last frame stays, at least one frame.
        captions: one string per state, written under its frame; None for the
            resolution.
        columns: chains per row; None for a square grid.
        scale: whole enlargement of the finest states; None for tiles of at least
            64 pixels.
        padding: white pixels between tiles and around them.

    Returns:
        The last frame, an RGB `PIL.Image.Image`.

    Raises:
        ValueError: if a state, the captions, the speed or the extension is not as
            described.
    """
    images = _checked_states(states)
    names = checked_captions(captions, len(images), "captions") or _resolutions(images)
    if not str(path).lower().endswith(".gif"):
        raise ValueError(f"Expected a path that ends in .gif, received {str(path)!r}.")
    speeds = f"(0, {MAXIMUM_FRAMES_PER_SECOND}]"
    check_number(frames_per_second, "frames_per_second", speeds)
    tiles = to_tiles(images, scale)
    grids = [np.array(compose(in_rows(state, columns), padding)) for state in tiles]
    # A strip of grids with a caption each, cut apart: all frames are of one size.
    font = caption_font(tiles[0].shape[2])
    strip = compose([grids], 0, column_captions=names, font=font)
    frames = [*map(Image.fromarray, np.split(np.array(strip), len(grids), axis=1))]
    # Dithering would add noise of its own to films whose subject is noise, and make
    # the file some 40 % larger.
    if images[0].shape[-1] == 1:
        encoded = [frame.convert("L") for frame in frames]
    else:
        encoded = [frame.quantize(256, dither=Image.Dither.NONE) for frame in frames]
    duration = 1000 / frames_per_second
    durations = [duration] * (len(frames) - 1) + [max(duration, 1000 * hold_seconds)]
    save(
        encoded[0].save,
        path,
        save_all=True,
        append_images=encoded[1:],
        duration=[round(milliseconds) for milliseconds in durations],
        loop=0,
    )
    return frames[-1]


def _checked_states(states):
    """The states as checked images of as many chains and channels each."""
    states = [drawable(state, f"states[{i}]") for i, state in enumerate(states)]
    if not states:
        raise ValueError("Expected at least one state, received none.")
    kinds = sorted({(len(state), state.shape[-1]) for state in states})
    if len(kinds) > 1:
        raise ValueError(
            "Expected states of as many chains and channels each, received (chains, "
            f"channels) = {kinds}."
        )
    return states


def _resolutions(states):
    """ "8 px" for a square state, "8×16 px" (height × width) for another."""
    sizes = [state.shape[1:3] for state in states]
    return [f"{h} px" if h == w else f"{h}×{w} px" for h, w in sizes]
