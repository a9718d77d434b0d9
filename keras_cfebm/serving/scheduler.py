"""Scheduler: requests wait in one bounded queue, and those of a kind run together."""

import asyncio
import functools
import os
import time
from collections.abc import Sequence
from concurrent import futures

import numpy as np

from keras_cfebm.serving.served_model import Servable, ServingError

Arrays = dict[str, np.ndarray]


class _Request:
    def __init__(
        self, servable: Servable, signature: str, inputs: Arrays, timeout: float
    ):
        self.servable, self.signature, self.inputs = servable, signature, inputs
        self.deadline = time.monotonic() + timeout
        self.answer: asyncio.Future = asyncio.get_running_loop().create_future()
        shapes = [(name, np.shape(value)) for name, value in sorted(inputs.items())]
        counts = {shape[:1] for _, shape in shapes}
        # Those of a kind can be merged; one of malformed shapes is of its own.
        merges = len(counts) == 1 and counts != {()}
        alike = tuple((name, shape[1:]) for name, shape in shapes) if merges else self
        self.kind = servable, signature, alike
        self.rows = max((shape[0] for _, shape in shapes if shape), default=0)


class Scheduler:
    """Runs requests in threads, oldest first.

    When a thread is free it takes the oldest request and, up to `max_batch_size` rows,
    those behind it of the same signature and shapes: nobody waits for company, and two
    signatures never share a run. Where a merged run is refused, each of its requests
    runs by itself, so that a bad one takes no other with it. A request whose client has
    left, or whose time is over, is dropped before it is run.

    Args:
        max_batch_size: int, rows that are worked on together; 0 merges none.
        max_waiting: int, requests that may wait.
        timeout: float, seconds in which a request has to be answered.
        threads: int, runs at a time; None for the number of processors.
    """

    def __init__(
        self,
        max_batch_size: int = 0,
        max_waiting: int = 128,
        timeout: float = 30.0,
        threads: int | None = None,
    ):
        self.max_batch_size = max_batch_size
        self.max_waiting = max_waiting
        self.timeout = timeout
        self._free = threads or os.cpu_count() or 1
        self._pool = futures.ThreadPoolExecutor(self._free)
        self._waiting: list[_Request] = []

    async def run(
        self,
        servable: Servable,
        signature: str,
        inputs: Arrays,
        timeout: float | None = None,
    ) -> Arrays:
        """Answers one request, within so many seconds; cancel it to take it back.

        Raises:
            ServingError: `UNAVAILABLE` if too many wait, `DEADLINE_EXCEEDED` if the
                time is over, else as `Servable.run`.
        """
        timeout = self.timeout if timeout is None else timeout
        if len(self._waiting) >= self.max_waiting:
            raise ServingError(
                f"Expected at most {self.max_waiting} waiting requests: try again.",
                "UNAVAILABLE",
            )
        request = _Request(servable, signature, inputs, timeout)
        self._waiting.append(request)
        self._start()
        try:
            async with asyncio.timeout(timeout):
                return await request.answer
        except TimeoutError as error:
            raise ServingError(
                f"No answer within {timeout:g} seconds.", "DEADLINE_EXCEEDED"
            ) from error

    def _start(self) -> None:
        while self._free and (batch := self._next_batch()):
            self._free -= 1
            run = asyncio.wrap_future(self._pool.submit(_answers, batch))
            run.add_done_callback(functools.partial(self._finish, batch))

    def _next_batch(self) -> list[_Request]:
        batch: list[_Request] = []
        left, rows = [], 0
        for request in self._waiting:
            if request.answer.done():  # its client has left, or its time is over
                continue
            merges = request.rows + rows <= self.max_batch_size
            if not batch or (request.kind == batch[0].kind and merges):
                batch.append(request)
                rows += request.rows
            else:
                left.append(request)
        self._waiting = left
        return batch

    def _finish(self, batch: list[_Request], run: asyncio.Future) -> None:
        self._free += 1
        for request, answer in zip(batch, run.result(), strict=True):
            if request.answer.done():
                continue
            if isinstance(answer, Exception):
                request.answer.set_exception(answer)
            else:
                request.answer.set_result(answer)
        self._start()


def _answers(batch: list[_Request]) -> Sequence[Arrays | Exception]:
    """The answers to requests of one kind, or what is wrong with each."""
    first, *others = batch
    left = max(request.deadline for request in batch) - time.monotonic()
    try:
        if not others:
            return [first.servable.run(first.signature, first.inputs, left)]
        inputs = {
            name: np.concatenate([request.inputs[name] for request in batch])
            for name in first.inputs
        }
        outputs = first.servable.run(first.signature, inputs, left)
        ends = np.cumsum([request.rows for request in batch])[:-1]
        parts = zip(*(np.split(value, ends) for value in outputs.values()), strict=True)
        return [dict(zip(outputs, part, strict=True)) for part in parts]
    except Exception as error:  # for the client to see, whatever it is
        if not others:
            return [error]
        # One of them may be bad; each is told what is wrong with it.
        return [answer for request in batch for answer in _answers([request])]
