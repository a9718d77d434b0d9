"""Plain data, such as JSON, to dataclasses: strictly, with errors that say where."""

import dataclasses
import types
import typing


def build(kind: typing.Any, value: typing.Any, place: str) -> typing.Any:
    """Turns plain data into the annotated type.

    Args:
        kind: a dataclass, a tuple of one type, a number, string or dict type, or a
            union of these with None.
        value: what `json.loads` gives.
        place: str, the value's place in the whole, for errors.

    Raises:
        ValueError: if a key is unknown or missing, or a value has the wrong type or
            range; the message names the place.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    is_list = isinstance(value, (list, tuple))
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        options = [option for option in arguments if option is not type(None)]
        lists = [o for o in options if (typing.get_origin(o) or o) is tuple]
        return build((lists if is_list and lists else options)[0], value, place)
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, place)
    if kind is tuple or origin is tuple:
        if not is_list:
            raise ValueError(f"Expected a list at {place}, received {value!r}.")
        return tuple(
            build(arguments[0], item, f"{place}[{index}]") if arguments else item
            for index, item in enumerate(value)
        )
    accepted = (int, float) if kind is float else kind
    is_number = not isinstance(value, bool) or kind is bool
    if not isinstance(value, accepted) or not is_number:
        raise ValueError(
            f"Expected {kind.__name__} at {place}, received {value!r} of type "
            f"{type(value).__name__}."
        )
    try:
        return float(value) if kind is float else value
    except OverflowError as error:
        raise ValueError(
            f"Expected float at {place}, received {value!r:.20}…, which is too large."
        ) from error


def _build_dataclass(kind, value, place):
    if isinstance(value, kind):
        return value
    if not isinstance(value, dict):
        raise ValueError(f"Expected an object at {place}, received {value!r}.")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    unknown = sorted(set(map(str, value)) - set(fields))
    if unknown:
        raise ValueError(
            f"Expected keys of {place} among {sorted(fields)}, received {unknown}."
        )
    missing = [
        name
        for name, field in fields.items()
        if name not in value
        and field.default is field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ValueError(f"Expected {place} with {missing}, received {sorted(value)}.")
    hints = typing.get_type_hints(kind)
    given = {
        name: build(hints[name], item, f"{place}.{name}")
        for name, item in value.items()
    }
    try:
        return kind(**given)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{place}: {error}") from error
