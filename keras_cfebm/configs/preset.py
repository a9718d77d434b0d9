"""Preset: a named configuration, and what is known of its data without reading them."""

import dataclasses

from keras_cfebm.configs.run_config import RunConfig

#: `Preset.origin` of what `datasets.load` fetches by itself.
DOWNLOADED = "TensorFlow Datasets downloads it"


@dataclasses.dataclass(frozen=True)
class Preset:
    """A named configuration.

    Attributes:
        description: str, one line on what it is good for.
        config: `RunConfig`.
        channels: int, image channels of the data.
        num_classes: int or None, classes that the labels of the data have.
        origin: str, where the data come from.
    """

    description: str
    config: RunConfig
    channels: int = 3
    num_classes: int | None = None
    origin: str = DOWNLOADED
