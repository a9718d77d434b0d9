"""What a run has written, read and made into values, tables and pictures for a page."""

import base64
import io
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import PIL.Image

from keras_cfebm.configs.run_config import RunConfig

#: Longer tables end in a note; the file has the rest.
MAXIMUM_ROWS = 100
MAXIMUM_COLUMNS = 12
MAXIMUM_DEPTH = 5
_INLINE = 8
_ACRONYMS = "AUPR,AUROC,EMA,FID,FPR,FPR95,KID,L2,OOD,PCA,PSNR,ROC,SSIM,TPR"
_SPELLED = {word.lower(): word for word in _ACRONYMS.split(",")}


def picture(source: pathlib.Path | bytes) -> dict[str, Any] | None:
    """The attributes of an `img` with a PNG or GIF in it, or None if it is damaged."""
    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
        with PIL.Image.open(io.BytesIO(data), formats=("PNG", "GIF")) as image:
            image.load()
            kind, (width, height) = image.get_format_mimetype(), image.size
    # Pillow's decoders let errors of several types out of damaged files.
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError):
        return None
    uri = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return {"src": uri, "width": width, "height": height}


def label(name: object) -> str:
    """A key as words: `classifier_fid` is "Classifier FID"."""
    words = [_SPELLED.get(w.lower(), w) for w in str(name).replace("_", " ").split()]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def text_of(value: Any, decimals: int | None = None) -> str:
    """A JSON value on one line; floats with `decimals`, or four significant digits."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return _number_text(value, decimals).replace("-", "−")
    if isinstance(value, dict):
        shown = [f"{key}: {text_of(item)}" for key, item in value.items()]
    elif isinstance(value, (list, tuple)):
        shown = [text_of(item) for item in value]
    else:
        return str(value)
    if len(shown) > _INLINE:
        shown = [*shown[:_INLINE], f"… ({len(shown)} in all)"]
    return ", ".join(shown) or "–"


def _number_text(value, decimals):
    if isinstance(value, int) and (decimals is None or not _is_number(value)):
        return f"{value:,}"
    if value and not 1e-4 <= abs(value) < 1e9:  # and infinity, NaN
        return f"{value:.3e}"
    if decimals is not None:
        return f"{value:,.{decimals}f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _is_number(value):
    """Whether a JSON value is a number; true and false are none."""
    if isinstance(value, int):
        # Larger ones are identifiers, and may be beyond what a float can be.
        return not isinstance(value, bool) and abs(value) < 10**15
    return isinstance(value, float)


def _decimals(column):
    """Digits after the point that suit a whole column of numbers, or None.

    Three significant digits of the smallest, at least two and at most four, but no
    zeros that all of the numbers would end in.
    """
    numbers = [value for value in column if _is_number(value)]
    if len(numbers) < 2 or not any(isinstance(number, float) for number in numbers):
        return None
    sizes = [abs(n) for n in numbers if math.isfinite(n) and n]
    wanted = min(max(2 - math.floor(math.log10(min(sizes, default=1))), 2), 4)
    exact = [f"{size:.{wanted}f}".rstrip("0").partition(".")[2] for size in sizes]
    return max(map(len, exact), default=0)


class Table(NamedTuple):
    """A table with a heading in each row, and in each column if there are `columns`."""

    caption: str
    rows: Sequence[tuple[str, Sequence[str]]] = ()  # headings and texts
    columns: Sequence[str] = ()  # headings
    right: Sequence[bool] = ()  # whether a column is set to the right
    shares: Sequence[float] = ()  # lengths of bars behind the texts, in per cent
    note: str = ""  # what the table leaves out


def table(
    caption: str,
    rows: Sequence[tuple[str, Sequence[Any]]],
    columns: Sequence[str] = (),
    shares: Sequence[float] = (),
) -> Table:
    """A `Table` of any JSON values, where a column of numbers is rounded alike."""
    cells = list(zip(*(values for _, values in rows), strict=True))
    # Without headings a column holds quantities of many kinds, each rounded by itself.
    alike = bool(columns or shares)
    decimals = [_decimals(column) if alike else None for column in cells]
    right = [(any if alike else all)(map(_is_number, column)) for column in cells]
    texts = [
        (name, list(map(text_of, values, decimals)))
        for name, values in rows[:MAXIMUM_ROWS]
    ]
    hidden = len(rows) - len(texts)
    note = f"And {hidden:,} more rows." if hidden else ""
    return Table(caption, texts, columns, right, shares, note)


def pairs(caption: str, values: Mapping[str, Any]) -> Table:
    """A table of names and single values."""
    return table(caption, [(label(name), [item]) for name, item in values.items()])


def bars(caption: str, values: Mapping[str, Any]) -> list[Table]:
    """Numbers of one kind with a bar behind each, if all are finite and at least 0."""
    numbers = list(values.values())
    if not all(_is_number(n) and 0 <= n < math.inf for n in numbers) or not numbers:
        return tables(caption, values)
    shares = [100 * number / (max(numbers) or 1) for number in numbers]
    rows = [(label(name), [number]) for name, number in values.items()]
    return [table(caption, rows, shares=shares)]


def tables(caption: str, value: Any, depth: int = 0) -> list[Table]:
    """The tables that show any JSON value, which lies `depth` levels deep in its file.

    Single values make a table of pairs; dicts with the same keys, one table with a row
    each, also where they lie two levels deep; anything else, tables of its own.
    """
    if depth > MAXIMUM_DEPTH:
        note = f"{caption}: nested too deeply to show; see the file."
        return [Table(caption, note=note)]
    if isinstance(value, (list, tuple)):
        value = {str(index): item for index, item in enumerate(value, start=1)}
    if not isinstance(value, dict):
        value = {"value": value}
    single = {name: item for name, item in value.items() if _is_single(item)}
    nested = [(label(name), v) for name, v in value.items() if name not in single]
    found = [pairs(caption, single)] if single else []
    for records in (nested, _one_level_deeper(nested)):
        if _are_alike(records):
            columns = list(dict.fromkeys(key for _, item in records for key in item))
            rows = [(name, list(map(item.get, columns))) for name, item in records]
            return [*found, table(caption, rows, list(map(label, columns)))]
    for name, item in nested[:MAXIMUM_ROWS]:
        found += tables(f"{caption} · {name}", item, depth + 1)
    return found or [Table(caption, note=f"{caption}: empty.")]


def _is_single(value):
    if isinstance(value, dict):
        return not value
    if isinstance(value, (list, tuple)):
        return not any(isinstance(item, (dict, list, tuple)) for item in value)
    return True


def _one_level_deeper(nested):
    """The values of dicts, named by both keys; nothing if one of them is no dict."""
    if not all(isinstance(item, dict) for _, item in nested):
        return []
    return [
        (f"{outer} · {label(inner)}", item)
        for outer, items in nested
        for inner, item in items.items()
    ]


def _are_alike(records):
    """Whether these are dicts of single values that share most of their keys."""
    items = [item for _, item in records]
    if len(items) < 2 or not all(isinstance(item, dict) for item in items):
        return False
    keys = [set(item) for item in items]
    shared, all_keys = set.intersection(*keys), set.union(*keys)
    flat = all(_is_single(value) for item in items for value in item.values())
    return flat and len(shared) * 2 >= len(all_keys) <= MAXIMUM_COLUMNS


def _chain_steps(config):
    """Steps of a whole chain; of a translation, which has one level, of that."""
    langevin, levels = config.final_langevin, config.levels
    if config.source is not None:
        return langevin.steps_at(levels - 1)
    return langevin.total_steps(levels)


def highlights(
    config: RunConfig,
    rows: Sequence[Mapping[str, float]],
    figures: Any,
    verdict: Any,
) -> dict[str, str]:
    """The few figures that one wants first, by name.

    Args:
        config: `RunConfig`.
        rows: the rows of the log.
        figures: what `cfebm demo` has measured, any JSON value.
        verdict: that of `cfebm diagnose`, any JSON value; None where it was not asked.
    """
    shown = {}
    distances = figures.get("classifier_fid") if isinstance(figures, dict) else None
    if isinstance(distances, dict):
        shown["Classifier FID"] = distances.get("samples")
        shown["Classifier FID of test images"] = distances.get("test")
    if rows:
        seconds = sum(row["seconds"] for row in rows)
        shown["Training steps"] = int(rows[-1]["step"])
        shown["Minutes of training"] = round(seconds / 60, 1)
    shown["Langevin steps per image"] = _chain_steps(config)
    shown["Diagnosis"] = verdict
    return {name: text_of(item) for name, item in shown.items() if item is not None}
