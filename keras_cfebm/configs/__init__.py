"""What decides a run, as data: `RunConfig`, its stages, and named ones (`PRESETS`)."""

from keras_cfebm.configs import emoji, fashion, paper
from keras_cfebm.configs.preset import Preset
from keras_cfebm.configs.run_config import RunConfig
from keras_cfebm.utils.model_files import is_pretrained

__all__ = ["DESCRIBED", "PRESETS", "Preset", "config", "find"]

#: The named configurations: name → `Preset`.
PRESETS = {
    **fashion.PRESETS,
    **emoji.PRESETS,
    **paper.GENERATION,
    **paper.TRANSLATION,
}

#: Name → what a preset is, for a user to read.
DESCRIBED = {
    name: {
        "description": preset.description,
        "resolution": preset.config.data.resolution,
        "pretrained": is_pretrained(name),
    }
    for name, preset in PRESETS.items()
}


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
