"""Pictures of what an energy-based model learns: grids, chains, energies, saliency.

Images come in as float arrays `(n, height, width, 1 | 3)` in [-1, 1]; what comes out
is a `PIL.Image.Image` or a `matplotlib.figure.Figure`, also saved when a `path` is
given. Only `plot` touches `pyplot`, the backend the user has chosen; `use_style` lends
these looks to figures of one's own.
"""

from keras_cfebm.visualization.chains import chain_film, chain_strip
from keras_cfebm.visualization.curves import energy_curves
from keras_cfebm.visualization.grids import (
    comparison_grid,
    image_grid,
    saliency_overlay,
)
from keras_cfebm.visualization.scores import energy_histogram, roc_curves
from keras_cfebm.visualization.screen import plot
from keras_cfebm.visualization.style import use_style

__all__ = [
    "chain_film",
    "chain_strip",
    "comparison_grid",
    "energy_curves",
    "energy_histogram",
    "image_grid",
    "plot",
    "roc_curves",
    "saliency_overlay",
    "use_style",
]
