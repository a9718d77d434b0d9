"""Preset: a named configuration, and what is known of its data without reading them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_cfebm.configs.run_config import RunConfig

#: `Preset.origin` of what `datasets.load` fetches by itself.
DOWNLOADED = "TensorFlow Datasets downloads it"


@dataclasses.dataclass(frozen=True)
class Preset:
    """A named configuration as plain data.

    Attributes:
        settings: dict, what `RunConfig.from_dict` takes.
        channels: int, image channels of the data.
        num_classes: int or None, classes that the labels of the data have.
        origin: str, where the data come from.
    """

    settings: Mapping[str, Any]
    channels: int
    num_classes: int | None
    origin: str

    def config(self) -> RunConfig:
        """The `RunConfig`."""
        return RunConfig.from_dict(dict(self.settings))
