"""Malformed arrays and files by the thousand.

Each ends in a documented error, or in a value that is what it should be.
"""

import types

import numpy as np
import pytest
from fuzzing import FEW, SCALARS, fuzz, no_hang, outcome
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from keras_cfebm import datasets, evaluation
from keras_cfebm.tasks import hole_masks
from keras_cfebm.utils import validation
from keras_cfebm.utils.image_range import RANGE_TOLERANCE

__all__ = ["no_hang"]  # a fixture of every test here

pytestmark = pytest.mark.filterwarnings("ignore")

SHAPES = st.one_of(
    arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4),
    st.sampled_from([(2, 4, 4, 1), (1, 8, 8, 3), (3, 12, 12, 1), (2, 4, 4)]),
)
DTYPES = st.one_of(
    arrays.scalar_dtypes(),
    st.sampled_from([np.dtype("float32"), np.dtype("uint8"), np.dtype("float64")]),
)
CLEAN = arrays.arrays(
    np.float32, (2, 4, 4, 1), elements=st.floats(-1, 1, width=32), fill=st.nothing()
)
ARRAYS = st.one_of(
    arrays.arrays(DTYPES, SHAPES),
    arrays.arrays(np.float32, SHAPES, elements=st.floats(-2, 2, width=32)),
    arrays.arrays(np.object_, st.integers(0, 3), elements=SCALARS),
    CLEAN,
    SCALARS,
    st.just([[1.0], [1.0, 2.0]]),
    st.just(np.zeros(2, dtype=[("a", "f4")])),
)


@fuzz(1000)
@given(ARRAYS, st.booleans(), st.booleans())
def test_check_images(images, strict, in_range):
    checked = outcome(validation.check_images, images, strict=strict, in_range=in_range)
    if checked is not None:
        assert checked.dtype == np.float32 and np.isfinite(checked).all()
        assert checked.shape == np.shape(images) and len(checked.shape) == 4
        if strict and in_range:
            assert np.abs(checked).max() <= 1 + RANGE_TOLERANCE


@fuzz(500)
@given(ARRAYS, st.integers(0, 3), st.one_of(st.none(), st.integers(1, 5)))
def test_check_labels(labels, count, num_classes):
    checked = outcome(validation.check_labels, labels, count, num_classes)
    if checked is not None:
        assert checked.dtype == np.int32 and checked.shape == (count,)
        assert ((checked >= 0) & (checked < num_classes)).all()


@fuzz(1000)
@given(ARRAYS)
def test_check_scores_and_features(values):
    for check, ndim in ((validation.check_scores, 1), (validation.check_features, 2)):
        checked = outcome(check, values, "values")
        if checked is not None:
            assert checked.ndim == ndim and np.isfinite(checked).all()
            wanted = np.asarray(values, checked.dtype).reshape(checked.shape)
            np.testing.assert_array_equal(checked, wanted)


@fuzz(500)
@given(FEW, st.sampled_from(["[0, 1)", "(0, inf)", "(-inf, inf)"]))
def test_check_numbers(value, interval):
    number = outcome(validation.check_number, value, "value", interval)
    assert number is None or (number == value and np.isfinite(float(number)))
    count = outcome(validation.check_count, value, "value", 0, 100)
    assert count is None or (count == value and 0 <= count <= 100)


@fuzz(800)
@given(
    ARRAYS,
    st.one_of(st.none(), ARRAYS),
    st.one_of(st.none(), st.integers(-1, 16), FEW.filter(lambda v: v != 10**400)),
    st.sampled_from(["exact", "pad", "resize", "crop", "", None]),
    st.one_of(st.none(), st.integers(-1, 16)),
)
def test_from_arrays(images, labels, resolution, fit, crop_size):
    assume(not isinstance(resolution, int) or resolution < 100)
    data = outcome(
        datasets.from_arrays,
        images,
        labels,
        resolution=resolution,
        fit=fit,
        crop_size=crop_size,
    )
    if data is not None:
        pixels = data.images()
        assert pixels.shape == (len(data), *[data.resolution] * 2, data.channels)
        assert np.abs(pixels).max() <= 1
        assert resolution is None or data.resolution == resolution
        assert data.has_labels == (labels is not None)


@fuzz(500)
@given(st.data())
def test_damaged_archives(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzz.npz"
    encoder = types.SimpleNamespace(name="n", hash="h", preprocessing="p")
    statistics = evaluation.FeatureStatistics.from_features(
        [np.arange(6.0).reshape(3, 2)], encoder, "images", kept_features=2
    )
    statistics.save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] or content)
    read = outcome(evaluation.FeatureStatistics.load, path)
    if read is not None:
        np.testing.assert_array_equal(read.mean, statistics.mean)
        np.testing.assert_array_equal(read.covariance, statistics.covariance)
    assert outcome(datasets.from_file, path) is None


@fuzz(500)
@given(st.binary(max_size=200), st.sampled_from([".npy", ".npz"]), st.booleans())
def test_array_files_of_any_bytes(tmp_path_factory, content, suffix, with_magic):
    path = tmp_path_factory.getbasetemp() / f"fuzz{suffix}"
    path.write_bytes((b"\x93NUMPY\x01\x00v\x00" if with_magic else b"") + content)
    assert outcome(datasets.from_file, path) is None


@fuzz(500)
@given(
    st.one_of(
        arrays.arrays(
            st.sampled_from([np.bool_, np.uint8, np.float32, np.int64]), SHAPES
        ),
        st.sampled_from(["center", "left_half", "random_25", "", "\0", "no such"]),
    ),
    st.tuples(*[st.integers(1, 6)] * 3, st.just(1)),
)
def test_hole_masks(mask, shape):
    holes = outcome(hole_masks, mask, shape, errors=(ValueError, OSError))
    if holes is not None:
        assert holes.shape == (*shape[:3], 1) and holes.dtype == bool
        assert holes.any(axis=(1, 2, 3)).all() and not holes.all(axis=(1, 2, 3)).any()


@fuzz(500)
@given(ARRAYS, ARRAYS, st.one_of(st.none(), ARRAYS), FEW)
def test_metrics(first, second, hole, number):
    figures = outcome(evaluation.detection_figures, first, second)
    if figures is not None:
        assert all(0 <= value <= 1 for value in figures.values())
    assert outcome(evaluation.psnr, first, second, hole) is not False
    threshold = outcome(evaluation.threshold_at, first, number)
    assert threshold is None or np.isfinite(threshold)
    distance = outcome(evaluation.kernel_distance, first, second, subsets=2)
    assert distance is None or np.isfinite(distance["mean"])
    found = outcome(evaluation.nearest_neighbours, first, second, number)
    if found is not None:
        assert found[0].shape == (len(first), number)


@fuzz(100)
@given(ARRAYS)
def test_pixels(images):
    pixels = outcome(datasets.to_uint8, images)
    if pixels is not None:
        back = datasets.to_float(pixels)
        np.testing.assert_array_equal(datasets.to_uint8(back), pixels)
