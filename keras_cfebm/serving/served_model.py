"""ServedModel: the newest sound version of a SavedModel, whatever the others are."""

import contextlib
import json
import pathlib
import re
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging
from tensorflow.core.protobuf import error_codes_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from keras_cfebm.serving.saved_model import METADATA, versions
from keras_cfebm.utils.typing import PathLike

#: TensorFlow tells first where a node was made, then what is wrong with it.
_AFTER_PLACE = re.compile(r"Graph execution error:\n\n|Node: '[^\n]*'\n")


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
        # A session, not tf.saved_model.load: a run of it can be ended by a deadline.
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            loaded = tf.compat.v1.saved_model.load(
                self._session, ["serve"], str(folder)
            )
        self.signatures = dict(loaded.signature_def)
        path = folder / METADATA
        self.metadata = json.loads(path.read_bytes()) if path.exists() else {}

    def find(self, signature: str) -> tuple[str, Any]:
        """Name and `SignatureDef` of a signature; of an empty name, the default one."""
        signature = signature or "serving_default"
        if signature not in self.signatures:
            raise ServingError(
                f"Expected a signature, one of {sorted(self.signatures)}, received "
                f"{signature!r}.",
                "FAILED_PRECONDITION",
            )
        return signature, self.signatures[signature]

    def run(self, signature: str, inputs: dict[str, Any], timeout: float) -> dict:
        """Runs a signature on arrays of its names and types, for so many seconds.

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
            code = error_codes_pb2.Code.Name(error.error_code)
            raise ServingError(_reason(error), code) from error


class ServedModel:
    """A folder of versions, of which the newest that can be loaded is served.

    Requests name it by a `ModelSpec`, a message of TensorFlow Serving.

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
        self._stamps: dict[int, set] = {}
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
        with contextlib.suppress(OSError):  # files that vanish while they are looked at
            self.current = self._newest(self.current) or self.current

    def find(self, spec: Any) -> Servable:
        """The `Servable` that a request names."""
        current = self.current
        self._check(spec, [current.version])
        return current

    def status(self, spec: Any) -> get_model_status_pb2.GetModelStatusResponse:
        """The state of the version that a request names, or of all."""
        message = get_model_status_pb2.GetModelStatusResponse()
        damages = {**self.damaged, self.current.version: ""}
        self._check(spec, damages)
        for version in [spec.version.value] if spec.HasField("version") else damages:
            found = message.model_version_status.add(version=version)
            found.state = found.END if damages[version] else found.AVAILABLE
            found.status.error_message = damages[version]
            found.status.error_code = (
                error_codes_pb2.DATA_LOSS if damages[version] else error_codes_pb2.OK
            )
        return message

    def metadata(self, spec: Any) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """The signatures of the version that a request names."""
        servable = self.find(spec)
        message = get_model_metadata_pb2.GetModelMetadataResponse()
        message.model_spec.name = self.name
        message.model_spec.version.value = servable.version
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for key, definition in servable.signatures.items():
            signatures.signature_def[key].CopyFrom(definition)
        message.metadata["signature_def"].Pack(signatures)
        return message

    def _check(self, spec, known):
        """Raises a `ServingError` unless one of the known versions is named."""
        if spec.HasField("version_label"):
            raise ServingError(f"Unknown version label: {spec.version_label}")
        version = spec.version.value if spec.HasField("version") else None
        if spec.name != self.name or version not in (None, *known):
            raise ServingError(
                f"Expected {self.name}, version {self.current.version}, received "
                f"{spec.name}{'' if version is None else f', version {version}'}.",
                "NOT_FOUND",
            )

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
                first_line = _reason(error).partition("\n")[0]
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
    found = ((path, path.stat()) for path in folder.rglob("*"))
    return {(path, status.st_size, status.st_mtime_ns) for path, status in found}


def _reason(error):
    """What an error says, without where in the graph and in which files it was."""
    text = str(getattr(error, "message", error))
    return _AFTER_PLACE.split(text)[-1].split("\n\t [[")[0].strip()
