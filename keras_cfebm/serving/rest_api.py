"""TensorFlow Serving's REST protocol as an ASGI application.

uvicorn serves it here; any other ASGI server can.
"""

import asyncio
import json
import re
import zlib
from concurrent import futures
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from keras_cfebm.serving import messages, rest_json
from keras_cfebm.serving.scheduler import Scheduler
from keras_cfebm.serving.servable import ServingError
from keras_cfebm.serving.served_model import ServedModel

_MODEL = r"(?i:/v1/models/)([^/:]+)(?:(?i:/versions/)(\d+)|(?i:/labels/)([^/:]+))?"
_PREDICT = re.compile(rf"{_MODEL}:(?i:(predict|classify|regress))")
_STATUS = re.compile(rf"{_MODEL}(?i:(/metadata))?")
#: Bytes of a request, unpacked; Python's lists of its numbers take twenty times that.
MAX_BODY = 2**25
#: Bytes of all requests that are being read or answered.
_MAX_BODIES = 2**28
#: Seconds in which a request has to have arrived.
_ARRIVAL = 60
_HTTP_CODES = {
    **{"CANCELLED": 499, "INVALID_ARGUMENT": 400, "DEADLINE_EXCEEDED": 504},
    **{"NOT_FOUND": 404, "RESOURCE_EXHAUSTED": 429, "FAILED_PRECONDITION": 400},
    **{"OUT_OF_RANGE": 400, "UNIMPLEMENTED": 501, "UNAVAILABLE": 503},
    "TOO_LARGE": 413,
}


class Application:
    """The ASGI application.

    Args:
        model: `ServedModel`.
        scheduler: `Scheduler` that runs it.
    """

    def __init__(self, model: ServedModel, scheduler: Scheduler):
        self.model = model
        self.scheduler = scheduler
        # One at a time: Python parses no two of them at once, but would hold both.
        self._parser = futures.ThreadPoolExecutor(1)
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            code, content = 200, await self._answer(request, scope["path"])
        except ClientDisconnect:
            return
        except ServingError as error:
            code = _HTTP_CODES.get(error.code, 500)
            content = json.dumps({"error": str(error)}).encode()
        response = Response(content, code, media_type="application/json")
        await response(scope, receive, send)

    async def _answer(self, request: Request, path: str) -> bytes:
        predict, status = _PREDICT.fullmatch(path), _STATUS.fullmatch(path)
        if request.method == "POST" and predict:
            return await self._predict(request, *predict.groups())
        if request.method == "GET" and status:
            *spec, metadata = status.groups()
            ask = messages.metadata if metadata else messages.status
            return json.dumps(ask(self.model, *_spec(*spec))).encode()
        known = path.lower().startswith("/v1/")
        code = "INVALID_ARGUMENT" if known else "NOT_FOUND"
        raise ServingError(code, f"Malformed request: {request.method} {path}")

    async def _predict(self, request, name, version, label, method):
        body = await self._read(request)
        try:
            servable = self.model.find(*_spec(name, version, label))
            if method.lower() != "predict":
                raise ServingError(
                    "INVALID_ARGUMENT", f"Expected :predict, received :{method}."
                )
            parsed = await self._apply(rest_json.parse, body)
            signature = parsed.get("signature_name") or "serving_default"
            if signature not in servable.signatures:
                raise ServingError(
                    "INVALID_ARGUMENT",
                    f"Expected a signature, one of {sorted(servable.signatures)}, "
                    f"received {signature!r}.",
                )
            specs = servable.signatures[signature].inputs
            inputs = await self._apply(rest_json.arrays, parsed, specs)
            by_rows = "instances" in parsed
            del parsed  # large
            found = await _unless_gone(
                request, self.scheduler.run(servable, signature, inputs)
            )
            return await self._apply(rest_json.answer, found, by_rows)
        finally:
            self._held -= len(body)

    async def _apply(self, function, *arguments):
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._parser, function, *arguments)

    async def _read(self, request: Request) -> bytes:
        """The body, unpacked; its length is added to what is held.

        One that is refused is read to its end all the same: the client, which is busy
        sending it, would not see an answer before.
        """
        parts: list[bytes] = []
        size, refused = 0, None
        unpack: Any = None
        if "gzip" in request.headers.get("content-encoding", ""):
            unpack = zlib.decompressobj(31)
        try:
            async with asyncio.timeout(_ARRIVAL):
                async for part in request.stream():
                    if refused:
                        continue
                    if unpack is not None:
                        part = unpack.decompress(part, MAX_BODY + 1 - size)
                    parts.append(part)
                    size += len(part)
                    self._held += len(part)
                    if refused := _refused(size, self._held):
                        parts.clear()
            if refused:
                raise refused
            return b"".join(parts)
        except BaseException as error:
            self._held -= size
            if isinstance(error, zlib.error):
                raise ServingError("INVALID_ARGUMENT", f"No gzip: {error}.") from error
            if isinstance(error, TimeoutError):
                raise ServingError(
                    "DEADLINE_EXCEEDED", f"The body took more than {_ARRIVAL} seconds."
                ) from error
            raise


def _spec(name, version, label):
    if label is not None:
        raise ServingError("INVALID_ARGUMENT", f"Unknown version label: {label}")
    number = None if version is None else int(version[:20])
    if number is not None and number >= 2**63:
        raise ServingError("INVALID_ARGUMENT", "Expected a version of at most 2^63.")
    return name, number


def _refused(size, held):
    if size > MAX_BODY:
        return ServingError(
            "TOO_LARGE",
            f"Expected a request of at most {MAX_BODY:,} bytes: send fewer rows, or "
            "use gRPC.",
        )
    if held > _MAX_BODIES:
        return ServingError("UNAVAILABLE", "Too many large requests: try again.")
    return None


async def _unless_gone(request, answer):
    """Waits for an answer as long as there is somebody to receive it."""
    answer = asyncio.ensure_future(answer)
    gone = asyncio.ensure_future(request.receive())
    await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
    gone.cancel()
    if not answer.done():
        answer.cancel()
        raise ClientDisconnect
    return answer.result()
