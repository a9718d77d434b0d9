"""Tables of any JSON value: pairs, rows of records, and captions for what is nested."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from keras_cfebm.runs.report_markup import Markup, element, markup, note

#: Longer tables end in a note; the file has the rest.
MAXIMUM_ROWS = 100
MAXIMUM_COLUMNS = 12
MAXIMUM_DEPTH = 5
_INLINE = 8
_ACRONYMS = "AUPR,AUROC,EMA,FID,FPR,FPR95,KID,L2,OOD,PCA,PSNR,ROC,SSIM,TPR"
_SPELLED = {word.lower(): word for word in _ACRONYMS.split(",")}


def label(name: object) -> str:
    """A key as words: `classifier_fid` is "Classifier FID"."""
    words = [_SPELLED.get(w.lower(), w) for w in str(name).replace("_", " ").split()]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number; true and false are none."""
    if isinstance(value, int):
        # Larger ones are identifiers, and may be beyond what a float can be.
        return not isinstance(value, bool) and abs(value) < 10**15
    return isinstance(value, float)


def text_of(value: Any, decimals: int | None = None) -> str:
    """A value on one line.

    Args:
        value: any JSON value.
        decimals: int, digits after the point of floats; None for four significant ones.

    Returns:
        str.
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) or (decimals is not None and is_number(value)):
        return _float_text(value, decimals).replace("-", "−")
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    if isinstance(value, dict):
        shown = [f"{key}: {text_of(item)}" for key, item in value.items()]
    elif isinstance(value, (list, tuple)):
        shown = [text_of(item) for item in value]
    else:
        return str(value)
    if len(shown) > _INLINE:
        shown = [*shown[:_INLINE], f"… ({len(shown)} in all)"]
    return ", ".join(shown) or "–"


def _float_text(value, decimals):
    if not math.isfinite(value):
        return str(value)
    if value and not 1e-4 <= abs(value) < 1e9:
        return f"{value:.3e}"
    if decimals is not None:
        return f"{value:,.{decimals}f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _decimals(column):
    """Digits after the point that suit a whole column of numbers, or None.

    Three significant digits of the smallest, at least two and at most four, but no
    zeros that all of the numbers would end in.
    """
    numbers = [value for value in column if is_number(value)]
    if len(numbers) < 2 or not any(isinstance(number, float) for number in numbers):
        return None
    sizes = [abs(n) for n in numbers if math.isfinite(n) and n]
    wanted = min(max(2 - math.floor(math.log10(min(sizes, default=1))), 2), 4)
    exact = [f"{size:.{wanted}f}".rstrip("0").partition(".")[2] for size in sizes]
    return max(map(len, exact), default=0)


def table(
    rows: Sequence[tuple[str, Sequence]],
    columns: Sequence[str] | None,
    caption: object,
) -> Markup:
    """A table with a heading in each row and column.

    Args:
        rows: list of pairs of a row heading and its list of cells; a cell is `Markup`
            or any JSON value.
        columns: list of column headings; None for no line of headings.
        caption: what the table shows, see `markup`.

    Returns:
        `Markup`.
    """
    cells_by_column = list(zip(*(cells for _, cells in rows), strict=True))
    # Without headings a column holds quantities of many kinds, each rounded by itself.
    alike = columns is not None
    decimals = [_decimals(column) if alike else None for column in cells_by_column]
    test = any if alike else all
    numeric = [test(map(is_number, column)) for column in cells_by_column]
    body = []
    for heading, values in rows[:MAXIMUM_ROWS]:
        row = [_cell(*cell) for cell in zip(values, decimals, numeric, strict=True)]
        body.append(element("tr", element("th", heading, scope="row"), row))
    head = None
    if columns is not None:
        headings = [
            element("th", name, scope="col", class_="number" if right else None)
            for name, right in zip(columns, numeric, strict=True)
        ]
        head = element("thead", element("tr", element("td"), headings))
    whole = element("table", element("caption", caption), head, element("tbody", body))
    # A region that can be focused, so that a wide table scrolls by keyboard too.
    scrolled = element("div", whole, class_="scroll", tabindex=0)
    hidden = len(rows) - len(body)
    return markup([scrolled, note(f"And {hidden:,} more rows.") if hidden else None])


def _cell(value, decimals, numeric):
    content = value if isinstance(value, Markup) else text_of(value, decimals)
    return element("td", content, class_="number" if numeric else None)


def bar_table(values: Mapping[str, Any], caption: str) -> Markup:
    """Numbers of one kind, each with a bar behind it.

    Args:
        values: dict of str -> number.
        caption: what they are, see `markup`.

    Returns:
        `Markup`; `tables` of the values where they are not all finite and at least 0.
    """
    numbers = list(values.values())
    if not all(is_number(n) and 0 <= n < math.inf for n in numbers) or not numbers:
        return tables(values, caption)
    largest = max(numbers) or 1
    decimals = _decimals(numbers)
    rows = []
    for name, number in values.items():
        share = f"--share: {100 * number / largest:.1f}%"
        text = text_of(number, decimals)
        bar = element("span", text, class_="bar", style=share)
        rows.append((label(name), [bar]))
    return table(rows, None, caption)


def pair_table(values: Mapping[str, Any], caption: object) -> Markup:
    """A table of names and single values.

    Args:
        values: dict of str -> any JSON value.
        caption: what they are, see `markup`.

    Returns:
        `Markup`.
    """
    return table(
        [(label(name), [item]) for name, item in values.items()], None, caption
    )


def tables(value: Any, caption: str, depth: int = 0) -> Markup:
    """Shows any JSON value.

    Single values make a table of pairs; dicts with the same keys, one table with a row
    each, also where they lie two levels deep; anything else, tables of its own.

    Args:
        value: any JSON value.
        caption: str, what it is.
        depth: int, how deep it is in the file.

    Returns:
        `Markup`.
    """
    if depth > MAXIMUM_DEPTH:
        return note(caption, ": nested too deeply to show; see the file.")
    if isinstance(value, (list, tuple)):
        value = {str(index): item for index, item in enumerate(value, start=1)}
    if not isinstance(value, dict):
        value = {"value": value}
    single = {name: item for name, item in value.items() if _is_single(item)}
    nested = [(label(name), v) for name, v in value.items() if name not in single]
    parts = [pair_table(single, caption)] if single else []
    for records in (nested, _one_level_deeper(nested)):
        if _are_alike(records):
            parts.append(_record_table(records, caption))
            break
    else:
        for name, item in nested[:MAXIMUM_ROWS]:
            parts.append(tables(item, f"{caption} · {name}", depth + 1))
    return markup(parts or note(caption, ": empty."))


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


def _record_table(records, caption):
    columns = list(dict.fromkeys(key for _, item in records for key in item))
    rows = [(name, [item.get(key) for key in columns]) for name, item in records]
    return table(rows, [label(column) for column in columns], caption)
