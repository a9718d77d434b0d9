"""TensorFlow Serving's gRPC protocol: `PredictionService.Predict`."""

import math
from concurrent import futures
from typing import Any

import tensorflow as tf

from keras_cfebm.serving.server import Servable, ServingError
from keras_cfebm.utils.optional import optional_import

#: Bytes; gRPC's own limit of 4 MiB is a few hundred images.
MAX_MESSAGE = 2**28
_OPTIONS = [
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    # By default two servers may share a port, each taking some of the requests.
    ("grpc.so_reuseport", 0),
]


def start_grpc(
    servable: Servable, port: int = 8500, host: str = "127.0.0.1", threads: int = 16
) -> tuple[Any, int]:
    """Starts a gRPC server in threads of its own.

    Args:
        servable: `Servable`.
        port: int; 0 for any free one.
        host: str, address to listen at.
        threads: int, requests that are answered at a time.

    Returns:
        Pair of the `grpc.Server`, whose `stop(None)` stops it, and its port.

    Raises:
        ImportError: if `tensorflow-serving-api` is not installed.
        OSError: if the port is taken.
    """
    services: Any = optional_import(
        "tensorflow_serving.apis.prediction_service_pb2_grpc", "serve"
    )
    grpc = optional_import("grpc", "serve")
    messages = optional_import("tensorflow_serving.apis.predict_pb2", "serve")

    class Service(services.PredictionServiceServicer):
        def Predict(self, request, context):
            try:
                return _predict(servable, request, messages.PredictResponse())
            except ServingError as error:
                code = getattr(grpc.StatusCode, error.code, grpc.StatusCode.UNKNOWN)
                context.abort(code, str(error))

    server = grpc.server(futures.ThreadPoolExecutor(threads), options=_OPTIONS)
    services.add_PredictionServiceServicer_to_server(Service(), server)
    try:
        port = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise OSError(
            f"Cannot listen at {host}:{port} for gRPC: {error}. Choose another port "
            "(--grpc_port)."
        ) from error
    server.start()
    return server, port


def _predict(servable, request, response):
    spec = request.model_spec
    version = spec.version.value if spec.HasField("version") else None
    servable.check(spec.name, version)
    signature = spec.signature_name or "serving_default"
    specs = servable.inputs(signature)
    inputs = {
        name: _array(name, tensor, specs.get(name))
        for name, tensor in request.inputs.items()
    }
    for name, value in servable.predict(signature, inputs).items():
        response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
    response.model_spec.name = servable.name
    response.model_spec.version.value = servable.version
    response.model_spec.signature_name = signature
    return response


def _array(name, tensor, spec):
    """The array of a `TensorProto`, which has to be of the very type asked for."""
    if spec is not None and tensor.dtype != spec.dtype.as_datatype_enum:
        raise ServingError(
            "INVALID_ARGUMENT",
            f"Expected {name} as {spec.dtype.name}. Received: "
            f"{tf.dtypes.as_dtype(tensor.dtype).name}",
        )
    # A single value may stand for all of a tensor, of whatever size.
    if math.prod(size.size for size in tensor.tensor_shape.dim) > MAX_MESSAGE:
        raise ServingError(
            "INVALID_ARGUMENT", f"{name}: more values than a message has"
        )
    try:
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError) as error:
        raise ServingError("INVALID_ARGUMENT", f"{name}: {error}") from error
