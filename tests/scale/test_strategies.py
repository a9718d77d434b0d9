"""tf.distribute: replicas and workers together train the model that one device does."""

import csv
import io
import json
import os
import pathlib
import socket
import subprocess
import sys
import zipfile

import distributed_run
import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_cfebm import backend, configs, load_ladder
from keras_cfebm.callbacks import Checkpoints, DivergenceGuard
from keras_cfebm.configs.run_config import RunConfig
from keras_cfebm.configs.stages import Stage
from keras_cfebm.growing import fit_progressively
from keras_cfebm.runs.run_folder import RunFolder

SCRIPT = pathlib.Path(distributed_run.__file__)


def start(strategy, config, folder, **environment):
    return subprocess.Popen(
        [sys.executable, SCRIPT, config, folder, strategy],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@pytest.fixture(scope="module")
def runs(tmp_path_factory, noise_images):
    """Folders of one and the same run: on one device, on two, and by two workers."""
    folder = tmp_path_factory.mktemp("strategies")
    np.save(folder / "images.npy", noise_images(16, 16))
    plain = configs.config("tiny").to_dict()
    plain["coarse_pool"] = 20
    plain["data"] = {"name": str(folder / "images.npy"), "resolution": 16}
    plain["langevin"]["steps"] = 2
    plain["data_noise"] = 0.1
    plain["stages"] = [
        Stage(8, fade_images=0, stabilise_images=16, batch_size=4, learning_rate=0.01),
        Stage(16, 8, 8, batch_size=4, learning_rate=0.01, accumulation=2),
    ]
    config = folder / "config.json"
    config.write_text(RunConfig.from_dict(plain).to_json(), encoding="utf-8")
    names = ("single", "mirrored", "multi_worker")
    folders = {name: folder / name for name in names}
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    tasks = [{"type": "worker", "index": index} for index in range(2)]
    clusters = [{"cluster": {"worker": workers}, "task": task} for task in tasks]
    processes = [
        start("mirrored", config, folders["mirrored"]),
        *(
            start(name, config, folders[name], TF_CONFIG=json.dumps(cluster))
            for name, cluster in zip(2 * ["multi_worker"], clusters, strict=True)
        ),
    ]
    try:
        assert distributed_run.train(config, folders["single"]) == 0
        for process in processes:
            output, _ = process.communicate()
            assert process.returncode == 0, output
    finally:
        for process in processes:
            process.kill()
    return folders


def arrays(path):
    """All weights of a .keras file: networks, averages, β, singular vectors, Adam."""
    found = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with zipfile.ZipFile(path) as archive:
        file = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(file) as weights:
        weights.visititems(keep)
    return found


@pytest.mark.parametrize("name", ["mirrored", "multi_worker"])
def test_replicas_train_what_one_device_trains(runs, name):
    expected = sorted(RunFolder(runs["single"]).checkpoints.iterdir())
    checkpoints = sorted(RunFolder(runs[name]).checkpoints.iterdir())
    assert [path.name for path in checkpoints] == [path.name for path in expected]
    for one, other in zip(expected, checkpoints, strict=True):
        ones, others = arrays(one / "model.keras"), arrays(other / "model.keras")
        assert ones.keys() == others.keys() and len(ones) > 50
        for place, value in ones.items():
            np.testing.assert_allclose(others[place], value, atol=1e-6, err_msg=place)


@pytest.mark.parametrize("name", ["mirrored", "multi_worker"])
def test_replicas_report_the_figures_of_the_whole_batch(runs, name):
    rows, expected = (
        list(csv.DictReader(RunFolder(runs[kind]).metrics.read_text().splitlines()))
        for kind in (name, "single")
    )
    for row, wanted in zip(rows, expected, strict=True):
        for column in ("stage_step", "beta", "gap", "data_energy", "gradient_norm"):
            assert float(row[column]) == pytest.approx(float(wanted[column]), abs=1e-5)


def test_uneven_replicas_train_what_one_device_trains(runs):
    folder = runs["mirrored"]
    images = np.load(folder.with_name("images.npy"))[:11, :8, :8]
    expected = distributed_run.two_uneven_steps(images)
    with np.load(f"{folder}_uneven.npz") as received:
        assert len(received.files) > 10
        for (name, value), other in zip(
            expected.items(), received.values(), strict=True
        ):
            np.testing.assert_allclose(other, value, atol=1e-5, err_msg=name)


def test_the_chief_alone_writes_a_whole_run(runs):
    single, multi = (
        {p.relative_to(folder) for p in folder.rglob("*.png")}
        for folder in (runs["single"], runs["multi_worker"])
    )
    assert multi == single and multi
    boards = list(RunFolder(runs["multi_worker"]).tensorboard.rglob("events*"))
    assert len(boards) == len({board.parent for board in boards})
    model = load_ladder(runs["multi_worker"])
    assert [network.resolution for network in model.ladder] == [8, 16]


@pytest.fixture
def one_replica():
    """A strategy whose variables are those of several devices, on one."""
    return tf.distribute.MirroredStrategy(["CPU:0"])


class Break(keras.callbacks.Callback):
    """Makes a weight NaN once, in the second epoch."""

    done = False

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1 and not self.done:
            self.done = True
            kernel = self.model.network.head.linear.kernel
            kernel.assign(np.full(kernel.shape, np.nan))


def test_the_guard_and_checkpoints_work_under_a_strategy(
    one_replica, make_model, noise_images, values, assert_equal, tmp_path
):
    images = tf.data.Dataset.from_tensors(noise_images(4, 8)).repeat()
    with one_replica.scope():
        model = make_model()
    guard = DivergenceGuard()
    checkpoints = Checkpoints(tmp_path, companions=[guard])
    stages = [Stage(8, 0, stabilise_images=16, batch_size=4)]
    trained = fit_progressively(
        model,
        lambda *_: images,
        stages,
        callbacks=[guard, Break(), checkpoints],
        report_steps=2,
        verbose=0,
    )
    assert [event["step"] for event in guard.events] == [3]
    assert np.isfinite(np.concatenate([v.ravel() for v in values(trained)])).all()
    with one_replica.scope():
        restored = checkpoints.restore().model
    assert restored.step == 4
    assert_equal(values(restored.finished()), values(trained))


def test_a_batch_that_replicas_cannot_share_is_refused(make_model, monkeypatch):
    monkeypatch.setattr(backend, "replicas", lambda model: 3)
    stages = [Stage(8, 0, stabilise_images=16, batch_size=4)]
    with pytest.raises(ValueError, match="3 replicas and 1 parts"):
        fit_progressively(make_model(), lambda *_: None, stages)


def test_an_unknown_strategy_is_refused():
    with pytest.raises(ValueError, match="Expected a strategy"):
        backend.strategy("parameter_server")
