"""How good samples of Fashion-MNIST are: one figure, beside controls that scale it."""

from typing import Any

import numpy as np

from keras_cfebm import datasets
from keras_cfebm.evaluation.distances import FeatureStatistics
from keras_cfebm.evaluation.fashion_classifier import fashion_classifier
from keras_cfebm.evaluation.frechet import frechet_distance
from keras_cfebm.evaluation.sample_figures import controls

_RESOLUTION = 32


def fashion_mnist_figures(samples: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """Classifier FID of samples and of controls, against the embedded training images.

    Args:
        samples: float array of shape `(n, r, r, 1)` in [-1, 1], r = 8, 16 or 32;
            smaller ones are enlarged to 32 by nearest neighbour.
        seed: int, of the noise of the controls.

    Returns:
        Dict ready for JSON: `classifier_fid` (the samples' first, then the controls';
        see `controls`), `reference`, `samples`, `control_samples`, `classes` (how many
        samples the shipped classifier puts into each class).

    Raises:
        ValueError: on samples of another shape or range.
    """
    factor = _RESOLUTION // samples.shape[1]
    samples = samples.repeat(factor, axis=1).repeat(factor, axis=2)
    classifier = fashion_classifier()
    encoder = classifier.encoder
    shape = {"resolution": _RESOLUTION, "fit": "pad"}
    train = datasets.load(datasets.EMBEDDED, split="train", **shape)
    test = datasets.load(datasets.EMBEDDED, split="test", **shape).images()
    name = f"{len(train)} embedded training images"
    batches = train.batches(batch_size=500, repeat=False, shuffle=False, as_numpy=True)
    reference = FeatureStatistics.from_images(batches, encoder, name)
    statistics = FeatureStatistics.from_images([samples], encoder, "samples")
    predicted = classifier.predict_classes(samples)
    counts = np.bincount(predicted, minlength=len(classifier.class_names))
    return {
        "classifier_fid": {
            "samples": frechet_distance(statistics, reference),
            **controls(test, encoder, reference, seed=seed),
        },
        "reference": name,
        "samples": len(samples),
        "control_samples": len(test),
        "classes": dict(zip(classifier.class_names, counts.tolist(), strict=True)),
    }
