"""Functions as an ASGI application."""

from __future__ import annotations

import asyncio
from typing import Any, Awaitable, Callable, Dict, List, Optional

from ._bulk import Bulk, Call
from ._crew import TICK, Tasks, Threads
from ._functions import Functions, RequestError
from ._http import BULK_CONTENT_TYPE, CONTENT_TYPE, TEXT_CONTENT_TYPE, UNBUFFERED, Calls, failure, streams
from ._signature import CHALLENGE, SignatureError, Signatures

Send = Callable[[Dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[Dict[str, Any]]]

_UNBUFFERED = tuple(text.lower().encode() for text in UNBUFFERED)
_CHALLENGE = tuple(text.encode() for text in CHALLENGE)


class Application:
    def __init__(self, functions: Functions, request_bytes_max: int, threads: bool, bulk_calls: int, signatures: Signatures) -> None:
        self._functions = functions
        self._request_bytes_max = request_bytes_max
        self._threads = threads
        self._calls = Calls(bulk_calls)
        self._signatures = signatures
        self._announcement = (b"stategate-bulk", self._calls.header.encode())

    async def __call__(self, scope: Dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"functions are called by http, not {scope['type']}")
        status, content_type, body = 200, CONTENT_TYPE, b""
        more: List[Any] = []
        try:
            media, offer, signature = "", "", ""
            for name, value in scope["headers"]:
                name = name.lower()
                if name == b"content-type":
                    media = value.decode("latin-1")
                elif name == b"stategate-bulk":
                    offer += "," + value.decode("latin-1") if offer else value.decode("latin-1")
                elif name == b"stategate-signature":
                    signature += "," + value.decode("latin-1") if signature else value.decode("latin-1")
            is_bulk = self._calls.check(scope["method"], media)
            request = await self._read(receive)
            self._signatures.check(signature, is_bulk, request)
            if is_bulk:
                bulk = Bulk(self._functions, request, self._calls.most)
                await _Answering(bulk, self._threads, self._announcement, send).run()
                return
            body = await self._answer(request)
            if offer and self._calls.offered(offer) and streams(scope):
                more = [self._announcement]
        except _Gone:
            return
        except Exception as e:
            content_type = TEXT_CONTENT_TYPE
            status, body = failure(e)
            more = [_CHALLENGE] if isinstance(e, SignatureError) else []
        await _whole(send, status, content_type, body, more)

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


class _Answering:
    """The response to one bulk: answers leave as calls end, those together that are ready at the same time."""

    def __init__(self, bulk: Bulk, threads: bool, announcement: Any, send: Send) -> None:
        self._bulk = bulk
        self._more: List[Any] = [announcement, _UNBUFFERED]
        self._send: Optional[Send] = send  # None: the caller has gone
        self._started = False
        self._loop = asyncio.get_running_loop()
        self._told = False
        self._news: Optional[asyncio.Future[None]] = None
        calls: List[Call] = bulk.asynchronous
        plain: List[Call] = bulk.plain
        if not threads:
            calls, plain = calls + plain, []
        self._tasks = Tasks(calls, bulk.run, self._tell) if calls else None
        self._threads = Threads(plain, bulk.run_plain, self._tell_from_thread)

    async def run(self) -> None:
        bulk, threads = self._bulk, self._threads
        tasks = None
        if self._tasks is not None:
            tasks = self._loop.create_task(self._tasks.run())
            tasks.add_done_callback(self._tell)
        waiting = bool(threads.waiting)
        try:
            while bulk.unanswered:
                await self._wait(waiting)
                waiting = bool(threads.waiting)  # asked before what is ready: of a call that is the last of its thread, the thread tells
                answers = bulk.take()
                if answers:
                    await self._pass(answers)
                elif tasks is not None and tasks.done():
                    tasks.result()  # raises when tasks cannot be made: the response breaks off
            if not self._started:
                await self._pass(b"")  # there was no call
        finally:
            threads.stop()
            bulk.over = True
            if tasks is not None and not tasks.done():
                tasks.cancel()
                await asyncio.wait([tasks])

    async def _wait(self, waiting: bool) -> None:
        """Waits until it is told that there are answers; or for a tick, as long as calls wait for a thread."""
        if not self._told:
            self._news = self._loop.create_future()
            tick = self._loop.call_later(TICK, self._tell) if waiting else None
            await self._news
            if tick is not None:
                tick.cancel()
        self._told = False
        self._threads.grow()

    def _tell(self, _: Any = None) -> None:
        self._told = True
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _tell_from_thread(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._tell)
        except RuntimeError:  # the loop has ended, and with it who waited
            pass

    async def _pass(self, answers: bytes) -> None:
        if self._send is None:
            return
        more = bool(self._bulk.unanswered)
        try:
            if not self._started:
                self._started = True
                if not more:
                    await _whole(self._send, 200, BULK_CONTENT_TYPE, answers, self._more)
                    return
                await self._send(_start(200, BULK_CONTENT_TYPE, self._more))
            await self._send({"type": "http.response.body", "body": answers, "more_body": more})
        except OSError:  # the gateway calls again what it has not seen answered; what runs goes on to its end, as a single call does
            self._send = None
            self._bulk.unanswered -= self._threads.stop()


async def _whole(send: Send, status: int, content_type: str, body: bytes, more: List[Any]) -> None:
    await send(_start(status, content_type, [(b"content-length", str(len(body)).encode()), *more]))
    await send({"type": "http.response.body", "body": body})


def _start(status: int, content_type: str, more: List[Any]) -> Dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": [(b"content-type", content_type.encode()), *more]}


class _Gone(Exception):
    """The caller went away before its request was whole."""


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        event = await receive()
        await send({"type": event["type"] + ".complete"})
        if event["type"] == "lifespan.shutdown":
            return
