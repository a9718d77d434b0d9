"""Keras can load our saved models although their classes are imported late."""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from typing import Any

from keras_cfebm.utils.import_hooks import AroundImport

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
    """Stands for a class or a function until it is imported, which replaces this.

    Args:
        module: str, where it is.
        name: str.
    """

    def __init__(self, module: str, name: str):
        self.module = module
        self.name = name

    def from_config(self, config: dict[str, Any]) -> Any:
        """An instance of the class, as a saved model describes it."""
        found = getattr(importlib.import_module(self.module), self.name)
        return found.from_config(config)

    def __call__(self, x: Any) -> Any:
        """What the function returns."""
        return getattr(importlib.import_module(self.module), self.name)(x)


def register() -> None:
    """Tells Keras what a saved model may name: now, or as soon as Keras is imported."""
    if "keras" not in sys.modules:
        sys.meta_path.insert(0, AroundImport("keras", _registering))
        return
    known = sys.modules["keras"].saving.get_custom_objects()
    for module, names in SAVED.items():
        for name in names:
            known.setdefault(f"keras_cfebm>{name}", Late(module, name))


@contextlib.contextmanager
def _registering() -> Iterator[None]:
    """Registers at the end."""
    yield
    register()
