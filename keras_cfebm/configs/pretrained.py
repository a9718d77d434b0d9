"""A preset's model: with trained weights where there are some, or untrained."""

import pathlib
import warnings

from keras_cfebm.configs import find
from keras_cfebm.model import CFEBM
from keras_cfebm.runs.run_folder import load_ladder

_PACKAGE = pathlib.Path(__file__).parent.parent
#: Where `<preset>/model.keras` may lie: in an installed package, or in a checkout.
FOLDERS = (_PACKAGE / "saved_models", _PACKAGE.parent / "saved_models")


def pretrained(name: str) -> CFEBM | None:
    """The pretrained `CFEBM` of a preset, or None if there is none."""
    for folder in FOLDERS:
        path = folder / name / "model.keras"
        if path.is_file():
            return load_ladder(path)
    return None


def model_of(name: str, load_weights: bool) -> CFEBM:
    """The model of a preset; see `CFEBM.from_preset`."""
    preset = find(name)
    model = pretrained(name) if load_weights else None
    if model is not None:
        return model
    if load_weights:
        warnings.warn(
            f"There are no pretrained weights for the preset {name!r}: the model is "
            f"untrained. `cfebm train --preset={name} --run_dir=...` trains it.",
            stacklevel=3,
        )
    return preset.config.first_model(preset.channels, preset.num_classes)
