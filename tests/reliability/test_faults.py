"""Faults of disks, signals, data and files: a clear error, and nothing is lost."""

import contextlib
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import PIL.Image
import pytest
import quick_graphs

from keras_cfebm import datasets, load_ladder
from keras_cfebm.callbacks import Checkpoints, DivergenceGuard, EnergyLog
from keras_cfebm.cli.main import main
from keras_cfebm.configs.run_config import RunConfig
from keras_cfebm.runs.run_folder import RunFolder

SMALL = [
    "--preset=tiny",
    "--fit=exact",
    "--resolution=16",
    "--batch_size=8",
    "--steps=1",
    "--fade_images=8",
    "--stabilise_images=8:40,16:8",
]


@pytest.fixture(scope="module")
def images(noise_images):
    return noise_images(32, 16)


@pytest.fixture(scope="module")
def array_file(tmp_path_factory, images):
    path = tmp_path_factory.mktemp("data") / "images.npy"
    np.save(path, images)
    return path


def train(data, folder):
    with quick_graphs.eagerly():
        return main(["train", f"--data={data}", f"--run_dir={folder}", *SMALL])


@pytest.fixture(scope="module")
def whole(tmp_path_factory, array_file):
    """The folder of a run that nothing has disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert train(array_file, folder) == 0
    return folder


def assert_same_weights(first, second):
    for a, b in zip(load_ladder(first).ladder, load_ladder(second).ladder, strict=True):
        for x, y in zip(a.weights, b.weights, strict=True):
            np.testing.assert_array_equal(x.numpy(), y.numpy())


# --- Disks --------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 16 MB; only root can make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("Only root can mount a small disk.")
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"Cannot mount a small disk: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk):
    with contextlib.suppress(OSError), open(disk / "ballast", "wb") as file:
        while True:
            file.write(bytes(4096))
            file.flush()


@pytest.mark.parametrize("victim", [Checkpoints, EnergyLog, DivergenceGuard])
def test_full_disk(small_disk, array_file, whole, monkeypatch, capfd, victim):
    original = victim.on_epoch_end
    epochs = 0

    def fill_first(self, epoch, logs=None):
        nonlocal epochs
        epochs += 1
        if epochs == 3:
            fill(small_disk)
        original(self, epoch, logs)

    monkeypatch.setattr(victim, "on_epoch_end", fill_first)
    run = small_disk / "run"
    assert train(array_file, run) == 1
    error = capfd.readouterr().err.splitlines()
    error = "\n".join(error[error.index(next(e for e in error if "error:" in e)) :])
    assert "No space left on device" in error and "Traceback" not in error
    if victim is Checkpoints:
        assert "Earlier checkpoints are intact" in error
    names = [path.name for path in sorted((run / "checkpoints").iterdir())]
    assert names == ["000001_0008px_step_2", "000002_0008px_step_4"]

    (small_disk / "ballast").unlink()
    assert train(array_file, run) == 0
    assert_same_weights(run, whole)


def test_full_disk_while_the_ladder_is_written(small_disk, array_file, whole, capfd):
    run = small_disk / "run"
    shutil.copytree(whole, run)
    (run / ".finished").unlink()  # as if it had been stopped before that
    before = (run / "ladder.keras").read_bytes()
    fill(small_disk)
    assert train(array_file, run) == 1
    assert "No space left on device" in capfd.readouterr().err
    assert (run / "ladder.keras").read_bytes() == before


def test_read_only_disk(small_disk, array_file, whole, capsys):
    shutil.copytree(whole, small_disk / "old")
    (small_disk / "old" / ".finished").unlink()
    command = ["mount", "-o", "remount,ro", str(small_disk)]
    subprocess.run(command, check=True)
    for name in ("new", "old"):
        assert train(array_file, small_disk / name) == 1
        assert "Cannot write to" in capsys.readouterr().err


def test_run_folder_below_a_file(array_file, capsys):
    assert train(array_file, array_file / "run") == 1
    assert "Cannot write to" in capsys.readouterr().err


# --- Signals and processes ----------------------------------------------------------


#: As of this process, with whose weights those of a run are compared.
COMMAND = f"{quick_graphs.IMPORT}from keras_cfebm.cli.main import run; run()"
LONG = ["--stabilise_images=8:800,16:8", "--report_steps=20"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, array_file):
    """The folder of a run long enough to be disturbed, which was not."""
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    flags = [f"--data={array_file}", f"--run_dir={folder}", *SMALL, *LONG]
    assert main(["train", *flags]) == 0
    return folder


def reader_has_left():
    reading, writing = os.pipe()
    os.close(reading)
    os.dup2(writing, 1)


#: Standard output is of no one: closed, or a pipe as of `| head -1`.
@pytest.mark.parametrize(
    ("number", "before"),
    [(signal.SIGINT, reader_has_left), (signal.SIGTERM, lambda: os.close(1))],
)
def test_signals_to_a_process(
    tmp_path, array_file, undisturbed, number, before, capsys
):
    run = tmp_path / "run with a space"
    flags = [f"--data={array_file}", f"--run_dir={run}", *SMALL, *LONG]
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "train", *flags],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,
    )
    wait_for_checkpoint(run, process)
    assert main(["train", *flags]) == 1
    assert "Another process is training" in capsys.readouterr().err
    process.send_signal(number)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 128 + number, error
    assert f"Stopped by {number.name}" in error
    # TensorFlow may have last words of its own.
    lines = [line.strip() for line in error.splitlines()]
    (resume,) = [line for line in lines if line.startswith("cfebm ")]
    name, command, *given = shlex.split(resume)
    assert (name, command) == ("cfebm", "train")
    as_dict = [dict(flag.split("=", 1) for flag in line) for line in (given, flags)]
    assert as_dict[0] == as_dict[1]
    assert not (run / "ladder.keras").exists()

    assert main(["train", *flags]) == 0
    assert_same_weights(run, undisturbed)


def wait_for_checkpoint(run, process):
    deadline = time.monotonic() + 120
    while not list(run.glob("checkpoints/0*")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


# --- Data ---------------------------------------------------------------------------


def test_files_that_vanish_in_the_middle_of_an_epoch(
    tmp_path, images, monkeypatch, capsys
):
    photos = tmp_path / "photos"
    photos.mkdir()
    for index, image in enumerate(datasets.to_uint8(images)):
        PIL.Image.fromarray(image[..., 0]).save(photos / f"{index:02d}.png")
    run = tmp_path / "run"
    assert train(photos, run) == 0  # for its config
    config = RunFolder(run).read_config().to_dict()
    config["data"]["options"] = {"memory_limit": 0}
    file = tmp_path / "config.json"
    file.write_text(RunConfig.from_dict(config).to_json(), encoding="utf-8")
    streaming = tmp_path / "streaming"
    command = ["train", f"--config={file}", f"--run_dir={streaming}"]

    original = EnergyLog.on_epoch_end

    def remove_first(self, epoch, logs=None):
        if photos.exists():
            photos.rename(tmp_path / "elsewhere")
        original(self, epoch, logs)

    with monkeypatch.context() as patch, quick_graphs.eagerly():
        patch.setattr(EnergyLog, "on_epoch_end", remove_first)
        assert main(command) == 1
    error = capsys.readouterr().err
    assert "was there when its folder was read, and is gone now" in error
    assert "Traceback" not in error.partition("cfebm train: error:")[2]

    (tmp_path / "elsewhere").rename(photos)
    with quick_graphs.eagerly():
        assert main(command) == 0
    assert_same_weights(streaming, run)


@pytest.mark.parametrize("value", [np.nan, np.inf, 300.0])
def test_pixels_that_are_no_pixels(tmp_path, images, value, capsys):
    broken = images.copy()
    broken[3, 2, 1] = value
    np.save(tmp_path / "broken.npy", broken)
    assert train(tmp_path / "broken.npy", tmp_path / "run") == 1
    error = capsys.readouterr().err
    assert "finite" in error or "[-1, 1]" in error


# --- Files of strangers -------------------------------------------------------------


class Payload:
    """Creates a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_pickles_are_not_opened(tmp_path, suffix, capsys):
    file, trace = tmp_path / f"evil{suffix}", tmp_path / "trace"
    content = np.array([Payload(trace)], dtype=object)
    if suffix == ".npy":
        np.save(file, content, allow_pickle=True)
    else:
        np.savez(file, images=content)
    assert train(file, tmp_path / "run") == 1
    assert "Expected readable arrays" in capsys.readouterr().err
    assert not trace.exists()


def test_code_in_a_model_file_is_not_run(tmp_path, capsys):
    trace = tmp_path / "trace"
    layer = keras.layers.Lambda(
        lambda x, path=str(trace): (pathlib.Path(path).touch(), x)[1],
        output_shape=(1,),
    )
    model = keras.Sequential([keras.Input((1,)), layer])
    model.save(tmp_path / "evil.keras")
    trace.unlink(missing_ok=True)
    assert main(["sample", f"--model={tmp_path / 'evil.keras'}"]) == 1
    assert "Lambda" in capsys.readouterr().err
    assert not trace.exists()


@pytest.mark.parametrize("part", [0.0, 0.3, 0.99])
def test_a_truncated_ladder(tmp_path, whole, part, capsys):
    content = (whole / "ladder.keras").read_bytes()
    file = tmp_path / "ladder.keras"
    file.write_bytes(content[: int(part * len(content))])
    assert main(["sample", f"--model={file}"]) == 1
    assert "Expected a .keras file, which is a zip archive" in capsys.readouterr().err
