"""The shipped classifier: is it the yardstick it claims to be?"""

import numpy as np
import pytest

from keras_cfebm import evaluation
from keras_cfebm.datasets.embedded import ARCHIVE


def embedded(split, number):
    with np.load(ARCHIVE, allow_pickle=False) as archive:
        images = archive[f"{split}_images"][:number].astype("float32") / 127.5 - 1
        return images, archive[f"{split}_labels"][:number]


@pytest.fixture(scope="module")
def classifier():
    return evaluation.fashion_classifier()


@pytest.fixture(scope="module")
def test_images():
    return np.pad(
        embedded("test", 500)[0],
        ((0, 0), (2, 2), (2, 2), (0, 0)),
        constant_values=-1,
    )


def test_it_classifies_as_well_as_its_card_says(classifier):
    images, labels = embedded("test", 500)
    accuracy = (classifier.predict_classes(images) == labels).mean()
    claimed = classifier.card["test_accuracy"]
    assert abs(accuracy - claimed) < 4 * np.sqrt(claimed * (1 - claimed) / 500)
    np.testing.assert_allclose(
        classifier.predict_probabilities(images[:5]).sum(axis=1), 1, atol=1e-5
    )


def test_images_at_28_are_padded_as_documented(classifier, test_images):
    cropped = test_images[:4, 2:-2, 2:-2]
    features = classifier.encoder(test_images[:4])
    assert features.shape == (4, classifier.card["feature_dimensions"])
    assert features.dtype == np.float32
    np.testing.assert_array_equal(classifier.encoder(cropped), features)


def test_no_feature_is_dead(classifier, test_images):
    assert classifier.encoder(test_images).std(axis=0).min() > 0.05


def test_features_do_not_depend_on_the_batch(classifier, test_images):
    together = classifier.encoder(test_images[:3])
    alone = [classifier.encoder(image[None])[0] for image in test_images[:3]]
    np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-3)


def test_the_encoder_is_identified(classifier):
    assert classifier.encoder.hash == classifier.card["hash"]
    assert len(classifier.encoder.hash) == 64
    assert classifier.encoder.frechet_name == "classifier FID"


@pytest.mark.parametrize("shape", [(2, 32, 32, 3), (2, 16, 16, 1), (2, 28, 32, 1)])
def test_other_images_are_refused(classifier, shape):
    with pytest.raises(ValueError, match=f"fashion-classifier, .*{shape[2]}|channels"):
        classifier.encoder(np.zeros(shape, "float32"))


def test_controls_rank_as_eyes_do(classifier, test_images):
    encoder = classifier.encoder
    reference = evaluation.FeatureStatistics.from_images(
        [embedded("train", 1500)[0]], encoder, "train"
    )
    distances = evaluation.controls(test_images, encoder, reference)
    assert 3 * distances["test"] < distances["pixelated_to_16"]
    assert distances["pixelated_to_16"] < distances["noise_0.3"]
    assert distances["pixelated_to_16"] < distances["pixelated_to_8"]
    worst = max(distances["noise_0.3"], distances["pixelated_to_8"])
    assert 2 * worst < distances["uniform_noise"]


def test_controls_refuse_a_resolution_they_cannot_pool(classifier):
    with pytest.raises(ValueError, match="multiples of 16"):
        evaluation.controls(
            np.zeros((2, 28, 28, 1), "float32"), classifier.encoder, None
        )
