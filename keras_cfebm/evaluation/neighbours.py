"""Nearest neighbours in a training set: has the model learned, or memorised?"""

import numpy as np

from keras_cfebm.evaluation.encoders import Encoder
from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_count, check_images

QUERY_BLOCK, REFERENCE_BLOCK = 256, 4096


def nearest_neighbours(
    queries: Tensor, reference: Tensor, k: int, encoder: Encoder | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the k reference images nearest to each query.

    Distances are made block by block; memory beyond the arrays given (and their
    features) does not grow with the reference set.

    Args:
        queries: Array (n, R, R, c), floats in [-1, 1].
        reference: Array (m, R, R, c), such as the training images.
        k: Neighbours per query, 1 <= k <= m.
        encoder: Optional `Encoder`: distances in its features instead of pixels.

    Returns:
        `(indices, distances)`: an int64 array (n, k) of rows of `reference`, nearest
        first, and a float64 array (n, k) of Euclidean distances.

    Raises:
        ValueError: On malformed images, different image shapes, or k out of range.
    """
    queries = check_images(queries, name="queries", strict=True)
    reference = check_images(reference, queries.shape[1:], "reference", strict=True)
    check_count(k, "k", maximum=len(reference))
    if encoder is not None:
        queries, reference = encoder(queries), encoder(reference)
    queries = queries.reshape(len(queries), -1)
    reference = reference.reshape(len(reference), -1)
    found = [
        _nearest(queries[start : start + QUERY_BLOCK].astype("float64"), reference, k)
        for start in range(0, len(queries), QUERY_BLOCK)
    ]
    indices, distances = zip(*found, strict=True)
    return np.concatenate(indices), np.concatenate(distances)


def _nearest(queries, reference, k):
    indices = np.empty((len(queries), 0), "int64")
    squares = np.empty((len(queries), 0))
    for start in range(0, len(reference), REFERENCE_BLOCK):
        block = reference[start : start + REFERENCE_BLOCK].astype("float64")
        # |q|² is the same for all candidates of a query: the order needs only the rest.
        new = np.square(block).sum(axis=1) - 2 * queries @ block.T
        squares = np.concatenate([squares, new], axis=1)
        rows = np.broadcast_to(np.arange(start, start + len(block)), new.shape)
        indices = np.concatenate([indices, rows], axis=1)
        if squares.shape[1] > k:
            best = np.argpartition(squares, k - 1, axis=1)[:, :k]
            squares = np.take_along_axis(squares, best, axis=1)
            indices = np.take_along_axis(indices, best, axis=1)
    # Again from the differences: exactly 0 for a copy, where the expansion cancels.
    distances = np.stack(
        [
            np.linalg.norm(reference[rows].astype("float64") - query, axis=1)
            for rows, query in zip(indices, queries, strict=True)
        ]
    )
    order = np.lexsort((indices, distances), axis=1)
    return (
        np.take_along_axis(indices, order, axis=1),
        np.take_along_axis(distances, order, axis=1),
    )
