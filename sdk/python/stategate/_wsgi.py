"""Functions as a WSGI application."""

from __future__ import annotations

import asyncio
import threading
from http import HTTPStatus
from typing import Any, Callable, Dict, Iterable, Optional

from ._asgi import CONTENT_TYPE, check, failure
from ._functions import Functions, RequestError


class Application:
    def __init__(self, functions: Functions, request_bytes_max: int) -> None:
        self._functions = functions
        self._request_bytes_max = request_bytes_max
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._lock = threading.Lock()

    def __call__(self, environ: Dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        status, content_type = 200, CONTENT_TYPE
        try:
            check(environ["REQUEST_METHOD"], environ.get("CONTENT_TYPE", ""))
            body = self._answer(self._read(environ))
        except Exception as e:
            content_type = "text/plain; charset=utf-8"
            status, body = failure(e)
        start_response(f"{status} {HTTPStatus(status).phrase}", [("Content-Type", content_type), ("Content-Length", str(len(body)))])
        return [body]

    def _answer(self, request: bytes) -> bytes:
        batch = self._functions._begin(request)
        if isinstance(batch, bytes):
            return batch
        if batch.function.is_async:
            return asyncio.run_coroutine_threadsafe(batch.run(), self._running_loop()).result()
        return batch.run_plain()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="stategate", daemon=True).start()
            return self._loop

    def _read(self, environ: Dict[str, Any]) -> bytes:
        length = environ.get("CONTENT_LENGTH") or ""
        if not length.isdigit():  # chunked; servers that take it end the input by themselves
            body: bytes = environ["wsgi.input"].read(self._request_bytes_max + 1) if environ.get("wsgi.input_terminated") else b""
        elif int(length) > self._request_bytes_max:
            raise RequestError(413, f"the request has {length} bytes, more than {self._request_bytes_max}")
        else:
            body = environ["wsgi.input"].read(int(length))
            if len(body) != int(length):
                raise RequestError(400, f"the request ended after {len(body)} of {length} bytes")
        if len(body) > self._request_bytes_max:
            raise RequestError(413, f"the request has more than {self._request_bytes_max} bytes")
        return body
