"""Splits of an image folder: sub-folders called train, test, val and alike."""

from collections.abc import Iterable, Sequence

from keras_cfebm.datasets.decode import SUFFIXES
from keras_cfebm.utils.paths import user_path
from keras_cfebm.utils.typing import PathLike

#: Names of splits, in letters of any case, in the order of preference.
_TRAINING = ("train", "training")
_HELD_OUT = ("test", "testing", "validation", "valid", "val", "dev", "eval")
#: Two domains have splits of their own: trainA, testB.
_DOMAINS = ("", "a", "b")
_SPLITS = {name + domain for name in (*_TRAINING, *_HELD_OUT) for domain in _DOMAINS}


def default_split(path: PathLike) -> str | None:
    """The sub-folder of an image folder that is read where no split is named.

    Args:
        path: the folder.

    Returns:
        str: the sub-folder `train` or `training` (in letters of any case) of a folder
        that has `test`, `val`, `valid`, `validation` or alike beside it, or nothing
        else. None for a folder without splits, whose sub-folders are classes.

    Raises:
        ValueError: if all sub-folders are splits and none is the one to train on, as of
            `trainA/`, `trainB/`, `testA/` and `testB/`.
    """
    root = user_path(path)
    entries = [entry for entry in root.iterdir() if not entry.name.startswith(".")]
    names = sorted(entry.name for entry in entries if entry.is_dir())
    only_splits = {name.lower() for name in names} <= _SPLITS and not any(
        entry.suffix.lower() in SUFFIXES for entry in entries if entry.name not in names
    )
    training = _named(names, _TRAINING)
    if training and (_named(names, _HELD_OUT) or (only_splits and len(names) == 1)):
        return training
    if names and only_splits:
        raise ValueError(
            f"Expected a split of {root}, one of {names}, received none: name it by "
            "split=… (--split=…)."
        )
    return None


def folder_test_split(path: PathLike, split: str | None) -> str | None:
    """The sub-folder of an image folder for judging what was trained on another one.

    Args:
        path: the folder.
        split: str, the sub-folder that was trained on; None for the default one.

    Returns:
        str: `testB` for `trainB`; for `train` and for None `test`, or else `validation`
        or alike. `split` itself where there is none.
    """
    root = user_path(path)
    names = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
    if split is None or split.lower() in _TRAINING:
        return _named(names, _HELD_OUT) or split
    wanted = split.replace("train", "test")
    return wanted if wanted in names else split


def _named(names: Sequence[str], wanted: Iterable[str]) -> str | None:
    """The first of `wanted` among `names`, as it is spelt there."""
    spelt = {name.lower(): name for name in names}
    return next((spelt[name] for name in wanted if name in spelt), None)
