"""Tables of any JSON value: pairs, rows of records, and captions for what is nested."""

import math

from keras_cfebm.report.markup import Markup, element, markup, note

#: Longer tables end in a note; the file has the rest.
MAXIMUM_ROWS = 100
MAXIMUM_COLUMNS = 12
MAXIMUM_DEPTH = 5
_INLINE = 8
_SPELLED = {
    word.lower(): word
    for word in (
        "AUPR AUROC CPU EMA FID FPR GPU KID L2 OOD PCA PSNR SSIM TPR CIFAR-10 CIFAR-100"
    ).split()
}


def label(name):
    """A key as words: `classifier_fid` is "Classifier FID"."""
    words = [_SPELLED.get(w.lower(), w) for w in str(name).replace("_", " ").split()]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def is_number(value):
    """Whether a JSON value is a number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def text_of(value, decimals=None):
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
    if isinstance(value, float):
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
    """Digits after the point that suit a whole column of numbers, or None."""
    numbers = [value for value in column if is_number(value)]
    if len(numbers) < 2 or not any(isinstance(number, float) for number in numbers):
        return None
    sizes = [abs(n) for n in numbers if math.isfinite(n) and n]
    smallest = min(sizes, default=1)
    return min(max(2 - math.floor(math.log10(smallest)), 0), 4)


def table(rows, columns, caption, corner=""):
    """A table with a heading in each row and column.

    Args:
        rows: dict of row heading -> list of cells; a cell is `Markup` or any JSON
            value.
        columns: list of column headings; None for no line of headings.
        caption: what the table shows, see `markup`.
        corner: str, heading of the column of row headings.

    Returns:
        `Markup`.
    """
    cells = list(rows.values())
    decimals = [_decimals(column) for column in zip(*cells, strict=True)]
    body = []
    for heading, values in list(rows.items())[:MAXIMUM_ROWS]:
        row = [_cell(v, d) for v, d in zip(values, decimals, strict=True)]
        body.append(element("tr", element("th", heading, scope="row"), row))
    head = None
    if columns is not None:
        numeric = [_is_numeric(column) for column in zip(*cells, strict=True)]
        headings = [
            element("th", name, scope="col", class_="number" if right else None)
            for name, right in zip(columns, numeric, strict=True)
        ]
        corner = element("th", corner, scope="col") if corner else element("td")
        head = element("thead", element("tr", corner, headings))
    whole = element(
        "table", element("caption", caption), head, element("tbody", body or None)
    )
    # A region that can be focused, so that a wide table scrolls by keyboard too.
    scrolled = element("div", whole, class_="scroll", tabindex=0)
    hidden = len(rows) - len(body)
    return markup([scrolled, note(f"And {hidden:,} more rows.") if hidden else None])


def _is_numeric(column):
    return any(is_number(value) for value in column)


def _cell(value, decimals):
    if isinstance(value, Markup):
        return element("td", value)
    kind = "number" if is_number(value) else None
    return element("td", text_of(value, decimals), class_=kind)


def bar_table(values, caption):
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
    largest = max(*numbers, 1e-12) if len(numbers) > 1 else numbers[0] or 1
    decimals = _decimals(numbers)
    rows = {}
    for name, number in values.items():
        share = f"--share: {100 * number / largest:.1f}%"
        rows[label(name)] = [
            element("span", text_of(number, decimals), class_="bar", style=share)
        ]
    return table(rows, None, caption)


def tables(value, caption, depth=0):
    """Shows any JSON value.

    Single values make a table of pairs; dicts of the same kind, one table with a row
    each; anything else below, tables of its own.

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
    nested = {name: item for name, item in value.items() if name not in single}
    parts = []
    if single:
        pairs = {label(name): [item] for name, item in single.items()}
        parts.append(table(pairs, None, caption))
    if _are_records(nested):
        columns = list(dict.fromkeys(key for item in nested.values() for key in item))
        rows = {
            label(name): [item.get(column) for column in columns]
            for name, item in nested.items()
        }
        parts.append(table(rows, [label(column) for column in columns], caption))
    else:
        for name, item in list(nested.items())[:MAXIMUM_ROWS]:
            parts.append(tables(item, f"{caption} · {label(name)}", depth + 1))
    return markup(parts or note(caption, ": empty."))


def _is_single(value):
    if isinstance(value, dict):
        return not value
    if isinstance(value, (list, tuple)):
        return not any(isinstance(item, (dict, list, tuple)) for item in value)
    return True


def _are_records(nested):
    """Whether dicts share their keys, so that one table with a row each shows them."""
    items = list(nested.values())
    if not items or not all(isinstance(item, dict) for item in items):
        return False
    keys = [set(item) for item in items]
    shared = len(set.intersection(*keys)) * 2 >= len(set.union(*keys))
    flat = all(_is_single(inner) for item in items for inner in item.values())
    return shared and flat and len(set.union(*keys)) <= MAXIMUM_COLUMNS
