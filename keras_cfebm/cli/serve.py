"""Answer REST and gRPC requests to a SavedModel, for development."""

import pathlib
import signal
import threading

from absl import flags, logging

from keras_cfebm.serving import grpc_api, rest_api, server
from keras_cfebm.utils.model_files import find_model
from keras_cfebm.utils.paths import user_path


def main(values: flags.FlagValues) -> None:
    """Serves until it is stopped."""
    batching = None
    if values.max_batch_size:
        batching = server.Batching(values.max_batch_size, values.batch_timeout_micros)
    path, name = find_versions(values.model)
    servable = server.Servable(path, values.name or name, batching)
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


def find_versions(model: str) -> tuple[pathlib.Path, str | None]:
    """The folder of a model's SavedModels, and the name to serve it by.

    Args:
        model: str, that folder, or a model as other commands take it, beside which
            `cfebm export` has written.

    Returns:
        Pair of `pathlib.Path` and a name; None for the folder's.

    Raises:
        FileNotFoundError: if there is a model and nothing that was exported of it.
    """
    path = user_path(model)
    file = find_model(path)
    if _has_versions(path) or file is None:
        return path, None
    name = file.parent.resolve().name
    beside = file.parent / "serving"
    folders = [beside, beside / name, pathlib.Path("serving", name)]
    found = next(filter(_has_versions, folders), None)
    if found is None:
        raise FileNotFoundError(
            f"Expected a SavedModel of {model}, found none: cfebm export "
            f"--model={model} writes one."
        )
    return found, name


def _has_versions(folder: pathlib.Path) -> bool:
    """Whether a folder holds versions of a SavedModel."""
    return any(found.parent.name.isdecimal() for found in folder.glob("*/*.pb"))
