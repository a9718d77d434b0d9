"""kill -9 at any moment, then the same command again: bitwise the same weights."""

import contextlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from keras_cfebm import load_ladder

KILLS = 20

# One process pays for the imports; each run is a fork of it. TensorFlow starts its
# threads at the first operation, so nothing is running yet when it forks.
PARENT = """
import os, sys
from keras_cfebm import presets, run

config = presets.config("tiny")
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        run.train(config, sys.argv[1], verbose=0)
        os._exit(0)
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(status, flush=True)
"""


class Runs:
    """Starts runs in a folder, one after another, from one warm parent."""

    def __init__(self, folder):
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        self.parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def start(self):
        self.parent.stdin.write("\n")
        self.parent.stdin.flush()
        return int(self.parent.stdout.readline())

    def wait(self):
        return int(self.parent.stdout.readline())

    def close(self):
        self.parent.stdin.close()
        self.parent.wait()


@pytest.fixture
def runs(tmp_path):
    runs = Runs(tmp_path / "killed")
    yield runs
    runs.close()


def weights(folder):
    model = load_ladder(folder)
    return [w.numpy() for network in model.ladder for w in network.weights]


def wait_for_a_write(folder, until):
    """Returns when a checkpoint is being written, or it is late."""
    while time.monotonic() < until:
        if any(folder.glob("checkpoints/.0*")):
            return
        time.sleep(0.001)


def test_twenty_kills_change_nothing(runs, tmp_path):
    whole = Runs(tmp_path / "whole")
    began = time.monotonic()
    whole.start()
    assert whole.wait() == 0
    duration = time.monotonic() - began
    whole.close()

    chance = random.Random(0)
    folder = pathlib.Path(tmp_path / "killed")
    kills = 0
    while kills < KILLS:
        child = runs.start()
        # Every third kill hits a checkpoint that is being written.
        if kills % 3 == 2:
            wait_for_a_write(folder, time.monotonic() + duration)
        else:
            time.sleep(chance.uniform(0.0, duration))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        status = runs.wait()
        if status == 0:  # it had finished: begin again, the kills must not run out
            shutil.rmtree(folder)
        else:
            assert os.WTERMSIG(status) == signal.SIGKILL
            kills += 1
    runs.start()
    assert runs.wait() == 0
    for a, b in zip(
        weights(tmp_path / "whole"), weights(tmp_path / "killed"), strict=True
    ):
        np.testing.assert_array_equal(a, b)
