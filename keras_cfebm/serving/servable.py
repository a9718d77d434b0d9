"""Servable: one version of a SavedModel, loaded and run as TensorFlow Serving does."""

import json
import pathlib
import re
from typing import Any

import numpy as np
import tensorflow as tf

from keras_cfebm.serving.saved_model import METADATA

#: Names of the status codes that TensorFlow and gRPC have in common.
_CODES = {
    number: name
    for name, number in vars(tf.errors).items()
    if name.isupper() and isinstance(number, int)
}
#: TensorFlow tells first where a node was made, then what is wrong with it.
_AFTER_PLACE = re.compile(r"Graph execution error:\n\n|Node: '[^\n]*'\n")
_VERSION = re.compile("0|[1-9][0-9]{0,17}")


class ServingError(Exception):
    """A request that cannot be answered.

    Args:
        message: str.
        code: str, name of a gRPC status code.
    """

    def __init__(self, message: str, code: str = "INVALID_ARGUMENT"):
        super().__init__(message)
        self.code = code


class Servable:
    """One version of a SavedModel.

    Args:
        folder: `pathlib.Path` of the version, whose name is its number.

    Attributes:
        version: int.
        signatures: dict of name → `SignatureDef`.
        metadata: dict, what `export_saved_model` notes of the model; empty if it was
            written by something else.

    Raises:
        Exception: whatever TensorFlow raises for a damaged one.
    """

    def __init__(self, folder: pathlib.Path):
        self.version = int(folder.name)
        graph = tf.Graph()
        # A session, not tf.saved_model.load: a run of it can be ended by a deadline.
        self._session = tf.compat.v1.Session(graph=graph)
        with graph.as_default():
            loaded = tf.compat.v1.saved_model.load(
                self._session, ["serve"], str(folder)
            )
        self.signatures = dict(loaded.signature_def)
        path = folder / METADATA
        self.metadata = json.loads(path.read_bytes()) if path.exists() else {}

    def find(self, signature: str) -> tuple[str, Any]:
        """Name and `SignatureDef` of a signature; of none, of the default one.

        Raises:
            ServingError: if there is no such signature.
        """
        signature = signature or "serving_default"
        if signature not in self.signatures:
            raise ServingError(
                f"Expected a signature, one of {sorted(self.signatures)}, received "
                f"{signature!r}.",
                "FAILED_PRECONDITION",
            )
        return signature, self.signatures[signature]

    def run(self, signature: str, inputs: dict[str, Any], timeout: float) -> dict:
        """Runs a signature.

        Args:
            signature: str, a key of `signatures`.
            inputs: dict of name → NumPy array, with the names and types of the
                signature.
            timeout: float, seconds after which the run is ended.

        Returns:
            Dict of name → NumPy array.

        Raises:
            ServingError: if the model refuses them, or the time is over.
        """
        definition = self.signatures[signature]
        feeds = {}
        for name, value in inputs.items():
            info = definition.inputs[name]
            if np.ndim(value) != len(info.tensor_shape.dim):
                raise ServingError(
                    f"Expected {name} with {len(info.tensor_shape.dim)} axes, received "
                    f"shape {np.shape(value)}."
                )
            feeds[info.name] = value
        fetches = {name: info.name for name, info in definition.outputs.items()}
        options = tf.compat.v1.RunOptions(timeout_in_ms=max(1, round(1000 * timeout)))
        try:
            return self._session.run(fetches, feeds, options)
        except tf.errors.OpError as error:
            raise ServingError(reason(error), _CODES[error.error_code]) from error


def reason(error: Exception) -> str:
    """What an error says, without where in the graph and in which files it was."""
    text = str(getattr(error, "message", error))
    return _AFTER_PLACE.split(text)[-1].split("\n\t [[")[0].strip()


def versions(folder: pathlib.Path) -> list[int]:
    """Numbers of the versions of a SavedModel in a folder, the newest first.

    A version is a folder with a `saved_model.pb`, named by its number alone: neither
    `01` nor a file called `2` is one.
    """
    found = folder.glob("*/saved_model.pb")
    names = (file.parent.name for file in found)
    return sorted((int(n) for n in names if _VERSION.fullmatch(n)), reverse=True)
