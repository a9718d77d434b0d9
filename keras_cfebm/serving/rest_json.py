"""JSON of TensorFlow Serving's REST protocol: requests to arrays, and answers back."""

import base64
import json
import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_cfebm.serving.served_model import ServingError

#: Kind of a NumPy type → the JSON values that it is made of. True is no number.
_TYPES: dict[str, set[type]] = {
    "f": {int, float},
    "i": {int},
    "u": {int},
    "b": {bool},
    "O": {str, dict},
}
_short = reprlib.repr


def parse(body: bytes | bytearray) -> dict[str, Any]:
    """The JSON object that a request begins with; what follows it is ignored."""
    try:
        request, _ = json.JSONDecoder().raw_decode(body.decode().lstrip())
    except (ValueError, RecursionError) as error:
        raise ServingError(f"Expected JSON, received what is none: {error}.") from error
    if not isinstance(request, dict):
        raise ServingError(f"Expected a JSON object, received {_short(request)}.")
    if not isinstance(request.get("signature_name", ""), str):
        raise ServingError("Expected signature_name as text.")
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
        raise ServingError("Expected either 'instances' or 'inputs'.")
    names = sorted(inputs)
    by_rows = "instances" in request
    given = _columns(request["instances"], names) if by_rows else request["inputs"]
    if not _is_named(given) and len(names) == 1:
        given = {names[0]: given}
    # As TensorFlow Serving does, whatever other columns there are.
    if not _is_named(given) or not set(names) <= set(given):
        raise ServingError(f"Expected an object of {names}, received {_short(given)}.")
    return {name: _array(given[name], name, inputs[name].dtype) for name in names}


def answer(outputs: Mapping[str, np.ndarray], by_rows: bool) -> bytes:
    """The body of an answer, in the form that was asked in."""
    plain = {name: _plain(name, value) for name, value in outputs.items()}
    columns = list(plain.values())
    found: Any = plain if len(plain) > 1 else columns[0]
    if by_rows and len(plain) > 1:
        rows = zip(*columns, strict=True)
        found = [dict(zip(plain, row, strict=True)) for row in rows]
    return json.dumps({"predictions" if by_rows else "outputs": found}).encode()


def _columns(rows, names):
    """Rows that are objects as columns; others as they are, one column."""
    if not isinstance(rows, list) or not rows:
        raise ServingError("Expected 'instances' as a list of at least one row.")
    named = list(map(_is_named, rows))
    if not any(named):
        return rows
    if not all(named):
        raise ServingError("Expected 'instances' as objects or values, received both.")
    if wrong := [row for row in rows if sorted(row) != names]:
        raise ServingError(
            f"Expected each of the 'instances' as an object of {names}, received one "
            f"of {sorted(wrong[0])}."
        )
    return {name: [row[name] for row in rows] for name in names}


def _array(value, name, dtype):
    """An array of nested lists that are all alike."""
    wanted = tf.dtypes.as_dtype(dtype)
    known = _TYPES[np.dtype(wanted.as_numpy_dtype).kind]
    nested = np.array(value, object)
    items = nested.ravel()
    if wrong := [item for item in items if type(item) not in known]:
        raise ServingError(
            f"Expected {name} as {wanted.name} in lists of equal size, received "
            f"{_short(wrong[0])}."
        )
    try:
        if wanted == tf.string:
            items = np.array(list(map(_bytes, items)), object)
        elif wanted.is_integer and items.size:  # NumPy 1 wraps what is out of range
            low, high = items.min(), items.max()
            if low < wanted.min or high > wanted.max:
                raise ValueError(f"received {low if low < wanted.min else high}")
        return items.astype(wanted.as_numpy_dtype).reshape(nested.shape)
    except (OverflowError, ValueError) as error:
        hint = ', or as {"b64": "base64 text"}' if wanted == tf.string else ""
        raise ServingError(
            f"Expected {name} as {wanted.name}{hint}: {error}."
        ) from error


def _is_named(value):
    """Whether it is an object of names, and not `{"b64": "text"}`."""
    return isinstance(value, dict) and not _is_bytes(value)


def _is_bytes(value):
    return set(value) == {"b64"} and isinstance(value["b64"], str)


def _bytes(value):
    if isinstance(value, str):
        return value.encode()
    if not _is_bytes(value):
        raise ValueError(f"received {_short(value)}")
    # Line ends are allowed, and the padding may be missing.
    text = "".join(value["b64"].split()).rstrip("=")
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _plain(name, value):
    if value.dtype != object:
        return value.tolist()
    if name.endswith("_bytes"):
        return [{"b64": base64.b64encode(item).decode()} for item in value]
    return [item.decode() for item in value]
