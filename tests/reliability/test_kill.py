"""kill -9 at any moment, then the same command again: bitwise the same weights."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import quick_graphs

from keras_cfebm import RunConfig, configs, load_ladder

KILLS = 20

# One process pays for the imports; each run is a fork of it. TensorFlow starts its
# threads at the first operation, so nothing is running yet when it forks.
PARENT = f"""{quick_graphs.IMPORT}
import os, pathlib, sys
import matplotlib.pyplot
from keras_cfebm import RunConfig
from keras_cfebm.runs import train

config = RunConfig.from_json(pathlib.Path(sys.argv[1]).read_text())
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        with quick_graphs.eagerly():
            train.train(config, sys.argv[2], verbose=0)
        os._exit(0)
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(status, flush=True)
"""


class Runs:
    """Starts runs in a folder, one after another, from one warm parent."""

    def __init__(self, config, folder):
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        self.parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(config), str(folder)],
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
def config(tmp_path, noise_images):
    """A file with the configuration of a run of seconds."""
    np.save(tmp_path / "images.npy", noise_images(64, 16))
    plain = configs.config("tiny").to_dict()
    plain["data"] = {"name": str(tmp_path / "images.npy"), "resolution": 16}
    plain["langevin"]["steps"] = 1
    plain["stages"][-1]["decay_images"] = 32
    file = tmp_path / "config.json"
    file.write_text(RunConfig.from_dict(plain).to_json(), encoding="utf-8")
    return file


def weights(folder):
    model = load_ladder(folder)
    return [w.numpy() for network in model.ladder for w in network.weights]


def half_written(folder):
    """Checkpoints that are being written, or were when a kill came."""
    return set(folder.glob("checkpoints/.0*"))


def wait_for_a_write(folder, before, until):
    """Returns when a checkpoint is being written, or it is late."""
    while time.monotonic() < until and half_written(folder) <= before:
        time.sleep(0.001)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_twenty_kills_change_nothing(config, tmp_path):
    with contextlib.closing(Runs(config, tmp_path / "whole")) as whole:
        began = time.monotonic()
        whole.start()
        assert whole.wait() == 0
        duration = time.monotonic() - began
    with contextlib.closing(Runs(config, tmp_path / "killed")) as runs:
        while_writing = kill_again_and_again(runs, tmp_path / "killed", duration)
        assert while_writing > 0
        runs.start()
        assert runs.wait() == 0
    for a, b in zip(
        weights(tmp_path / "whole"), weights(tmp_path / "killed"), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def kill_again_and_again(runs, folder, duration):
    """Returns how many of the kills have hit a checkpoint that was being written."""
    chance = random.Random(0)
    kills = while_writing = 0
    while kills < KILLS:
        before = half_written(folder)
        child = runs.start()
        # Every third kill hits a checkpoint that is being written.
        if kills % 3 == 2:
            wait_for_a_write(folder, before, time.monotonic() + duration)
        else:
            # Most of the run, so that some kills come late and most runs go on.
            time.sleep(chance.uniform(0.0, 0.6 * duration))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        status = runs.wait()
        if status == 0:  # it had finished: begin again, the kills must not run out
            shutil.rmtree(folder)
        else:
            assert os.WTERMSIG(status) == signal.SIGKILL
            kills += 1
            while_writing += not half_written(folder) <= before
    return while_writing
