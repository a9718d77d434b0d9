"""TensorFlow Serving's REST protocol as an ASGI application.

uvicorn serves it here; any other ASGI server can.
"""

import asyncio
import contextlib
import json
import re
import zlib
from collections.abc import AsyncIterator
from concurrent import futures

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
        raise ServingError(f"Malformed request: {request.method} {path}", code)

    async def _predict(self, request, name, version, label, method):
        async with self._body(request) as body:
            servable = self.model.find(*_spec(name, version, label))
            if method.lower() != "predict":
                raise ServingError(f"Expected :predict, received :{method}.")
            parsed = await self._apply(rest_json.parse, body)
            signature, definition = servable.find(parsed.get("signature_name"))
            inputs = await self._apply(rest_json.arrays, parsed, definition.inputs)
            by_rows = "instances" in parsed
            del parsed  # large
            found = await _unless_gone(
                request, self.scheduler.run(servable, signature, inputs)
            )
            return await self._apply(rest_json.answer, found, by_rows)

    async def _apply(self, function, *arguments):
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._parser, function, *arguments)

    @contextlib.asynccontextmanager
    async def _body(self, request: Request) -> AsyncIterator[bytearray]:
        """The body, unpacked; meanwhile its length counts as held.

        One that is refused is read to its end all the same: the client, which is busy
        sending it, would not see an answer before.
        """
        body, size, refused = bytearray(), 0, None
        is_gzip = "gzip" in request.headers.get("content-encoding", "")
        unpack = zlib.decompressobj(31).decompress if is_gzip else lambda part, _: part
        try:
            try:
                async with asyncio.timeout(_ARRIVAL):
                    async for part in request.stream():
                        if refused:
                            continue
                        body += (part := unpack(part, MAX_BODY + 1 - size))
                        size += len(part)
                        self._held += len(part)
                        if refused := _refused(size, self._held):
                            body.clear()
            except zlib.error as error:
                raise ServingError(f"No gzip: {error}.") from error
            except TimeoutError as error:
                raise ServingError(
                    f"The body took more than {_ARRIVAL} seconds.", "DEADLINE_EXCEEDED"
                ) from error
            if refused:
                raise refused
            yield body
        finally:
            self._held -= size


def _spec(name, version, label):
    if label is not None:
        raise ServingError(f"Unknown version label: {label}")
    number = None if version is None else int(version[:20])
    if number is not None and number >= 2**63:
        raise ServingError("Expected a version of at most 2^63.")
    return name, number


def _refused(size, held):
    if size > MAX_BODY:
        return ServingError(
            f"Expected a request of at most {MAX_BODY:,} bytes: send fewer rows, or "
            "use gRPC.",
            "TOO_LARGE",
        )
    if held > _MAX_BODIES:
        return ServingError("Too many large requests: try again.", "UNAVAILABLE")
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
