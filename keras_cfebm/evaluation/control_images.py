"""What gives a distance its scale: images of known quality beside the samples."""

from typing import Any

import numpy as np

from keras_cfebm import datasets
from keras_cfebm.evaluation.distances import frechet_distance
from keras_cfebm.evaluation.encoders import Encoder
from keras_cfebm.evaluation.fashion_classifier import RESOLUTION, fashion_classifier
from keras_cfebm.evaluation.feature_statistics import FeatureStatistics
from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_images, check_seed


def fashion_mnist_figures(samples: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """Classifier FID of samples and of controls, against the embedded training images.

    Args:
        samples: float array of shape `(n, r, r, 1)` in [-1, 1], r = 8, 16 or 32;
            smaller ones are enlarged to 32 by nearest neighbour.
        seed: int, of the noise of the controls.

    Returns:
        Dict that JSON can hold: `classifier_fid` (the samples' first, then the
        controls'; see `controls`), `reference`, `samples`, `control_samples`, `classes`
        (how many samples the shipped classifier puts into each class).

    Raises:
        ValueError: if the samples are of another shape or range.
    """
    factor = RESOLUTION // samples.shape[1]
    samples = samples.repeat(factor, axis=1).repeat(factor, axis=2)
    classifier = fashion_classifier()
    encoder = classifier.encoder
    train, test = (
        datasets.load(datasets.EMBEDDED, split=split, resolution=RESOLUTION, fit="pad")
        for split in ("train", "test")
    )
    name = f"{len(train)} embedded training images"
    batches = train.batches(batch_size=500, repeat=False, shuffle=False, as_numpy=True)
    reference = FeatureStatistics.from_images(batches, encoder, name)
    statistics = FeatureStatistics.from_images([samples], encoder, "samples")
    predicted = classifier.predict_classes(samples)
    counts = np.bincount(predicted, minlength=len(classifier.class_names))
    return {
        "classifier_fid": {
            "samples": frechet_distance(statistics, reference),
            **controls(test.images(), encoder, reference, seed=seed),
        },
        "reference": name,
        "samples": len(samples),
        "control_samples": len(test),
        "classes": dict(zip(classifier.class_names, counts.tolist(), strict=True)),
    }


def controls(
    test_images: Tensor, encoder: Encoder, reference: FeatureStatistics, seed: int = 0
) -> dict[str, float]:
    """The Fréchet distance of images whose quality is known.

    Below "test" is overfitting or luck; a model should be well under "pixelated to 8",
    which is what upsampling without learning gives.

    Args:
        test_images: float array `(n, h, w, c)` of held-out real images in [-1, 1], h
            and w multiples of 16.
        encoder: `Encoder`.
        reference: `FeatureStatistics` of the training images.
        seed: int, of the noise.

    Returns:
        Dict of floats: `test`, `pixelated_to_16`, `pixelated_to_8` (mean pooling,
        then enlarged by nearest neighbour), `noise_0.3` (white noise of standard
        deviation 0.3 added, clipped), `uniform_noise`.

    Raises:
        ValueError: if images are malformed, or of a side that 16 does not divide.
    """
    images = check_images(test_images, name="test_images", minimum=2, strict=True)
    if images.shape[1] % 16 or images.shape[2] % 16:
        raise ValueError(
            "Expected test_images with a height and width that are multiples of 16 "
            f"(28x28 pads to 32x32), received shape {images.shape}."
        )
    random = np.random.default_rng(check_seed(seed))
    noise = random.normal(0, 0.3, images.shape).astype("float32")
    variants = {
        "test": images,
        "pixelated_to_16": pixelate(images, 16),
        "pixelated_to_8": pixelate(images, 8),
        "noise_0.3": np.clip(images + noise, -1, 1),
        "uniform_noise": random.uniform(-1, 1, images.shape).astype("float32"),
    }
    return {
        name: frechet_distance(
            FeatureStatistics.from_images([variant], encoder, name), reference
        )
        for name, variant in variants.items()
    }


def pixelate(images: np.ndarray, resolution: int) -> np.ndarray:
    """Mean-pools images to a resolution and enlarges them back by nearest neighbour.

    Args:
        images: float array `(n, h, w, c)`.
        resolution: int, a divisor of h and of w.
    """
    n, height, width, channels = images.shape
    rows, columns = height // resolution, width // resolution
    blocks = images.reshape(n, resolution, rows, resolution, columns, channels)
    means = blocks.mean(axis=(2, 4), keepdims=True)
    return np.broadcast_to(means, blocks.shape).reshape(images.shape)
