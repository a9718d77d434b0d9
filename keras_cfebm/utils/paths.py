"""Names that a user gives, which may be paths."""

import os
import pathlib

from keras_cfebm.utils.typing import PathLike


def user_path(name: PathLike) -> pathlib.Path:
    """The path that a name stands for, `~` written out.

    The home of an unknown user stays as it is written, which is no existing path.
    """
    return pathlib.Path(os.path.expanduser(name))


def is_folder(name: PathLike) -> bool:
    """Whether a name is that of a folder; one that no path can have is not."""
    return os.path.isdir(user_path(name))
