"""The front door of `cfebm`: answers at once, explains what is wrong, and is quiet."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from keras_cfebm.cli.commands import COMMANDS
from keras_cfebm.cli.execute import in_flags
from keras_cfebm.cli.main import main
from keras_cfebm.cli.quiet import quiet_tensorflow, without_remarks
from keras_cfebm.utils.version import __version__

ROOT = pathlib.Path(__file__).parents[2]
#: Packages that take long to import, or bring one that does.
HEAVY = ("PIL", "jax", "keras", "matplotlib", "numpy", "tensorflow")


def run(*command, **environment):
    """Runs Python as from a shell in which nobody has set how much TensorFlow logs."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    variables.pop("TF_CPP_MIN_LOG_LEVEL", None)
    return subprocess.run(
        [sys.executable, *command], env=variables, capture_output=True, text=True
    )


# --- Nothing heavy is imported before the command line was understood ----------------


def test_help_and_typos_are_answered_without_the_library():
    lines = [
        ([], 2),
        (["--help"], 0),
        (["--version"], 0),
        (["smaple"], 2),
        (["train"], 2),
        (["sample", "--model=x", "--sead=1"], 2),
        (["sample", "--model=x", "--count=none"], 2),
        (["sample", "--model=x", "extra"], 2),
        *(([name, "--help"], 0) for name in COMMANDS),
    ]
    code = (
        "import sys\n"
        "sys.argv = ['cfebm']\n"  # of anyone else, the package imports Keras
        "from keras_cfebm.cli.main import main\n"
        f"for line, code in {lines!r}:\n"
        "    assert main(line) == code, line\n"
        f"    heavy = set(sys.modules) & set({HEAVY!r})\n"
        "    assert not heavy, (line, heavy)\n"
    )
    shown = run("-c", code)
    assert shown.returncode == 0, shown.stderr


def test_the_package_can_be_run_as_a_module():
    shown = run("-m", "keras_cfebm", "--help")
    assert shown.returncode == 0 and "usage: cfebm COMMAND" in shown.stdout
    assert all(f"  {name} " in shown.stdout for name in COMMANDS)
    assert all(len(line) <= 80 for line in shown.stdout.splitlines())


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"cfebm {__version__}\n"


# --- A command's terminal holds what the command says, and nothing else ---------------


def test_a_command_is_quiet_but_for_its_own_lines(tmp_path):
    small = ["--preset=tiny", "--resolution=8", "--fit=resize", "--steps=1"]
    small += ["--stabilise_images=8", "--batch_size=8", "--report_steps=1"]
    shown = run("-m", "keras_cfebm", "train", f"--run_dir={tmp_path}", *small)
    assert shown.returncode == 0, shown.stderr
    assert "Trained model" in shown.stdout
    assert not re.search("oneDNN|cuda|cuInit|absl|INFO", shown.stderr, re.IGNORECASE)
    assert re.search(r"^Stage 1 of 1: 8 × 8 pixels", shown.stdout, re.MULTILINE)
    assert shown.stderr == ""
    assert max(map(len, shown.stdout.replace(str(tmp_path), "").splitlines())) <= 100


def test_what_is_no_remark_of_a_library_is_shown(capfd):
    error = b"E0000 00:00:17 1 gpu.cc:1] out of memory\n"
    with pytest.raises(ImportError), without_remarks():
        os.write(2, b"I0000 00:00:17 1 port.cc:153] oneDNN is on.\n" + error)
        raise ImportError
    assert capfd.readouterr().err == error.decode()


@pytest.mark.parametrize("level", [None, "1", "0"])
def test_a_user_decides_how_much_is_logged(monkeypatch, capfd, level):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    if level:
        monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", level)
    with quiet_tensorflow():
        assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == (level or "3")
        os.write(2, b"I0000 00:00:17 1 port.cc:153] oneDNN is on.\n")
    assert ("oneDNN" in capfd.readouterr().err) == (level == "0")


# --- Errors speak of flags ------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            "Expected a batch_size of at most 6.",
            "Expected a --batch_size of at most 6.",
        ),
        ("Expected sigma in (0, inf).", "Expected --sigma in (0, inf)."),
        ("received sigma=0.3 alone.", "received --sigma=0.3 alone."),
        ("Expected classes of 'x'.", "Expected --classes of 'x'."),
        ("Choose --batch_size, not classes.", "Choose --batch_size, not classes."),
        ("No /batch_size/a, 'batch_size'.", "No /batch_size/a, 'batch_size'."),
        ("stages.batch_size: 8 there", "stages.batch_size: 8 there"),
    ],
)
def test_arguments_are_named_as_flags(message, shown):
    assert in_flags(message, ["batch_size", "sigma", "classes"]) == shown


# --- Wrong command lines --------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, ""),
        (["fly"], 2, "unknown command 'fly'."),
        (["smaple"], 2, "unknown command 'smaple'; did you mean 'sample'?"),
        (["--verson"], 2, "did you mean '--version'?"),
        (["train"], 2, "expected --run_dir, received none."),
        (
            ["train", "--run_dir=x", "--sead=1"],
            2,
            "flag '--sead'; did you mean '--seed'",
        ),
        (["train", "--run_dir=x", "--qqq=1"], 2, "unknown flag '--qqq'."),
        (
            ["train", "--run-dir=x"],
            2,
            "unknown flag '--run-dir'; did you mean '--run_dir",
        ),
        (["train", "--run_dir=x", "--seed=one"], 2, "seed"),
        (["train", "--run_dir=x", "extra"], 2, "unexpected argument 'extra'"),
        (["train", "--run_dir=x", "--preset=nope"], 1, "Expected a preset"),
        (["train", "--run_dir=x", "--activation=sine"], 1, "Expected an activation"),
        (["train", "--run_dir=x", "--resolution=24"], 1, "base_resolution"),
        (["train", "--run_dir=x", "--batch_size=8:x"], 1, "--batch_size as an integer"),
        (["train", "--run_dir=x", "--steps=a"], 1, "--steps as an integer"),
        (["train", "--run_dir=x", "--config=absent.json"], 1, "absent.json"),
        (["train", "--run_dir=x", "--config=a", "--preset=b"], 1, "received both"),
        (["demo", "--preset=fashion_mnist_denoise"], 1, "without a source"),
        (["demo", "--data=photos"], 1, "received --data=photos --resolution=32."),
        (["sample", "--model=absent"], 1, "Expected a trained model"),
        (["sample", "--model=x", "--count=0"], 2, "count"),
    ],
)
def test_wrong_command_lines(arguments, code, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    assert message in capsys.readouterr().err
