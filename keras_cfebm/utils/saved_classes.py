"""Keras can load our saved models although their classes are imported late."""

import importlib
import importlib.util
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

#: Module → what a saved model may name of it.
SAVED = {
    "keras_cfebm.ladder": ("EnergyLadder",),
    "keras_cfebm.layers.activations": ("swish",),
    "keras_cfebm.layers.blocks": ("PrimalBlock", "ResidualBlock"),
    "keras_cfebm.layers.convolution": ("SpectralConv2D",),
    "keras_cfebm.layers.expand": ("ExpandBlock", "FadeBlock"),
    "keras_cfebm.layers.head": ("EnergyHead",),
    "keras_cfebm.model": ("CFEBM",),
    "keras_cfebm.network": ("EnergyNetwork",),
}


class Late:
    """Stands for a class, or a function, until a saved model names it.

    Args:
        module: str, where it is.
        name: str.
    """

    def __init__(self, module: str, name: str):
        self.module = module
        self.name = name

    def found(self) -> Any:
        """The class or function itself; its import puts it in the place of this."""
        return getattr(importlib.import_module(self.module), self.name)

    def from_config(self, config: dict[str, Any]) -> Any:
        """An instance of the class."""
        return self.found().from_config(config)

    def __call__(self, *args: Any) -> Any:
        """What the function returns."""
        return self.found()(*args)


def register() -> None:
    """Tells Keras of all that a saved model may name: now, or once it is imported."""
    if "keras" not in sys.modules:
        sys.meta_path.insert(0, _AfterKeras())
        return
    known = sys.modules["keras"].saving.get_custom_objects()
    for module, names in SAVED.items():
        for name in names:
            known.setdefault(f"keras_cfebm>{name}", Late(module, name))


class _AfterKeras(MetaPathFinder):
    """Calls `register` when Keras has been imported."""

    def find_spec(
        self, fullname: str, path: Any = None, target: Any = None
    ) -> ModuleSpec | None:
        """The specification of Keras, of which the loader registers at its end."""
        if fullname != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_register(module: Any) -> None:
                load(module)
                register()

            spec.loader.exec_module = load_and_register  # type: ignore[method-assign]
        return spec
