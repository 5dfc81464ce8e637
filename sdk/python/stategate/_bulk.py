# mypy: disable-error-code="import-untyped"
"""A bulk: calls of many addresses in one request, each with an answer of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Callable, Deque, List, Tuple

from google.protobuf.message import DecodeError

from . import _wire
from ._functions import Functions, RequestError
from ._http import failure, reason
from ._protocol.bulk_pb2 import ToFunctions

Call = Tuple[int, Any]  # its number, and its ToFunction, which is looked into when its turn comes: objects that wait cost more than those that go


class Bulk:
    """The calls of one request, and the answers to them that are ready to leave.

    Any thread may answer; one thread takes what has been answered. Whatever happens to a call, it is answered.
    """

    __slots__ = ("plain", "asynchronous", "unanswered", "ready", "over", "_functions")

    def __init__(self, functions: Functions, request: bytes, most: int) -> None:
        to = ToFunctions()
        try:
            to.ParseFromString(request)
        except (DecodeError, UnicodeDecodeError) as e:
            raise RequestError(400, f"parse request: {e}") from e
        calls = [(c.number, c.to_function) for c in to.calls]
        numbers = {number for number, _ in calls}
        if len(numbers) != len(calls) or 0 in numbers:
            raise RequestError(400, "a number of a call is 0, or comes twice")
        if len(calls) > most:
            raise RequestError(400, f"the request has {len(calls)} calls, more than {most}")
        self.plain: List[Call] = []
        self.asynchronous: List[Call] = []
        self.unanswered = len(calls)  # or answered and not taken; it belongs to who takes
        self.ready: Deque[bytes] = deque()
        self.over = False  # nobody waits for answers any more
        self._functions = functions
        kinds = {f.is_async for f in functions}
        if len(kinds) == 1:
            (self.asynchronous if kinds.pop() else self.plain).extend(calls)
        else:
            for call in calls:
                f = functions._served(call[1])
                (self.asynchronous if f is not None and f.is_async else self.plain).append(call)

    def run_plain(self, call: Call) -> None:
        """Runs and answers a call of a plain function. Nothing is raised, not even what ends a program: others wait for this thread."""
        number, to = call
        try:
            batch = self._functions._start(to)
            self.ready.append(_wire.answer(number, batch if isinstance(batch, bytes) else batch.run_plain()))
        except BaseException as e:
            self._failed(number, e)

    async def run(self, call: Call, answered: Callable[[], None]) -> None:
        """Runs and answers a call of any function, in the event loop, and says so."""
        number, to = call
        try:
            batch = self._functions._start(to)
            self.ready.append(_wire.answer(number, batch if isinstance(batch, bytes) else await batch.run()))
        except BaseException as e:
            if self.over and isinstance(e, asyncio.CancelledError):
                raise
            self._failed(number, e)  # cancelled by itself: the others go on
            if isinstance(e, KeyboardInterrupt):
                raise
        answered()

    def take(self) -> bytes:
        """All answers that are ready, as bytes of a FromFunctions; none is b""."""
        ready = self.ready
        answers = [ready.popleft() for _ in range(len(ready))]
        self.unanswered -= len(answers)
        return answers[0] if len(answers) == 1 else b"".join(answers)

    def _failed(self, number: int, e: BaseException) -> None:
        try:
            status, text = failure(e)
            answer = _wire.failed(number, status, text)
        except Exception:  # what users have put into logging may fail as well
            answer = _wire.failed(number, 500, reason(e).encode("utf-8", "replace"))
        self.ready.append(answer)
