"""Text for a terminal, whatever letters it has: what is printed never ends the work."""

import codecs
import contextlib
import os
import sys
from typing import Any

#: How the letters of our tables and messages are spelled in ASCII.
_SPELLED = {
    **{"α": "alpha", "β": "beta", "η": "eta", "σ": "sigma", "Σ": "Sum", "∂": "d"},
    **{"×": "x", "·": "*", "–": "-", "−": "-", "—": "-", "→": "->", "…": "..."},
    **{"≤": "<=", "≥": ">=", "‖": "||", "√": "sqrt", "²": "2"},
}
_ERRORS = "keras_cfebm.spelled"


def _spell(error: UnicodeError) -> tuple[str, int]:
    """Spells the letters that an encoding lacks; unknown ones become question marks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_SPELLED.get(letter, "?") for letter in missing), error.end


codecs.register_error(_ERRORS, _spell)


def say(text: str, end: str = "\n") -> None:
    """Prints a text at once, spelled in the letters that standard output has.

    Where it is closed, the text is dropped.

    Args:
        text: str.
        end: str, as of `print`.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    with contextlib.suppress(OSError, ValueError):
        print(text.encode(encoding, _ERRORS).decode(encoding), end=end, flush=True)


class _Unfailing:
    """A text stream whose reader may lack letters, be full, or have gone away."""

    def __init__(self, stream: Any):
        self._stream = stream
        stream.reconfigure(errors=_ERRORS)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._silenced():
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._silenced():
            self._stream.flush()

    @contextlib.contextmanager
    def _silenced(self):
        try:
            yield
        except OSError:  # a closed pipe, a full disk
            # What is left in the buffer goes there too, or the exit would fail of it.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


def never_fail() -> None:
    """Makes standard output and standard error streams that do not raise.

    A letter that their encoding lacks is spelled, as σ by "sigma"; where they cannot be
    written (any longer), the text is dropped.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        _reopen(number, name)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            setattr(sys, name, _Unfailing(stream))


def _reopen(number: int, name: str) -> None:
    """Opens a standard stream that the caller has closed, to nowhere.

    The next file that is opened would have its number, and get what libraries print.
    """
    try:
        os.fstat(number)
    except OSError:
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)
        mode = "r" if name == "stdin" else "w"
        setattr(sys, name, os.fdopen(number, mode, closefd=False))
