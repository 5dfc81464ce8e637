"""Functions as a WSGI application."""

from __future__ import annotations

import asyncio
import threading
from http import HTTPStatus
from typing import Any, Callable, Dict, Generator, Iterable, Iterator, List, Optional, Tuple

from ._bulk import Bulk
from ._crew import TICK, Tasks, Threads
from ._functions import BULK_CALLS, Functions, RequestError
from ._http import BULK_CONTENT_TYPE, CONTENT_TYPE, TEXT_CONTENT_TYPE, UNBUFFERED, Calls, failure, streams
from ._signature import CHALLENGE, SignatureError, Signatures

StartResponse = Callable[[str, List[Tuple[str, str]]], Any]


class Application:
    def __init__(self, functions: Functions, request_bytes_max: int, bulk_calls: Optional[int], signatures: Signatures) -> None:
        self._functions = functions
        self._request_bytes_max = request_bytes_max
        self._signatures = signatures
        self._calls = Calls(BULK_CALLS if bulk_calls is None else bulk_calls)
        self._calls_alone = Calls(1) if bulk_calls is None else self._calls  # in a server of one thread
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._lock = threading.Lock()

    def __call__(self, environ: Dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        status, content_type = 200, CONTENT_TYPE
        more: List[Tuple[str, str]] = []
        calls = self._calls if environ.get("wsgi.multithread") else self._calls_alone
        try:
            is_bulk = calls.check(environ["REQUEST_METHOD"], environ.get("CONTENT_TYPE", ""))
            request = self._read(environ)
            self._signatures.check(environ.get("HTTP_STATEGATE_SIGNATURE", ""), is_bulk, request)
            if is_bulk:
                return self._bulk(Bulk(self._functions, request, calls.most), calls, start_response)
            body = self._answer(request)
            if calls.offered(environ.get("HTTP_STATEGATE_BULK", "")) and streams(environ):
                more = [("Stategate-Bulk", calls.header)]
        except Exception as e:
            content_type = TEXT_CONTENT_TYPE
            status, body = failure(e)
            more = [CHALLENGE] if isinstance(e, SignatureError) else []
        start_response(_status(status), [("Content-Type", content_type), ("Content-Length", str(len(body))), *more])
        return [body]

    def _bulk(self, bulk: Bulk, calls: Calls, start_response: StartResponse) -> Iterable[bytes]:
        headers = [("Content-Type", BULK_CONTENT_TYPE), ("Stategate-Bulk", calls.header), UNBUFFERED]
        answers = _answers(bulk, self._running_loop() if bulk.asynchronous else None)
        first = next(answers, b"")
        if bulk.unanswered:
            start_response(_status(200), headers)
            return _Stream(first, answers)
        answers.close()
        start_response(_status(200), [*headers, ("Content-Length", str(len(first)))])
        return [first]

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


class _Stream:
    """A response that has begun. Servers close it, also one that they have not read to its end, or not at all."""

    def __init__(self, first: bytes, answers: Generator[bytes, None, None]) -> None:
        self._first: Optional[bytes] = first
        self._answers = answers
        self.close = answers.close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        first, self._first = self._first, None
        return next(self._answers) if first is None else first


def _answers(bulk: Bulk, loop: Optional[asyncio.AbstractEventLoop]) -> Generator[bytes, None, None]:
    """Runs the calls of a bulk and yields their answers as they end, those together that are ready at the same time."""
    news = threading.Event()
    coming = False  # that tasks will tell; it belongs to the loop

    def tell_soon() -> None:  # once for all that end in one turn of the loop
        nonlocal coming
        if not coming and loop is not None:
            coming = True
            loop.call_soon(tell_now)

    def tell_now() -> None:
        nonlocal coming
        coming = False
        news.set()

    threads = Threads(bulk.plain, bulk.run_plain, news.set)
    tasks = None
    try:
        if loop is not None:
            tasks = asyncio.run_coroutine_threadsafe(Tasks(bulk.asynchronous, bulk.run, tell_soon).run(), loop)
            tasks.add_done_callback(lambda _: news.set())
        waiting = bool(threads.waiting)
        while bulk.unanswered:
            news.wait(TICK if waiting else None)
            news.clear()
            waiting = bool(threads.waiting)  # asked before what is ready: of a call that is the last of its thread, the thread tells
            answers = bulk.take()
            if answers:
                yield answers
            elif tasks is not None and tasks.done():
                tasks.result()  # raises when tasks cannot be made: the response breaks off
            threads.grow()
    finally:
        threads.stop()
        bulk.over = True
        if tasks is not None and bulk.unanswered:
            tasks.cancel()
        threads.join()


def _status(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
