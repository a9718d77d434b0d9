"""Reads the databases of LSUN in place of tensorflow-io.

TensorFlow Datasets prepares LSUN with tensorflow-io, of which there is no release for
TensorFlow after 2.16.
"""

import io
import os
from collections.abc import Iterator
from typing import Any

from keras_cfebm.utils.optional import optional_import
from keras_cfebm.utils.typing import PathLike


def examples(
    extracted_dir: PathLike, file_path: str
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields what `_generate_examples` of the TensorFlow Datasets builder yields.

    Args:
        extracted_dir: folder of an archive as downloaded.
        file_path: folder of the LMDB database in it.

    Yields:
        `(number, {"id": …, "image": …})`, the image an encoded file.
    """
    lmdb = optional_import("lmdb", "lsun")
    folder = os.path.join(extracted_dir, file_path)
    with (
        lmdb.open(folder, readonly=True, lock=False) as database,
        database.begin() as transaction,
    ):
        for number, (key, image) in enumerate(transaction.cursor()):
            yield number, {"id": key.decode(), "image": io.BytesIO(image)}
