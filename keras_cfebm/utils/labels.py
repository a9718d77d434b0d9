"""Classes by name: which number a name stands for, or which one comes closest."""

import difflib
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np


def check_class_names(
    class_names: Sequence[str] | None, num_classes: int | None
) -> tuple[str, ...] | None:
    """Returns the names of a model's classes as a tuple, or None.

    Args:
        class_names: sequence of str, one per class, all different; or None.
        num_classes: int, or None of a model without classes.

    Returns:
        Tuple of str, or None.

    Raises:
        ValueError: if there are more or fewer names than classes, or two are alike.
    """
    if class_names is None:
        return None
    names = (class_names,) if isinstance(class_names, str) else tuple(class_names)
    fits = all(isinstance(name, str) for name in names)
    if not fits or len(names) != num_classes or len(set(names)) != len(names):
        raise ValueError(
            f"Expected class_names as {num_classes or 'no'} different texts, as "
            f"num_classes={num_classes}, received {class_names!r}."
        )
    return tuple(map(str, names))


def class_index(
    label: Any,
    class_names: Sequence[str] | None = None,
    num_classes: int | None = None,
) -> int:
    """The number of a class that is given by name or by number.

    Args:
        label: str, one of `class_names`; or an int from 0 to the number of classes less
            1, also as a str of digits that is no name.
        class_names: sequence of str, the names in the order of their numbers; None
            where classes have none.
        num_classes: int, number of classes; None for that of the names.

    Returns:
        int.

    Raises:
        ValueError: if there is no such class; the message lists all names, and says
            which one comes closest.

    Example:

    ```python
    class_index("Trouser", model.class_names)  # 1
    ```
    """
    names = list(class_names or ())
    if label in names:
        return names.index(label)
    count = len(names) if num_classes is None else num_classes
    is_digits = isinstance(label, str) and label.isdecimal()
    if is_digits or (isinstance(label, numbers.Integral) and type(label) is not bool):
        number = int(label)
        if 0 <= number < count:
            return number
    elif not names:
        raise ValueError(
            f"Expected a label from 0 to {count - 1}, as the classes have no names, "
            f"received {label!r}."
        )
    listed = f"one of {names} or its number, " if names else ""
    raise ValueError(
        f"Expected a class, {listed}from 0 to {count - 1}, received {label!r}."
        + _suggestion(label, names)
    )


def named_labels(
    labels: Any, class_names: Sequence[str] | None, num_classes: int
) -> np.ndarray:
    """Labels as an array, names among them replaced by their numbers.

    Args:
        labels: a str or an int, or an array or sequence of either.
        class_names: see `class_index`.
        num_classes: see `class_index`.

    Returns:
        NumPy array of the same shape. What are no names is as it was, unchecked.

    Raises:
        ValueError: if a name is of no class.
    """
    array = np.asarray(labels)
    if array.dtype.kind == "O" and all(isinstance(name, str) for name in array.flat):
        array = array.astype(str)  # a column of pandas
    if array.dtype.kind != "U":
        return array
    found = [class_index(name, class_names, num_classes) for name in array.flat]
    return np.array(found, "int32").reshape(array.shape)


def _suggestion(label, names):
    spelt = {name.lower(): name for name in names}
    close = difflib.get_close_matches(str(label).lower(), spelt, n=1)
    return f" Did you mean {spelt[close[0]]!r}?" if close else ""
