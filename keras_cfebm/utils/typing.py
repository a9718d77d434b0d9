"""Names for what the annotations of this package speak of."""

import os
from collections.abc import Callable
from typing import Any

#: A tensor of the active Keras backend, or a NumPy array.
Tensor = Any

#: A function of images `(batch, height, width, channels)` that returns one energy per
#: image, low = likely.
Energy = Callable[[Tensor], Tensor]

PathLike = str | os.PathLike[str]
