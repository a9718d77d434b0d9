"""The progress bar: whoever watches sees one after a while, and nobody else."""

import contextlib
import sys
import threading

import keras
import pytest

from keras_cfebm.utils import progress
from keras_cfebm.utils.progress import progress_bar


class Terminal:
    """Standard output that somebody watches, and when something has been written."""

    def __init__(self):
        self.text, self.written = "", threading.Event()

    def write(self, text):
        self.text += text
        self.written.set()

    def flush(self):
        pass

    def isatty(self):
        return True


@pytest.fixture
def watched(monkeypatch):
    """A function that makes a terminal of standard output, for a block of a test."""

    @contextlib.contextmanager
    def watch(patience=0.05):
        monkeypatch.setattr(progress, "PATIENCE", patience)
        with contextlib.redirect_stdout(Terminal()) as stream:
            yield stream

    return watch


def test_long_work_shows_a_bar_even_within_its_only_part(watched):
    with watched() as terminal, progress_bar(16) as done:
        assert terminal.text == ""
        assert terminal.written.wait(10)
        assert "0/16" in terminal.text
        done(16)
    assert "16/16" in terminal.text and "/image" in terminal.text
    assert terminal.text.endswith("\n")


def test_short_work_shows_none(watched):
    with watched(patience=60) as terminal, progress_bar(2) as done:
        assert any(isinstance(t, threading.Timer) for t in threading.enumerate())
        done(2)
    assert terminal.text == ""


def test_a_bar_that_is_asked_for_is_there_at_once(capsys):
    with progress_bar(3, "file", shown=True) as done:
        assert "0/3" in capsys.readouterr().out
        done(3)
    assert "3/3" in capsys.readouterr().out


def test_an_error_ends_the_line(capsys):
    with pytest.raises(OSError), progress_bar(3, shown=True):
        raise OSError
    assert capsys.readouterr().out.endswith("\n")


@pytest.mark.parametrize("outer", [True, False])
def test_work_inside_shows_none_of_its_own(capsys, outer):
    with progress_bar(1, shown=outer), progress_bar(7, shown=True) as done:
        done(7)
    assert "7/7" not in capsys.readouterr().out
    with progress_bar(7, shown=True) as done:
        done(7)
    assert "7/7" in capsys.readouterr().out


def test_nobody_who_does_not_watch_is_disturbed(watched, monkeypatch):
    keras.config.disable_interactive_logging()
    try:
        with watched(patience=0) as terminal, progress_bar(1):
            assert not terminal.written.wait(0.1)
    finally:
        keras.config.enable_interactive_logging()
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    with watched(patience=0) as terminal:
        terminal.isatty = lambda: False
        with progress_bar(1):
            assert not terminal.written.wait(0.1)
