"""What TensorFlow Serving's source answers, asked of one server, by REST and gRPC.

Each row of the tables holds the code that its source gives (`http_rest_api_handler.cc`,
`json_tensor.cc`, `predict_util.cc`, `server_core.cc`, `get_model_status_impl.cc`).
Where this server differs, `ours` holds its code, and the row stands in the table of
known differences in docs/serving.md.
"""

import base64
import concurrent.futures
import contextlib
import gzip
import http.client
import io
import itertools
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from keras_cfebm.model import CFEBM
from keras_cfebm.sampling import Langevin
from keras_cfebm.serving.export import export_saved_model

grpc = pytest.importorskip("grpc")
pytest.importorskip("tensorflow_serving.apis")
pytest.importorskip("uvicorn")
from tensorflow_serving.apis import (  # noqa: E402
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from keras_cfebm.serving.scheduler import Scheduler  # noqa: E402
from keras_cfebm.serving.served_model import ServedModel  # noqa: E402
from keras_cfebm.serving.server import serve  # noqa: E402

ROOT = pathlib.Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
PREDICT = "/v1/models/small:predict"
IMAGE = [[[0.0]] * 8] * 8
ROW = {"seeds": 3, "steps": 1, "speed": 1}


class Server(NamedTuple):
    process: subprocess.Popen
    port: int
    grpc_port: int
    log: pathlib.Path
    folder: pathlib.Path
    model: CFEBM

    def ask(self, body=None, path=PREDICT, method=None, headers=None, timeout=60):
        """HTTP status and the answer's JSON value."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        if body is not None and not isinstance(body, bytes) and not _iterates(body):
            body = json.dumps(body).encode()
        method = method or ("GET" if body is None else "POST")
        client.request(method, path, body, headers or {})
        answer = client.getresponse()
        content = answer.read()
        client.close()
        return answer.status, json.loads(content)

    def memory(self):
        """MiB that the process has."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def _iterates(body):
    return not isinstance(body, dict | list | str)


@pytest.fixture(scope="module")
def server(make_network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serving") / "small"
    model = CFEBM([make_network(8)], Langevin(steps=3))
    chosen = ("energy_bytes", "denoise", "generate", "generate_png")
    export_saved_model(model, folder, max_steps=99, max_rows=40, signatures=chosen)
    log = folder.with_name("log")
    flags = ["--rest_port=0", "--grpc_port=0", "--timeout=120"]
    flags += ["--max_batch_size=8", "--max_waiting=70"]
    with open(log, "w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "keras_cfebm", "serve", f"--model={folder}", *flags],
            stdout=output,
            stderr=output,
        )
    deadline = time.monotonic() + 120
    while "REST:" not in log.read_text():
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    ports = re.findall(r"127\.0\.0\.1:(\d+)", log.read_text())
    yield Server(process, int(ports[1]), int(ports[0]), log, folder, model)
    process.kill()
    process.wait()


class Row(NamedTuple):
    """A request by REST, and the status that TensorFlow Serving gives it."""

    asked: str
    status: int
    body: Any = None
    says: str = ""
    path: str = PREDICT
    headers: dict | None = None
    method: str | None = None
    ours: int | None = None


def png():
    file = io.BytesIO()
    PIL.Image.fromarray(np.arange(64, dtype="uint8").reshape(8, 8)).save(file, "PNG")
    return file.getvalue()


def of_files(text):
    return {"signature_name": "energy_bytes", "instances": [{"b64": text}]}


def raw(**changes):
    return json.dumps({"instances": [IMAGE], **changes}).encode()


def columns(rows, steps=1):
    """The inputs of a chain."""
    return {"seeds": [1] * rows, "steps": [steps] * rows, "speed": [1] * rows}


TEXT = base64.b64encode(png()).decode()
CHAIN = {"signature_name": "generate"}
ROWS = [
    Row("rows", 200, {"instances": [IMAGE]}, "predictions"),
    Row("named rows", 200, {"instances": [{"images": IMAGE}]}, "predictions"),
    Row("columns", 200, {"inputs": [IMAGE]}, "outputs"),
    Row("named columns", 200, {"inputs": {"images": [IMAGE]}}, "outputs"),
    Row("many inputs", 200, {**CHAIN, "instances": [ROW]}, "predictions"),
    Row("b64", 200, of_files(TEXT), "predictions"),
    Row("b64, line ends", 200, of_files(base64.encodebytes(png()).decode())),
    Row("b64, no padding", 200, of_files(TEXT.rstrip("="))),
    Row("b64, no base64", 400, of_files("?"), "b64"),
    Row("b64, no text", 400, of_files(7), "b64"),
    Row(
        "half a surrogate",
        400,
        b'{"signature_name":"energy_bytes","inputs":["\\ud800"]}',
    ),
    Row("chunked body", 200, lambda: iter([raw()[:50], raw()[50:]])),
    Row("gzip body", 200, gzip.compress(raw()), headers={"Content-Encoding": "gzip"}),
    Row("no gzip", 400, raw(), headers={"Content-Encoding": "gzip"}),
    Row("unknown signature", 400, {"signature_name": "x", "inputs": 1}, "signature"),
    Row("empty signature name", 200, raw(signature_name="")),
    Row("signature name 7", 400, raw(signature_name=7), "signature_name"),
    Row("wrong version", 404, raw(), path="/v1/models/small/versions/2:predict"),
    Row("its version", 200, raw(), path="/v1/models/small/versions/1:predict"),
    Row(
        "5000 digits",
        400,
        raw(),
        path=f"/v1/models/small/versions/{'9' * 5000}:predict",
    ),
    Row("version label", 400, raw(), path="/v1/models/small/labels/stable:predict"),
    Row("wrong model", 404, raw(), path="/v1/models/other:predict"),
    Row("capitals", 200, raw(), path="/V1/Models/small:PREDICT"),
    Row("encoded name", 200, raw(), path="/v1/models/s%6Dall:predict"),
    Row("malformed JSON", 400, b'{"instances": [', "JSON"),
    Row("no body", 400, b"", "JSON"),
    Row("a JSON list", 400, [], "object"),
    Row("text after the JSON", 200, raw() + b" and more"),
    Row("extra keys", 200, raw(extra=1)),
    Row(
        "extra keys of a row", 400, {"instances": [{"images": IMAGE, "x": 1}]}, "images"
    ),
    Row("extra columns", 200, {"inputs": {"images": [IMAGE], "x": 1}}),
    Row("missing column", 400, {**CHAIN, "inputs": {"seeds": [1]}}, "steps"),
    Row("missing in a row", 400, {**CHAIN, "instances": [{"seeds": 1}]}, "steps"),
    Row("plain rows of many inputs", 400, {**CHAIN, "instances": [1]}, "steps"),
    Row("plain column of many inputs", 400, {**CHAIN, "inputs": [1]}, "steps"),
    Row("objects and values", 400, {"instances": [{"images": IMAGE}, IMAGE]}, "both"),
    Row("rows and columns", 400, raw(inputs=[IMAGE]), "either"),
    Row("neither", 400, {}, "either"),
    Row("NaN", 400, {"instances": [[[[float("nan")]] * 8] * 8]}, "NaN"),
    Row("Infinity", 400, {"instances": [[[[float("inf")]] * 8] * 8]}, "infinity"),
    Row("out of range", 400, {"instances": [[[[3.0]] * 8] * 8]}, "[-1, 1]"),
    Row("another shape", 400, {"instances": [[[[0.0]] * 7] * 8]}, "shape (n, 8, 8, 1)"),
    Row("another rank", 400, {"instances": [[0.0]]}, "axes"),
    Row("ragged rows", 400, {"instances": [[1.0, 2.0], [3.0]]}, "equal size"),
    Row("ragged depth", 400, {"instances": [[1.0, [2.0]]]}, "float32"),
    Row("true as a pixel", 400, {"instances": [[[[True]] * 8] * 8]}, "float32"),
    Row("text as a pixel", 400, {"instances": [[[["0"]] * 8] * 8]}, "float32"),
    Row("null as a pixel", 400, {"instances": [[[[None]] * 8] * 8]}, "float32"),
    Row(
        "fraction as a seed",
        400,
        {**CHAIN, "instances": [{**ROW, "seeds": 1.0}]},
        "int64",
    ),
    Row("large steps", 400, {**CHAIN, "instances": [{**ROW, "steps": 2**32}]}, "int32"),
    Row(
        "too many steps",
        400,
        {**CHAIN, "instances": [{**ROW, "steps": 100}]},
        "0 to 99",
    ),
    Row("deep nesting", 400, b'{"instances":' + b"[" * 520 + b"]" * 520 + b"}"),
    Row("deeper nesting", 400, b'{"instances":' + b"[" * 10**5 + b"]" * 10**5 + b"}"),
    Row("no rows", 400, {"instances": []}, "row"),
    Row("no columns", 400, {**CHAIN, "inputs": columns(0)}, "from 1"),
    Row("too many rows", 400, {"instances": [IMAGE] * 41}, "from 1 to 40"),
    Row("classify", 400, {"examples": []}, path="/v1/models/small:classify"),
    Row("status", 200, says="AVAILABLE", path="/v1/models/small"),
    Row("status of a version", 200, path="/v1/models/small/versions/1"),
    Row("status of another version", 404, path="/v1/models/small/versions/2"),
    Row("status of another model", 404, path="/v1/models/other"),
    Row("metadata", 200, says="signature_def", path="/v1/models/small/metadata"),
    Row("no model name", 400, path="/v1/models"),
    Row("a prediction by GET", 400, path=PREDICT),
    Row("a status by POST", 400, {}, path="/v1/models/small"),
    Row("another method", 400, raw(), method="PUT"),
    Row("another path", 404, path="/"),
    Row(
        "a key twice",
        400,
        b'{"signature_name": "x", ' + raw()[1:-1] + b', "signature_name": "energy"}',
        ours=200,
    ),
    Row("Inf", 400, b'{"instances": [Inf]}', "JSON"),
    Row(
        "300 MB body",
        200,
        lambda: itertools.chain([raw()], (b" " * 2**20 for _ in range(300))),
        ours=413,
    ),
    Row(
        "64 MiB, packed",
        200,
        gzip.compress(raw() + b" " * 2**26),
        headers={"Content-Encoding": "gzip"},
        ours=413,
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=[row.asked for row in ROWS])
def test_rest(server, row):
    body = row.body() if callable(row.body) else row.body
    status, answer = server.ask(body, row.path, row.method, row.headers)
    assert status == (row.ours or row.status), answer
    assert row.says in json.dumps(answer)
    assert ("error" in answer) == (status != 200)
    if row.ours:
        assert f"| {row.asked} |" in DOCS


def test_rest_answers_are_those_of_the_model(server, noise_images):
    images = noise_images(3, 8)
    energies = server.model.predict(images, verbose=0)
    _, answer = server.ask({"instances": images.tolist()})
    np.testing.assert_allclose(answer["predictions"], energies, atol=1e-5)
    _, answer = server.ask({"inputs": images.tolist()})
    np.testing.assert_allclose(answer["outputs"], energies, atol=1e-5)
    chain = {"seeds": [3, 4], "steps": [0, 0], "speed": [1, 1.0]}
    _, answer = server.ask({"signature_name": "generate", "inputs": chain})
    samples = np.array(answer["outputs"], "float32")
    _, answer = server.ask({"signature_name": "generate_png", "inputs": chain})
    files = [base64.b64decode(item["b64"]) for item in answer["outputs"]]
    levels = np.stack([tf.io.decode_png(file).numpy() for file in files])
    np.testing.assert_allclose(levels, (samples.clip(-1, 1) + 1) * 127.5, atol=0.51)
    rows = {"signature_name": "energy_bytes", "instances": answer["outputs"]}
    _, answer = server.ask(rows)
    read = np.stack([*levels, levels[0]]).astype("float32") / 127.5 - 1
    wanted = server.model.predict(read, verbose=0)[:2]
    np.testing.assert_allclose(answer["predictions"], wanted, atol=1e-4)


def test_metadata_tells_what_the_signatures_do_not(server):
    _, answer = server.ask(path="/v1/models/small/metadata")
    assert answer["model_spec"]["version"] == "1"
    found = answer["metadata"]["signature_def"]["signature_def"]
    assert found["generate"]["inputs"]["steps"]["dtype"] == "DT_INT32"
    own = answer["metadata"]["keras_cfebm"]
    assert (own["max_rows"], own["image_shape"]) == (40, [8, 8, 1])


# --- gRPC -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        yield channel


@pytest.fixture(scope="module")
def stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def message(signature="energy", *, filter=(), name="small", version=None, **inputs):
    request = predict_pb2.PredictRequest(output_filter=filter)
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request


def images_of(count=1, **changes):
    """A request for energies, its tensor changed afterwards."""
    request = message(images=np.zeros((count, 8, 8, 1), "float32"))
    for name, value in changes.items():
        if name == "rows":
            request.inputs["images"].tensor_shape.dim[0].size = value
        else:
            setattr(request.inputs["images"], name, value)
    return request


def labelled():
    request = images_of()
    request.model_spec.version_label = "stable"
    return request


def one_for_all():
    """A message of some bytes that stands for 4 GiB."""
    request = images_of(rows=2**24)
    request.inputs["images"].ClearField("tensor_content")
    request.inputs["images"].float_val.append(0.5)
    return request


def many_files():
    """A file that stands for 4 million, 4 GiB."""
    request = message("energy_bytes", image_bytes=[b"x" * 1000])
    request.inputs["image_bytes"].tensor_shape.dim[0].size = 2**22
    return request


def metadata_of(*fields):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = "small"
    return request


def chain(rows=1, steps=1):
    given = {"seeds": np.arange(rows), "steps": np.full(rows, steps, "int32")}
    return {**given, "speed": np.ones(rows, "float32")}


BAD = "INVALID_ARGUMENT"
DENOISE = {"images": np.zeros((1, 8, 8, 1), "float32"), **chain()}
CALLS = [
    ("an energy", images_of(), "OK", None),
    ("default signature", message("", images=DENOISE["images"]), "OK", None),
    ("output_filter", message("denoise", filter=["saliency"], **DENOISE), "OK", None),
    ("unknown output", message("denoise", filter=["x"], **DENOISE), BAD, None),
    ("output twice", message("denoise", filter=["images"] * 2, **DENOISE), BAD, None),
    ("unknown signature", message("x"), "FAILED_PRECONDITION", None),
    ("wrong model", message(name="other"), "NOT_FOUND", None),
    ("wrong version", message(version=2), "NOT_FOUND", None),
    ("its version", message(version=1, images=DENOISE["images"]), "OK", None),
    ("version label", labelled(), BAD, None),
    ("no model_spec", predict_pb2.PredictRequest(), BAD, None),
    ("missing input", message(), BAD, None),
    ("another input", message(images=DENOISE["images"], x=1), BAD, None),
    ("another type", message(images=np.zeros((1, 8, 8, 1))), BAD, None),
    ("unknown type", images_of(dtype=9999), BAD, None),
    ("another shape", message(images=np.zeros((1, 7, 8, 1), "float32")), BAD, None),
    ("negative size", images_of(rows=-1), BAD, None),
    ("larger than its content", images_of(rows=2), BAD, None),
    ("no rows", message(images=np.zeros((0, 8, 8, 1), "float32")), BAD, None),
    ("too many rows", images_of(41), BAD, None),
    ("one value for 4 GiB", one_for_all(), BAD, None),
    ("one file for 4 GiB", many_files(), BAD, None),
    ("metadata", metadata_of("signature_def"), "OK", None),
    ("metadata of nothing", metadata_of(), BAD, None),
    ("other metadata", metadata_of("x"), BAD, None),
    ("Classify", classification_pb2.ClassificationRequest(), BAD, None),
    (
        "a message of 65 MiB",
        message(images=np.zeros((2**18, 8, 8, 1), "float32")),
        BAD,
        "RESOURCE_EXHAUSTED",
    ),
]


def call(stub, request):
    method = type(request).__name__.removesuffix("Request")
    method = {"Classification": "Classify"}.get(method, method)
    return getattr(stub, method)(request, timeout=60)


@pytest.mark.parametrize(
    ("asked", "request_", "code", "ours"), CALLS, ids=[row[0] for row in CALLS]
)
def test_grpc(server, stub, asked, request_, code, ours):
    before = server.memory()
    if (ours or code) == "OK":
        answer = call(stub, request_)
        if asked == "output_filter":
            assert list(answer.outputs) == ["saliency"]
    else:
        with pytest.raises(grpc.RpcError) as raised:
            call(stub, request_)
        assert raised.value.code().name == (ours or code), raised.value.details()
        assert "Traceback" not in raised.value.details()
    if ours:
        assert f"| {asked} |" in DOCS
    assert server.memory() < before + 200


def test_grpc_status(channel, server):
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "small"
    (found,) = stub.GetModelStatus(request).model_version_status
    assert (found.version, found.state) == (1, found.AVAILABLE)
    request.model_spec.version.value = 5
    with pytest.raises(grpc.RpcError) as raised:
        stub.GetModelStatus(request)
    assert raised.value.code().name == "NOT_FOUND"


# --- Clients that are many, that leave, that ask for too much -------------------------


def at_once(count, ask):
    """The results of a function, called by so many threads together."""
    together = threading.Barrier(count)

    def client(index):
        together.wait()
        return ask(index)

    with concurrent.futures.ThreadPoolExecutor(count) as clients:
        return list(clients.map(client, range(count)))


def test_64_clients_at_once_get_their_own_answers(server, noise_images):
    images = noise_images(64, 8)
    energies = server.model.predict(images, verbose=0)

    def energy(index):
        return server.ask({"instances": [images[index].tolist()]})

    for _ in range(2):
        answers = at_once(64, energy)
        assert {status for status, _ in answers} == {200}
        found = [answer["predictions"][0] for _, answer in answers]
        np.testing.assert_allclose(found, energies, atol=1e-5)


def test_too_many_clients_are_told_so(server):
    body = {**CHAIN, "inputs": columns(20, 5)}
    answers = at_once(150, lambda _: server.ask(body))
    assert {status for status, _ in answers} == {200, 503}
    assert server.ask({"instances": [IMAGE]})[0] == 200


def test_clients_that_leave_are_not_waited_for(server, stub):
    slow = message("generate", **chain(40, 99))
    body = json.dumps({**CHAIN, "inputs": columns(40, 99)})
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    for _ in range(25):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall((head + body).encode())
    calls = [stub.Predict.future(slow, timeout=60) for _ in range(25)]
    time.sleep(0.2)
    for one in calls:
        one.cancel()
    began = time.monotonic()
    assert server.ask({"instances": [IMAGE]})[0] == 200
    waited = time.monotonic() - began
    began = time.monotonic()
    stub.Predict(slow)
    # There are two runs before it at most, and not fifty.
    assert waited < 8 * (time.monotonic() - began) + 1


def test_a_call_ends_at_its_deadline(stub):
    with pytest.raises(grpc.RpcError) as raised:
        stub.Predict(message("generate", **chain(40, 99)), timeout=0.01)
    assert raised.value.code().name == "DEADLINE_EXCEEDED"


def test_memory_is_flat(server):
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def ask(count):
        for index in range(count):
            client.request("POST", PREDICT, raw() if index % 3 else b"{")
            client.getresponse().read()

    ask(500)
    before = server.memory()
    ask(1500)
    assert server.memory() < before + 10


def test_the_benchmark_asks_servers(server, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import _servers
    from benchmarks import serving as benchmark

    running = _servers.Running(server.port, server.grpc_port, server.process.pid, 1.0)
    monkeypatch.setattr(_servers, "NAME", "small")
    monkeypatch.setattr(_servers, "server", lambda *_: contextlib.nullcontext(running))
    monkeypatch.setattr(benchmark, "_PEERS", {"another": ("no_package", "")})
    options = types.SimpleNamespace(
        model=str(server.folder),
        signatures=["energy", "generate"],
        rows=["2"],
        clients=["2"],
        seconds=0.2,
        repeats=1,
        max_batch_size=8,
    )
    found = benchmark.run(options)
    assert [entry["signature"] for entry in found["results"]] == options.signatures
    for entry in found["results"]:
        for name in ("each by itself", "merged"):
            assert entry[name]["p99_ms"] >= entry[name]["p50_ms"] > 0
            assert entry[name]["rows_per_second"] > 0
    (ours,) = found["engines"].values()
    assert ours["answered"] == "64 of 64" and ours["processes"] == 1
    assert server.memory() / 2 < ours["memory_mib"] <= server.memory() + 50
    shown = capsys.readouterr().out
    assert max(found["company"].values()) < 1e-4
    assert "| generate " in shown and "not installed: another" in shown


def test_a_port_that_is_taken_is_named(server):
    for ports in ((server.port, 0), (0, server.grpc_port)):
        taken = max(ports)
        with pytest.raises(OSError, match=f"127.0.0.1:{taken} for .*another port"):
            serve(ServedModel(server.folder), Scheduler(), "127.0.0.1", *ports)


# --- Versions, and the end ------------------------------------------------------------


def test_a_new_version_is_taken_up(server):
    new = server.folder.with_name("new")
    shutil.copytree(server.folder / "1", new)
    new.rename(server.folder / "2")
    deadline = time.monotonic() + 60
    while (
        server.ask({"instances": [IMAGE]}, PREDICT.replace(":", "/versions/2:"))[0]
        != 200
    ):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_what_was_asked_before_the_end_is_answered(server):
    """The last test: it ends the server."""
    body = {**CHAIN, "inputs": columns(20, 20)}
    with concurrent.futures.ThreadPoolExecutor(8) as clients:
        answers = [clients.submit(server.ask, body) for _ in range(8)]
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        assert [answer.result()[0] for answer in answers] == [200] * 8
    assert server.process.wait(60) == 0
    assert "Traceback" not in server.log.read_text()
