"""The backends: what each offers, and that they agree."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import backend_run
import keras
import numpy as np
import pytest
from autodiff import value_and_gradients
from keras import ops

from keras_cfebm import backend, datasets
from keras_cfebm.tasks import AnomalyDetector

SCRIPT = pathlib.Path(backend_run.__file__)
#: Of what such small models take, most is the time to compile them.
QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
starts_another = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="starts another process"
)


def need(name):
    """Skips the test where the backend is not installed."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")


def run_on(name, *arguments, flags=""):
    """Runs a function of `backend_run` on a backend; returns what it printed."""
    need(name)
    process = subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)],
        env={
            **os.environ,
            "KERAS_BACKEND": name,
            "XLA_FLAGS": f"{QUICK} {flags}",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.returncode == 0, process.stdout
    return process.stdout


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("size", [7, 8])
def test_a_convolution_is_that_of_keras_with_both_gradients(
    padding, width, strides, size
):
    rng = np.random.default_rng(0)
    x, kernel = (
        ops.convert_to_tensor(rng.normal(size=shape).astype("float32"))
        for shape in ((2, size, size + 1, 3), (width, width, 3, 4))
    )

    def total(conv, x, kernel):
        return ops.sum(ops.sin(conv(x, kernel, strides=strides, padding=padding)))

    (value, gradients), (expected_value, expected) = (
        value_and_gradients(lambda *a, c=c: total(c, *a), [x, kernel], [])
        for c in (backend.conv, ops.conv)
    )
    np.testing.assert_allclose(value, expected_value, rtol=1e-5)
    for ours, theirs in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_what_is_compiled_sees_the_weights_of_now(make_network, noise_images):
    network, images = make_network(), noise_images(3, 8)
    detector = AnomalyDetector(network)
    before = detector.scores(images)
    for weight in network.trainable_weights:
        weight.assign(weight * 1.5)
    expected = ops.convert_to_numpy(network(images))
    assert np.abs(expected - before).max() > 1e-3
    np.testing.assert_allclose(detector.scores(images), expected, atol=1e-5)


def test_a_first_step_that_fails_leaves_the_weights(make_model, noise_images, values):
    model = make_model(accumulation=3)
    before = values(model)
    with pytest.raises(Exception, match="multiple of 3 images"):
        model.fit(noise_images(4, 8), batch_size=4, verbose=0)
    for value, weight in zip(before, model.weights, strict=True):
        # PyTorch computes what comes before the failure: the norms move on.
        if keras.backend.backend() != "torch" or weight.name != "right_vector":
            np.testing.assert_array_equal(weight, value)


def test_batches_are_the_same_for_every_reader():
    images = datasets.to_uint8(backend_run.images(10, 8))
    data = datasets.from_arrays(images, np.arange(10))
    options = {"batch_size": 4, "seed": 1, "flip": True, "labels": True, "start": 1}
    for repeat in (True, False):
        expected = data.batches(repeat=repeat, as_numpy=True, **options)
        read = iter(data.batches(repeat=repeat, **options))
        for _ in range(5 if repeat else 2):
            for ours, theirs in zip(next(read), next(expected), strict=True):
                np.testing.assert_array_equal(ours, theirs)
        if not repeat:
            assert next(read, None) is None


def test_pairs_are_the_same_for_every_reader():
    data = datasets.from_arrays(backend_run.images(10, 8))
    options = {"batch_size": 4, "seed": 1, "start": 2, "source_noise": 0.3}
    expected = datasets.pairs(data, data, as_numpy=True, **options)
    read = iter(datasets.pairs(data, data, **options))
    for _ in range(4):
        for ours, theirs in zip(next(read), next(expected), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.fixture(scope="module", params=["jax", "torch"])
def exchanged(request, tmp_path_factory):
    """A folder with a ladder saved by each backend, and what the other says of both."""
    need(request.param)
    folder = tmp_path_factory.mktemp("exchange")
    backend_run.new_ladder().save(folder / "tensorflow.keras")
    run_on(request.param, "exchange", folder)
    return folder


@starts_another
@pytest.mark.parametrize("saved_by", ["tensorflow", "other"])
def test_ladders_go_from_one_backend_to_the_other(exchanged, saved_by):
    here = backend_run.figures(exchanged / f"{saved_by}.keras")
    with np.load(exchanged / f"{saved_by}.npz") as there:
        np.testing.assert_allclose(there["energies"], here["energies"], atol=1e-6)
        np.testing.assert_allclose(there["chains"], here["chains"], atol=1e-3)
    assert np.std(here["energies"]) > 1e-3 and np.std(here["chains"]) > 0.1


@starts_another
def test_training_goes_on_alike_on_the_other_backend(exchanged):
    here = backend_run.two_more_steps(exchanged / "tensorflow.keras")
    with np.load(exchanged / "steps.npz") as there:
        assert here.keys() == set(there)
        for name, value in here.items():
            theirs = there[name]
            if name.endswith("noise_key"):  # words, in each backend's signed integers
                theirs, value = theirs.astype("uint32"), value.astype("uint32")
            np.testing.assert_allclose(theirs, value, atol=1e-5, err_msg=name)


@starts_another
def test_two_devices_train_as_one_does():
    run_on("jax", "devices", flags="--xla_force_host_platform_device_count=2")


@starts_another
@pytest.mark.parametrize("name", ["jax", "torch"])
def test_other_backends_do_without_tensorflow(tmp_path, name):
    output = run_on(name, "without_tensorflow", tmp_path)
    assert "No logs for TensorBoard: Expected tensorflow, " in output
    assert "cfebm saliency: error: Expected the Keras backend" in output
    assert "cfebm export: error: Expected the Keras backend" in output
    assert "cfebm train: error: Expected tensorflow, " in output
