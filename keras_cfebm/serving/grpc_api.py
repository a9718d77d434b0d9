"""TensorFlow Serving's gRPC protocol: predict, metadata and status."""

import contextlib
import math
from typing import Any

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from keras_cfebm.serving import messages
from keras_cfebm.serving.scheduler import Scheduler
from keras_cfebm.serving.servable import ServingError
from keras_cfebm.serving.served_model import ServedModel

#: Bytes of a message, and of the tensors that it stands for.
MAX_MESSAGE = 2**26
_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    # By default two servers may share a port, each taking some of the requests.
    ("grpc.so_reuseport", 0),
]


def new_server(
    model: ServedModel, scheduler: Scheduler, host: str, port: int
) -> tuple[grpc.aio.Server, int]:
    """A server that is not started yet, and its port.

    Raises:
        OSError: if the port is taken.
    """
    server = grpc.aio.server(options=_OPTIONS)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        _Predictions(model, scheduler), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Models(model), server)
    try:
        return server, server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise OSError(
            f"Cannot listen at {host}:{port} for gRPC: {error}. Choose another port "
            "(--grpc_port)."
        ) from error


class _Models(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, model):
        self.model = model

    async def GetModelStatus(self, request, context):
        async with _explained(context):
            return messages.status_message(self.model, *_spec(request))

    async def HandleReloadConfigRequest(self, request, context):
        message = "Expected a server of many models; this one serves one folder."
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, message)


class _Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model, scheduler):
        self.model = model
        self.scheduler = scheduler

    async def GetModelMetadata(self, request, context):
        async with _explained(context):
            if list(request.metadata_field) != ["signature_def"]:
                raise ServingError(
                    "INVALID_ARGUMENT",
                    "Expected the metadata_field signature_def, received "
                    f"{list(request.metadata_field)}.",
                )
            return messages.metadata_message(self.model, *_spec(request))

    async def Classify(self, request, context):
        async with _explained(context):
            raise ServingError("INVALID_ARGUMENT", "Expected a call of Predict.")

    Regress = MultiInference = Classify

    async def Predict(self, request, context):
        async with _explained(context):
            name, version = _spec(request)
            servable = self.model.find(name, version)
            signature = request.model_spec.signature_name or "serving_default"
            if signature not in servable.signatures:
                raise ServingError(
                    "FAILED_PRECONDITION",
                    f"Expected a signature, one of {sorted(servable.signatures)}, "
                    f"received {signature!r}.",
                )
            definition = servable.signatures[signature]
            inputs = _arrays(request.inputs, definition.inputs)
            wanted = _filtered(request.output_filter, definition.outputs)
            found = await self.scheduler.run(
                servable, signature, inputs, context.time_remaining()
            )
            response = predict_pb2.PredictResponse()
            for key in wanted:
                response.outputs[key].CopyFrom(tf.make_tensor_proto(found[key]))
            response.model_spec.name = name
            response.model_spec.version.value = servable.version
            response.model_spec.signature_name = signature
            return response


@contextlib.asynccontextmanager
async def _explained(context):
    """Ends the call with the code and message of a `ServingError`."""
    try:
        yield
    except ServingError as error:
        await context.abort(getattr(grpc.StatusCode, error.code), str(error))


def _spec(request: Any) -> tuple[str, int | None]:
    """Name and version that a request asks for."""
    if not request.HasField("model_spec"):
        raise ServingError("INVALID_ARGUMENT", "Expected a model_spec, received none.")
    spec = request.model_spec
    if spec.HasField("version_label"):
        raise ServingError(
            "INVALID_ARGUMENT", f"Unknown version label: {spec.version_label}"
        )
    return spec.name, spec.version.value if spec.HasField("version") else None


def _filtered(names, outputs):
    """The outputs that are asked for; all if none is named."""
    if not set(names) <= set(outputs) or len(set(names)) < len(names):
        raise ServingError(
            "INVALID_ARGUMENT",
            f"Expected output_filter to name some of {sorted(outputs)}, each once, "
            f"received {list(names)}.",
        )
    return list(names) or list(outputs)


def _arrays(given, inputs):
    if set(given) != set(inputs):
        raise ServingError(
            "INVALID_ARGUMENT",
            f"Expected the inputs {sorted(inputs)}, received {sorted(given)}.",
        )
    return {name: _array(name, given[name], inputs[name].dtype) for name in inputs}


def _array(name, tensor, dtype):
    """The array of a `TensorProto`, which has to be of the very type asked for."""
    wanted = tf.dtypes.as_dtype(dtype)
    sizes = [size.size for size in tensor.tensor_shape.dim]
    if tensor.dtype != dtype or min(sizes, default=0) < 0:
        raise ServingError(
            "INVALID_ARGUMENT",
            f"Expected {name} as {wanted.name}, received type {tensor.dtype} of shape "
            f"{sizes}.",
        )
    # A single value may stand for all of a tensor, of whatever size.
    each = max(map(len, tensor.string_val), default=0) or wanted.size or 1
    if math.prod(sizes) * each > MAX_MESSAGE:
        raise ServingError(
            "INVALID_ARGUMENT",
            f"Expected {name} of at most {MAX_MESSAGE:,} bytes, received {sizes}.",
        )
    try:
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError) as error:
        raise ServingError("INVALID_ARGUMENT", f"{name}: {error}") from error
