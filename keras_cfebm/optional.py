"""Import of packages that only an optional extra installs."""

import importlib
from types import ModuleType


def optional_import(module: str, extra: str) -> ModuleType:
    """Imports a module that only an optional extra installs.

    Args:
        module: str, dotted name, such as `"sklearn.metrics"`.
        extra: str, the extra of this package that brings it.

    Returns:
        The module.

    Raises:
        ImportError: if it is missing; the message names the `pip install` to run.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{module} is not installed and this function needs it: "
            f'run pip install "keras_cfebm[{extra}]".'
        ) from error
