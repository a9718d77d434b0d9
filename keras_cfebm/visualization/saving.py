"""Files that are either the old picture or the whole new one, never half of it."""

import contextlib
import os
import pathlib
import uuid
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from keras_cfebm.utils.typing import PathLike

FIGURE_DPI = 150


def save_image(image: Image.Image, path: PathLike, **options: Any) -> None:
    """Writes a PIL image; `options` go to `PIL.Image.Image.save`."""
    with _replacing(path) as temporary:
        image.save(temporary, **options)


def save_figure(figure: Figure, path: PathLike) -> None:
    """Writes a matplotlib figure in the format its extension names."""
    with _replacing(path) as temporary:
        figure.savefig(temporary, dpi=FIGURE_DPI)


@contextlib.contextmanager
def _replacing(path):
    """Lends a temporary name beside `path`, and moves it there on success.

    A training callback rewrites its pictures while a browser or TensorBoard reads
    them, hence the move. The extension is kept: it decides the format.
    """
    path = pathlib.Path(path)
    if not path.suffix:
        raise ValueError(f"path must end in an extension, as .png; got {str(path)!r}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
