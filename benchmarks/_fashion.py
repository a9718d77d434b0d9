"""Classifier FID of many sets of samples against one reference, encoded once."""

import functools

import numpy as np

from keras_cfebm import datasets
from keras_cfebm.evaluation import (
    FeatureStatistics,
    fashion_classifier,
    frechet_distance,
)

SIDE = 32


def _enlarged(images):
    factor = SIDE // images.shape[1]
    return images.repeat(factor, axis=1).repeat(factor, axis=2)


@functools.cache
def _reference(resolution):
    encoder = fashion_classifier().encoder
    data = datasets.load(datasets.EMBEDDED, split="train", resolution=SIDE, fit="pad")
    batches = data.batches(
        resolution, batch_size=500, repeat=False, shuffle=False, as_numpy=True
    )
    batches = map(_enlarged, batches)
    return encoder, FeatureStatistics.from_images(batches, encoder, "training images")


def classifier_fid(samples):
    """Distance of samples to the embedded training images *of their resolution*.

    At 32 pixels it is the figure of `evaluation.fashion_mnist_figures`. That one
    always compares with images of 32 pixels, from which perfect samples of 8 are
    20 away; here those are at 0, so that good and bad samples differ more.

    Args:
        samples: float array `(n, r, r, 1)` in [-1, 1], r = 8, 16 or 32.

    Returns:
        float.
    """
    encoder, reference = _reference(samples.shape[1])
    batches = [_enlarged(samples)]
    statistics = FeatureStatistics.from_images(batches, encoder, "samples")
    return frechet_distance(statistics, reference)


def fid_of_longer_chains(model, factors, samples, seed, guidance=None):
    """Classifier FID of chains that are longer than those of training.

    Args:
        model: `CFEBM` of 8, 16 or 32 pixels.
        factors: ints, by which the steps of the finest level are multiplied.
        samples: int, how many to draw.
        seed: int, of the noise.
        guidance: float, of a model with classes, which then come in turn.

    Returns:
        Dict of factor → float.
    """
    trained = model.langevin
    levels = range(len(trained.of_chain(model.ladder)))
    *coarse, finest = map(trained.steps_at, levels)
    options = {"seed": seed, "batch_size": 250}
    if guidance is not None:
        labels = np.arange(samples) % model.num_classes
        options |= {"labels": labels, "guidance": guidance}
    distances = {}
    for factor in factors:
        model.langevin = trained.replace(steps=(*coarse, factor * finest))
        distances[factor] = classifier_fid(model.generate(samples, **options))
    model.langevin = trained
    return distances
