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

from google.protobuf import json_format
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from tensorflow_serving.apis import model_pb2

from keras_cfebm.serving import rest_json
from keras_cfebm.serving.scheduler import Scheduler
from keras_cfebm.serving.served_model import ServedModel, ServingError

#: Name, version or label, and what is asked of them.
_PATH = re.compile(
    r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?"
    r"(/metadata|:predict|:classify|:regress)?",
    re.IGNORECASE,
)
#: Bytes of a request, unpacked; Python's lists of its numbers take twenty times that.
MAX_BODY = 2**25
#: Bytes of all requests that are being read or answered.
_MAX_BODIES = 2**28
_TOO_LARGE = (
    f"Expected a request of at most {MAX_BODY:,} bytes: send fewer rows, or use gRPC.",
    "TOO_LARGE",
)
_TOO_MANY = "Too many large requests: try again.", "UNAVAILABLE"
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
        if found := _PATH.fullmatch(path):
            *names, verb = found.groups(default="")
            match request.method, verb.lower():
                case "GET", "":
                    return _json(self.model.status(_spec(*names)))
                case "GET", "/metadata":
                    return self._metadata(_spec(*names))
                case "POST", ":predict" | ":classify" | ":regress":
                    return await self._predict(request, names, verb.lower())
        known = path.lower().startswith("/v1/")
        code = "INVALID_ARGUMENT" if known else "NOT_FOUND"
        raise ServingError(f"Malformed request: {request.method} {path}", code)

    def _metadata(self, spec):
        """The signatures, and what `export_saved_model` notes, as `keras_cfebm`."""
        answer = json.loads(_json(self.model.metadata(spec)))
        del answer["metadata"]["signature_def"]["@type"]
        if own := self.model.find(spec).metadata:
            answer["metadata"]["keras_cfebm"] = own
        return json.dumps(answer).encode()

    async def _predict(self, request, names, verb):
        async with self._body(request) as body:
            servable = self.model.find(_spec(*names))
            if verb != ":predict":
                raise ServingError(f"Expected :predict, received {verb}.")
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
            async with asyncio.timeout(_ARRIVAL):
                async for part in request.stream():
                    if refused:
                        continue
                    body += (part := unpack(part, MAX_BODY + 1 - size))
                    size += len(part)
                    self._held += len(part)
                    if size > MAX_BODY:
                        body, refused = bytearray(), _TOO_LARGE
                    elif self._held > _MAX_BODIES:
                        body, refused = bytearray(), _TOO_MANY
            if refused:
                raise ServingError(*refused)
            yield body
        except zlib.error as error:
            raise ServingError(f"No gzip: {error}.") from error
        except TimeoutError as error:
            raise ServingError(
                f"The body took more than {_ARRIVAL} seconds.", "DEADLINE_EXCEEDED"
            ) from error
        finally:
            self._held -= size


def _spec(name, version, label):
    """The `ModelSpec` of a path's parts, of which some are empty."""
    try:
        number = {"value": int(version)} if version else None
        return model_pb2.ModelSpec(
            name=name, version=number, version_label=label or None
        )
    except ValueError as error:
        raise ServingError("Expected a version below 2^63.") from error


def _json(message):
    return json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    ).encode()


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
