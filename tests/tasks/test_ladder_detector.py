"""LadderDetector and what it learns: densities, distances and p-values."""

import dataclasses
import json
import zipfile

import keras
import numpy as np
import pytest
from keras import ops
from sklearn.mixture import GaussianMixture

from keras_cfebm import CFEBM, Langevin, load_ladder, tasks
from keras_cfebm.assets import half_precision
from keras_cfebm.tasks import LadderDetector, Normality
from keras_cfebm.tasks.energies import any_class, of_class
from keras_cfebm.tasks.normality import Measurements, along, curve


@dataclasses.dataclass
class Quadratic:
    """The energy ½ a ‖x‖² with pixels, their squares, and the largest as features."""

    side: int
    a: float

    @property
    def image_shape(self):
        return (self.side, self.side, 1)

    def bind_features(self):
        def features(x):
            maps = ops.concatenate([x, ops.square(x)], axis=-1)
            energies = 0.5 * self.a * ops.sum(ops.square(x), axis=(1, 2, 3))
            return maps, ops.max(x, axis=(1, 2)), energies

        return features


@pytest.fixture(scope="module")
def detector():
    settings = Langevin(step_size=(1.0, 0.5))
    return LadderDetector([Quadratic(2, 0.3), Quadratic(4, 0.2)], settings)


def dim(count, seed, side=4):
    """Dim images: noise below a brightness of their own."""
    rng = np.random.default_rng(seed)
    images = rng.uniform(-1, 1, (count, side, side, 1))
    return (images * rng.uniform(0.1, 0.3, (count, 1, 1, 1))).astype("float32")


@pytest.fixture(scope="module")
def fitted(detector):
    return detector.fit(dim(400, 0), held_out=dim(1000, 1))


def measured(statistics, features):
    """Measurements, the first feature that of a quarter."""
    return Measurements(statistics, features[:, :1], features[:, 1:])


# --- Normality ----------------------------------------------------------------------


def test_a_curve_is_minus_the_logarithm_of_the_share_above():
    scores = np.random.default_rng(0).exponential(3.0, 20_000)
    found = curve(scores)
    # Of an exponential distribution it is a straight line, beyond all scores too.
    x = np.array([0.5, 2.0, 6.0, 30.0, 300.0])
    np.testing.assert_allclose(along(found, x), x / 3.0, rtol=0.05, atol=0.02)
    assert along(found, np.array([-5.0]))[0] == 0
    few = np.array(along(curve(np.arange(20.0)), np.linspace(0, 40, 41)))
    assert (np.diff(few) > 0).all()
    alike = along(curve(np.ones(20)), np.array([0.0, 2.0]))
    assert alike[0] == 0 and np.isfinite(alike[1]) and alike[1] > 3


def test_scores_are_those_of_the_mixture_and_of_the_nearest_neighbour():
    rng = np.random.default_rng(0)
    statistics = rng.normal(5, [1, 100], (300, 2)) + 20 * (rng.random((300, 1)) < 0.5)
    features = rng.normal(0, [1, 10, 0.1], (200, 3)).astype("float32")
    some = measured(statistics.astype("float32"), features[:1])
    held_out = measured(some.statistics[:200], features)
    normality = Normality.learned(some, held_out, held_out, components=2)
    x = measured(held_out.statistics[:50], features[:50] + 1)
    density, distance = normality.scores(x)

    scaled = (statistics - statistics.mean(0)) / statistics.std(0)
    mixture = GaussianMixture(2, reg_covar=1e-3, random_state=0).fit(scaled)
    expected = -mixture.score_samples(scaled[:50])
    assert np.ptp(np.asarray(density) - expected) < 1e-3
    y = (features[:50, None] + 1 - features) / features.std(0)
    y[..., 1:] /= np.sqrt(2)  # as there are two of this kind
    nearest = np.sqrt(np.square(y).sum(-1)).min(1)
    np.testing.assert_allclose(distance, nearest, rtol=0.02, atol=0.02)


def test_what_principal_components_leave_out_adds_to_the_distance():
    """Of 80 features that depend on three numbers, 64 components have all variance."""
    rng = np.random.default_rng(0)
    few = rng.normal(size=(3, 80))
    sets = [
        measured(*(a.astype("float32") for a in (x, x @ few)))
        for x in rng.normal(size=(3, 300, 3))
    ]
    normality = Normality.learned(*sets, components=2)
    assert normality.directions == 64
    statistics, x = sets[2].statistics[:50], np.asarray(sets[2].features)[:50]
    spread = np.asarray(normality.feature_spread)
    beside = x + 5 * spread * np.linalg.svd(few / spread)[2][-1]
    found = [
        np.asarray(normality.scores(measured(statistics, features))[1])
        for features in (x, beside.astype("float32"))
    ]
    np.testing.assert_allclose(found[1] ** 2 - found[0] ** 2, 25, atol=0.2)


def test_a_feature_that_hardly_varies_drowns_no_other():
    """Not when rounded either, as the package's files are."""
    rng = np.random.default_rng(0)
    sets = []
    for count in (300, 200, 500, 500):
        features = rng.normal(0, 1, (count, 3))
        features[:, 2] = 0.25 + 1e-5 * features[:, 2]
        features = features.astype("float32")
        sets.append(measured(features[:, :2], features))
    *known, new = sets
    normality = Normality.learned(*known, components=2)
    half_precision.round_weights(normality)
    _, distance = normality.scores(new)
    new, reference = (np.asarray(m.features)[:, :2] for m in (new, known[1]))
    y = (new[:, None] - reference) / reference.std(0) / [1, np.sqrt(2)]
    nearest = np.sqrt(np.square(y).sum(-1)).min(1)
    np.testing.assert_allclose(distance, nearest, atol=0.1)


# --- LadderDetector -----------------------------------------------------------------


def test_what_is_measured_of_a_quadratic_energy(detector):
    images = dim(3, 0)
    statistics, quarters, heads = detector.measurements(images)
    assert statistics.shape == (3, 8) and quarters.shape == (3, 16)
    pooled = images.reshape(3, 2, 2, 2, 2, 1).mean(axis=(2, 4))
    expected = []
    for x, a, step_size in ((pooled, 0.3, 1.0), (images, 0.2, 0.5)):
        norm = np.sqrt(np.square(x).sum(axis=(1, 2, 3)))
        left = (1 - step_size * a) ** 5
        energy = 0.5 * a * norm**2
        length = (1 - left) * norm
        expected += [energy, np.log(a * norm), np.log(length), energy * (left**2 - 1)]
    np.testing.assert_allclose(statistics, np.stack(expected, 1), rtol=1e-4, atol=1e-6)
    both = np.concatenate([images, images**2], axis=-1)
    expected = both.reshape(3, 2, 2, 2, 2, 2).mean(axis=(2, 4)).reshape(3, 8)
    np.testing.assert_allclose(quarters[:, 8:], expected, atol=1e-6)
    both = np.concatenate([pooled, pooled**2], axis=-1).reshape(3, 8)
    np.testing.assert_allclose(quarters[:, :8], both, atol=1e-6)
    largest = [x.max(axis=(1, 2, 3)) for x in (pooled, images)]
    np.testing.assert_allclose(heads, np.stack(largest, axis=1), atol=1e-6)


def test_a_middle_row_counts_to_both_sides():
    images = dim(1, 0, side=3)
    _, found, _ = LadderDetector(Quadratic(3, 0.2)).measurements(images)
    (x,) = images[..., 0]
    expected = [x[:2, :2], x[:2, 1:], x[1:, :2], x[1:, 1:]]
    expected = [quarter.mean() for quarter in expected]
    np.testing.assert_allclose(found[0, ::2], expected, atol=1e-6)


def test_where_something_is_matters():
    """By features of whole images alone, it would not."""
    bright = np.zeros((1, 4, 4, 1), "float32")
    bright[:, :2, :2] = 0.5
    detector = LadderDetector(Quadratic(4, 0.2))
    normal = dim(400, 0) * 0.1 + bright
    detector.fit(normal, 0.01)
    new = np.concatenate([dim(1, 1) * 0.1 + bright, dim(1, 1) * 0.1 + bright[:, ::-1]])
    assert detector.detect(new).tolist() == [False, True]


def test_false_alarms_are_as_many_as_asked_for(fitted):
    new = dim(2000, 2)
    for rate in (0.05, 0.2):
        fitted.false_positive_rate = rate
        assert fitted.threshold == pytest.approx(-np.log(rate))
        assert fitted.detect(new).mean() == pytest.approx(rate, abs=0.025)
    p_values = fitted.p_values(new)
    np.testing.assert_allclose(p_values, np.exp(-fitted.scores(new)))
    assert p_values.mean() == pytest.approx(0.5, abs=0.03)


def test_what_is_too_bright_too_black_or_alike_is_flagged(fitted):
    fitted.false_positive_rate = 0.01
    anomalies = [np.full((1, 4, 4, 1), value, "float32") for value in (-1, 0, 0.5, 1)]
    scores = fitted.scores(np.concatenate(anomalies))
    assert (scores > fitted.threshold).all()
    assert scores[3] > scores[2] + 1  # of two that are beyond all, the worse one more


def test_the_seed_parts_the_images(detector):
    images, new = dim(200, 0), dim(5, 2)
    one = LadderDetector(detector.energies, detector.settings)
    first = one.fit(images, seed=1).scores(new)
    np.testing.assert_array_equal(one.fit(images, seed=1).scores(new), first)
    assert (one.fit(images, seed=2).scores(new) != first).any()


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="Expected EnergyNetworks"):
        LadderDetector([lambda x: x])
    with pytest.raises(ValueError, match="Expected EnergyNetworks"):
        LadderDetector([])
    fresh = LadderDetector(Quadratic(4, 0.2))
    with pytest.raises(ValueError, match=r"call fit\(normal_images\)"):
        fresh.scores(dim(2, 0))
    with pytest.raises(ValueError, match="held_out"):
        fresh.fit(dim(20, 0), held_out=dim(19, 0))
    with pytest.raises(ValueError, match="normal_images"):
        fresh.fit(dim(19, 0))
    with pytest.raises(ValueError, match="false_positive_rate"):
        fresh.fit(dim(20, 0), 1.0)


# --- Networks and models ------------------------------------------------------------


def test_a_model_keeps_its_detector_until_it_is_trained(
    make_network, noise_images, tmp_path, monkeypatch
):
    model = CFEBM([make_network(8)], Langevin(steps=2))
    images, weights = noise_images(20, 8), len(model.weights)
    detector = LadderDetector(model.sampling_ladder, model.langevin)
    model.detector = detector.fit(images, 0.2)
    assert len(model.weights) == weights
    model.save(tmp_path / "model.keras")
    model.save_to_preset(tmp_path / "preset")
    scores = detector.scores(images)
    assert np.ptp(scores) > 0.1
    for place in ("model.keras", "preset"):
        loaded = load_ladder(tmp_path / place)
        assert loaded.detector.false_positive_rate == 0.2
        np.testing.assert_array_equal(loaded.detector.scores(images), scores)

    assert model.finished().detector is None
    monkeypatch.setattr(keras.Model, "fit", lambda model, *given, **options: None)
    model.fit(images[:2])
    assert model.detector is None


def test_a_model_with_an_older_detector_loads_without_it(
    make_network, noise_images, tmp_path
):
    model = CFEBM([make_network(8)], Langevin(steps=2))
    images = noise_images(20, 8)
    model.detector = LadderDetector(model.sampling_ladder).fit(images)
    model.save(tmp_path / "new.keras")
    with (
        zipfile.ZipFile(tmp_path / "new.keras") as new,
        zipfile.ZipFile(tmp_path / "old.keras", "w") as old,
    ):
        for name in new.namelist():
            content = new.read(name)
            if name == "config.json":
                config = json.loads(content)
                del config["config"]["detector"]["normality"]["config"]["directions"]
                content = json.dumps(config)
            old.writestr(name, content)
    with pytest.warns(UserWarning, match="Fit a LadderDetector again"):
        loaded = load_ladder(tmp_path / "old.keras")
    assert loaded.detector is None
    energies = (m.predict(images, verbose=0) for m in (loaded, model))
    np.testing.assert_array_equal(*energies)


def test_with_classes_an_image_is_of_any(make_network, noise_images):
    network = make_network(8, num_classes=3)
    images = noise_images(4, 8)
    each = [of_class(network, label)(images) for label in range(3)]
    expected = -np.logaddexp.reduce(-np.stack(each), axis=0)
    np.testing.assert_allclose(any_class(network)(images), expected, rtol=1e-5)
    statistics, quarters, heads = LadderDetector(network).measurements(images)
    np.testing.assert_allclose(statistics[:, 0], expected, rtol=1e-5)
    assert quarters.shape == (4, 4 * network.blocks[0](images).shape[-1])
    assert heads.shape == (4, network.head.width)
    with pytest.raises(ValueError, match="with classes"):
        any_class(make_network(8))


def test_without_classes_features_come_with_the_energy(make_network, noise_images):
    network = make_network(8)
    images = noise_images(4, 8)
    energies = tasks.anomaly_scores(network, images)
    statistics, *_ = LadderDetector([network]).measurements(images)
    np.testing.assert_allclose(statistics[:, 0], energies, rtol=1e-5)
