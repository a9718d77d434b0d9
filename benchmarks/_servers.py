"""Servers for `benchmarks.serving`: started, asked by REST, their memory, ended."""

import contextlib
import http.client
import pathlib
import socket
import subprocess
import sys
import time
from typing import NamedTuple

from benchmarks import _common

#: By which clients ask for the model.
NAME = "model"


class Running(NamedTuple):
    """A server: its ports, its process, and the seconds until it has answered."""

    rest: int
    grpc: int
    process: int
    ready: float


@contextlib.contextmanager
def server(command, body):
    """Runs a server of REST and gRPC; yields it once it has answered a request.

    Args:
        command: function of both ports, the command line.
        body: bytes, the request.
    """
    with contextlib.ExitStack() as stack:
        free = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            for _ in range(2)
        ]
    begin = time.perf_counter()
    process = subprocess.Popen(command(*free), stdout=subprocess.DEVNULL)
    try:
        while not answers(free[0], body):
            if process.poll() is not None or time.perf_counter() > begin + 600:
                raise _common.BenchmarkError(f"no answer of {command(*free)}")
            time.sleep(0.1)
        yield Running(*free, process.pid, time.perf_counter() - begin)
    finally:
        process.terminate()
        process.wait()


def ours(path, *arguments):
    """The command line of `cfebm serve`, see `server`."""
    fixed = [sys.executable, "-m", "keras_cfebm", "serve", f"--model={path}"]
    return lambda rest, grpc: [
        *fixed,
        *(f"--name={NAME}", f"--rest_port={rest}", f"--grpc_port={grpc}"),
        *arguments,
    ]


def ask(client, body):
    """Asks on a connection; returns whether it was answered."""
    path = f"/v1/models/{NAME}:predict"
    client.request("POST", path, body, {"Content-Type": "application/json"})
    answer = client.getresponse()
    answer.read()
    return answer.status == 200


def answers(port, body):
    """Whether a request on a new connection is answered."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        return ask(client, body)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        client.close()


def family(process):
    """A process and all that it has started."""
    parents = {}
    for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            pid, rest = status.parent.name, status.read_text().rpartition(")")[2]
            parents.setdefault(int(rest.split()[1]), []).append(int(pid))
    found = [process]
    for parent in found:
        found += parents.get(parent, [])
    return found


def memory(processes):
    """MiB of processes; what several share is counted once."""
    total = 0
    for process in processes:
        with contextlib.suppress(OSError):
            text = pathlib.Path(f"/proc/{process}/smaps_rollup").read_text()
            total += int(text.split("\nPss:")[1].split()[0])
    return total / 1024
