"""The development server: TensorFlow Serving's REST and gRPC protocols on loopback."""

import base64
import concurrent.futures
import contextlib
import functools
import io
import json
import pathlib
import types
import urllib.error
import urllib.request

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from keras_cfebm.model import CFEBM
from keras_cfebm.sampling import Langevin
from keras_cfebm.serving import grpc_api, rest_api, server
from keras_cfebm.serving.export import export_saved_model


@pytest.fixture(scope="module")
def model(make_network):
    return CFEBM([make_network(8)], Langevin(steps=3))


@pytest.fixture(scope="module")
def images(noise_images):
    return noise_images(6, 8)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("serving") / "small"
    export_saved_model(model, path, max_steps=9)
    return path


@pytest.fixture(scope="module", params=[None, server.Batching(8, 20_000)])
def servable(request, folder):
    return server.Servable(folder, batching=request.param)


@pytest.fixture(scope="module")
def rest(servable):
    """A function that sends a REST request: HTTP code and answer."""
    server = rest_api.start_rest(servable, port=0)

    def send(body=None, path="/v1/models/small:predict"):
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        url = f"http://127.0.0.1:{server.server_port}{path}"
        try:
            with urllib.request.urlopen(url, data, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    yield send
    server.shutdown()


@pytest.fixture(scope="module")
def connect(servable):
    """A context that connects to a gRPC server: gives a function that asks it."""
    grpc = pytest.importorskip("grpc")
    apis = pytest.importorskip("tensorflow_serving.apis")
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    assert apis is not None
    server, port = grpc_api.start_grpc(servable, port=0)

    def send(stub, signature, name="small", **inputs):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = name
        request.model_spec.signature_name = signature
        for key, value in inputs.items():
            is_proto = isinstance(value, tensor_pb2.TensorProto)
            proto = value if is_proto else tf.make_tensor_proto(value)
            request.inputs[key].CopyFrom(proto)
        outputs = stub.Predict(request, timeout=60).outputs
        return {key: tf.make_ndarray(value) for key, value in outputs.items()}

    @contextlib.contextmanager
    def client():
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            yield functools.partial(send, stub)

    yield client
    server.stop(None)


@pytest.fixture(scope="module")
def predict(connect):
    """A function that sends a gRPC request; its outputs as arrays."""
    with connect() as send:
        yield send


def test_rest_answers_by_rows_and_by_columns(rest, model, images):
    energies = model.predict(images, verbose=0)
    code, answer = rest({"instances": images.tolist()})
    assert code == 200
    np.testing.assert_allclose(answer["predictions"], energies, atol=1e-5)
    named = [{"images": image} for image in images.tolist()]
    assert rest({"instances": named}) == (code, answer)
    code, answer = rest({"signature_name": "energy", "inputs": images.tolist()})
    np.testing.assert_allclose(answer["outputs"], energies, atol=1e-5)
    request = {"images": images.tolist(), "seeds": [5] * 6, "steps": [0] * 6}
    code, answer = rest({"signature_name": "denoise", "inputs": request})
    assert set(answer["outputs"]) == {"images", "saliency"}


def test_rest_takes_and_gives_files(rest, model):
    request = {"seeds": [3, 4], "steps": [0, 0]}
    _, answer = rest({"signature_name": "generate_png", "inputs": request})
    files = [base64.b64decode(item["b64"]) for item in answer["outputs"]]
    levels = np.stack([tf.io.decode_png(file).numpy() for file in files])
    wanted = np.concatenate([model.generate(1, seed=seed) for seed in (3, 4)])
    assert np.abs(levels / 127.5 - 1 - wanted).max() < 0.01
    request = {"signature_name": "energy_bytes", "instances": answer["outputs"]}
    code, answer = rest(request)
    wanted = model.predict((levels / 127.5 - 1).astype("float32"), verbose=0)
    np.testing.assert_allclose(answer["predictions"], wanted, atol=1e-4)
    assert code == 200


def test_files_may_end_in_zeros(rest, model):
    levels = np.zeros((8, 8, 1), "uint8")
    file = io.BytesIO()
    PIL.Image.fromarray(levels[..., 0]).save(file, "BMP")
    assert file.getvalue().endswith(b"\0")
    row = {"b64": base64.b64encode(file.getvalue()).decode()}
    code, answer = rest({"signature_name": "energy_bytes", "instances": [row]})
    assert code == 200, answer
    wanted = model.predict(np.full((1, 8, 8, 1), -1, "float32"), verbose=0)
    np.testing.assert_allclose(answer["predictions"], wanted, atol=1e-5)


def test_a_taken_grpc_port_is_an_error(servable):
    pytest.importorskip("tensorflow_serving.apis")
    server, port = grpc_api.start_grpc(servable, port=0)
    with pytest.raises(OSError, match=str(port)):
        grpc_api.start_grpc(servable, port=port)
    server.stop(None)


def test_a_taken_rest_port_is_named(servable):
    server = rest_api.start_rest(servable, port=0)
    port = server.server_port
    with pytest.raises(OSError, match=f"127.0.0.1:{port} for REST: Address already in"):
        rest_api.start_rest(servable, port)
    server.shutdown()
    server.server_close()


def test_status(rest, folder):
    code, answer = rest(path="/v1/models/small")
    assert code == 200
    assert answer["model_version_status"][0]["version"] == "1"
    assert rest(path="/v1/models/small/versions/1")[0] == 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "JSON"),
        ([], "JSON object"),
        ({}, "instances"),
        ({"instances": []}, "list of rows"),
        ({"instances": [[1.0, 2.0], [3.0]]}, "float32, 4 axes"),
        ({"instances": [{"seeds": 1}]}, "b64"),
        ({"instances": [[[["a"]]]]}, "float32, 4 axes"),
        ({"signature_name": "none", "instances": [1]}, "Expected a signature"),
        ({"signature_name": "generate", "instances": [1]}, "seeds"),
        ({"signature_name": "generate", "inputs": {"seeds": [1]}}, "seeds"),
        (
            {"signature_name": "generate", "inputs": {"seeds": [1], "steps": [10]}},
            "0 to 9",
        ),
        (
            {"signature_name": "generate", "inputs": {"seeds": [1], "steps": [2**32]}},
            "int32, 1 axes",
        ),
        (
            {"signature_name": "energy_bytes", "inputs": {"image_bytes": [None]}},
            "string, 1 axes",
        ),
        ({"instances": [[[[3.0]] * 8] * 8]}, "[-1, 1]"),
        ({"instances": [[[[float("nan")]] * 8] * 8]}, "NaN"),
        ({"instances": [[[[0.0]] * 7] * 8]}, "shape (n, 8, 8, 1)"),
    ],
)
def test_rest_refuses_with_a_reason_and_goes_on(rest, images, body, message):
    code, answer = rest(body)
    assert code == 400 and message in answer["error"]
    assert rest({"instances": images[:1].tolist()})[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/v1/models/other:predict", "/v1/models/small/versions/2:predict", "/v2", "/"],
)
def test_rest_knows_one_model_and_version(rest, path):
    code, answer = rest({"instances": [1]}, path)
    assert code == 404 and answer["error"]


def one_for_all():
    """A `TensorProto` of some bytes that stands for 4 TiB."""
    proto = tensor_pb2.TensorProto(dtype=tf.float32.as_datatype_enum, float_val=[0.5])
    for size in (2**34, 8, 8, 1):
        proto.tensor_shape.dim.add(size=size)
    return proto


def test_grpc_answers_and_refuses(predict, model, images):
    import grpc

    found = predict("energy", images=images)["energy"]
    np.testing.assert_allclose(found, model.predict(images, verbose=0), atol=1e-5)
    for arguments, code, message in (
        ({"signature": "energy", "images": images[:, :4]}, "INVALID_ARGUMENT", "(n, 8"),
        ({"signature": "energy", "images": images * 9}, "INVALID_ARGUMENT", "[-1, 1]"),
        ({"signature": "energy", "seeds": 1}, "INVALID_ARGUMENT", "['images']"),
        (
            {"signature": "energy", "images": images.astype("float64")},
            "INVALID_ARGUMENT",
            "images as float32. Received: float64",
        ),
        ({"signature": "energy", "images": one_for_all()}, "INVALID_ARGUMENT", "more"),
        ({"signature": "nothing"}, "INVALID_ARGUMENT", "Expected a signature"),
        ({"signature": "energy", "name": "other"}, "NOT_FOUND", "other"),
    ):
        with pytest.raises(grpc.RpcError) as raised:
            predict(**arguments)
        assert raised.value.code().name == code
        assert message in raised.value.details()
    assert len(predict("energy", images=images)["energy"]) == 6


def requests_of_all_kinds(images):
    """Pairs of a signature and of the inputs of one row."""
    chain = [
        {"seeds": np.array([seed]), "steps": np.array([seed % 4], "int32")}
        for seed in range(6)
    ]
    mask = np.zeros((1, 8, 8), bool)
    mask[:, 2:5, 3:] = True
    pairs = []
    for i, own in enumerate(chain):
        image = {"images": images[i : i + 1]}
        pairs += [
            *((name, image) for name in ("energy", "anomaly_score", "saliency")),
            ("generate", own),
            ("denoise", {**image, **own}),
            ("inpaint", {**image, "masks": mask, **own}),
        ]
    return pairs


def test_many_clients_at_once_get_their_own_answers(connect, rest, folder, images):
    pairs = requests_of_all_kinds(images)
    alone = server.Servable(folder)
    wanted = [alone.predict(*pair) for pair in pairs]

    def by_grpc(pair):
        with connect() as predict:  # a client of its own
            return predict(pair[0], **pair[1])

    def by_rest(pair):
        signature, inputs = pair
        inputs = {name: value.tolist() for name, value in inputs.items()}
        code, answer = rest({"signature_name": signature, "inputs": inputs})
        assert code == 200, answer
        outputs = answer["outputs"]
        return outputs if isinstance(outputs, dict) else {None: outputs}

    def broken(rows):
        inputs = {"seeds": [-1] * rows, "steps": [0] * rows}
        return rest({"signature_name": "generate_png", "inputs": inputs})[0]

    with concurrent.futures.ThreadPoolExecutor(8) as clients:
        for ask in (by_grpc, by_rest):
            answers = [clients.submit(ask, pair) for pair in pairs]
            # In no batch with those, which are of other signatures.
            refused = [clients.submit(broken, rows) for rows in (1, 2, 3)]
            for answer, outputs in zip(answers, wanted, strict=True):
                found = answer.result()
                if None in found:
                    found = dict.fromkeys(outputs, found[None])
                assert set(found) == set(outputs)
                for name, value in outputs.items():
                    np.testing.assert_allclose(found[name], value, atol=1e-5)
            assert [future.result() for future in refused] == [400, 400, 400]


def test_a_folder_without_versions(tmp_path):
    with pytest.raises(FileNotFoundError, match="versions of a SavedModel"):
        server.Servable(tmp_path)


def test_the_benchmark_asks_both_servers(folder, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(pathlib.Path(__file__).parents[2]))
    from benchmarks import serving as benchmark

    options = types.SimpleNamespace(
        model=str(folder),
        signatures=["energy", "generate"],
        rows=["2"],
        clients=["2"],
        seconds=0.2,
        repeats=1,
        max_batch_size=8,
        batch_timeout_micros=1000,
    )
    results = benchmark.run(options)["results"]
    assert [entry["signature"] for entry in results] == options.signatures
    for entry in results:
        for name in ("each by itself", "batching"):
            assert entry[name]["p99_ms"] >= entry[name]["p50_ms"] > 0
            assert entry[name]["rows_per_second"] > 0
    assert "| generate " in capsys.readouterr().out
