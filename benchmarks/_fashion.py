"""Classifier FID of many sets of samples against one reference, encoded once."""

import functools

from keras_cfebm import datasets
from keras_cfebm.metrics import FeatureStatistics, fashion_classifier, frechet_distance

SIDE = 32


@functools.cache
def _reference():
    encoder = fashion_classifier().encoder
    data = datasets.load(datasets.EMBEDDED, split="train", resolution=SIDE, fit="pad")
    batches = data.batches(batch_size=500, repeat=False, shuffle=False, as_numpy=True)
    return encoder, FeatureStatistics.from_images(batches, encoder, "training images")


def classifier_fid(samples):
    """The figure that `keras_cfebm.metrics.fashion_mnist_figures` gives for samples.

    Args:
        samples: float array `(n, r, r, 1)` in [-1, 1], r = 8, 16 or 32.

    Returns:
        float.
    """
    encoder, reference = _reference()
    factor = SIDE // samples.shape[1]
    samples = samples.repeat(factor, axis=1).repeat(factor, axis=2)
    statistics = FeatureStatistics.from_images([samples], encoder, "samples")
    return frechet_distance(statistics, reference)
