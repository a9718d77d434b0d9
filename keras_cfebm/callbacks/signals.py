"""StopOnSignal: Ctrl-C, SIGTERM and SIGHUP end a run between two steps, saved."""

import signal
import threading

import keras

#: SIGHUP, of a terminal that is closed, is unknown to Windows.
SIGNALS = (
    signal.SIGINT,
    signal.SIGTERM,
    *((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()),
)


class Interrupted(Exception):
    """The run was asked to stop; its state is saved.

    Attributes:
        exit_code: 128 plus the signal's number, as shells expect.
    """

    def __init__(self, number):
        super().__init__(f"Stopped by {signal.Signals(number).name}.")
        self.exit_code = 128 + number


class StopOnSignal(keras.callbacks.Callback):
    """Waits for the end of the step, saves, and raises `Interrupted`.

    A second signal of the same kind acts at once, as without this callback. Use it as a
    context manager around `fit`: the handlers are in force inside only, and only in the
    main thread, the only one that Python lets have any. A signal that is ignored, as
    nohup does with SIGHUP, stays so.

    Args:
        checkpoints: `Checkpoints` that saves.
        signals: signals to catch.
    """

    def __init__(self, checkpoints, signals=SIGNALS):
        super().__init__()
        self.checkpoints = checkpoints
        self.signals = signals
        self._received = None

    def __enter__(self):
        is_main = threading.current_thread() is threading.main_thread()
        heard = (n for n in self.signals if signal.getsignal(n) != signal.SIG_IGN)
        signals = tuple(heard) if is_main else ()
        self._previous = {n: signal.signal(n, self._receive) for n in signals}
        return self

    def __exit__(self, *_):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number, _):
        signal.signal(number, self._previous[number])
        self._received = number

    def on_train_batch_end(self, batch, logs=None):
        if self._received is not None:
            self.checkpoints.save()
            raise Interrupted(self._received)
