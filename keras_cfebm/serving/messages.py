"""What is told of a model, as TensorFlow Serving's messages and as JSON."""

from typing import Any

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from keras_cfebm.serving.served_model import ServedModel

_SIGNATURES = "signature_def"


def status_message(model: ServedModel, name: str, version: int | None) -> Any:
    """A `GetModelStatusResponse`; see `ServedModel.states`."""
    message = get_model_status_pb2.GetModelStatusResponse()
    State = get_model_status_pb2.ModelVersionStatus.State
    for number, damage in model.states(name, version).items():
        found = message.model_version_status.add(version=number)
        found.state = State.Value("END" if damage else "AVAILABLE")
        found.status.error_code = 15 if damage else 0  # DATA_LOSS, OK
        found.status.error_message = damage
    return message


def metadata_message(model: ServedModel, name: str, version: int | None) -> Any:
    """A `GetModelMetadataResponse` with the signatures."""
    servable = model.find(name, version)
    message = get_model_metadata_pb2.GetModelMetadataResponse()
    message.model_spec.name = model.name
    message.model_spec.version.value = servable.version
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for key, definition in servable.signatures.items():
        signatures.signature_def[key].CopyFrom(definition)
    message.metadata[_SIGNATURES].Pack(signatures)
    return message


def status(model: ServedModel, name: str, version: int | None) -> dict[str, Any]:
    """The JSON value of `GET …/models/NAME`."""
    return _plain(status_message(model, name, version))


def metadata(model: ServedModel, name: str, version: int | None) -> dict[str, Any]:
    """The JSON value of `GET …/models/NAME/metadata`.

    Beside the signatures it has what `export_saved_model` notes, as `keras_cfebm`.
    """
    found = _plain(metadata_message(model, name, version))
    del found["metadata"][_SIGNATURES]["@type"]
    if own := model.find(name, version).metadata:
        found["metadata"]["keras_cfebm"] = own
    return found


def _plain(message):
    return json_format.MessageToDict(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
