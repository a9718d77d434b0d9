"""Answer REST and gRPC requests to a SavedModel, for development."""

import signal
import threading

from absl import flags, logging

from keras_cfebm.serving import grpc_api, rest_api, server


def define_flags(values):
    """Adds the flags of this command; ports and names are TensorFlow Serving's."""
    flags.DEFINE_string(
        "model", None, "Folder of versions, see cfebm export.", flag_values=values
    )
    flags.mark_flag_as_required("model", flag_values=values)
    flags.DEFINE_string("name", None, "By default the folder's.", flag_values=values)
    flags.DEFINE_string("host", "127.0.0.1", "Address.", flag_values=values)
    flags.DEFINE_integer("rest_port", 8501, "0 for a free one.", flag_values=values)
    flags.DEFINE_integer("grpc_port", 8500, "0 for a free one.", flag_values=values)
    flags.DEFINE_integer(
        "max_batch_size",
        0,
        "Merge requests up to so many rows; 0 runs each by itself.",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "batch_timeout_micros",
        5000,
        "Microseconds to wait for more rows.",
        lower_bound=0,
        flag_values=values,
    )


def main(values):
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
