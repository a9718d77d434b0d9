"""ServedModel: the newest sound version in a folder, whatever happens to the others."""

import os
import pathlib

from absl import logging

from keras_cfebm.serving.servable import Servable, ServingError, reason, versions
from keras_cfebm.utils.typing import PathLike


class ServedModel:
    """A folder of versions, of which the newest that can be loaded is served.

    Args:
        path: folder that holds the versions, `1/`, `2/`, …
        name: str, name in requests; None for the folder's.

    Attributes:
        name: str.
        current: `Servable`.
        damaged: dict of version → str, why it is not served.

    Raises:
        FileNotFoundError: if there is no version.
        ValueError: if none of them can be loaded.
    """

    def __init__(self, path: PathLike, name: str | None = None):
        self.folder = pathlib.Path(path)
        self.name = name or self.folder.resolve().name
        self.damaged: dict[int, str] = {}
        self._stamps: dict[int, frozenset] = {}
        found = self._newest(None)
        if found is None and not self.damaged:
            raise FileNotFoundError(
                f"Expected versions of a SavedModel in {path}, such as "
                f"{self.folder / '1'}, found none."
            )
        if found is None:
            raise ValueError(
                f"Expected a version of a SavedModel in {path} that can be loaded, "
                f"found only damaged ones: {sorted(self.damaged)}."
            )
        self.current = found

    def refresh(self) -> None:
        """Takes up the newest version that can be loaded, if it is another one now.

        One that cannot be is reported once, and tried again when its files change.
        """
        self.current = self._newest(self.current) or self.current

    def find(self, name: str, version: int | None = None) -> Servable:
        """The `Servable` that a request names.

        Raises:
            ServingError: if another model or version is served.
        """
        current = self.current
        if name != self.name or version not in (None, current.version):
            raise self._unknown(name, version)
        return current

    def states(self, name: str, version: int | None = None) -> dict[int, str]:
        """Versions → why they are not served; empty text for the one that is.

        Raises:
            ServingError: if there are none of that name and number.
        """
        found = {**self.damaged, self.current.version: ""}
        if version is not None:
            found = {n: text for n, text in found.items() if n == version}
        if name != self.name or not found:
            raise self._unknown(name, version)
        return found

    def _unknown(self, name, version):
        served = f"{self.name}, version {self.current.version}"
        asked = name if version is None else f"{name}, version {version}"
        return ServingError(f"Expected {served}, received {asked}.", "NOT_FOUND")

    def _newest(self, current: Servable | None) -> Servable | None:
        """The newest version that can be loaded; `current` if that is the one."""
        found = versions(self.folder)
        self.damaged = {n: why for n, why in self.damaged.items() if n in found}
        for version in found:
            if current is not None and version == current.version:
                return current
            folder = self.folder / str(version)
            stamp = _stamp(folder)
            if version in self.damaged and self._stamps[version] == stamp:
                continue
            try:
                loaded = Servable(folder)
            except Exception as error:  # of many types; the version before is served
                self._stamps[version] = stamp
                first_line = reason(error).partition("\n")[0]
                self.damaged[version] = f"{type(error).__name__}: {first_line}"
                logging.warning(
                    "Version %d in %s is damaged and is not served: %s",
                    version,
                    self.folder,
                    self.damaged[version],
                )
            else:
                self.damaged.pop(version, None)
                return loaded
        return None


def _stamp(folder):
    """Sizes and times of all files of a version."""
    found = set()
    for root, _, names in os.walk(folder):
        for name in names:
            status = os.stat(os.path.join(root, name))
            found.add((root, name, status.st_size, status.st_mtime_ns))
    return frozenset(found)
