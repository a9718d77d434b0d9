"""TensorFlow Serving's REST protocol: predict by rows or by columns, and status."""

import base64
import http.server
import json
import re
import threading
from typing import Any

import numpy as np

from keras_cfebm.serving.server import Servable, ServingError

_URL = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(:predict)?")
_HTTP_CODES = {"INVALID_ARGUMENT": 400, "NOT_FOUND": 404, "UNAVAILABLE": 503}
#: Bytes of a request that are read.
_MAX_BODY = 2**28


def start_rest(
    servable: Servable, port: int = 8501, host: str = "127.0.0.1"
) -> http.server.ThreadingHTTPServer:
    """Starts a REST server in threads of its own.

    Args:
        servable: `Servable`.
        port: int; 0 for any free one.
        host: str, address to listen at.

    Returns:
        The server: `server.server_port` is its port, `server.shutdown()` stops it.

    Raises:
        OSError: if the port is taken.
    """
    handler = type("Handler", (_Handler,), {"servable": servable})
    try:
        server = http.server.ThreadingHTTPServer((host, port), handler)
    except OSError as error:
        raise OSError(
            f"Cannot listen at {host}:{port} for REST: {error.strerror}. Choose "
            "another port (--rest_port)."
        ) from error
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # header and body are written one after the other
    servable: Servable

    def do_GET(self):
        self._answer(lambda predict: self._status())

    def do_POST(self):
        self._answer(self._predict)

    def _answer(self, method):
        # Read in any case: what is left would be taken for the next request.
        self.body = self._read()
        try:
            match = _URL.fullmatch(self.path)
            if match is None:
                raise ServingError("NOT_FOUND", f"Malformed request: {self.path}")
            name, version, predict = match.groups()
            self.servable.check(name, int(version) if version else None)
            code, answer = 200, method(predict)
        except ServingError as error:
            code = _HTTP_CODES.get(error.code, 500)
            answer = {"error": str(error)}
        except Exception as error:  # the client gets an answer, whatever happens
            code, answer = 500, {"error": f"{type(error).__name__}: {error}"}
        content = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _read(self):
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > _MAX_BODY:
            self.close_connection = True
            return b""
        return self.rfile.read(int(length))

    def _status(self):
        status = {"error_code": "OK", "error_message": ""}
        version = {"version": str(self.servable.version), "state": "AVAILABLE"}
        return {"model_version_status": [{**version, "status": status}]}

    def _predict(self, predict):
        if not predict:
            raise ServingError("NOT_FOUND", f"Expected :predict after {self.path}")
        try:
            request = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise ServingError("INVALID_ARGUMENT", f"JSON parse error: {error}") from (
                error
            )
        if not isinstance(request, dict):
            raise ServingError("INVALID_ARGUMENT", "Expected a JSON object.")
        signature = request.get("signature_name", "serving_default")
        by_rows = "instances" in request
        if by_rows == ("inputs" in request) or not isinstance(signature, str):
            raise ServingError(
                "INVALID_ARGUMENT",
                'Expected "instances" or "inputs", and "signature_name" as text.',
            )
        names = list(self.servable.inputs(signature))
        read = _columns_of_rows if by_rows else _columns
        inputs = read(request["instances" if by_rows else "inputs"], names)
        outputs = self.servable.predict(signature, inputs)
        outputs = {name: _plain(name, value) for name, value in outputs.items()}
        if by_rows:
            return {"predictions": _rows(outputs)}
        return {
            "outputs": outputs if len(outputs) > 1 else next(iter(outputs.values()))
        }

    def log_message(self, format: str, *args: Any):
        """Requests are not logged."""


def _columns(given, names):
    if not (isinstance(given, dict) and set(given) == set(names)) and len(names) == 1:
        given = {names[0]: given}
    if not isinstance(given, dict):
        raise ServingError("INVALID_ARGUMENT", f"Expected the inputs {sorted(names)}.")
    return {name: _from_json(value) for name, value in given.items()}


def _columns_of_rows(rows, names):
    if not isinstance(rows, list) or not rows:
        raise ServingError(
            "INVALID_ARGUMENT", 'Expected "instances" as a list of rows.'
        )
    named = [
        row if isinstance(row, dict) and set(row) == set(names) else {names[0]: row}
        for row in rows
    ]
    if len(names) > 1 and any(set(row) != set(names) for row in named):
        raise ServingError(
            "INVALID_ARGUMENT",
            f"Expected each of the instances as an object of {sorted(names)}.",
        )
    return {name: [_from_json(row[name]) for row in named] for name in names}


def _from_json(value):
    """JSON's value, with bytes in place of {"b64": text}."""
    if isinstance(value, dict):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except (KeyError, TypeError, ValueError) as error:
            raise ServingError(
                "INVALID_ARGUMENT", 'Expected bytes as {"b64": "base64 text"}.'
            ) from error
    return [_from_json(v) for v in value] if isinstance(value, list) else value


def _plain(name, value: np.ndarray):
    if name.endswith("_bytes"):
        return [{"b64": base64.b64encode(item).decode()} for item in value]
    return value.tolist()


def _rows(outputs):
    columns = list(outputs.values())
    if len(columns) == 1:
        return columns[0]
    return [dict(zip(outputs, row, strict=True)) for row in zip(*columns, strict=True)]
