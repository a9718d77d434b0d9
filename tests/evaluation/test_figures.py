"""Figures of detection and restoration, against known answers."""

import sys

import numpy as np
import pytest
from skimage import metrics as skimage_metrics

from keras_cfebm import evaluation


@pytest.fixture
def random():
    return np.random.default_rng(4)


def test_detection_figures_of_scores_counted_by_hand():
    normal, anomaly = [0.0, 1.0, 2.0, 3.0], [2.5, 4.0]
    figures = evaluation.detection_figures(normal, anomaly)
    assert figures["auroc"] == pytest.approx(7 / 8)  # of 8 pairs one is reversed
    assert figures["fpr95"] == pytest.approx(1 / 4)  # 2.5 must be flagged: so is 3
    assert figures["aupr"] == pytest.approx((1 + 2 / 3) / 2)


def test_perfect_reversed_and_tied_scores():
    low, high = np.arange(10.0), np.arange(10.0) + 20
    perfect = {"auroc": 1.0, "aupr": 1.0, "fpr95": 0.0}
    assert evaluation.detection_figures(low, high) == pytest.approx(perfect)
    reversed_figures = evaluation.detection_figures(high, low)
    assert reversed_figures["auroc"] == 0.0 and reversed_figures["fpr95"] == 1.0
    assert evaluation.detection_figures(np.ones(5), np.ones(5))["auroc"] == 0.5


def test_threshold_flags_at_most_the_rate_and_as_many_as_it_can(random):
    scores = random.permutation(100.0 + np.arange(100))
    for rate in (0.0, 0.05, 0.29, 0.5, 0.999):
        threshold = evaluation.threshold_at(scores, rate)
        assert (scores > threshold).sum() == np.floor(rate * 100 + 1e-9)
    assert (np.ones(10) > evaluation.threshold_at(np.ones(10), 0.5)).sum() == 0


@pytest.mark.parametrize("scores", [[], [np.nan, 1.0], [[1.0, 2.0], [3.0, 4.0]]])
def test_bad_scores_are_refused(scores):
    with pytest.raises(ValueError, match="normal_scores"):
        evaluation.detection_figures(scores, [1.0])
    with pytest.raises(ValueError, match="normal_scores"):
        evaluation.threshold_at(scores, 0.05)


def test_threshold_refuses_a_percentage():
    with pytest.raises(ValueError, match=r"rate in \[0, 1\), received 5"):
        evaluation.threshold_at([1.0, 2.0], 5)


@pytest.fixture
def pair(random):
    originals = random.uniform(-0.8, 0.8, (3, 16, 16, 2)).astype("float32")
    noise = random.normal(0, 0.05, originals.shape).astype("float32")
    return np.clip(originals + noise, -1, 1), originals


def test_psnr_and_ssim_agree_with_scikit_image_one_by_one(pair):
    restored, originals = pair
    for index, (a, b) in enumerate(zip(originals, restored, strict=True)):
        expected = skimage_metrics.peak_signal_noise_ratio(a, b, data_range=2)
        assert evaluation.psnr(restored, originals)[index] == pytest.approx(expected)
        expected = skimage_metrics.structural_similarity(
            (a.astype("float64") + 1) / 2,
            (b.astype("float64") + 1) / 2,
            data_range=1,
            channel_axis=-1,
            gaussian_weights=True,
            use_sample_covariance=False,
        )
        assert evaluation.ssim(restored, originals)[index] == pytest.approx(expected)


def test_grey_beside_almost_the_same_grey_is_similar():
    grey = np.full((1, 16, 16, 1), 0.05, "float32")
    assert evaluation.ssim(grey, -grey)[0] > 0.99


def test_equal_images_are_perfect(pair):
    images = pair[1]
    assert np.isposinf(evaluation.psnr(images, images)).all()
    np.testing.assert_allclose(evaluation.ssim(images, images), 1)


def test_inside_a_hole_only_the_hole_counts(pair):
    originals = pair[1]
    hole = np.zeros((16, 16, 1), bool)
    hole[:3, :3] = True
    outside = np.where(hole, originals, -originals)
    assert np.isposinf(evaluation.psnr(outside, originals, hole)).all()
    inside = np.where(hole, originals + 0.1, originals)
    np.testing.assert_allclose(
        evaluation.psnr(inside, originals, hole), 26.0206, rtol=1e-4
    )
    # A hole far from the damage, windows included, sees equal images.
    damaged = originals.copy()
    damaged[:, 10:, 10:] *= -1
    np.testing.assert_allclose(evaluation.ssim(damaged, originals, hole), 1)
    assert (evaluation.ssim(damaged, originals, ~hole) < 0.9).all()


def test_bad_restorations_are_refused(pair):
    restored, originals = pair
    with pytest.raises(ValueError, match="same shape"):
        evaluation.psnr(restored[:2], originals)
    with pytest.raises(ValueError, match="a boolean hole of shape"):
        evaluation.psnr(restored, originals, np.ones((16, 16, 1)))
    with pytest.raises(ValueError, match="a judged pixel in each image"):
        evaluation.ssim(restored, originals, np.zeros((16, 16, 1), bool))
    with pytest.raises(ValueError, match="11x11 window"):
        evaluation.ssim(restored[:, :8, :8], originals[:, :8, :8])


def test_bad_images_are_refused_with_what_came():
    good = np.zeros((2, 16, 16, 1), "float32")
    for bad, message in (
        (np.full_like(good, np.nan), "NaN"),
        (good + 1.5, r"in \[-1, 1\], received values from 0 to 1.5"),
        (good.astype("uint8"), "received uint8"),
        (good[0], r"received shape \(16, 16, 1\)"),
        (good[:0], "n >= 1"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluation.psnr(bad, good)


def test_missing_extras_name_the_installation(monkeypatch, pair):
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    monkeypatch.setitem(sys.modules, "sklearn.neighbors", None)
    monkeypatch.setitem(sys.modules, "skimage.metrics", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"keras_cfebm\[eval\]"):
        evaluation.detection_figures([0.0], [1.0])
    with pytest.raises(ImportError, match=r"keras_cfebm\[eval\]"):
        evaluation.nearest_neighbours(*pair, k=1)
    with pytest.raises(ImportError, match=r"keras_cfebm\[eval\]"):
        evaluation.ssim(*pair)
    with pytest.raises(ImportError, match=r"keras_cfebm\[fid\]"):
        evaluation.inception_encoder()
