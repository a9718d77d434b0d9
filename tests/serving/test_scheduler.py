"""The queue of a server: what is merged, dropped and refused; no TensorFlow is run."""

import asyncio
import threading

import numpy as np
import pytest

from keras_cfebm.serving.scheduler import Scheduler
from keras_cfebm.serving.served_model import ServingError


class Doubling:
    """Stands for a `Servable`: doubles rows of at least 0, once it may."""

    def __init__(self):
        self.runs = []
        self.may_run = threading.Event()

    def run(self, signature, inputs, timeout):
        assert self.may_run.wait(10)
        x = inputs["x"]
        self.runs.append((signature, x.tolist()))
        if (x < 0).any():
            raise ServingError("Expected rows of at least 0.")
        return {"y": 2 * x}


def answered(requests, **options):
    """Runs requests together; returns the answers, errors as their code, and runs."""
    servable = Doubling()

    async def run():
        scheduler = Scheduler(threads=1, **options)
        tasks = [
            asyncio.create_task(
                scheduler.run(servable, signature, {"x": np.array(rows)}, *timeout)
            )
            for signature, rows, *timeout in requests
        ]
        await asyncio.sleep(0.05)
        for task, (signature, *_) in zip(tasks, requests, strict=True):
            if signature == "left":
                task.cancel()
        await asyncio.sleep(0.05)
        servable.may_run.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = [
        getattr(answer, "code", None) or answer["y"].tolist()
        if not isinstance(answer, asyncio.CancelledError)
        else None
        for answer in asyncio.run(run())
    ]
    return found, servable.runs


def test_requests_of_a_signature_are_merged_and_others_are_not():
    requests = [("a", [0]), ("a", [1, 2]), ("b", [3]), ("a", [4]), ("b", [5, 6])]
    answers, runs = answered(requests, max_batch_size=8)
    assert answers == [[0], [2, 4], [6], [8], [10, 12]]
    # The first has found the thread idle, the others have waited.
    assert runs == [("a", [0]), ("a", [1, 2, 4]), ("b", [3, 5, 6])]


def test_a_merged_run_has_so_many_rows_at_most():
    requests = [("a", [0]), ("a", [1, 2]), ("a", [3, 4]), ("a", [5])]
    _, runs = answered(requests, max_batch_size=3)
    assert [rows for _, rows in runs] == [[0], [1, 2, 5], [3, 4]]
    _, runs = answered(requests)
    assert [rows for _, rows in runs] == [rows for _, rows in requests]


def test_other_shapes_are_not_merged():
    requests = [("a", [0]), ("a", [[1]]), ("a", [2]), ("a", 3), ("a", [4])]
    answers, runs = answered(requests, max_batch_size=8)
    assert answers == [[0], [[2]], [4], 6, [8]]
    assert [rows for _, rows in runs] == [[0], [[1]], [2, 4], 3]


def test_a_bad_request_takes_no_other_with_it():
    answers, _ = answered([("a", [0]), ("a", [1]), ("a", [-1])], max_batch_size=8)
    assert answers == [[0], [2], "INVALID_ARGUMENT"]


@pytest.mark.parametrize("size", [0, 8])
def test_what_nobody_waits_for_is_not_run(size):
    requests = [("a", [0]), ("left", [1]), ("late", [2], 0.01), ("a", [3])]
    answers, runs = answered(requests, max_batch_size=size)
    assert answers == [[0], None, "DEADLINE_EXCEEDED", [6]]
    assert runs == [("a", [0]), ("a", [3])]


def test_the_queue_is_bounded():
    answers, _ = answered([("a", [i]) for i in range(5)], max_waiting=2)
    assert answers == [[0], [2], [4], "UNAVAILABLE", "UNAVAILABLE"]
