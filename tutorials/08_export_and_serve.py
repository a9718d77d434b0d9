# %% [markdown]
# # Export and serve
#
# A trained energy is of use to others when they can ask it without Python, Keras or
# this package. This notebook writes a SavedModel, starts a server, and asks it by
# `curl`, by a REST client and by a gRPC client.
#
# **Learning goals.** After this notebook you can
#
# - export a model, and say what a signature and a version are;
# - ask a server for energies, samples and anomaly flags, in JSON and in protocol
#   buffers;
# - explain why seeds and steps are inputs, one per row;
# - measure latency and throughput, and say when merging requests pays.
#
# **Prerequisites.** None but the idea of an energy; notebook 04 for the threshold.
#
# **Convention.** An energy $E(x)$ is one number per image, low = likely:
# $p(x) = \exp(-E(x)) / Z$.

# %%
import atexit
import base64
import concurrent.futures
import io
import json
import pathlib
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from PIL import Image

import keras_cfebm as cf
from keras_cfebm import visualization

visualization.use_style()

# %% tags=["parameters"]
requests = 64  # @param {type:"integer"}
clients = 8  # @param {type:"integer"}
false_positive_rate = 0.05  # @param {type:"number"}
signatures = None  # @param {type:"raw"}

# %% [markdown]
# ## One SavedModel, a signature per task
#
# A SavedModel holds the graph and the weights. A *signature* is a function in it with
# named inputs and outputs. A *version* is a numbered folder; a server takes the newest.
# The preset brings a detector (notebook 04) whose score is a surprise, $-\log q(x)$: a
# share $q$ of held-out normal images is as unusual. (A p-value, no density.) So its
# threshold follows from the share $\alpha$ of normal images that may be flagged:
#
# $$\text{anomalous}(x) = [\, -\log q(x) > -\log \alpha \,] .$$
#
# `signatures=None` exports all tasks; a list of names exports those only, and sooner.

# %%
model = cf.CFEBM.from_preset("fashion_mnist")
test = cf.datasets.load("fashion_mnist_embedded", "test", resolution=32, fit="pad")
model.detector.false_positive_rate = false_positive_rate
settings = {"max_steps": 50, "fit": "pad", "signatures": signatures}
path = cf.export_saved_model(model, "serving/garments", **settings)
print(path, f"threshold {model.detector.threshold:.2f}")

# Plain TensorFlow can look into it; nothing of Keras or of this package is needed.
exported = tf.saved_model.load(path).signatures
for name, signature in sorted(exported.items()):
    inputs = ", ".join(sorted(signature.structured_input_signature[1]))
    print(f"{name:>20}: {inputs} → {', '.join(sorted(signature.structured_outputs))}")

# %% [markdown]
# ## Start a server
#
# `cfebm serve` speaks the two protocols of TensorFlow Serving, on two ports. In
# production the same folder is given to TensorFlow Serving or KServe (docs/serving.md
# tells when to take which). Two servers are started: the second one merges the rows of
# requests that wait at the same time. Whatever happens, they end with this notebook.


# %%
def start(log, *arguments, seconds=180):
    """Starts a server; returns its process, and its REST and gRPC addresses."""
    command = [sys.executable, "-m", "keras_cfebm", "serve", "--model=serving/garments"]
    command += ["--rest_port=0", "--grpc_port=0", "--timeout=120", *arguments]
    log = pathlib.Path("serving", log)
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    atexit.register(process.kill)
    deadline = time.monotonic() + seconds
    while "REST: " not in (said := log.read_text()):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError(f"The server has not started:\n{said}")
        time.sleep(0.2)
    return process, dict(re.findall(r"^(REST|gRPC): (\S+)", said, re.MULTILINE))


servers = {
    "each by itself": start("each_by_itself.log"),
    "merged": start("merged.log", "--max_batch_size=16"),
}
url, grpc_address = (servers["each by itself"][1][kind] for kind in ("REST", "gRPC"))
print(url, grpc_address)

# %% [markdown]
# ## Ask with curl
#
# The REST protocol is JSON. `instances` is a list of rows; each is an object of named
# inputs, or the bare value where there is one input. Bytes are written as
# `{"b64": "…"}`, and come back like that from outputs whose name ends in `_bytes`.

# %%
row = {"seeds": 7, "steps": 0, "speed": 1}
body = json.dumps({"signature_name": "generate_png", "instances": [row]})
answer = json.loads(
    subprocess.check_output(["curl", "--silent", "--max-time", "150", "-d", body, url])
)
png = answer["predictions"][0]
print({"b64": png["b64"][:40] + "…"})
sample = Image.open(io.BytesIO(base64.b64decode(png["b64"])))
sample.resize((128, 128), Image.Resampling.NEAREST)


# %%
# The same by a client of one's own.
def ask(signature, url=url, **body):
    """Sends a REST request; returns what was predicted."""
    data = json.dumps({"signature_name": signature, **body}).encode()
    with urllib.request.urlopen(url, data, timeout=150) as answer:
        answer = json.load(answer)
    return answer.get("predictions", answer.get("outputs"))


print("the sample:", ask("anomaly_score_bytes", instances=[png]))
noise = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 1))
print("noise:     ", ask("anomaly_score", instances=noise.tolist()))
energies = ask("energy", inputs=test.images(4).tolist())
print("energies:  ", np.round(energies, 3))
print("in Python: ", np.round(model.predict(test.images(4), verbose=0), 3))

# %% [markdown]
# The server gives what Python gives. The noise is flagged, as no normal image was as
# unusual, and the sample is not. The raw energy of this model is high for such noise
# too, but not of every image that is none: notebook 04 shows where raw energies
# mislead, and an exported one misleads as much.
#
# ## Seeds and steps, one per row
#
# A Langevin step needs noise. Here the noise is a function of the row's seed $s$ and
# the step $k$ only, computed with integers:
#
# $$x_{k+1} = x_k - \eta \, \frac{\partial E}{\partial x}(x_k)
#   + \sigma_k \, \varepsilon(s, k) .$$
#
# So a sample can be asked for again, and but for rounding it does not depend on the
# rows beside it, which a server that merges requests takes from other clients.


# %%
def chain(seeds, steps=0, speed=1):
    """The inputs of a chain, one of each per seed."""
    steps, speed = (np.broadcast_to(dial, len(seeds)) for dial in (steps, speed))
    return {"seeds": list(seeds), "steps": steps.tolist(), "speed": speed.tolist()}


together = ask("generate", inputs=chain([1, 2, 3, 4]))
alone = ask("generate", inputs=chain([3]))
print("alone or in company:", np.abs(np.array(together)[2] - alone[0]).max())
by_steps = ask("generate", inputs=chain([7] * 7, steps=[1, 2, 5, 10, 15, 30, 50]))
by_speed = ask("generate", inputs=chain([7] * 7, speed=[1, 1.5, 2, 3, 5, 8, 15]))
visualization.image_grid(np.array(by_steps + by_speed, "float32"), columns=7)

# %% [markdown]
# One seed; above with 1 to 50 steps per level (0 would be the model's own). The last
# chains are longer than in training (16, 8 and 8 steps): more is not better. Below
# with seven speeds: fewer steps that are larger in proportion, so that each chain takes
# as long a way as in training. It bears a speed of 2 or 3; much larger steps miss.
#
# ## What is refused
#
# A server has to survive its clients. The graph itself checks shapes, ranges, NaN and
# the number of steps, which bounds how long one request can take.

# %%
for description, request in {
    "pixels 0 … 255": {"instances": (test.images(1) * 127.5 + 127.5).tolist()},
    "16 × 16 pixels": {"instances": test.images(1, resolution=16).tolist()},
    "a missing value": {"instances": [np.full((32, 32, 1), np.nan).tolist()]},
}.items():
    try:
        ask("energy", **request)
    except urllib.error.HTTPError as error:
        reason = json.load(error)["error"].split("assertion failed: ")[-1]
        print(f"{description}: {error.code}, {reason.splitlines()[0]}")

# %% [markdown]
# ## gRPC, and how much the server can do
#
# The gRPC protocol sends tensors as bytes, which is far less work than JSON for images.
# With $n$ rows answered in $t$ seconds, throughput is $n / t$; latency is what one
# client waits, told by its median and by its slow end, the 95th percentile. The same
# requests of one row are sent to both servers, by several clients at once.

# %%
import grpc
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc as services


def message(signature, **inputs):
    """A `PredictRequest`."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "garments"
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def load(address, request, clients=clients, requests=requests):
    """Latencies in milliseconds, and rows per second."""
    stub = services.PredictionServiceStub(grpc.insecure_channel(address))

    def one(_):
        begin = time.perf_counter()
        stub.Predict(request, timeout=150)
        return 1e3 * (time.perf_counter() - begin)

    one(None)  # the first one prepares the graph
    begin = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        latencies = list(pool.map(one, range(requests)))
    rows = next(iter(request.inputs.values())).tensor_shape.dim[0].size
    return latencies, rows * requests / (time.perf_counter() - begin)


def samples(rows):
    """A `PredictRequest` for so many samples."""
    seeds, steps = np.arange(rows, dtype="int64"), np.zeros(rows, "int32")
    return message("generate", seeds=seeds, steps=steps, speed=np.ones(rows, "float32"))


energy_of_one = message("energy", images=test.images(1))
for what, request in (("energy", energy_of_one), ("generate", samples(1))):
    for name, (_, addresses) in servers.items():
        latencies, rate = load(addresses["gRPC"], request)
        median, slow = np.percentile(latencies, [50, 95])
        print(
            f"{what:>8}, {name:>14}: median {median:6.1f} ms, "
            f"95 % {slow:6.1f} ms, {rate:6.1f} rows/s"
        )

# %% [markdown]
# Compare the two lines of `generate`, then those of `energy`. Merging pays where one
# row leaves the processor idle or costs much in overhead, as a chain of many small
# steps does; of single energies it changes little. Nobody waits for company here: only
# those are merged that wait anyway, for the request before them. What it costs is that
# all of them wait for the slowest.
#
# ## Exercises
#
# 1. *(easy)* A new version: export the model again and look at the folders. Can version
#    1 be overwritten?
# 2. *(medium)* Ask for the inpainting of an image whose left half is missing. Are the
#    known pixels those that were sent?
# 3. *(medium)* How large is a JSON request for one image, how large the gRPC message,
#    how large a PNG file?
# 4. *(hard)* Draw throughput of `generate` over the number of rows per request. Where
#    does it stop growing?

# %%
# @title Solution 1 {display-mode: "form"}
cf.export_saved_model(model, "serving/garments", signatures=["generate"])
print(sorted(folder.name for folder in pathlib.Path("serving/garments").iterdir()))
try:
    cf.export_saved_model(model, "serving/garments", version=1)
except FileExistsError as error:
    print(error)
# A server takes the newest version by itself. If one could be overwritten, clients
# would get other answers under the same name, and there would be no way back.

# %%
# @title Solution 2 {display-mode: "form"}
image, mask = test.images(1), np.zeros((1, 32, 32), bool)
mask[:, :, :16] = True
row = {"images": image.tolist(), "masks": mask.tolist(), **chain([0])}
filled = np.array(ask("inpaint", inputs=row)["images"], "float32")
print("known pixels unchanged:", (filled[~mask] == image[~mask]).all())
# They are put back after every step, the last one included, and JSON keeps a float32.
hidden = np.where(mask[..., None], -1, image).astype("float32")
visualization.image_grid(np.concatenate([image, hidden, filled]), columns=3)

# %%
# @title Solution 3 {display-mode: "form"}
file = io.BytesIO()
Image.fromarray(cf.datasets.to_uint8(image)[0, ..., 0]).save(file, "PNG")
print("JSON:", len(json.dumps({"instances": image.tolist()})), "bytes")
print("gRPC:", energy_of_one.ByteSize(), "bytes")
print("PNG: ", len(file.getvalue()), "bytes, a third more as base64")
# JSON writes a pixel in many digits, gRPC in the four bytes of a float32; PNG has one
# byte a pixel and compresses it, which black ground makes easy.

# %%
# @title Solution 4 {display-mode: "form"}
sizes = [1, 2, 4, 8, 16, 32][: 2 + requests // 16]
rates = []
for rows in sizes:
    rates.append(load(grpc_address, samples(rows), clients=1, requests=4)[1])
plt.figure(figsize=(5, 2.5))
plt.plot(sizes, rates, "o-")
plt.xlabel("rows per request")
plt.ylabel("samples per second")
plt.show()
# Rows of one request share what a step costs besides computing: up to about four rows,
# throughput doubles. Then the cores are busy, time grows with the rows, and the curve
# is nearly flat.

# %%
# Stop the servers: each answers what it was asked before, and then ends.
for process, _ in servers.values():
    process.terminate()
print("exit codes:", [process.wait(150) for process, _ in servers.values()])

# %% [markdown]
# ## What to remember
#
# - A SavedModel is the graph, the weights and named signatures; a version is a folder.
# - Seeds and steps are inputs, one per row: answers can be repeated and do not depend
#   on other clients.
# - The graph checks its inputs; bounded steps bound the time of a request.
# - Merging requests is for throughput, and may cost latency. Measure both, at the load
#   you expect.
# - A served energy has the blind spots of the energy that was exported.
