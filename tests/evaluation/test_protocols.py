"""Evaluation of the tasks: known answers, on energies and images made for it."""

import itertools
import math
import types

import numpy as np
import pytest
from keras import ops

from keras_cfebm import datasets, evaluation, tasks
from keras_cfebm.evaluation import Encoder, Expects, FeatureStatistics
from keras_cfebm.evaluation.filters import best_strength
from keras_cfebm.evaluation.restoration_protocol import best_steps
from keras_cfebm.sampling import Langevin


def constant(value, count=4, side=12, channels=1):
    return np.full((count, side, side, channels), value, "float32")


def well(center):
    """An energy whose gradient step of size 1 goes a quarter of the way to a value."""

    def energy(x):
        return 0.125 * ops.sum(ops.square(x - center), axis=(1, 2, 3))

    return energy


@pytest.fixture
def encoder():
    """Two features: the means of the upper and of the lower half."""

    def halves(images):
        middle = images.shape[1] // 2
        parts = (images[:, :middle], images[:, middle:])
        return np.stack([part.mean(axis=(1, 2, 3)) for part in parts], axis=1)

    return Encoder("halves", halves, "0", "none", Expects(None, (1, 3)))


# --- Restoration --------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(evaluation.FILTERS))
def test_filters_keep_what_is_flat_and_remove_noise(name, noise_images):
    _, strengths = evaluation.FILTERS[name]
    flat = constant(-0.5)
    for strength in strengths:
        result = evaluation.filtered(name, flat, strength, sigma=0.2)
        np.testing.assert_allclose(result, flat, atol=1e-5)
    noisy = tasks.add_noise(flat, 0.2)
    strength = best_strength(name, noisy, flat, 0.2)
    assert strength in strengths
    before = evaluation.mean_figures(np.clip(noisy, -1, 1), flat)
    after = evaluation.mean_figures(
        evaluation.filtered(name, noisy, strength, 0.2), flat
    )
    assert after["psnr"] > before["psnr"] + 3


def test_holes_are_filled_by_the_mean_and_along_ramps():
    ramp = np.linspace(-0.5, 0.5, 12, dtype="float32")
    images = np.broadcast_to(ramp[:, None, None], (2, 12, 12, 1)).copy()
    holes = np.zeros((2, 12, 12, 1), bool)
    holes[:, 4:7, 4:7] = True
    filled = evaluation.inpainted("mean", images, holes)
    np.testing.assert_array_equal(filled[~holes], images[~holes])
    known = images[0][~holes[0]].mean()
    np.testing.assert_allclose(filled[holes], known, atol=1e-6)
    filled = evaluation.inpainted("biharmonic", images, holes)
    np.testing.assert_allclose(filled, images, atol=1e-4)
    with pytest.raises(ValueError, match="biharmonic"):
        evaluation.inpainted("magic", images, holes)


def test_images_smaller_than_the_window_of_ssim_are_judged_without_it():
    images = constant(-0.25, side=8)
    found = evaluation.evaluate_inpainting(well(-0.25), images, "center").figures
    assert found["mean"] == {"psnr": None, "ssim": None}  # restored without error
    assert found["model"]["psnr"] > 0 and found["model"]["ssim"] is None
    found = evaluation.evaluate_denoising(well(-0.25), images, [0.1], steps=1).figures
    assert {row["ssim"] for row in found["0.1"].values()} == {None}
    found = evaluation.evaluate_translation(images, -images, images).figures
    assert found["translation"]["ssim"] is None
    assert evaluation.mean_ssim(constant(-0.25, side=11), constant(-0.25, side=11)) == 1


def test_denoising_takes_the_steps_that_serve_best():
    clean = constant(-0.25)
    noisy = tasks.add_noise(clean, 0.2)
    assert best_steps(well(-0.25), noisy, clean) > 20  # the further, the better
    assert best_steps(well(1.0), noisy, clean) == 1  # the wrong way

    found = evaluation.evaluate_denoising(
        well(-0.25), clean, [0.1, 0.2], tuning_images=constant(-0.25, count=2)
    )
    assert list(found.figures) == ["0.1", "0.2"]
    for row in found.figures.values():
        assert row["model"]["psnr"] > row["noisy"]["psnr"] + 10
        assert row["model"]["strength"] > 20
    assert found.images["model · σ = 0.1"].shape == clean.shape
    for sigma in (-0.1, 0.0, float("nan")):
        with pytest.raises(ValueError, match="sigma"):
            evaluation.evaluate_denoising(well(0.0), clean, [sigma])


def test_inpainting_is_judged_in_the_hole():
    images = constant(-0.5, side=16)
    settings = Langevin(steps=60, noise_scale=0.0)
    found = evaluation.evaluate_inpainting(
        well(-0.5), images, "center", settings=settings
    )
    assert found.figures["missing"] == 0.25
    for method in ("model", "mean", "biharmonic"):
        assert (found.figures[method]["psnr"] or math.inf) > 60  # None: no error
    wrong = evaluation.evaluate_inpainting(
        well(0.0), images, "center", settings=settings
    )
    assert wrong.figures["model"]["psnr"] == pytest.approx(10 * np.log10(16), abs=0.1)


def test_several_completions_of_a_hole_are_shown():
    settings = Langevin(steps=2, noise_scale=0.1, final_noise_scale=0.1)
    images = constant(-0.5, side=16)
    found = evaluation.evaluate_inpainting(
        well(-0.5), images, "center", samples=8, settings=settings
    )
    shown = [found.images[row] for row in ("model", "model, seed 1", "model, seed 2")]
    hole = found.images["masked"] != found.images["original"]
    for one, other in itertools.combinations(shown, 2):
        assert (one[hole] != other[hole]).all()
        np.testing.assert_array_equal(one[~hole], other[~hole])


# --- Anomalies ----------------------------------------------------------------------


@pytest.mark.parametrize("name", evaluation.KNOWN_ANOMALIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_anomalies_have_the_shape_of_normal_images(name, channels, noise_images):
    normal = noise_images(6, 16, channels)
    images = evaluation.anomaly_images(name, normal, 5, seed=3)
    assert images.shape == (5, 16, 16, channels) and images.dtype == np.float32
    assert np.abs(images).max() <= 1
    again = evaluation.anomaly_images(name, normal, 5, seed=3)
    np.testing.assert_array_equal(images, again)
    other = evaluation.anomaly_images(name, normal, 5, seed=4)
    assert (images != other).any() or name in ("grey", "black")


def test_what_anomalies_are(noise_images):
    normal = noise_images(2, 16)
    flat = evaluation.anomaly_images("constant", normal, 4)
    assert (np.ptp(flat, axis=(1, 2)) == 0).all() and flat.std() > 0.1
    assert not evaluation.anomaly_images("grey", normal, 4).any()
    # Of two images there is one mean.
    means = evaluation.anomaly_images("interpolation", normal, 4)
    np.testing.assert_allclose(means, np.tile(normal.mean(0), (4, 1, 1, 1)), atol=1e-6)
    digits = evaluation.anomaly_images("digits", normal, 4)
    assert (digits[:, :2] == -1).all() and (digits[:, -2:] == -1).all()
    assert (digits.max(axis=(1, 2, 3)) > 0.5).all()
    assert (evaluation.anomaly_images("black", normal, 4) == -1).all()
    with pytest.raises(ValueError, match="anomaly of"):
        evaluation.anomaly_images("cats", normal, 4)
    with pytest.raises(ValueError, match="1797"):
        evaluation.anomaly_images("digits", normal, 1798)


def test_what_damages_of_normal_images_do():
    image = np.linspace(-1, 1, 64, dtype="float32").reshape(1, 8, 8, 1)
    two = np.concatenate([image, image])
    damaged = {
        name: evaluation.anomaly_images(name, two, 1)
        for name in ("inverted", "noisy", "blurred", "rotated", "shuffled")
    }
    np.testing.assert_array_equal(damaged["inverted"], -image)
    np.testing.assert_array_equal(damaged["rotated"][0, 0, :, 0], image[0, :, -1, 0])
    assert 0.15 < (damaged["noisy"] - image).std() < 0.45
    assert 0 < np.abs(damaged["blurred"] - image).max() < np.abs(image).max()
    shuffled = damaged["shuffled"]
    np.testing.assert_array_equal(np.sort(shuffled.ravel()), np.sort(image.ravel()))
    assert (shuffled != image).all()  # no part is where it was
    with pytest.raises(ValueError, match="divisible by 4, received 6"):
        evaluation.anomaly_images("shuffled", two[:, :6, :6], 1)


def test_detection_of_what_is_brighter():
    rng = np.random.default_rng(0)
    held_out, normal = (
        constant(0.0, 200) + rng.uniform(-0.2, 0.2, (200, 1, 1, 1)).astype("float32")
        for _ in range(2)
    )
    detectors = {
        "brightness": lambda images: images.mean(axis=(1, 2, 3)),
        "energy": tasks.AnomalyDetector(well(0.0)),
    }
    anomalies = {"bright": constant(0.9, 50), "dark": constant(-0.9, 50)}
    report = evaluation.evaluate_detection(detectors, held_out, normal, anomalies, 0.1)
    assert report.figures["bright"]["brightness"]["auroc"] == 1
    assert report.figures["dark"]["brightness"]["auroc"] == 0
    assert report.figures["dark"]["brightness"]["found"] == 0
    assert report.figures["dark"]["energy"]["auroc"] == 1
    assert report.figures["bright"]["energy"]["found"] == 1
    for name in detectors:
        assert 0.02 < report.thresholds[name]["false_positives"] < 0.2
    assert list(report.scores["energy"]) == ["normal", "bright", "dark"]
    state = report.thresholds["energy"]
    again = tasks.AnomalyDetector.from_state(well(0.0), state)
    assert again.detect(anomalies["dark"]).all()


def test_no_set_of_anomalies_may_be_called_normal():
    images = constant(0.0)
    with pytest.raises(ValueError, match=r"Expected another name .* 'normal'"):
        evaluation.evaluate_detection(
            {"energy": tasks.AnomalyDetector(well(0.0))},
            images,
            images,
            {"bright": constant(0.9), "normal": constant(-0.9)},
        )


def test_a_ladder_adds_up_what_its_levels_see():
    rng = np.random.default_rng(0)
    normal = rng.uniform(-0.1, 0.1, (50, 4, 4, 1)).astype("float32")
    score = evaluation.EnergySum([well(0.0), well(0.0)], normal)
    assert abs(score(normal).mean()) < 1e-3
    pooled = normal.reshape(50, 2, 2, 2, 2, 1).mean(axis=(2, 4))
    levels = [0.125 * np.square(x).sum(axis=(1, 2, 3)) for x in (pooled, normal)]
    np.testing.assert_allclose(score.means, np.mean(levels, axis=1), rtol=1e-4)
    expected = sum((level - level.mean()) / level.std() for level in levels)
    np.testing.assert_allclose(score(normal), expected, atol=1e-3)
    report = evaluation.evaluate_detection(
        {"energy_sum": score}, normal, normal, {"bright": constant(0.5, 5, 4)}
    )
    assert report.figures["bright"]["energy_sum"]["auroc"] == 1
    assert len(report.thresholds["energy_sum"]["means"]) == 2


def test_baselines_that_know_pixels_only(noise_images):
    normal = noise_images(60, 4) / 10
    nearest = evaluation.neighbour_score(normal)
    far = constant(1.0, 1, 4)
    expected = np.sqrt(np.square(normal - far).sum(axis=(1, 2, 3)).min())
    assert nearest(far)[0] == pytest.approx(expected, rel=1e-5)
    assert nearest(normal).max() < 1e-2
    isolated = evaluation.isolation_forest_score(normal)
    assert isolated(far)[0] > isolated(normal).max()
    again = evaluation.isolation_forest_score(normal)
    np.testing.assert_array_equal(again(normal), isolated(normal))


def test_mahalanobis_is_the_distance_to_the_nearest_class():
    rng = np.random.default_rng(0)
    covariance = np.array([[1.0, 0.6], [0.6, 2.0]])
    labels = np.repeat([3, 7], 5000)
    means = np.where(labels[:, None] == 3, 0.0, 10.0)
    points = means + rng.multivariate_normal([0, 0], covariance, len(labels))
    images = points.reshape(-1, 1, 2, 1)
    score = evaluation.mahalanobis_score(
        lambda x: np.asarray(x).reshape(len(x), 2), images, labels
    )
    query = np.array([[1.0, 0.0], [10.0, 12.0]])
    expected = [
        d @ np.linalg.solve(covariance, d) for d in (query[0], query[1] - [10, 10])
    ]
    np.testing.assert_allclose(score(query.reshape(-1, 1, 2, 1)), expected, rtol=0.1)


def test_pca_error_is_what_lies_outside_the_subspace():
    rng = np.random.default_rng(0)
    base = rng.uniform(-1, 1, (2, 8, 8, 1))
    known = np.einsum("nk,khwc->nhwc", rng.uniform(-1, 1, (50, 2)), base)
    score = evaluation.pca_score(known.astype("float32"), components=2)
    assert score(known[:5].astype("float32")).max() < 1e-8
    assert score(rng.uniform(-1, 1, (5, 8, 8, 1)).astype("float32")).min() > 0.05


# --- Translation and samples --------------------------------------------------------


def test_pixel_correlation(noise_images):
    images = noise_images(3, 8)
    np.testing.assert_allclose(evaluation.pixel_correlation(images, images), 1)
    np.testing.assert_allclose(evaluation.pixel_correlation(images, -images / 2), -1)
    flat = constant(0.3, 3, 8)
    np.testing.assert_array_equal(evaluation.pixel_correlation(images, flat), 0)
    with pytest.raises(ValueError, match="second images"):
        evaluation.pixel_correlation(images, images[:2])


def test_translation_beside_nothing_and_a_random_target(noise_images, encoder):
    source, target = noise_images(8, 12), noise_images(8, 12, seed=1) / 4
    classifier = types.SimpleNamespace(
        predict_classes=lambda images: (images.std(axis=(1, 2, 3)) < 0.3).astype(int)
    )
    found = evaluation.evaluate_translation(
        source / 4,
        source,
        target,
        noise_images(30, 12, seed=2) / 4,
        encoder=encoder,
        classifier=classifier,
        target_class=1,
    ).figures
    assert [found[v]["called_target"] for v in found] == [1, 0, 1]
    assert found["source"]["ssim"] == pytest.approx(1)
    assert found["translation"]["correlation"] == pytest.approx(1)
    assert abs(found["random_target"]["correlation"]) < 0.2
    distances = {name: row["frechet_distance"] for name, row in found.items()}
    assert distances["source"] > 2 * distances["translation"]
    with pytest.raises(ValueError, match="translations"):
        evaluation.evaluate_translation(source[:3], source, target, target)


def test_translation_judged_by_true_pairs(noise_images):
    source, target = noise_images(8, 12) / 2, noise_images(8, 12, seed=1)
    truths = source + 0.1
    found = evaluation.evaluate_translation(
        source + 0.08, source, target, target, truths=truths
    )
    assert found.figures["source"]["true_psnr"] == pytest.approx(26.02, abs=0.01)
    assert found.figures["translation"]["true_psnr"] == pytest.approx(40, abs=0.01)
    assert found.figures["random_target"]["true_ssim"] < 0.3
    drawn = evaluation.evaluate_translation(
        source, source, target, target, truths=target
    )
    assert drawn.figures["random_target"]["true_psnr"] < 40  # though some are equal
    np.testing.assert_array_equal(found.images["true translation"], truths)
    with pytest.raises(ValueError, match="true translations"):
        evaluation.evaluate_translation(
            source, source, target, target, truths=truths[:2]
        )


def test_copies_are_found_out(noise_images, encoder):
    train, test = noise_images(30, 8), noise_images(20, 8, seed=1)
    found = evaluation.evaluate_neighbours(train[:5], train, test, encoder, k=2)
    for space in ("pixels", "features"):
        assert found.figures[space]["samples"] == 0
        assert found.figures[space]["copies"] == 1
        np.testing.assert_array_equal(found.images[f"{space} · 1"], train[:5])
    fresh = evaluation.evaluate_neighbours(noise_images(20, 8, seed=2), train, test)
    assert list(fresh.figures) == ["pixels"]
    assert fresh.figures["pixels"]["ratio"] == pytest.approx(1, abs=0.1)


def test_samples_are_streamed_and_each_is_drawn_once(noise_images, encoder):
    images = noise_images(23, 8)

    def generate(count, seed, labels, batch_size, start):
        return images[np.arange(start, start + count) % len(images)]

    model = types.SimpleNamespace(generate=generate)
    reference = FeatureStatistics.from_images(
        [noise_images(40, 8, seed=1)], encoder, "other"
    )
    found = evaluation.evaluate_generation(
        model, 23, encoder, reference, batch_size=5, shown=7
    )
    assert found.figures["samples"] == 23
    np.testing.assert_array_equal(found.images["samples"], images[:7])
    whole = evaluation.evaluate_generation(
        model, 23, encoder, reference, batch_size=23
    ).figures
    assert found.figures["frechet_distance"] == pytest.approx(whole["frechet_distance"])


def test_samples_of_a_chain_that_does_not_clip(noise_images, encoder):
    images = noise_images(6, 8)
    model = types.SimpleNamespace(generate=lambda count, **_: 3 * images[:count])
    reference = FeatureStatistics.from_images([images], encoder, "noise")
    found = evaluation.evaluate_generation(model, 6, encoder, reference, batch_size=6)
    np.testing.assert_array_equal(found.images["samples"], (3 * images).clip(-1, 1))


def test_statistics_that_cannot_be_kept_are_computed(noise_images, encoder, tmp_path):
    data = datasets.from_arrays(noise_images(9, 8))
    kept = evaluation.reference_statistics(data, encoder, "nine", tmp_path / "cache")
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="are not kept, .* --cache_dir"):
        found = evaluation.reference_statistics(
            data, encoder, "nine", tmp_path / "file" / "cache"
        )
    np.testing.assert_array_equal(found.mean, kept.mean)


def test_reference_statistics_are_made_once(noise_images, encoder, tmp_path):
    calls = []

    def counting(images):
        calls.append(len(images))
        return encoder.function(images)

    counted = Encoder("halves", counting, "0", "none", Expects(None, (1,)))
    data = datasets.from_arrays(noise_images(9, 8))
    first = evaluation.reference_statistics(data, counted, "nine", tmp_path)
    again = evaluation.reference_statistics(data, counted, "nine", tmp_path)
    assert sum(calls) == 9
    np.testing.assert_array_equal(first.mean, again.mean)
    changed = datasets.from_arrays(noise_images(9, 8, seed=1))
    evaluation.reference_statistics(changed, counted, "nine", tmp_path)
    assert sum(calls) == 18  # other pixels of the same name


def test_steps_of_interpolations():
    rows = np.linspace(0, 1, 5, dtype="float32")[None, :, None, None, None]
    found = evaluation.evaluate_interpolations(np.broadcast_to(rows, (2, 5, 4, 4, 1)))
    assert found == pytest.approx({"ends": 1, "step": 0.25, "largest_step": 0.25})


# --- Which images are held out ------------------------------------------------------


def test_test_splits(tmp_path, noise_images):
    assert datasets.test_split(datasets.EMBEDDED, "train") == "test"
    assert datasets.test_split("cycle_gan/apple2orange", "trainA") == "testA"
    assert datasets.test_split("cifar10", "train[:10%]") == "test"
    assert datasets.test_split(tmp_path, None) is None
    (tmp_path / "test").mkdir()
    assert datasets.test_split(tmp_path, "train") == "test"
    images = (noise_images(3, 8) + 1) * 127
    path = tmp_path / "set.npz"
    np.savez(path, train_images=images.astype("uint8"))
    assert datasets.test_split(path, "train") == "train"
    np.savez(path, train_images=images, test_images=images)
    assert datasets.test_split(path, "train") == "test"
    assert datasets.test_split(tmp_path / "images.npy") is None


def test_no_error_at_all_has_no_psnr(noise_images):
    images = noise_images(3, 16)
    assert evaluation.mean_figures(images, images) == {"psnr": None, "ssim": 1.0}
    assert evaluation.mean_figures(images, -images)["psnr"] > 0


def test_parts_of_a_set(noise_images):
    data = datasets.from_arrays(noise_images(6, 8), labels=np.arange(6))
    part = data.part(2, 5)
    np.testing.assert_array_equal(part.labels(), [2, 3, 4])
    np.testing.assert_array_equal(part.images(), data.images()[2:5])
    with pytest.raises(ValueError, match="at least one image"):
        data.part(6, 9)
