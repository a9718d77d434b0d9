"""What decides a run, as data: `RunConfig`, its stages, and named ones (`PRESETS`)."""

from keras_cfebm.configs import fashion, paper
from keras_cfebm.configs.preset import Preset
from keras_cfebm.configs.run_config import RunConfig

__all__ = ["PRESETS", "Preset", "config", "find"]

#: The named configurations: name → `Preset`.
PRESETS = {**fashion.PRESETS, **paper.GENERATION, **paper.TRANSLATION}


def find(name: str) -> Preset:
    """The `Preset` of a name, a key of `PRESETS`; ValueError if it is unknown."""
    if name not in PRESETS:
        raise ValueError(
            f"Expected a preset, one of {list(PRESETS)}, received {name!r}."
        )
    return PRESETS[name]


def config(name: str) -> RunConfig:
    """The `RunConfig` of a preset; see `find`."""
    return find(name).config
