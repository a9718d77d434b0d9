"""What is printed never ends the work: any encoding, a reader that has gone away."""

import io
import os
import pathlib
import subprocess
import sys

import pytest

from keras_cfebm.cli.commands import COMMANDS
from keras_cfebm.utils.terminal import say

ROOT = pathlib.Path(__file__).parents[2]


def run(*command, stdout=subprocess.PIPE, preexec_fn=None, **environment):
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [sys.executable, *command],
        env=variables,
        preexec_fn=preexec_fn,
        stdout=stdout,
        stderr=subprocess.PIPE,
        encoding=environment.get("PYTHONIOENCODING", "utf-8"),
    )


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_text_is_spelled_in_the_letters_that_there_are(monkeypatch, encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding, newline="")
    monkeypatch.setattr(sys, "stdout", stream)
    say("8 × 8, β → 1, 雪", end="\r")
    shown = stream.buffer.getvalue().decode(encoding)
    wanted = {
        "ascii": "8 x 8, beta -> 1, ?\r",
        "cp1252": "8 × 8, beta -> 1, ?\r",
        "utf-8": "8 × 8, β → 1, 雪\r",
    }
    assert shown == wanted[encoding]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_the_help_of_every_command_is_shown(encoding):
    code = (
        "import sys\n"
        "sys.argv = ['cfebm']\n"
        "from keras_cfebm.cli.main import main\n"
        "from keras_cfebm.utils.terminal import never_fail\n"
        "never_fail()\n"
        f"for name in {sorted(COMMANDS)!r}:\n"
        "    assert main([name, '--help']) == 0\n"
        "print('\\udcff', file=sys.stderr)\n"  # a file name that is no text
    )
    shown = run("-c", code, PYTHONIOENCODING=encoding)
    assert shown.returncode == 0, shown.stderr
    assert "Langevin noise sigma at the first step." in shown.stdout
    assert shown.stderr.strip() == "?"


def test_a_reader_may_go_away():
    reading, writing = os.pipe()
    os.close(reading)
    try:
        shown = run("-m", "keras_cfebm", "train", "--help", stdout=writing)
    finally:
        os.close(writing)
    assert (shown.returncode, shown.stderr) == (0, "")


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_stream_that_is_closed_is_not_the_next_file(tmp_path, number):
    code = (
        "import os, sys\n"
        "sys.argv = ['cfebm']\n"  # of anyone else, the package imports Keras
        "from keras_cfebm.utils.terminal import never_fail\n"
        "never_fail()\n"
        f"file = open({str(tmp_path / 'file')!r}, 'w')\n"
        "os.write(1, b'printed by a library')\n"
        "print('printed')\n"
        "file.write('kept')\n"
    )
    run("-c", code, preexec_fn=lambda: os.close(number))
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("stream", ["closed", "broken"])
def test_nothing_is_said_to_a_stream_that_is_gone(monkeypatch, stream):
    reading, writing = os.pipe()
    os.close(reading)
    gone = os.fdopen(writing, "w", encoding="utf-8")
    if stream == "closed":
        gone.close()
    monkeypatch.setattr(sys, "stdout", gone)
    say("8 × 8")
    monkeypatch.undo()
    if stream == "broken":
        with pytest.raises(BrokenPipeError):
            gone.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_loses_the_text_alone():
    with open("/dev/full", "w") as full:
        shown = run("-m", "keras_cfebm", "train", "--help", stdout=full)
    assert (shown.returncode, shown.stderr) == (0, "")
