"""Latency and throughput of an exported model, with and without merging of requests.

Starts `cfebm serve` twice on one SavedModel, with and without `--max_batch_size`, and
sends gRPC requests from threads of this process, to one server and the other in turn.
Server and clients share the processor: a client that only waits takes little of it.
TensorFlow Serving itself runs the same graph without Python around it.

Run from the repository's root, on an idle machine:

    python -m benchmarks.serving --model=saved_models/fashion_mnist/serving
"""

import contextlib
import re
import subprocess
import sys
import time
from concurrent import futures

import numpy as np
import tensorflow as tf
from absl import flags

from benchmarks import _common
from keras_cfebm.serving.served_model import ServedModel
from keras_cfebm.utils.optional import optional_import

_NAME = "model"


def define_flags():
    flags.DEFINE_string("model", None, "Folder of versions.", required=True)
    flags.DEFINE_list("signatures", ["energy", "generate"], "What to ask for.")
    flags.DEFINE_list("rows", ["1", "16"], "Rows per request.")
    flags.DEFINE_list("clients", ["1", "8"], "Requests at a time.")
    flags.DEFINE_float("seconds", 4.0, "Of each measurement.", lower_bound=0.01)
    flags.DEFINE_integer("repeats", 3, "Measurements of each.", lower_bound=1)
    flags.DEFINE_integer("max_batch_size", 64, "Of merging.", lower_bound=1)
    flags.DEFINE_string("json", None, "File for all the numbers.")


@contextlib.contextmanager
def server(path, *arguments):
    """Runs `cfebm serve`; yields a gRPC stub of its service."""
    grpc = optional_import("grpc", "serve")
    services = optional_import(
        "tensorflow_serving.apis.prediction_service_pb2_grpc", "serve"
    )
    command = [sys.executable, "-m", "keras_cfebm", "serve", f"--model={path}"]
    command += [f"--name={_NAME}", "--grpc_port=0", "--rest_port=0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        lines = iter(process.stdout.readline, "")
        address = next(filter(None, (re.search(r"gRPC: (\S+)", x) for x in lines)))
        options = [("grpc.max_receive_message_length", -1)]
        with grpc.insecure_channel(address[1], options=options) as channel:
            yield services.PredictionServiceStub(channel)
    finally:
        process.terminate()
        process.wait()


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
    message.model_spec.name = _NAME
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


def measure(stub, message, clients, seconds):
    """Sends a request from so many threads for some time.

    Returns:
        Pair of the latencies in seconds and of the seconds that it took.
    """
    latencies = []
    start = time.perf_counter()

    def client(_):
        while (begin := time.perf_counter()) < start + seconds:
            stub.Predict(message)
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


def image_shape_of(path):
    """`(height, width, channels)` of the images that a SavedModel generates."""
    found = ServedModel(path).current.run("generate", chain(1, steps=1), timeout=600)
    return found["images"].shape[1:]


def run(options):
    """Measures and prints the table.

    Args:
        options: the command line's flags.

    Returns:
        Dict of JSON values.
    """
    description = _common.machine(("tensorflow", "grpcio"))
    image_shape = image_shape_of(options.model)
    merging = f"--max_batch_size={options.max_batch_size}"
    found = []
    with server(options.model) as plain, server(options.model, merging) as merged:
        stubs = {"each by itself": plain, "merged": merged}
        for signature in options.signatures:
            for rows in map(int, options.rows):
                message = request(signature, rows, image_shape)
                for clients in map(int, options.clients):
                    rounds = {name: [] for name in stubs}
                    for stub in stubs.values():
                        measure(stub, message, clients, seconds=0.01)
                    for _ in range(options.repeats):
                        for name, stub in stubs.items():
                            rounds[name].append(
                                measure(stub, message, clients, options.seconds)
                            )
                    found.append(
                        {
                            "signature": signature,
                            "rows": rows,
                            "clients": clients,
                            **{k: figures(v, rows) for k, v in rounds.items()},
                        }
                    )
    header = ["signature", "rows", "clients"]
    header += ["requests", "p50 ms", "p99 ms", "rows/s"]
    header += ["merged: requests", "p50 ms", "p99 ms", "rows/s"]
    table = [
        [
            *(str(entry[key]) for key in header[:3]),
            *(
                f"{value:.1f}" if isinstance(value, float) else str(value)
                for name in stubs
                for value in entry[name].values()
            ),
        ]
        for entry in found
    ]
    print(_common.markdown_table(header, table))
    print(f"\n{_common.machine_line(description)}")
    return {"machine": description, "results": found}


if __name__ == "__main__":
    _common.main(run, define_flags)
