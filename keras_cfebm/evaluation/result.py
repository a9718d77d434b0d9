"""Evaluation: what every protocol of this package returns."""

from typing import Any, NamedTuple

import numpy as np


class Evaluation(NamedTuple):
    """Figures of a task, and images to look at.

    Attributes:
        figures: dict that JSON can hold.
        images: dict of label → float32 array `(n, h, w, c)` in [-1, 1], the rows of a
            `keras_cfebm.visualization.comparison_grid`.
    """

    figures: dict[str, Any]
    images: dict[str, np.ndarray]
