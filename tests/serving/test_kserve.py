"""An exported model behind KServe, which lives in an environment of its own.

python -m venv kserve && kserve/bin/pip install kserve tensorflow
KSERVE_PYTHON=kserve/bin/python .venv/bin/pytest tests/test_kserve.py
"""

import concurrent.futures
import json
import os
import pathlib
import socket
import subprocess
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from keras_cfebm.model import CFEBM
from keras_cfebm.sampling import Langevin
from keras_cfebm.serving.export import export_saved_model

SERVER = pathlib.Path(__file__).with_name("kserve_server.py")
PYTHON = os.environ.get("KSERVE_PYTHON")
pytestmark = pytest.mark.skipif(
    not PYTHON, reason="KSERVE_PYTHON names no Python with kserve and tensorflow"
)


@pytest.fixture(scope="module")
def model(make_network):
    return CFEBM([make_network(8), make_network(16)], Langevin(steps=3))


@pytest.fixture(scope="module")
def ask(model, tmp_path_factory):
    """A function of signature and rows: HTTP code and answer."""
    folder = export_saved_model(model, tmp_path_factory.mktemp("kserve"), max_steps=9)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    server = subprocess.Popen(
        [PYTHON, SERVER, folder, str(port)], cwd=folder, env=environment
    )
    address = f"http://127.0.0.1:{port}/v1/models/exported"

    def ask(signature, rows):
        request = urllib.request.Request(
            f"{address}:predict",
            json.dumps({"signature_name": signature, "instances": rows}).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    while server.poll() is None:
        try:
            urllib.request.urlopen(address)
            break
        except urllib.error.URLError:
            time.sleep(0.5)
    yield ask
    server.terminate()
    server.wait()


def test_many_clients_get_what_the_model_gives(ask, model, noise_images):
    images = noise_images(6, 16)
    energies = model.predict(images, verbose=0)

    def energy(place):
        code, answer = ask("energy", [{"images": images[place].tolist()}])
        return code, answer["predictions"][0]["energy"]

    def sample(seed):
        code, answer = ask("generate", [{"seeds": seed, "steps": 0}])
        return code, answer["predictions"][0]["images"]

    with concurrent.futures.ThreadPoolExecutor(6) as clients:
        found = list(clients.map(energy, range(6)))
        drawn = list(clients.map(sample, range(6)))
    assert {code for code, _ in [*found, *drawn]} == {200}
    np.testing.assert_allclose([e for _, e in found], energies, atol=1e-5)
    wanted = np.concatenate([model.generate(1, seed=seed) for seed in range(6)])
    np.testing.assert_allclose([image for _, image in drawn], wanted, atol=1e-5)


def test_malformed_requests_are_refused_and_the_next_one_answered(ask, noise_images):
    image = noise_images(1, 16)[0]
    for signature, row, message in (
        ("energy", {"images": (3 * image).tolist()}, "[-1, 1]"),
        ("energy", {"images": image[:5].tolist()}, "16"),
        ("generate", {"seeds": 1, "steps": 10}, "9"),
    ):
        code, answer = ask(signature, [row])
        assert code == 400 and message in answer
    assert ask("energy", [{"images": image.tolist()}])[0] == 200
