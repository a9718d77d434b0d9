"""Answer REST and gRPC requests to a SavedModel, for development."""

import signal
import threading

from absl import flags, logging

from keras_cfebm.serving import grpc_api, rest_api, server


def main(values: flags.FlagValues) -> None:
    """Serves until it is stopped."""
    batching = None
    if values.max_batch_size:
        batching = server.Batching(values.max_batch_size, values.batch_timeout_micros)
    servable = server.Servable(values.model, values.name, batching)
    rest = rest_api.start_rest(servable, values.rest_port, values.host)
    url = f"http://{values.host}:{rest.server_port}/v1/models/{servable.name}"
    try:
        _, port = grpc_api.start_grpc(servable, values.grpc_port, values.host)
        print(f"gRPC: {values.host}:{port}")
    except ImportError as error:
        logging.warning("No gRPC: %s", error)
    print(f"REST: {url}:predict\nStop with Ctrl-C.", flush=True)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    stopped.wait()
