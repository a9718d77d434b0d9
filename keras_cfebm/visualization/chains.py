"""Langevin chains from noise to image: as a strip of states, and as a film."""

from collections.abc import Iterable, Sequence

from PIL import Image, ImageDraw

from keras_cfebm.utils.typing import PathLike, Tensor
from keras_cfebm.utils.validation import check_number
from keras_cfebm.visualization.grids import PADDING
from keras_cfebm.visualization.saving import save_image
from keras_cfebm.visualization.sheet import (
    CAPTION_GAP,
    INK,
    PAPER,
    caption_font,
    compose,
    drawable,
    drawable_captions,
    finest_size,
    in_rows,
    largest_text,
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
        states: List of float arrays `(n, height, width, channels)` in [-1, 1], one
            per recorded state. Resolutions may differ, as in a coarse-to-fine
            chain: coarse states are enlarged, without smoothing, to the finest.
        captions: One string per state, written under its column, as
            "8 px · step 5"; None names each resolution where it begins.
        scale: Whole enlargement of the finest states; None for tiles of at least
            64 pixels.
        padding: White pixels between tiles and around them.
        path: Where to save the picture as well.

    Returns:
        An RGB `PIL.Image.Image` of `n` rows and `len(states)` columns.

    Raises:
        ValueError: If a state is not as described, states differ in the number of
            chains, a resolution does not divide the finest, or captions are not one
            per state.
    """
    states = _checked_states(states)
    captions = drawable_captions(captions, len(states), "captions")
    if captions is None:
        captions = _resolutions(states)
        changes = [a != b for a, b in zip(captions, ["", *captions], strict=False)]
        captions = [
            text * change for text, change in zip(captions, changes, strict=True)
        ]
    size = finest_size(states)
    columns = [to_tiles(state, size, scale) for state in states]
    strip = compose(list(zip(*columns, strict=True)), padding, column_captions=captions)
    if path is not None:
        save_image(strip, path)
    return strip


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
        states: As for `chain_strip`.
        path: File to write, ending in ".gif".
        frames_per_second: Speed, above 0 and at most 50.
        hold_seconds: How long the last frame stays, at least one frame.
        captions: One string per state, written under its frame; None for the
            resolution.
        columns: Chains per row; None for a square grid.
        scale: Whole enlargement of the finest states; None for tiles of at least
            64 pixels.
        padding: White pixels between tiles and around them.

    Returns:
        The last frame, an RGB `PIL.Image.Image`.

    Raises:
        ValueError: If a state, the captions, the speed or the extension is not as
            described.
    """
    states = _checked_states(states)
    captions = drawable_captions(captions, len(states), "captions")
    if not str(path).lower().endswith(".gif"):
        raise ValueError(f"path must end in .gif; got {str(path)!r}.")
    speeds = f"(0, {MAXIMUM_FRAMES_PER_SECOND}]"
    check_number(frames_per_second, "frames_per_second", speeds)
    size = finest_size(states)
    tiles = [to_tiles(state, size, scale) for state in states]
    grids = [compose(in_rows(batch, columns), padding) for batch in tiles]
    captions = captions or _resolutions(states)
    frames = _captioned(grids, captions, caption_font(tiles[0].shape[2]))
    # Dithering would add noise of its own to films whose subject is noise, and make
    # the file some 40 % larger.
    if states[0].shape[-1] == 1:
        encoded = [frame.convert("L") for frame in frames]
    else:
        encoded = [frame.quantize(256, dither=Image.Dither.NONE) for frame in frames]
    duration = 1000 / frames_per_second
    durations = [duration] * (len(frames) - 1) + [max(duration, 1000 * hold_seconds)]
    save_image(
        encoded[0],
        path,
        save_all=True,
        append_images=encoded[1:],
        duration=[round(milliseconds) for milliseconds in durations],
        loop=0,
    )
    return frames[-1]


def _checked_states(states):
    """Returns the states as checked images of as many chains and channels each."""
    states = [drawable(state, f"states[{i}]") for i, state in enumerate(states)]
    if not states:
        raise ValueError("states must hold at least one state; got none.")
    kinds = sorted({(len(state), state.shape[-1]) for state in states})
    if len(kinds) > 1:
        raise ValueError(
            "All states must have as many chains and channels; got "
            f"(chains, channels) = {kinds}."
        )
    return states


def _resolutions(states):
    """Returns "8 px" for a square state, "8×16 px" (height × width) for another."""
    sizes = [state.shape[1:3] for state in states]
    return [f"{h} px" if h == w else f"{h}×{w} px" for h, w in sizes]


def _captioned(grids, captions, font):
    """Returns the grids on paper of one size, each with its caption under it."""
    text_width, text_height = largest_text(captions, font)
    width = max(grids[0].width, text_width + 2 * CAPTION_GAP)
    height = grids[0].height + text_height + CAPTION_GAP
    frames = []
    for grid, caption in zip(grids, captions, strict=True):
        frame = Image.new("RGB", (width, height), PAPER)
        frame.paste(grid, ((width - grid.width) // 2, 0))
        place = (width // 2, grid.height)
        ImageDraw.Draw(frame).text(place, caption, INK, font, anchor="ma")
        frames.append(frame)
    return frames
