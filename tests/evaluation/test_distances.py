"""Distances between feature distributions, and what they are computed from."""

import json

import numpy as np
import pytest
from scipy import linalg
from scipy.spatial import distance

from keras_cfebm import evaluation
from keras_cfebm.evaluation.distances import unbiased_squared_mmd


def make_encoder(key="a", name="toy"):
    """An encoder to 4 features: means of the image's quadrants."""

    def function(images):
        n, size = images.shape[:2]
        blocks = images.reshape(n, 2, size // 2, 2, size // 2, -1)
        return blocks.mean(axis=(2, 4, 5)).reshape(n, 4)

    return evaluation.Encoder(
        name, function, key, "none", evaluation.Expects(None, (1, 3))
    )


def make_statistics(features, key="a", name="toy set"):
    return evaluation.FeatureStatistics.from_features(
        [features], make_encoder(key), name
    )


def correlated(random, n, d, shift=0.0):
    return shift + random.normal(size=(n, d)) @ random.normal(size=(d, d))


@pytest.fixture
def random():
    return np.random.default_rng(3)


def test_streamed_statistics_equal_those_of_all_samples(random):
    features = correlated(random, 101, 5) + 1e4  # a large mean tries the stability
    statistics = evaluation.FeatureStatistics.from_features(
        np.array_split(features, [1, 2, 40, 77]), make_encoder(), "set"
    )
    assert statistics.number == 101
    np.testing.assert_allclose(statistics.mean, features.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(
        statistics.covariance, np.cov(features, rowvar=False), rtol=1e-8, atol=1e-8
    )


def test_saved_statistics_load_equal(random, tmp_path):
    saved = make_statistics(random.normal(size=(20, 4)), name="häuser")
    saved.save(tmp_path / "s.npz")
    loaded = evaluation.FeatureStatistics.load(tmp_path / "s.npz")
    for field in ("number", "name", "encoder_name", "encoder_hash", "preprocessing"):
        assert getattr(loaded, field) == getattr(saved, field)
    for field in ("mean", "covariance", "features"):
        np.testing.assert_array_equal(getattr(loaded, field), getattr(saved, field))
    assert [path.name for path in tmp_path.iterdir()] == ["s.npz"]


def test_the_file_format_is_as_it_was(tmp_path):
    identity = {"name": "n", "encoder_name": "e", "encoder_hash": "h"}
    arrays = {"mean": np.arange(2.0), "scatter": np.eye(2), "features": np.eye(2)}
    written = {"format": 1, "number": 5, "preprocessing": "p", **identity, **arrays}
    np.savez(tmp_path / "s.npz", **written)
    loaded = evaluation.FeatureStatistics.load(tmp_path / "s.npz")
    assert loaded.number == 5 and loaded.name == "n"
    np.testing.assert_array_equal(loaded.covariance, np.eye(2) / 4)
    for wrong in ({"format": 2}, {"number": 0}, {"scatter": np.eye(3)}):
        np.savez(tmp_path / "s.npz", **written | wrong)
        with pytest.raises(ValueError, match=r"FeatureStatistics\.save, received"):
            evaluation.FeatureStatistics.load(tmp_path / "s.npz")


def test_a_damaged_file_is_named(random, tmp_path):
    path = tmp_path / "s.npz"
    make_statistics(random.normal(size=(20, 4))).save(path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match=r"file written by .*, received .*s\.npz"):
        evaluation.FeatureStatistics.load(path)


def test_kept_features_are_a_bounded_uniform_sample_whatever_the_batches(random):
    rows = np.arange(1000.0)[:, None]
    kept = []
    for splits in ([], [1, 300, 301, 950]):
        statistics = evaluation.FeatureStatistics.from_features(
            np.array_split(rows, splits), make_encoder(), "set", 200, seed=5
        )
        kept.append(statistics.features)
    np.testing.assert_array_equal(kept[0], kept[1])
    assert kept[0].shape == (200, 1) and len(np.unique(kept[0])) == 200
    assert abs(kept[0].mean() - 499.5) < 4 * 1000 / np.sqrt(12 * 200)


def test_statistics_are_computed_once_per_key(random, tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return make_statistics(random.normal(size=(9, 4)))

    first = evaluation.cached_statistics("k", compute, tmp_path / "new")
    again = evaluation.cached_statistics("k", compute, tmp_path / "new")
    assert len(calls) == 1
    np.testing.assert_array_equal(first.mean, again.mean)
    evaluation.cached_statistics("other", compute, tmp_path / "new")
    assert len(calls) == 2


def test_frechet_distance_agrees_with_the_matrix_square_root(random):
    a, b = correlated(random, 300, 8), correlated(random, 200, 8, shift=1.0)
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = linalg.sqrtm(cov_a @ cov_b).real
    shift = a.mean(axis=0) - b.mean(axis=0)
    expected = shift @ shift + np.trace(cov_a + cov_b - 2 * root)
    result = evaluation.frechet_distance(make_statistics(a), make_statistics(b))
    assert result == pytest.approx(expected, rel=1e-8)


def test_frechet_distance_of_a_shift_is_its_square_and_of_a_copy_0(random):
    a = correlated(random, 300, 6)
    shifted = make_statistics(a + np.array([3.0, 4, 0, 0, 0, 0]))
    same = make_statistics(a)
    assert evaluation.frechet_distance(same, shifted) == pytest.approx(25, rel=1e-6)
    assert evaluation.frechet_distance(same, same) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_refuses_what_cannot_be_compared(random):
    a = random.normal(size=(20, 4))
    with pytest.raises(ValueError, match="same encoder_hash"):
        evaluation.frechet_distance(make_statistics(a), make_statistics(a, key="b"))
    with pytest.raises(ValueError, match=r"same dimensions, received 4 .* and 3"):
        evaluation.frechet_distance(make_statistics(a), make_statistics(a[:, :3]))
    with pytest.raises(ValueError, match=r"at least 2 images .*, received 1"):
        evaluation.frechet_distance(make_statistics(a), make_statistics(a[:1]))


def test_too_few_samples_for_a_covariance_warn(random):
    few, many = random.normal(size=(4, 4)), random.normal(size=(50, 4))
    with pytest.warns(UserWarning, match="4 images .* at least 5 are needed"):
        evaluation.frechet_distance(make_statistics(few), make_statistics(many))


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.full((3, 4), np.nan), "NaN"),
        (np.zeros((3, 5)), r"\(n, 4\), .* received shape \(3, 5\)"),
        (np.zeros((0, 4)), "n >= 1"),
        (np.zeros(4), "shape"),
    ],
)
def test_statistics_refuse_bad_features(features, message):
    batches = [np.zeros((2, 4)), features]
    with pytest.raises(ValueError, match=message):
        evaluation.FeatureStatistics.from_features(batches, make_encoder(), "toy set")


def test_unbiased_mmd_agrees_with_the_sum_over_pairs(random):
    x, y = random.normal(size=(7, 3)), random.normal(size=(5, 3)) + 0.5

    def kernel(a, b):
        return (float(np.dot(a, b)) / 3 + 1) ** 3

    def within(z):
        pairs = [(i, j) for i in range(len(z)) for j in range(len(z)) if i != j]
        return np.mean([kernel(z[i], z[j]) for i, j in pairs])

    across = np.mean([kernel(a, b) for a in x for b in y])
    expected = within(x) + within(y) - 2 * across
    assert unbiased_squared_mmd(x, y) == pytest.approx(expected, rel=1e-10)


def test_kernel_distance_is_unbiased_and_sees_a_shift(random):
    x, y = random.normal(size=(2, 1500, 4))
    same = evaluation.kernel_distance(x, y, subset_size=100, subsets=50)
    assert abs(same["mean"]) < 4 * same["std"] / np.sqrt(50)
    moved = evaluation.kernel_distance(x, y + 0.5, subset_size=100, subsets=50)
    assert moved["mean"] > 10 * moved["std"] / np.sqrt(50)


def test_kernel_distance_of_small_sets_uses_all_once(random):
    x, y = random.normal(size=(2, 30, 4))
    result = evaluation.kernel_distance(x, y)
    assert result["subset_size"] == 30 and result["subsets"] == 1
    assert result["std"] is None
    assert result["mean"] == pytest.approx(unbiased_squared_mmd(x, y))


def test_kernel_distance_refuses_bad_input(random):
    x = random.normal(size=(5, 4))
    with pytest.raises(ValueError, match=r"\(n, 4\), .* received shape \(5, 3\)"):
        evaluation.kernel_distance(x, x[:, :3])
    with pytest.raises(ValueError, match="n >= 2"):
        evaluation.kernel_distance(x, x[:1])


def test_neighbours_agree_with_all_pairs_and_copies_are_at_0(random):
    reference = random.uniform(-1, 1, (50, 4, 4, 1)).astype("float32")
    queries = random.uniform(-1, 1, (8, 4, 4, 1)).astype("float32")
    queries[5] = reference[33]
    indices, distances = evaluation.nearest_neighbours(queries, reference, k=9)
    pairs = distance.cdist(queries.reshape(8, -1), reference.reshape(50, -1))
    np.testing.assert_array_equal(indices, np.argsort(pairs, axis=1)[:, :9])
    np.testing.assert_allclose(distances, np.sort(pairs, axis=1)[:, :9], rtol=1e-6)
    assert indices[5, 0] == 33 and distances[5, 0] == 0


def test_neighbours_in_features_ignore_what_the_encoder_ignores(random):
    reference = random.uniform(-1, 1, (20, 4, 4, 1)).astype("float32")
    mirrored = reference.reshape(20, 2, 2, 2, 2)[:, :, ::-1, :, ::-1]
    queries = mirrored.reshape(reference.shape)  # same means of the quadrants
    indices, distances = evaluation.nearest_neighbours(
        queries, reference, k=1, encoder=make_encoder()
    )
    np.testing.assert_array_equal(indices[:, 0], np.arange(20))
    assert distances.max() < 1e-6
    with pytest.raises(ValueError, match="k from 1 to 20, received 21"):
        evaluation.nearest_neighbours(queries, reference, k=21)


def test_evaluation_streams_stops_at_the_limit_and_is_json(random):
    encoder = make_encoder()
    images = random.uniform(-1, 1, (60, 4, 4, 1)).astype("float32")
    reference = evaluation.FeatureStatistics.from_images([images], encoder, "real")
    drawn = []

    def batches():
        for start in range(0, 60, 20):
            drawn.append(start)
            yield images[start : start + 20]

    result = evaluation.evaluate_samples(batches(), reference, encoder, limit=40)
    assert result["samples"] == 40 and drawn == [0, 20]
    assert result["reference"] == "real" and result["encoder_hash"] == "a"
    direct = evaluation.FeatureStatistics.from_images([images[:40]], encoder, "x")
    assert result["frechet_distance"] == pytest.approx(
        evaluation.frechet_distance(direct, reference)
    )
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_evaluation_refuses_a_foreign_reference_before_sampling(random):
    def batches():
        raise AssertionError("sampled")
        yield

    reference = make_statistics(random.normal(size=(9, 4)), key="b")
    with pytest.raises(ValueError, match="reference statistics of encoder a"):
        evaluation.evaluate_samples(batches(), reference, make_encoder())


def test_evaluation_refuses_no_samples_and_one_sample(random):
    reference = make_statistics(random.normal(size=(9, 4)))
    image = np.zeros((1, 4, 4, 1), "float32")
    with pytest.raises(ValueError, match="received none"):
        evaluation.evaluate_samples([], reference, make_encoder())
    with pytest.raises(ValueError, match=r"at least 2 images .*, received 1"):
        evaluation.evaluate_samples([image], reference, make_encoder())


def test_only_the_inception_network_yields_fid():
    assert make_encoder(name="inception-2015-12-05").frechet_name == "FID"
    assert make_encoder(name="fashion-classifier").frechet_name == "classifier FID"
    assert make_encoder().frechet_name == "Fréchet distance on toy"


def test_pixelation_keeps_block_means_and_nothing_else(random):
    images = random.uniform(-1, 1, (2, 8, 8, 3)).astype("float32")
    coarse = evaluation.pixelate(images, 4)
    assert coarse.shape == images.shape
    np.testing.assert_array_equal(coarse[:, ::2, ::2], coarse[:, 1::2, 1::2])
    np.testing.assert_allclose(
        coarse[0, 2, 4], images[0, 2:4, 4:6].mean(axis=(0, 1)), atol=1e-6
    )
