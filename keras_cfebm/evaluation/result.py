"""What protocols of this package return: figures with images, and what they mean."""

from typing import Any, NamedTuple

import numpy as np

#: Verdicts; a note is none.
NOTE, SOUND, WEAK, FAULT = "note", "sound", "weak", "fault"


class Evaluation(NamedTuple):
    """Figures of a task, and images to look at.

    Attributes:
        figures: dict that JSON can hold.
        images: dict of label → float32 array `(n, h, w, c)` in [-1, 1], the rows of a
            `keras_cfebm.visualization.comparison_grid`.
    """

    figures: dict[str, Any]
    images: dict[str, np.ndarray]


class Check(NamedTuple):
    """What is thought of some figures.

    Attributes:
        verdict: `"sound"`, `"weak"` or `"fault"`; or `"note"`, which is not judged.
        meaning: str, what that means, and what to do.
    """

    verdict: str
    meaning: str
