"""Folders of models on Hugging Face and Kaggle, by their clients where installed."""

import pathlib
from types import ModuleType

from keras_cfebm.utils.optional import optional_import
from keras_cfebm.utils.typing import PathLike

HUGGING_FACE, KAGGLE = "hf://", "kaggle://"


def is_remote(name: PathLike) -> bool:
    """Whether a name is the address of a model on a hub."""
    return str(name).startswith((HUGGING_FACE, KAGGLE))


def download(address: str) -> pathlib.Path:
    """Fetches a model's folder, into the cache of the hub's client.

    Args:
        address: str, `"hf://user/name"` or `"kaggle://user/model/keras/variation"`.

    Returns:
        `pathlib.Path` of the folder.

    Raises:
        ImportError: if the client is not installed.
        ValueError: if there is no such model, or it cannot be reached.
    """
    client, handle = _client(address)
    try:
        if address.startswith(HUGGING_FACE):
            return pathlib.Path(client.snapshot_download(repo_id=handle))
        return pathlib.Path(client.model_download(handle))
    except Exception as error:  # clients raise errors of many libraries
        raise ValueError(
            f"Expected a model at {address}, which could not be fetched: {error}"
        ) from error


def upload(address: str, folder: PathLike) -> None:
    """Puts a model's folder on a hub; see `keras_cfebm.upload_preset`."""
    client, handle = _client(address)
    if address.startswith(HUGGING_FACE):
        client.create_repo(repo_id=handle, exist_ok=True)
        client.upload_folder(repo_id=handle, folder_path=str(folder))
    else:
        client.model_upload(handle, str(folder))


def _client(address: str) -> tuple[ModuleType, str]:
    """The client of an address's hub, and what that calls the model."""
    for scheme, module in ((HUGGING_FACE, "huggingface_hub"), (KAGGLE, "kagglehub")):
        handle = address.removeprefix(scheme).strip("/")
        if handle not in ("", address.strip("/")):
            return optional_import(module, "hub"), handle
    raise ValueError(
        f"Expected an address such as {HUGGING_FACE}user/name or {KAGGLE}user/model/"
        f"keras/variation, received {address!r}."
    )
