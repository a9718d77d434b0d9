"""Answer REST and gRPC requests to a SavedModel."""

import importlib
import logging
import pathlib

from absl import flags

from keras_cfebm.serving.saved_model import versions
from keras_cfebm.utils.model_files import find_model
from keras_cfebm.utils.optional import optional_import
from keras_cfebm.utils.paths import user_path


def main(values: flags.FlagValues) -> None:
    """Serves until it is stopped."""
    for package in ("grpc", "starlette", "tensorflow_serving.apis", "uvicorn"):
        optional_import(package, "serve")
    served_model, scheduler, server = (
        importlib.import_module(f"keras_cfebm.serving.{name}")
        for name in ("served_model", "scheduler", "server")
    )
    # It would tell that the session that it runs a SavedModel in is deprecated.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    path, name = find_versions(values.model)
    model = served_model.ServedModel(path, values.name or name)
    queue = scheduler.Scheduler(
        values.max_batch_size, values.max_waiting, values.timeout
    )

    def started(rest, grpc):
        print(f"gRPC: {values.host}:{grpc}")
        url = f"http://{values.host}:{rest}/v1/models/{model.name}"
        print(f"REST: {url}:predict\nStop with Ctrl-C.", flush=True)

    server.serve(model, queue, values.host, values.rest_port, values.grpc_port, started)


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
    if versions(path) or file is None:
        return path, None
    name = file.parent.resolve().name
    beside = file.parent / "serving"
    folders = [beside, beside / name, pathlib.Path("serving", name)]
    found = next(filter(versions, folders), None)
    if found is None:
        raise FileNotFoundError(
            f"Expected a SavedModel of {model}, found none: cfebm export "
            f"--model={model} writes one."
        )
    return found, name
