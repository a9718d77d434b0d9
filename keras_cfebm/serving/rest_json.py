"""JSON of TensorFlow Serving's REST protocol: requests to arrays, and answers back."""

import base64
import binascii
import itertools
import json
import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_cfebm.serving.servable import ServingError

#: Kind of a NumPy type → the JSON values that it is made of. True is no number.
_TYPES: dict[str, set[type]] = {
    "f": {int, float},
    "i": {int},
    "b": {bool},
    "O": {str, dict},
}


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object that a request begins with; what follows it is ignored."""
    try:
        text = body.decode().lstrip()
        request, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise _refused(f"Expected JSON, received what is none: {error}.") from error
    if not isinstance(request, dict):
        raise _refused(f"Expected a JSON object, received {reprlib.repr(request)}.")
    if not isinstance(request.get("signature_name", ""), str):
        raise _refused("Expected signature_name as text.")
    return request


def arrays(request: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict:
    """The inputs of a request, by rows (`instances`) or by columns (`inputs`).

    Args:
        request: dict, see `parse`.
        inputs: mapping of name → `TensorInfo` of the signature.

    Returns:
        Dict of name → NumPy array of that type.

    Raises:
        ServingError: if they do not fit.
    """
    if ("instances" in request) == ("inputs" in request):
        raise _refused("Expected either 'instances' or 'inputs'.")
    if not inputs:
        raise _refused("Expected a signature that has inputs.")
    read = _of_rows if "instances" in request else _of_columns
    columns = read(request, list(inputs))
    return {name: _array(columns[name], name, inputs[name].dtype) for name in inputs}


def answer(outputs: Mapping[str, np.ndarray], by_rows: bool) -> bytes:
    """The body of an answer, in the form that was asked in."""
    plain = {name: _plain(name, value) for name, value in outputs.items()}
    columns = list(plain.values())
    found: Any = plain if len(plain) > 1 else columns[0]
    if by_rows and len(plain) > 1:
        rows = zip(*columns, strict=True)
        found = [dict(zip(plain, row, strict=True)) for row in rows]
    return json.dumps({"predictions" if by_rows else "outputs": found}).encode()


def _of_columns(request, names):
    given = request["inputs"]
    if not isinstance(given, dict) or _is_bytes(given):
        if len(names) > 1:
            raise _refused(f"Expected 'inputs' as an object of {sorted(names)}.")
        return {names[0]: given}
    if missing := sorted(set(names) - set(given)):
        raise _refused(f"Expected 'inputs' to have {missing} too.")
    return given  # as TensorFlow Serving does, whatever else there is


def _of_rows(request, names):
    rows = request["instances"]
    if not isinstance(rows, list) or not rows:
        raise _refused("Expected 'instances' as a list of at least one row.")
    named = [isinstance(row, dict) and not _is_bytes(row) for row in rows]
    if any(named) != all(named):
        raise _refused("Expected 'instances' as objects or as values, received both.")
    if all(named):
        wrong = [row for row in rows if set(row) != set(names)]
        if wrong:
            raise _refused(
                f"Expected each of the 'instances' as an object of {sorted(names)}, "
                f"received one of {sorted(wrong[0])}."
            )
        return {name: [row[name] for row in rows] for name in names}
    if len(names) > 1:
        raise _refused(
            f"Expected each of the 'instances' as an object of {sorted(names)}."
        )
    return {names[0]: rows}


def _array(value, name, dtype):
    """An array of nested lists that are all alike, looked at level by level."""
    wanted = np.dtype(tf.dtypes.as_dtype(dtype).as_numpy_dtype)
    shape, items = [], [value]
    while set(map(type, items)) == {list}:
        sizes = set(map(len, items))
        if len(sizes) > 1:
            raise _refused(
                f"Expected {name} as lists of equal size, received {sorted(sizes)}."
            )
        shape.append(sizes.pop())
        items = list(itertools.chain.from_iterable(items))
    wrong = [item for item in items if type(item) not in _TYPES[wanted.kind]]
    if wrong:
        raise _refused(
            f"Expected {name} as {tf.dtypes.as_dtype(dtype).name}, received "
            f"{reprlib.repr(wrong[0])}."
        )
    if wanted.kind == "O":
        items = list(map(_bytes, items))
    try:
        return np.array(items, wanted).reshape(shape)
    except (OverflowError, ValueError) as error:  # large numbers; a hundred axes
        raise _refused(f"Expected {name} as {wanted.name}: {error}.") from error


def _is_bytes(value):
    """Whether it is `{"b64": "text"}`."""
    return set(value) == {"b64"} and isinstance(value["b64"], str)


def _bytes(value):
    try:
        if isinstance(value, str):
            return value.encode()
        if not _is_bytes(value):
            raise ValueError(f"received {reprlib.repr(value)}")
        # Line ends are allowed, and the padding may be missing.
        text = "".join(value["b64"].split()).rstrip("=")
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error) as error:
        raise _refused(f'Expected bytes as {{"b64": "base64 text"}}: {error}.') from (
            error
        )


def _plain(name, value):
    if value.dtype != object:
        return value.tolist()
    if name.endswith("_bytes"):
        return [{"b64": base64.b64encode(item).decode()} for item in value]
    return [item.decode() for item in value]


def _refused(message):
    return ServingError("INVALID_ARGUMENT", message)
