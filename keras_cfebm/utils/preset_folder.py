"""A model as a folder, laid out as those of KerasHub.

config.json          the class and the arguments of the model
model.weights.h5     its weights
metadata.json        versions, parameters, date
"""

import datetime
import json
import pathlib
from typing import Any

import keras

from keras_cfebm.utils import atomic_files
from keras_cfebm.utils.hub import upload
from keras_cfebm.utils.typing import PathLike
from keras_cfebm.utils.version import __version__

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"


def write(model: keras.Model, folder: PathLike) -> None:
    """Writes a model into a new folder, which appears complete or not at all.

    Args:
        model: `keras.Model`, of a class that Keras knows by name.
        folder: path; it must not exist.

    Raises:
        FileExistsError: if it does.
    """
    folder = pathlib.Path(folder)
    if folder.exists():
        raise FileExistsError(
            f"Expected a new folder, received {folder}, which is never overwritten."
        )
    config = keras.saving.serialize_keras_object(model)
    for name in ("compile_config", "build_config"):  # of training, not of the model
        config.pop(name, None)
    metadata = {
        "keras_version": keras.version(),
        "keras_cfebm_version": __version__,
        "parameter_count": model.count_params(),
        "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    with atomic_files.new_folder(folder) as new:
        _write_json(new / CONFIG, config)
        _write_json(new / METADATA, metadata)
        model.save_weights(new / WEIGHTS)


def read(folder: pathlib.Path) -> keras.Model:
    """The model in a folder, uncompiled.

    Raises:
        ValueError: if something is missing or damaged.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
        model.load_weights(folder / WEIGHTS)
    except Exception as error:  # JSON, HDF5 and Keras raise errors of many types
        raise ValueError(
            f"Expected a model in {folder}, as save_to_preset writes it: {error}"
        ) from error
    return model


def upload_preset(address: str, folder: PathLike) -> None:
    """Puts the folder of `save_to_preset` on Hugging Face or Kaggle.

    It needs the extra `hub`, and an account that its client knows.

    Args:
        address: str, `"hf://user/name"` or `"kaggle://user/model/keras/variation"`, by
            which `from_preset` finds the model from then on.
        folder: path.

    Raises:
        ImportError: if the client of the hub is not installed.
        ValueError: if the address is none, or the folder holds no such model.

    Example:

    ```python
    model.save_to_preset("photos")
    keras_cfebm.upload_preset("hf://me/photos", "photos")
    model = keras_cfebm.CFEBM.from_preset("hf://me/photos")
    ```
    """
    folder = pathlib.Path(folder)
    missing = [n for n in (CONFIG, METADATA, WEIGHTS) if not (folder / n).is_file()]
    if missing:
        raise ValueError(
            f"Expected a folder of save_to_preset, received {folder} without "
            f"{', '.join(missing)}."
        )
    upload(address, folder)


def _write_json(path: pathlib.Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=4), encoding="utf-8")
