"""The energy by itself, as Keras exports it, runs without Keras and without XLA."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_cfebm.model import CFEBM


@pytest.fixture(scope="module")
def images(noise_images):
    return noise_images(3, 16)


def run_onnx(path, images):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path)
    (energies,) = session.run(None, {"images": images})
    return energies


def run_litert(path, images):
    interpreter = tf.lite.Interpreter(str(path))
    (given,), (returned,) = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    interpreter.resize_tensor_input(given["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], images)
    interpreter.invoke()
    return interpreter.get_tensor(returned["index"])


def run_saved_model(path, images):
    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString((pathlib.Path(path) / "saved_model.pb").read_bytes())
    functions = proto.meta_graphs[0].graph_def.library.function
    assert len(functions) > 1
    assert not any(function.attr["_XlaMustCompile"].b for function in functions)
    loaded = tf.saved_model.load(path)
    return loaded.serve(images)


@pytest.mark.parametrize(
    "format,run",
    [
        ("onnx", run_onnx),
        ("litert", run_litert),
        ("tf_saved_model", run_saved_model),
    ],
)
@pytest.mark.filterwarnings("ignore:.*(tf.lite.Interpreter is|np.object):Warning")
def test_the_exported_energy_is_the_models(format, run, make_network, images, tmp_path):
    if format not in keras.Model.export.__doc__:
        pytest.skip(f"Keras {keras.__version__} does not export to {format}")
    if format == "onnx":
        pytest.importorskip("tf2onnx")
    model = CFEBM([make_network(8), make_network(16)])
    expected = model.predict(images, verbose=0)  # compiled, with XLA
    path = tmp_path / ("energy" + {"litert": ".tflite"}.get(format, ""))
    model.export(path, format=format, verbose=False)
    np.testing.assert_allclose(run(path, images), expected, rtol=1e-5, atol=1e-5)


def test_the_exported_energy_takes_the_declared_range(make_network, images, tmp_path):
    model = CFEBM([make_network(16, num_classes=2)], value_range=(0, 255))
    levels, labels = np.float32(127.5 * (images + 1)), np.int32([0, 1, 1])
    model.export(tmp_path / "energy", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "energy")
    try:
        received = loaded.serve((levels, labels))
    except TypeError:  # the inputs of Keras 3.8 are one list
        received = loaded.serve([levels, labels])
    expected = model.sampling_network((images, labels))
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-4)
