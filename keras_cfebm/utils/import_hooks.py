"""Something that is done around the import of another package, whenever it comes."""

import importlib.util
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.abc import MetaPathFinder
from typing import Any


class AroundImport(MetaPathFinder):
    """Runs the next import of a module inside a context; for `sys.meta_path`.

    Args:
        name: str, the module.
        context: function that returns a context manager.

    Example:

    ```python
    sys.meta_path.insert(0, AroundImport("tensorflow", contextlib.nullcontext))
    ```
    """

    def __init__(self, name: str, context: Callable[[], AbstractContextManager]):
        self.name = name
        self.context = context

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """How to import that module; None for all others, which are left to others."""
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec: Any = importlib.util.find_spec(fullname)
        if spec is not None:
            load = spec.loader.exec_module

            def load_inside(module: Any) -> None:
                with self.context():
                    load(module)

            spec.loader.exec_module = load_inside
        return spec
