"""Plain data, such as JSON, to dataclasses: strictly, with errors that say where."""

import dataclasses
import types
import typing


def build(kind: typing.Any, value: typing.Any, place: str) -> typing.Any:
    """Turns plain data into the annotated type.

    Args:
        kind: type, a dataclass, a tuple of one type, a number or string type, `object`
            for anything, or a union of these with None.
        value: what `json.loads` gives.
        place: str, the value's place in the whole, for errors.

    Returns:
        The value as an instance of `kind`.

    Raises:
        ValueError: if a key is unknown or missing, or a value has the wrong type or
            range; the message names the place.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        options = [option for option in arguments if option is not type(None)]
        is_list = isinstance(value, (list, tuple))
        lists = [o for o in options if (typing.get_origin(o) or o) is tuple]
        return build((lists if is_list and lists else options)[0], value, place)
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, place)
    if kind is tuple or origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{place}: expected a list. Received: {value!r}")
        return tuple(
            build(arguments[0], item, f"{place}[{index}]") if arguments else item
            for index, item in enumerate(value)
        )
    if kind is object:
        return value
    accepted = (int, float) if kind is float else kind
    is_number = not isinstance(value, bool) or kind is bool
    if not isinstance(value, accepted) or not is_number:
        raise ValueError(
            f"{place}: expected {kind.__name__}. Received: {value!r} of type "
            f"{type(value).__name__}"
        )
    try:
        return float(value) if kind is float else value
    except OverflowError as error:
        raise ValueError(f"{place}: {value!r:.20}… is too large.") from error


def _build_dataclass(kind, value, place):
    if dataclasses.is_dataclass(value) and isinstance(value, kind):
        return value
    if not isinstance(value, dict):
        raise ValueError(f"{place}: expected an object. Received: {value!r}")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    unknown = sorted(set(map(str, value)) - set(fields))
    if unknown:
        raise ValueError(
            f"{place}: unknown keys {unknown}. Expected some of {sorted(fields)}"
        )
    hints = typing.get_type_hints(kind)
    given = {
        name: build(hints[name], item, f"{place}.{name}")
        for name, item in value.items()
    }
    required = {
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    }
    missing = sorted(required - set(given))
    if missing:
        raise ValueError(f"{place}: missing keys {missing}.")
    try:
        return kind(**given)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{place}: {error}") from error
