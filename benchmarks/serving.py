"""Latency and throughput of an exported model: which engine, and whether to merge.

The first table has one small request by REST, an energy of one row, of `cfebm serve`
and, where they are installed, of a FastAPI application of 20 lines and of Ray Serve
with its batching: seconds until the first answer, latency of one client, answers to 64
clients that ask at the same moment on new connections, memory of the processes, what
they share counted once. The second one has gRPC requests to two servers of ours, with
and without `--max_batch_size`. The servers of a table are asked in turn. They and their
clients share the processor: a client that only waits takes little of it. TensorFlow
Serving runs the same graph without Python around it. The last line is what the rows
beside it make of a sample: pixels of the same seeds alone and among 16.

Run from the repository's root, on an idle machine:

    pip install "ray[serve]"  # for the rows of FastAPI and Ray Serve, 0.4 GB
    python -m benchmarks.serving --model=saved_models/fashion_mnist/serving
"""

import contextlib
import functools
import http.client
import importlib.util
import json
import sys
import threading
import time
from concurrent import futures

import numpy as np
import tensorflow as tf
from absl import flags

from benchmarks import _common, _servers
from keras_cfebm.serving.served_model import ServedModel
from keras_cfebm.utils.optional import optional_import

#: Name → the package that it needs, and the module that runs it.
_PEERS = {
    "FastAPI, 20 lines": ("fastapi", "benchmarks._serving_fastapi"),
    "Ray Serve": ("ray", "benchmarks._serving_ray"),
}
#: Clients at the same moment.
_CROWD = 64


def define_flags():
    flags.DEFINE_string("model", None, "Folder of versions.", required=True)
    flags.DEFINE_list("signatures", ["energy", "generate"], "What to ask for.")
    flags.DEFINE_list("rows", ["1", "16"], "Rows per request.")
    flags.DEFINE_list("clients", ["1", "8"], "Requests at a time.")
    flags.DEFINE_float("seconds", 4.0, "Of each measurement.", lower_bound=0.01)
    flags.DEFINE_integer("repeats", 3, "Measurements of each.", lower_bound=1)
    flags.DEFINE_integer("max_batch_size", 64, "Of merging.", lower_bound=1)
    flags.DEFINE_string("json", None, "File for all the numbers.")


def crowd(port, body):
    """Answers to clients that ask at the same moment, and how many a second."""
    together = threading.Barrier(_CROWD)

    def one(_):
        together.wait()
        begin = time.perf_counter()
        return _servers.answers(port, body), begin, time.perf_counter()

    with futures.ThreadPoolExecutor(_CROWD) as threads:
        done, begins, ends = zip(*threads.map(one, range(_CROWD)), strict=True)
    return sum(done), sum(done) / (max(ends) - min(begins))


def chain(rows, steps=0):
    """The inputs of `generate`."""
    return {
        "seeds": np.arange(rows, dtype="int64"),
        "steps": np.full(rows, steps, "int32"),
        "speed": np.ones(rows, "float32"),
    }


def request(signature, rows, image_shape):
    """A `PredictRequest` of so many rows."""
    predict_pb2 = optional_import("tensorflow_serving.apis.predict_pb2", "serve")
    message = predict_pb2.PredictRequest()
    message.model_spec.name = _servers.NAME
    message.model_spec.signature_name = signature
    if signature == "generate":
        inputs = chain(rows)
    else:
        rng = np.random.default_rng(0)
        images = rng.uniform(-1, 1, (rows, *image_shape))
        inputs = {"images": images.astype("float32")}
    for name, value in inputs.items():
        message.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return message


def measure(ask, clients, seconds):
    """Calls a function from so many threads for some time.

    Returns:
        Pair of the latencies in seconds and of the seconds that it took.
    """
    latencies = []
    start = time.perf_counter()

    def client(_):
        while (begin := time.perf_counter()) < start + seconds:
            ask()
            latencies.append(time.perf_counter() - begin)

    with futures.ThreadPoolExecutor(clients) as threads:
        list(threads.map(client, range(clients)))  # raises what a client has raised
    return latencies, time.perf_counter() - start


def figures(rounds, rows):
    """Of all rounds' requests p50 and p99 in milliseconds; the median rows per second.

    Of fewer than 100 requests p99 is all but the longest time, hence their number.
    """
    latencies = np.concatenate([latencies for latencies, _ in rounds])
    rates = [rows * len(latencies) / seconds for latencies, seconds in rounds]
    return {
        "requests": len(latencies),
        "p50_ms": float(1e3 * np.percentile(latencies, 50)),
        "p99_ms": float(1e3 * np.percentile(latencies, 99)),
        "rows_per_second": float(np.median(rates)),
    }


def by_company(servable, rows=16, seeds=4):
    """Steps → the largest difference that other rows make to a sample's pixels."""
    found = {}
    for steps in (1, 10, servable.metadata["max_steps"]):
        inputs = chain(rows, steps)
        alone = [{k: v[i : i + 1] for k, v in inputs.items()} for i in range(seeds)]
        images, *others = [
            servable.run("generate", given, timeout=600)["images"]
            for given in (inputs, *alone)
        ]
        found[steps] = float(np.abs(images[:seeds] - np.concatenate(others)).max())
    return found


def _cells(values):
    return [f"{x:.1f}" if isinstance(x, float) else str(x) for x in values]


def engines(path, version, body, seconds, repeats):
    """Name → figures of the first table, of ours and of what else is installed."""
    commands = {"cfebm serve": _servers.ours(path, "--max_batch_size=64")}
    for name, (package, module) in _PEERS.items():
        if importlib.util.find_spec(package) is not None:
            command = [sys.executable, "-m", module, f"{path}/{version}"]
            commands[name] = lambda rest, _, command=command: [*command, str(rest)]
        else:
            print(f"Left out, as {package} is not installed: {name}")
    rounds, found = {name: [] for name in commands}, {}
    with contextlib.ExitStack() as stack:
        servers = {
            name: stack.enter_context(_servers.server(command, body))
            for name, command in commands.items()
        }
        for _ in range(repeats):
            for name, running in servers.items():
                client = http.client.HTTPConnection("127.0.0.1", running.rest)
                ask = functools.partial(_servers.ask, client, body)
                alone, _ = measure(ask, 1, seconds)
                rounds[name].append((alone, *crowd(running.rest, body)))
                client.close()
        for name, running in servers.items():
            latencies, answers, rates = zip(*rounds[name], strict=True)
            latencies = 1e3 * np.concatenate(latencies)
            processes = _servers.family(running.process)
            found[name] = {
                "ready_s": running.ready,
                "p50_ms": float(np.percentile(latencies, 50)),
                "p99_ms": float(np.percentile(latencies, 99)),
                "answered": f"{sum(answers)} of {repeats * _CROWD}",
                "per_second": float(np.median(rates)),
                "memory_mib": _servers.memory(processes),
                "processes": len(processes),
            }
    header = ["a small request by REST", "ready s", "p50 ms", "p99 ms"]
    header += [f"{_CROWD} at once", "requests/s", "MiB", "processes"]
    table = [[name, *_cells(values.values())] for name, values in found.items()]
    print(f"{_common.markdown_table(header, table)}\n")
    return found


def merging(options, image_shape, body):
    """The figures of the second table."""
    grpc = optional_import("grpc", "serve")
    services = optional_import(
        "tensorflow_serving.apis.prediction_service_pb2_grpc", "serve"
    )
    merge = f"--max_batch_size={options.max_batch_size}"
    commands = {
        "each by itself": _servers.ours(options.model),
        "merged": _servers.ours(options.model, merge),
    }
    found, stubs = [], {}
    unbounded = [("grpc.max_receive_message_length", -1)]
    with contextlib.ExitStack() as stack:
        for name, command in commands.items():
            running = stack.enter_context(_servers.server(command, body))
            address = f"127.0.0.1:{running.grpc}"
            channel = grpc.insecure_channel(address, options=unbounded)
            stubs[name] = services.PredictionServiceStub(stack.enter_context(channel))
        for signature in options.signatures:
            for rows in map(int, options.rows):
                message = request(signature, rows, image_shape)
                asks = {
                    name: functools.partial(stub.Predict, message)
                    for name, stub in stubs.items()
                }
                for clients in map(int, options.clients):
                    rounds = {name: [] for name in asks}
                    for ask in asks.values():
                        measure(ask, clients, seconds=0.01)
                    for _ in range(options.repeats):
                        for name, ask in asks.items():
                            rounds[name].append(measure(ask, clients, options.seconds))
                    settings = {"signature": signature, "rows": rows}
                    measured = {k: figures(v, rows) for k, v in rounds.items()}
                    found.append({**settings, "clients": clients, **measured})
    header = ["signature", "rows", "clients"]
    header += ["requests", "p50 ms", "p99 ms", "rows/s"]
    header += ["merged: requests", "p50 ms", "p99 ms", "rows/s"]
    table = [
        _cells(
            [entry[key] for key in header[:3]]
            + [value for name in stubs for value in entry[name].values()]
        )
        for entry in found
    ]
    print(_common.markdown_table(header, table))
    return found


def run(options):
    """Measures and prints both tables.

    Args:
        options: the command line's flags.

    Returns:
        Dict of JSON values.
    """
    description = _common.machine(("tensorflow", "grpcio"))
    servable = ServedModel(options.model).current
    image_shape = servable.metadata["image_shape"]
    company = by_company(servable)
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (1, *image_shape)).round(3)
    body = json.dumps({"instances": images.tolist()}).encode()
    compared = engines(
        options.model, servable.version, body, options.seconds, options.repeats
    )
    found = merging(options, image_shape, body)
    text = ", ".join(f"{x:.0e} at {steps} steps" for steps, x in company.items())
    print(f"\nPixels alone and in company differ by {text} per level.")
    print(f"\n{_common.machine_line(description)}")
    results = {"engines": compared, "results": found, "company": company}
    return {"machine": description, **results}


if __name__ == "__main__":
    _common.main(run, define_flags)
