"""Warm-up requests, which TensorFlow Serving replays before it takes others.

A record is a serialised `PredictionLog` of `tensorflow_serving/apis`. The few fields
that are set are written here by hand: the package with these messages is not needed to
export a model (a test reads the records with it).
"""

import pathlib

import numpy as np
import tensorflow as tf

from keras_cfebm.serving import image_files
from keras_cfebm.serving.signatures import Signature

PATH = pathlib.Path("assets.extra", "tf_serving_warmup_requests")
#: Field numbers of the messages.
_PREDICT_LOG, _REQUEST = 6, 1
_MODEL_SPEC, _INPUTS = 1, 2
_NAME, _SIGNATURE_NAME = 1, 3
_KEY, _VALUE = 1, 2


def write(
    folder: pathlib.Path,
    model_name: str,
    signatures: dict[str, Signature],
    darkest: float = -1.0,
) -> None:
    """Writes one request of one row per signature into the folder of a SavedModel.

    The requests name the model as it will be served. Their images are of `darkest`
    values, which the model knows as -1.
    """
    path = folder / PATH
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, signature in signatures.items():
            inputs = _request_of(signature, darkest)
            writer.write(_prediction_log(model_name, name, inputs))


def _request_of(signature, darkest):
    """A row of its own kind for every input; all that is a number is 1, or 0."""
    black = np.full((1, *signature.image_shape), -1, "float32")
    dtypes = {
        name: spec.dtype.as_numpy_dtype for name, spec in signature.inputs.items()
    }
    given = {
        "images": lambda: np.full(black.shape, darkest, dtypes["images"]),
        "masks": lambda: np.zeros(black.shape[:3], bool),
        "image_bytes": lambda: image_files.encode(black).numpy(),
    }
    ones = ("steps", "speed", "samples")
    return {
        name: given[name]() if name in given else np.full(1, name in ones, dtype)
        for name, dtype in dtypes.items()
    }


def _prediction_log(model_name, signature_name, inputs):
    spec = _field(_NAME, model_name.encode())
    spec += _field(_SIGNATURE_NAME, signature_name.encode())
    request = _field(_MODEL_SPEC, spec)
    for name, value in inputs.items():
        tensor = tf.make_tensor_proto(value).SerializeToString()
        entry = _field(_KEY, name.encode()) + _field(_VALUE, tensor)
        request += _field(_INPUTS, entry)
    return _field(_PREDICT_LOG, _field(_REQUEST, request))


def _field(number, content):
    """A length-delimited field of Protocol Buffers' wire format."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value):
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])
