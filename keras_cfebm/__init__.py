"""Coarse-to-fine energy-based image models for Keras 3.

An energy maps images to numbers, **low = likely**: p(x) = exp(−E(x)) / Z. The modules
read in this order: `layers`, `network`, `sampling`, `model`, `growing`; then `tasks`.

Each name is imported when it is first used, so that a command line answers at once.
`__init__.pyi` lists the names.
"""

import lazy_loader

from keras_cfebm.utils import saved_classes

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
saved_classes.register()
