"""Server: REST and gRPC in one process, until it is told to stop."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable

import uvicorn

from keras_cfebm.serving import grpc_api, rest_api
from keras_cfebm.serving.scheduler import Scheduler
from keras_cfebm.serving.served_model import ServedModel


def serve(
    model: ServedModel,
    scheduler: Scheduler,
    host: str = "127.0.0.1",
    rest_port: int = 8501,
    grpc_port: int = 8500,
    started: Callable[[int, int], object] = lambda rest, grpc: None,
) -> None:
    """Serves until SIGINT or SIGTERM; then what was asked before is still answered.

    A second signal ends it at once. A new version of the model is taken up meanwhile.

    Args:
        model: `ServedModel`.
        scheduler: `Scheduler`.
        host: str, address to listen at.
        rest_port: int; 0 for any free one.
        grpc_port: int; 0 for any free one.
        started: function of both ports, called once requests are answered.

    Raises:
        OSError: if a port is taken.
    """
    asyncio.run(_serve(model, scheduler, host, rest_port, grpc_port, started))


class _Rest(uvicorn.Server):
    """uvicorn, whose place in the handling of signals `_serve` takes."""

    def capture_signals(self):
        return contextlib.nullcontext()


async def _serve(model, scheduler, host, rest_port, grpc_port, started):
    with _listening(host, rest_port) as listener:
        remote, grpc_port = grpc_api.new_server(model, scheduler, host, grpc_port)
        rest = _Rest(
            uvicorn.Config(
                rest_api.Application(model, scheduler),
                ws="none",
                lifespan="off",
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=round(scheduler.timeout) + 1,
                callback_notify=lambda: asyncio.to_thread(model.refresh),
                timeout_notify=1,
            )
        )
        signals = signal.SIGINT, signal.SIGTERM
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in signals:
            loop.add_signal_handler(number, stop.set)
        await remote.start()
        answering = asyncio.create_task(rest.serve([listener]))
        started(listener.getsockname()[1], grpc_port)
        await stop.wait()
        for number in signals:
            loop.remove_signal_handler(number)
        rest.should_exit = True
        await asyncio.gather(answering, remote.stop(scheduler.timeout))


def _listening(host, port):
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        server = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise OSError(
            f"Cannot listen at {host}:{port} for REST: {error.strerror}. Choose "
            "another port (--rest_port)."
        ) from error
    # asyncio sets it of its own sockets only; without it an answer may wait 40 ms.
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return server
