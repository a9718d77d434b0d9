"""Import of packages that need not be installed."""

import importlib
from types import ModuleType


def optional_import(module: str, extra: str | None = None) -> ModuleType:
    """Imports a module that need not be installed.

    Args:
        module: str, dotted name, such as `"sklearn.metrics"`.
        extra: str, the extra of this package that brings it; None for TensorFlow and
            what belongs to it, which a JAX user may leave out.

    Returns:
        The module.

    Raises:
        ImportError: if it is missing; the message names the `pip install` to run.

    Example:
        ```python
        sklearn_metrics = optional_import("sklearn.metrics", extra="eval")
        ```
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0].replace("_", "-")
        wanted = f'"keras_cfebm[{extra}]"' if extra else package
        raise ImportError(
            f"Expected {module}, which this function needs, but it is not installed: "
            f"run pip install {wanted}."
        ) from error
