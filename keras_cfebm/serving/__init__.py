"""Serving for development: TensorFlow Serving's predict protocol on one machine.

It answers REST and gRPC requests as TensorFlow Serving does, from the same SavedModel
and with the same in-process batching, but in Python: to try an export, to test clients,
and where no container can be started. In production use TensorFlow Serving itself.
"""

from keras_cfebm.serving.grpc_api import start_grpc
from keras_cfebm.serving.rest_api import start_rest
from keras_cfebm.serving.servable import Batching, Servable, ServingError

__all__ = ["Batching", "Servable", "ServingError", "start_grpc", "start_rest"]
