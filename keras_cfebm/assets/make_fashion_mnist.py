"""Makes the embedded image set: a class-balanced 12,000 images of Fashion-MNIST.

    python -m keras_cfebm.assets.make_fashion_mnist --source DIR

DIR holds the four files of https://github.com/zalandoresearch/fashion-mnist as
published (`train-images-idx3-ubyte.gz` and its three companions). They are checked
by SHA-256 before use. The result is the same file for the same source, byte for byte.
"""

import argparse
import gzip
import math
import pathlib
from typing import Any

import numpy as np

from keras_cfebm.datasets.embedded import ARCHIVE, CLASS_NAMES
from keras_cfebm.utils.atomic_files import sha256
from keras_cfebm.utils.typing import PathLike

#: SHA-256 of the published files; TensorFlow Datasets registers the same ones.
SHA256 = {
    "train-images": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}


def read_idx(path: PathLike) -> np.ndarray:
    """Reads one IDX file of unsigned bytes, the format of the MNIST family; or its .gz.

    Raises:
        ValueError: if the header is not that of an IDX file of unsigned bytes, or
            the file holds fewer or more bytes than its header declares.
    """
    path = pathlib.Path(path)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        content = file.read()
    # Two zero bytes, the type code (8: unsigned byte), then the number of axes.
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise ValueError(
            f"Expected an IDX file of unsigned bytes (starting 00 00 08), received "
            f"{path} starting {content[:3].hex(' ') or 'with nothing'}."
        )
    offset = 4 + 4 * content[3]
    if len(content) < offset:
        raise ValueError(
            f"Expected {content[3]} sizes in the header of an IDX file, received "
            f"{path} of {len(content)} bytes."
        )
    shape = np.frombuffer(content[4:offset], dtype=">u4").tolist()
    size = math.prod(shape)
    if len(content) - offset != size:
        raise ValueError(
            f"Expected {size} bytes for shape {tuple(shape)} in {path}, received "
            f"{len(content) - offset}."
        )
    return np.frombuffer(content, dtype=np.uint8, offset=offset).reshape(shape)


def balanced_indices(labels: np.ndarray, per_class: int, seed: int) -> np.ndarray:
    """Draws indices of as many examples of every class, classes taking turns.

    So the first 10·k of the ten classes' examples hold k of each.
    """
    rng = np.random.default_rng(seed)
    columns = [
        rng.permutation(np.flatnonzero(labels == label))[:per_class]
        for label in np.unique(labels)
    ]
    return np.stack(columns, axis=1).ravel()


def read_split(source: PathLike, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    """Images, uint8 `(n, 28, 28)`, and labels, uint8 `(n,)`, of `"train"` or `"t10k"`.

    Raises:
        FileNotFoundError: if a file is missing in the folder `source`.
        ValueError: if a file is not the published one.
    """
    arrays = []
    for kind in ("images-idx3", "labels-idx1"):
        path = pathlib.Path(source) / f"{prefix}-{kind}-ubyte.gz"
        digest, wanted = sha256(path), SHA256[f"{prefix}-{kind[:6]}"]
        if digest != wanted:
            raise ValueError(
                f"Expected {path} with SHA-256 {wanted}, received {digest}."
            )
        arrays.append(read_idx(path))
    images, labels = arrays
    return images, labels


def make(
    source: PathLike,
    archive: PathLike = ARCHIVE,
    train_per_class: int = 1000,
    test_per_class: int = 200,
    seed: int = 0,
) -> None:
    """Writes the embedded archive: so many images of each class, drawn by the seed."""
    arrays: dict[str, Any] = {"class_names": np.array(CLASS_NAMES)}
    for split, prefix, per_class in (
        ("train", "train", train_per_class),
        ("test", "t10k", test_per_class),
    ):
        images, labels = read_split(source, prefix)
        chosen = balanced_indices(labels, per_class, seed)
        arrays[f"{split}_images"] = images[chosen, :, :, None]
        arrays[f"{split}_labels"] = labels[chosen]
    np.savez_compressed(archive, **arrays)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", required=True, help="folder of the *-ubyte.gz")
    make(parser.parse_args().source)
    print(f"Wrote {ARCHIVE} ({ARCHIVE.stat().st_size:,} bytes).")
