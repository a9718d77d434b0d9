"""Weights of half precision, for the models that the package ships: half the size.

The weights are rounded before anything is measured or exported, so that figures,
`.keras` file and SavedModel are those of one and the same model.
"""

import io
import json
import zipfile
from typing import Any

import h5py
import keras
import numpy as np

from keras_cfebm.utils import atomic_files
from keras_cfebm.utils.half_floats import halved
from keras_cfebm.utils.paths import user_path
from keras_cfebm.utils.typing import PathLike

_WEIGHTS = "model.weights.h5"
_METADATA = "metadata.json"


def round_weights(layer: keras.Layer) -> None:
    """Rounds float32 weights, in place, to values that float16 has.

    Args:
        layer: layer or model. Of a weight beyond ±65,504 infinity would be left, so it
            is refused.

    Raises:
        ValueError: if a weight is too large.
    """
    for weight in layer.weights:
        if weight.dtype == "float32":
            values = np.array(weight)
            largest = np.abs(values).max(initial=0)
            if largest > np.finfo("float16").max:
                raise ValueError(
                    f"Expected weights that float16 can hold, received {largest:g} in "
                    f"{weight.path}."
                )
            weight.assign(values.astype("float16").astype("float32"))


def save(model: keras.Model, path: PathLike) -> None:
    """Saves a model as a `.keras` file that holds what float16 can hold as float16.

    Weights that are equal are in it once. Keras loads it like any other: the weights
    are float32 again, bit for bit.

    Args:
        model: model of rounded weights; what is not rounded is saved as it is.
        path: str or path-like, ending in `.keras`.
    """
    path = user_path(path)
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[_WEIGHTS] = _halved(members[_WEIGHTS])
    metadata = json.loads(members[_METADATA])
    del metadata["date_saved"]
    members[_METADATA] = json.dumps(metadata).encode()
    with atomic_files.replacing(path) as draft, zipfile.ZipFile(draft, "w") as archive:
        for name, content in members.items():
            # Without times, so that the same model gives the same file.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)


def _halved(content: bytes) -> bytes:
    """The file with float16 where that is exact, and with equal weights stored once.

    The averaged weights of a finished training are those of its finest network.
    """
    file = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as whole, h5py.File(file, "w") as half:
        stored: dict[tuple, h5py.Dataset] = {}

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                values = halved(item[()])
                key = values.shape, values.dtype, values.tobytes(), str({**item.attrs})
                if key in stored:
                    half[name] = stored[key]
                    return
                target = stored[key] = half.create_dataset(name, data=values)
            else:
                target = half.require_group(name)
            target.attrs.update(item.attrs)

        half.attrs.update(whole.attrs)
        whole.visititems(copy)
    return file.getvalue()
