"""Keras' progress bar for whatever takes longer than two seconds."""

import contextlib
import contextvars
import sys
import threading
from collections.abc import Callable, Iterator

import keras

from keras_cfebm.utils.terminal import say

#: Seconds after which a bar appears that was not asked for.
PATIENCE = 2.0
_inside = contextvars.ContextVar("inside", default=False)


@contextlib.contextmanager
def progress_bar(
    total: int, unit: str = "image", shown: bool | None = None
) -> Iterator[Callable[[int], None]]:
    """Shows a progress bar of Keras' look while a block runs.

    Args:
        total: int, how many parts the work has.
        unit: str, what one of them is called.
        shown: bool, whether a bar is shown at all; None shows it to somebody who
            watches, on a terminal or in a notebook, once `PATIENCE` is over, unless
            `keras.config.disable_interactive_logging` was called. Work inside other
            work that has a bar, or is to have none, shows none.

    Yields:
        Function that is called with the number of parts that were done since.

    Example:

    ```python
    with progress_bar(3, "part") as done:
        for _ in range(3):
            done(1)
    ```
    """
    nested = _inside.get()
    token = _inside.set(True)
    try:
        if nested or not (_watched() if shown is None else shown):
            yield lambda parts: None
            return
        bar = _Bar(total, unit)
        patience = threading.Timer(PATIENCE, bar.appear)
        patience.daemon = True
        if shown:
            bar.appear()
        else:
            patience.start()
        try:
            yield bar.add
        finally:
            patience.cancel()
            bar.end()
    finally:
        _inside.reset(token)


def _watched():
    if not keras.config.is_interactive_logging_enabled():
        return False
    return "ipykernel" in sys.modules or (
        sys.stdout is not None and sys.stdout.isatty()
    )


class _Bar:
    """A bar that may appear in the middle of a part, from another thread."""

    def __init__(self, total, unit):
        self._bar = keras.utils.Progbar(total, unit_name=unit)
        self._done, self._visible = 0, False
        self._lock = threading.Lock()

    def add(self, parts):
        with self._lock:
            self._done += parts
            if self._visible:
                self._bar.update(self._done)

    def appear(self):
        with self._lock:
            self._visible = True
            self._bar.update(self._done)

    def end(self):
        """Ends the line of a bar that an error has cut short."""
        if self._visible and self._done < self._bar.target:
            say("")
