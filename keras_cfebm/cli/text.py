"""Text in and out: numbers of a flag, tables on the terminal, JSON files."""

import json
import pathlib
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from keras_cfebm.utils import atomic_files
from keras_cfebm.utils.typing import PathLike

Number = TypeVar("Number", int, float)


def as_number(kind: type[Number], flag: str, text: str) -> Number:
    """The number in a part of a flag's value.

    Args:
        kind: `int` or `float`.
        flag: str, name of the flag.
        text: str.

    Returns:
        A number of that kind.

    Raises:
        ValueError: if the text is no such number.
    """
    try:
        return kind(text)
    except ValueError as error:
        wanted = "an integer" if kind is int else "a number"
        raise ValueError(
            f"Expected --{flag} as {wanted}, received {text!r}."
        ) from error


def print_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Prints a table: numbers to the right, everything else to the left.

    Args:
        header: sequence of str, the titles of the columns.
        rows: the cells; None is shown as a dash.
    """
    rows = [list(row) for row in rows]
    right = [
        not any(isinstance(cell, str) for cell in column)
        for _, *column in zip(header, *rows, strict=True)
    ]
    lines = [header, *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, right, strict=True)
        ]
        print("  ".join(cells).rstrip())


def _cell(value: Any) -> str:
    """A cell as it is printed."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def prepare_folder(folder: pathlib.Path, flag: str) -> None:
    """Makes a folder and tries to write into it, before the work whose results it gets.

    Args:
        folder: `pathlib.Path`.
        flag: str, name of the flag that chooses another.

    Raises:
        OSError: if it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OSError(
            f"Cannot write to {folder}: {error.strerror}. --{flag} names another place."
        ) from error


def write_json(path: PathLike, values: Any) -> None:
    """Writes what JSON can hold to a file, as a whole."""
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    atomic_files.write_text(path, text)
