"""The encoder of random filters: for images of any kind, and the same each time."""

import numpy as np
import pytest

from keras_cfebm import datasets
from keras_cfebm.evaluation import (
    FeatureStatistics,
    frechet_distance,
    pixelate,
    random_encoder,
)


@pytest.mark.parametrize(("side", "channels"), [(8, 1), (20, 3), (32, 3)])
def test_images_of_any_kind_have_features(noise_images, side, channels):
    images = noise_images(3, side, channels)
    first, again = random_encoder(channels), random_encoder(channels)
    assert first.hash == again.hash and first(images).shape == (3, 72)
    np.testing.assert_array_equal(first(images), again(images))
    with pytest.raises(ValueError, match="channels for random-filters"):
        first(noise_images(1, 8, 4 - channels))


def test_distances_rank_damages_by_their_size():
    data = datasets.load(datasets.EMBEDDED, resolution=32, fit="pad")
    images, others = data.part(0, 400).images(), data.part(400, 800).images()
    encoder = random_encoder(1)

    def distance(some):
        statistics = [
            FeatureStatistics.from_images([x], encoder, "x") for x in (images, some)
        ]
        return frechet_distance(*statistics)

    damaged = [others, pixelate(others, 16), pixelate(others, 8), pixelate(others, 4)]
    distances = [distance(some) for some in damaged]
    assert distances == sorted(distances) and distances[1] > 2 * distances[0]
