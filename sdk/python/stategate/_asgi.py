"""Functions as an ASGI application."""

from __future__ import annotations

import asyncio
from typing import Any, Awaitable, Callable, Dict, List, Tuple

from ._functions import Functions, RequestError, log

CONTENT_TYPE = "application/octet-stream"

Send = Callable[[Dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[Dict[str, Any]]]


def check(method: str, content_type: str) -> None:
    """Refuses what is no call."""
    if method != "POST":
        raise RequestError(405, f"method {method}: want POST")
    if content_type.partition(";")[0].strip().lower() != CONTENT_TYPE:
        raise RequestError(415, f"content type {content_type!r}: want {CONTENT_TYPE}")


def failure(e: BaseException) -> Tuple[int, bytes]:
    """The status and the text that say why a call failed; a function's own failure is logged with its trace."""
    if isinstance(e, RequestError):
        log.warning("call refused: %s", e)
        return e.status, str(e).encode()
    log.error("call failed", exc_info=e)
    return 500, f"{type(e).__name__}: {e}".encode("utf-8", "replace")


class Application:
    def __init__(self, functions: Functions, request_bytes_max: int, threads: bool) -> None:
        self._functions = functions
        self._request_bytes_max = request_bytes_max
        self._threads = threads

    async def __call__(self, scope: Dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"functions are called by http, not {scope['type']}")
        status, content_type, body = 200, b"application/octet-stream", b""
        try:
            headers = {k.lower(): v for k, v in scope["headers"]}
            check(scope["method"], headers.get(b"content-type", b"").decode("latin-1"))
            body = await self._answer(await self._read(receive))
        except _Gone:
            return
        except Exception as e:
            content_type = b"text/plain; charset=utf-8"
            status, body = failure(e)
        await send({"type": "http.response.start", "status": status,
                    "headers": [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, request: bytes) -> bytes:
        batch = self._functions._begin(request)
        if isinstance(batch, bytes):
            return batch
        if batch.function.is_async or not self._threads:
            return await batch.run()
        return await asyncio.get_running_loop().run_in_executor(None, batch.run_plain)

    async def _read(self, receive: Receive) -> bytes:
        parts: List[bytes] = []
        size = 0
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise _Gone
            part = event.get("body", b"")
            size += len(part)
            if size > self._request_bytes_max:
                raise RequestError(413, f"the request has more than {self._request_bytes_max} bytes")
            parts.append(part)
            if not event.get("more_body"):
                return parts[0] if len(parts) == 1 else b"".join(parts)


class _Gone(Exception):
    """The caller went away before its request was whole."""


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        event = await receive()
        await send({"type": event["type"] + ".complete"})
        if event["type"] == "lifespan.shutdown":
            return
