"""A contender in a process of its own.

Two runtimes in one process disturb each other's threads, and TensorFlow and Triton
bring different LLVMs. The process lives until its `Worker` is closed, so that several
can be asked in turn.
"""

import os
import pathlib
import subprocess
import sys
from multiprocessing import Pipe
from typing import Any

from benchmarks import _common

_ROOT = pathlib.Path(__file__).resolve().parents[1]


class Worker:
    """Starts a process that makes a contender, and asks it.

    Its method `"run"` takes the name of a method that returns a function, and the
    arguments of that; the function is made once, and called.

    Args:
        name: str, for messages.
        contender: str, `"module:class"`.
        arguments: those of the class; they are pickled.
        environment: dict of variables for the process; None unsets one.
        package: folder that holds the `keras_cfebm` to import, or None for this one.
    """

    def __init__(self, name, contender, arguments=(), environment=None, package=None):
        self.name = name
        variables = {**os.environ, **(environment or {})}
        variables = {k: value for k, value in variables.items() if value is not None}
        self._connection, theirs = Pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks._serve", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=variables,
            stdout=2,  # what it prints is no table
            cwd=_ROOT,
        )
        theirs.close()
        self._connection.send((package, contender))
        self._connection.send(arguments)

    def ask(self, method: str, *arguments: Any) -> Any:
        """What a method of the contender returns, once it has; see `send`."""
        self.send(method, *arguments)
        return self.receive()

    def send(self, method: str, *arguments: Any) -> None:
        """Begins a call, whose result `receive` waits for."""
        self._connection.send((method, arguments))

    def receive(self) -> Any:
        """The result of the oldest call that has not been received.

        Raises:
            BenchmarkError: if the call has failed, or the process has ended.
        """
        try:
            failed, result = self._connection.recv()
        except (EOFError, ConnectionError):
            raise _common.BenchmarkError(f"the process of {self.name} ended.") from None
        if failed:
            raise _common.BenchmarkError(f"{self.name} failed.\n{result}")
        return result

    def close(self) -> None:
        """Ends the process."""
        self._connection.close()
        self._process.kill()
        self._process.wait()
