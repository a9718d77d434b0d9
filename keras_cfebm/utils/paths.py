"""Names that a user gives, which may be paths."""

import os
import pathlib

from keras_cfebm.utils.typing import PathLike


def user_path(name: PathLike) -> pathlib.Path:
    """The path that a name stands for, `~` written out.

    The home of an unknown user stays as it is written, which is no existing path.
    """
    return pathlib.Path(os.path.expanduser(name))


def is_image_folder(name: PathLike) -> bool:
    """Whether a name is that of a folder that may hold images.

    One that no path can have is not, and a run folder is not: a run may well be called
    like the set of images that it was trained on.
    """
    path = user_path(name)
    return os.path.isdir(path) and not any(
        os.path.isfile(path / of_a_run) for of_a_run in ("config.json", ".lock")
    )
