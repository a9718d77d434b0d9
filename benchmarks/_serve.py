"""The process of a contender: makes it, and answers what its `Worker` asks.

It imports no framework by itself, so that there is the contender's alone.
"""

import importlib
import os
import sys
import traceback
from multiprocessing.connection import Connection


def _serve(connection):
    package, contender = connection.recv()
    if package is not None:
        sys.path.insert(0, os.path.abspath(package))
    functions = {}
    found = None
    arguments = connection.recv()
    while True:
        try:
            method, inputs = connection.recv()
        except (EOFError, ConnectionError):
            return
        try:
            if found is None:
                module, _, name = contender.partition(":")
                found = getattr(importlib.import_module(module), name)(*arguments)
            if method == "run":
                if inputs not in functions:
                    task, *details = inputs
                    functions[inputs] = getattr(found, task)(*details)
                functions[inputs]()
                answer = False, None
            else:
                answer = False, getattr(found, method)(*inputs)
        except Exception:
            answer = True, traceback.format_exc()
        connection.send(answer)


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
