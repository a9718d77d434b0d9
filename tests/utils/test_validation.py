"""What is refused, and in which words; what is passed on, and in which form."""

import re
import warnings

import ml_dtypes
import numpy as np
import pytest

from keras_cfebm.utils import image_range, validation
from keras_cfebm.utils.labels import check_class_names, class_index

IMAGES = np.zeros((2, 4, 4, 1), "float32")


def refused(message):
    return pytest.raises(ValueError, match=message)


# --- Images -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ml_dtypes.bfloat16])
def test_images_of_any_floating_type_become_float32(dtype):
    checked = validation.check_images(IMAGES.astype(dtype), (4, 4, 1))
    assert checked.dtype == np.float32
    np.testing.assert_array_equal(checked, IMAGES)


def test_float32_images_are_not_copied():
    assert validation.check_images(IMAGES) is IMAGES


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            IMAGES[0],
            r"images of shape \(n, height.*received shape \(4, 4, 1\)\. For one",
        ),
        (IMAGES[:0], r"n >= 1, received shape \(0, 4, 4, 1\)"),
        (IMAGES.astype("uint8"), "floats in .*, received uint8; .*to_float converts"),
        (IMAGES.astype("int64"), "received int64; .*to_float converts"),
        (IMAGES.astype("complex64"), "floats in .*, received complex64.$"),
        (np.full((1, 4, 4, 1), "a", object), "received object"),
        (np.full((1, 4, 4, 1), np.nan), "finite images, received NaN or infinity"),
        (np.full((1, 4, 4, 1), 1e300), "finite images"),
    ],
)
def test_what_is_no_batch_of_images_is_refused(images, message):
    with refused(message):
        validation.check_images(images)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ((8, 8, 1), r"\(n, 8, 8, 1\)"),
        (("height", "width", (3, 4)), r"\(n, height, width, 3 or 4\)"),
    ],
)
def test_another_image_shape_is_refused(wanted, message):
    with refused(f"Expected photos of shape {message}, n >= 1, received shape"):
        validation.check_images(IMAGES, wanted, "photos")


def test_the_range_is_an_error_a_single_warning_or_no_matter(monkeypatch):
    monkeypatch.setattr(image_range, "_warned", set())
    large = IMAGES - 3
    with refused(
        r"in \[-1, 1\], received values from -3 to -3: was the scaling forgotten"
    ):
        validation.check_images(large, strict=True)
    with pytest.warns(UserWarning, match="scaling forgotten") as caught:
        validation.check_images(large)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        validation.check_images(large + 1)  # warned of before
        validation.check_images(large, in_range=False)
        validation.check_images(IMAGES + 1 + 1e-4, strict=True)  # rounding


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (0, 1, "2 * images - 1"),
        (0.2, 0.6, "2 * images - 1"),
        (0, 2, "from 0 to 2: was the scaling forgotten?"),  # as [0, 1] with overshoot
        (-5, 5, "from -5 to 5: was the scaling forgotten?"),
        (0, 0.4, None),  # as grey with a little noise
        (1, 1, None),  # white
        (-0.1, 1, None),
    ],
)
def test_images_of_one_sign_are_noticed(low, high, message):
    images = np.linspace(low, high, 32).reshape(2, 4, 4, 1)
    if message is None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            validation.check_images(images, once=False)
        return
    with pytest.warns(UserWarning, match=re.escape(message)):
        validation.check_images(images, once=False)


def test_levels_of_a_file_are_no_images_in_range():
    levels = np.linspace(0, 255, 32).reshape(2, 4, 4, 1)
    with refused("from 0 to 255: was the scaling forgotten"):
        validation.check_images(levels)
    validation.check_images(levels, in_range=False)


def test_a_size_that_is_not_known_yet_fits():
    validation.check_image_shape((None, None, 4, 1), (4, 4, 1))
    with refused("received shape"):
        validation.check_image_shape((None, None, 5, 1), (4, 4, 1))
    with refused("n >= 3, received shape"):
        validation.check_image_shape((2, 4, 4, 1), minimum=3)


# --- Labels -------------------------------------------------------------------------


def test_labels_become_int32_one_per_image():
    checked = validation.check_labels(1, 3, num_classes=2)
    assert checked.dtype == np.int32 and checked.tolist() == [1, 1, 1]
    labels = np.array([0, 1], "uint8")
    assert validation.check_labels(labels, 2, num_classes=2).tolist() == [0, 1]
    assert validation.check_labels(None, 2, num_classes=None) is None


def test_labels_may_be_names():
    names = ("cat", "7", "Horse")
    for labels in ("Horse", "2", 2):
        checked = validation.check_labels(labels, 2, 3, names)
        assert checked.dtype == np.int32 and checked.tolist() == [2, 2]
    assert validation.check_labels(["7", "cat"], 2, 3, names).tolist() == [1, 0]
    assert validation.check_labels("1", 1, 3).tolist() == [1]


@pytest.mark.parametrize(
    ("label", "names", "message"),
    [
        (
            "horse",
            ["cat", "Horse"],
            "Horse'] or its number, from 0 to 1, received 'hor",
        ),
        ("Hores", ["cat", "Horse"], r"received 'Hores'\. Did you mean 'Horse'\?$"),
        ("zebra", ["cat", "Horse"], r"received 'zebra'\.$"),
        (2, ["cat", "Horse"], "from 0 to 1, received 2"),
        (-1, ["cat"], "received -1"),
        (True, ["cat"], "received True"),
        ("cat", None, "0 to 3, as the classes have no names, received 'cat'"),
        ("4", None, "a class, from 0 to 3, received '4'"),
    ],
)
def test_an_unknown_class_is_refused_with_the_names(label, names, message):
    with refused(message.replace("]", r"\]")):
        class_index(label, names, 4 if names is None else None)


@pytest.mark.parametrize("names", [["a"], ["a", "a"], ["a", 1], "ab"])
def test_names_that_do_not_fit_the_classes_are_refused(names):
    with refused("class_names as 2 different texts, as num_classes=2, received"):
        check_class_names(names, 2)
    with refused("class_names as no different texts"):
        check_class_names(["a"], None)


@pytest.mark.parametrize(
    ("labels", "num_classes", "message"),
    [
        (1, None, "labels=None of a model without classes, received 1"),
        (None, 2, "labels from 0 to 1, received None"),
        ([0, 2], 2, "labels from 0 to 1, received values from 0 to 2"),
        ([0, -1], 2, "received values from -1 to 0"),
        (
            [0, 1, 1],
            2,
            r"integer labels of shape \(2,\), received int64 of shape \(3,\)",
        ),
        ([0.0, 1.0], 2, "integer labels .* received float64"),
        ([True, False], 2, "integer labels .* received bool"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, num_classes, message):
    with refused(message):
        validation.check_labels(labels, 2, num_classes)


def test_labels_of_unknown_classes_only_have_to_be_integers():
    assert validation.check_label_array([-5, 7], 2).tolist() == [-5, 7]


# --- Numbers ------------------------------------------------------------------------


def test_counts_become_python_integers():
    assert type(validation.check_count(np.int64(3), "count")) is int
    assert validation.check_count(0, "count", minimum=0) == 0
    assert validation.check_seed(2**63 - 1) == 2**63 - 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "count of at least 1, received 0"),
        (True, "an integer count, received True"),
        (1.0, "an integer count, received 1.0"),
        ("1", "an integer count, received '1'"),
        (None, "an integer count, received None"),
    ],
)
def test_what_is_no_count_is_refused(value, message):
    with refused(f"Expected {message}"):
        validation.check_count(value, "count")


def test_counts_have_a_maximum():
    with refused("Expected count from 1 to 3, received 4"):
        validation.check_count(4, "count", maximum=3)
    with refused("Expected seed from 0 to 9223372036854775807, received -1"):
        validation.check_seed(-1)


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        ("[0, 1)", (0, 0.5, np.float32(0)), (-1e-9, 1, float("nan"))),
        ("(0, inf)", (1e-9, 10**9), (0, float("inf"), 10**400)),
        ("(-inf, 0]", (-(10**9), 0), (1e-9, float("-inf"), -(10**400))),
        ("[-1, 1]", (-1, 1), (2, True, "0", None, 1j)),
    ],
)
def test_numbers_lie_in_an_interval_as_it_is_written(interval, inside, outside):
    for value in inside:
        assert validation.check_number(value, "σ", interval) is value
    for value in outside:
        with pytest.raises(ValueError) as error:
            validation.check_number(value, "σ", interval)
        assert str(error.value) == f"Expected σ in {interval}, received {value!r}."


# --- Scores, features, mappings -----------------------------------------------------


def test_scores_become_a_vector_of_float64():
    for scores in ([1, 2], np.float32([[1], [2]])):
        checked = validation.check_scores(scores, "scores")
        assert checked.dtype == np.float64 and checked.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([], r"shape \(n,\), n >= 1, received shape \(0,\)"),
        (1.0, r"received shape \(\)"),
        ([[1, 2]], r"received shape \(1, 2\)"),
        ([1, np.inf], "finite scores, received NaN or infinity"),
        ([1j], "scores as real numbers, received complex128"),
        (["a"], "scores as real numbers, received <U1"),
        ([10**400], "scores as real numbers, received object"),
    ],
)
def test_what_is_no_scores_is_refused(scores, message):
    with refused(message):
        validation.check_scores(scores, "scores")


def test_features_keep_their_floating_type():
    for dtype in ("float32", "float64", ml_dtypes.bfloat16):
        assert validation.check_features(np.ones((2, 3), dtype)).dtype == dtype
    assert validation.check_features([[1, 2]], dimensions=2).dtype == np.float64


@pytest.mark.parametrize(
    ("features", "options", "message"),
    [
        ([1, 2], {}, r"features of shape \(n, d\), n >= 1, received shape \(2,\)"),
        ([[1, 2]], {"dimensions": 3}, r"\(n, 3\), n >= 1, received shape \(1, 2\)"),
        ([[1, 2]], {"minimum": 2}, "n >= 2, received shape"),
        ([[np.nan]], {}, "finite features"),
    ],
)
def test_what_is_no_features_is_refused(features, options, message):
    with refused(message):
        validation.check_features(features, **options)


def test_mappings_have_entries():
    mapping = {"a": 1}
    assert validation.check_mapping(mapping, "scores") is mapping
    for value, message in (({}, "received dict: {}"), ([1], r"received list: \[1\]")):
        with refused(f"scores as a dictionary of at least one entry, {message}"):
            validation.check_mapping(value, "scores")
