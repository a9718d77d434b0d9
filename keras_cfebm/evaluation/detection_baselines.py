"""Scores of anomalies that know no energy: what an energy has to beat."""

from collections.abc import Callable

import numpy as np

from keras_cfebm.utils.optional import optional_import
from keras_cfebm.utils.validation import check_features, check_label_array

#: A function of images that returns one score per image, high = anomalous.
Score = Callable[[np.ndarray], np.ndarray]


def mahalanobis_score(
    encode: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    labels: np.ndarray | None = None,
) -> Score:
    """Distance to the nearest class in features, with one covariance for all classes.

    Args:
        encode: function of images that returns features `(n, d)`, such as an `Encoder`.
        images: float array of normal training images `(n, h, w, c)` in [-1, 1].
        labels: optional integer array `(n,)`; without, all images are one class.

    Returns:
        Function of images that returns squared distances, high = anomalous.

    Raises:
        ValueError: if features or labels are not as described.

    Reference:
        Lee et al., *A simple unified framework for detecting out-of-distribution
        samples and adversarial attacks*, NeurIPS 2018.
    """
    features = check_features(encode(images), minimum=2).astype("float64")
    count, dimensions = features.shape
    if labels is None:
        labels = np.zeros(count, int)
    labels = check_label_array(labels, count)
    classes, members = np.unique(labels, return_inverse=True)
    means = np.stack([features[labels == label].mean(axis=0) for label in classes])
    residuals = features - means[members]
    covariance = residuals.T @ residuals / count
    # Features that are always 0 would leave it singular.
    covariance += 1e-6 * np.trace(covariance) / dimensions * np.eye(dimensions)
    precision = np.linalg.inv(covariance)

    def score(images):
        difference = encode(images).astype("float64")[:, None] - means
        squares = np.einsum("nkd,de,nke->nk", difference, precision, difference)
        return squares.min(axis=1)

    return score


def pca_score(images: np.ndarray, components: int = 64, seed: int = 0) -> Score:
    """Squared error of the reconstruction from the leading principal components.

    Args:
        images: float array of normal training images `(n, h, w, c)` in [-1, 1].
        components: int, how many; fewer where there are fewer images or pixels.
        seed: int, of the randomised decomposition.

    Returns:
        Function of images that returns mean squared errors, high = anomalous.

    Raises:
        ImportError: without the extra `eval` (scikit-learn).
    """
    decomposition = optional_import("sklearn.decomposition", "eval")
    flat = images.reshape(len(images), -1)
    pca = decomposition.PCA(
        n_components=min(components, *flat.shape),
        svd_solver="randomized",
        random_state=seed % 2**32,
    ).fit(flat)

    def score(images):
        flat = images.reshape(len(images), -1)
        restored = pca.inverse_transform(pca.transform(flat))
        return np.square(flat - restored).mean(axis=1, dtype="float64")

    return score


def neighbour_score(images: np.ndarray) -> Score:
    """Distance, in pixels, to the nearest normal image.

    Args:
        images: float array of normal training images `(n, h, w, c)` in [-1, 1].

    Returns:
        Function of images that returns Euclidean distances, high = anomalous.

    Raises:
        ImportError: without the extra `eval` (scikit-learn).
    """
    search = optional_import("sklearn.neighbors", "eval").NearestNeighbors
    rows = search(n_neighbors=1, algorithm="brute").fit(images.reshape(len(images), -1))

    def score(images):
        distances, _ = rows.kneighbors(images.reshape(len(images), -1))
        return distances[:, 0].astype("float64")

    return score


def isolation_forest_score(images: np.ndarray, seed: int = 0) -> Score:
    """How few random cuts set the pixels of an image apart from those of others.

    Args:
        images: float array of normal training images `(n, h, w, c)` in [-1, 1].
        seed: int, of the trees.

    Returns:
        Function of images that returns scores in [0, 1], high = anomalous.

    Raises:
        ImportError: without the extra `eval` (scikit-learn).

    Reference:
        Liu, Ting and Zhou, *Isolation forest*, ICDM 2008.
    """
    forests = optional_import("sklearn.ensemble", "eval")
    forest = forests.IsolationForest(random_state=seed % 2**32)
    forest.fit(images.reshape(len(images), -1))
    return lambda images: -forest.score_samples(images.reshape(len(images), -1))
