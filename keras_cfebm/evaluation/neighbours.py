"""Nearest neighbours in a training set: has the model learned, or memorised?"""

import numpy as np

from keras_cfebm.evaluation.encoders import Encoder
from keras_cfebm.evaluation.result import Evaluation
from keras_cfebm.utils.optional import optional_import
from keras_cfebm.utils.progress import progress_bar
from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_count, check_images

#: Images whose neighbours are looked for at a time.
_AT_ONCE = 128


def nearest_neighbours(
    queries: Tensor, reference: Tensor, k: int, encoder: Encoder | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the k reference images nearest to each query, by scikit-learn.

    Args:
        queries: float array `(n, h, w, c)` in [-1, 1].
        reference: float array `(m, h, w, c)`, such as the training images.
        k: int from 1 to m, neighbours per query.
        encoder: optional `Encoder`: distances in its features instead of pixels.

    Returns:
        Pair of an int64 array `(n, k)` of rows of `reference`, nearest first, and a
        float64 array `(n, k)` of Euclidean distances.

    Raises:
        ValueError: if images are malformed or of different shapes, or k out of range.
        ImportError: without the extra `eval` (scikit-learn).
    """
    queries = check_images(queries, name="queries", strict=True)
    reference = check_images(reference, queries.shape[1:], "reference", strict=True)
    check_count(k, "k", maximum=len(reference))
    search = optional_import("sklearn.neighbors", "eval").NearestNeighbors
    if encoder is not None:
        queries, reference = encoder(queries), encoder(reference)
    queries = queries.reshape(len(queries), -1)
    reference = reference.reshape(len(reference), -1)
    rows = search(n_neighbors=k, algorithm="brute").fit(reference)
    found = []
    with progress_bar(len(queries)) as done:
        for some in np.array_split(queries, -(-len(queries) // _AT_ONCE)):
            found.append(rows.kneighbors(some, return_distance=False))
            done(len(some))
    rows = np.concatenate(found)
    # Again from the differences: exactly 0 for a copy, where |q|² − 2qr + |r|² cancels.
    distances = np.stack(
        [
            np.linalg.norm(reference[own].astype("float64") - query, axis=1)
            for own, query in zip(rows, queries, strict=True)
        ]
    )
    order = np.lexsort((rows, distances), axis=1)
    return np.take_along_axis(rows, order, 1), np.take_along_axis(distances, order, 1)


def evaluate_neighbours(
    samples: np.ndarray,
    training_images: np.ndarray,
    test_images: np.ndarray,
    encoder: Encoder | None = None,
    k: int = 3,
) -> Evaluation:
    """Compares samples with the training images that are nearest to them.

    A model that had memorised would be much nearer to the training images than other
    real images, those of the test set, are.

    Args:
        samples: float array `(n, h, w, c)` in [-1, 1].
        training_images: float array `(m, h, w, c)`.
        test_images: float array of real images that were not trained on.
        encoder: optional `Encoder`, to compare in its features too.
        k: int, neighbours shown per sample.

    Returns:
        `Evaluation`; its figures are space (`pixels`, and `features` with an encoder) →
        `samples` and `test`, the median distances to the nearest training image, their
        `ratio`, and `copies`, the share of samples nearer than 99 % of test images are.

    Raises:
        ValueError: if images do not fit each other, or `k` is out of range.
        ImportError: without the extra `eval` (scikit-learn).
    """
    samples = check_images(samples, training_images.shape[1:], "samples", strict=True)
    spaces = {"pixels": None} | ({} if encoder is None else {"features": encoder})
    figures, shown = {}, {"sample": samples}
    for space, encode in spaces.items():
        rows, distances = nearest_neighbours(samples, training_images, k, encode)
        _, real = nearest_neighbours(test_images, training_images, 1, encode)
        own, usual = np.median(distances[:, 0]), np.median(real)
        figures[space] = {
            "samples": float(own),
            "test": float(usual),
            "ratio": float(own / usual) if usual > 0 else None,
            "copies": float((distances[:, 0] < np.quantile(real, 0.01)).mean()),
        }
        for place in range(k):
            shown[f"{space} · {place + 1}"] = training_images[rows[:, place]]
    return Evaluation(figures, shown)
