"""TensorFlow Serving's gRPC protocol: predict, metadata and status."""

import functools
import math

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from keras_cfebm.serving.scheduler import Scheduler
from keras_cfebm.serving.served_model import ServedModel, ServingError

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
    service = _Service(model, scheduler)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
    try:
        return server, server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise OSError(
            f"Cannot listen at {host}:{port} for gRPC: {error}. Choose another port "
            "(--grpc_port)."
        ) from error


def _explained(method):
    """Ends a call with the code and message of a `ServingError`."""

    @functools.wraps(method)
    async def explained(self, request, context):
        try:
            return await method(self, request, context)
        except ServingError as error:
            await context.abort(getattr(grpc.StatusCode, error.code), str(error))

    return explained


class _Service(
    prediction_service_pb2_grpc.PredictionServiceServicer,
    model_service_pb2_grpc.ModelServiceServicer,
):
    def __init__(self, model, scheduler):
        self.model = model
        self.scheduler = scheduler

    @_explained
    async def GetModelStatus(self, request, context):
        return self.model.status(_spec(request))

    @_explained
    async def GetModelMetadata(self, request, context):
        if (fields := list(request.metadata_field)) != ["signature_def"]:
            raise ServingError(
                f"Expected the metadata_field signature_def, received {fields}."
            )
        return self.model.metadata(_spec(request))

    @_explained
    async def Predict(self, request, context):
        spec = _spec(request)
        servable = self.model.find(spec)
        signature, definition = servable.find(spec.signature_name)
        inputs = _arrays(request.inputs, definition.inputs)
        wanted, outputs = list(request.output_filter), list(definition.outputs)
        if not set(wanted) <= set(outputs) or len(set(wanted)) < len(wanted):
            raise ServingError(
                f"Expected output_filter to name some of {sorted(outputs)}, each once, "
                f"received {wanted}."
            )
        found = await self.scheduler.run(
            servable, signature, inputs, context.time_remaining()
        )
        response = predict_pb2.PredictResponse()
        for key in wanted or outputs:
            response.outputs[key].CopyFrom(tf.make_tensor_proto(found[key]))
        response.model_spec.name = spec.name
        response.model_spec.version.value = servable.version
        response.model_spec.signature_name = signature
        return response

    @_explained
    async def Classify(self, request, context):
        raise ServingError("Expected a call of Predict.")

    Regress = MultiInference = Classify

    @_explained
    async def HandleReloadConfigRequest(self, request, context):
        raise ServingError("Expected a server of many models.", "UNIMPLEMENTED")


def _spec(request):
    if not request.HasField("model_spec"):
        raise ServingError("Expected a model_spec, received none.")
    return request.model_spec


def _arrays(given, inputs):
    if set(given) != set(inputs):
        raise ServingError(
            f"Expected the inputs {sorted(inputs)}, received {sorted(given)}."
        )
    return {name: _array(name, given[name], inputs[name].dtype) for name in inputs}


def _array(name, tensor, dtype):
    """The array of a `TensorProto`, which has to be of the very type asked for."""
    wanted = tf.dtypes.as_dtype(dtype)
    sizes = [size.size for size in tensor.tensor_shape.dim]
    if tensor.dtype != dtype or min(sizes, default=0) < 0:
        raise ServingError(
            f"Expected {name} as {wanted.name}, received type {tensor.dtype} of shape "
            f"{sizes}."
        )
    # A single value may stand for all of a tensor, of whatever size.
    each = max(map(len, tensor.string_val), default=0) or wanted.size or 1
    if math.prod(sizes) * each > MAX_MESSAGE:
        raise ServingError(
            f"Expected {name} of at most {MAX_MESSAGE:,} bytes, received {sizes}."
        )
    try:
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError) as error:
        raise ServingError(f"{name}: {error}") from error
