"""Who runs the calls of a bulk: threads those of plain functions, tasks those of async functions."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from functools import partial
from time import monotonic
from typing import Any, Callable, Coroutine, Deque, List, Optional, Sequence

from ._bulk import Call

TICK = 0.002  # seconds: how long answers of threads may gather before they leave
_PATIENCE = 0.005  # seconds without a call being taken up, until the threads get company
_SLICE = 0.002  # seconds that async calls may take from the event loop at a stretch
_TASKS = 16  # async calls that are begun at a stretch, where tasks do not begin at once


class Threads:
    """Runs plain calls in threads that end with them.

    One thread takes them in turn: no call that is quick costs a change of threads. Where calls are slow, grow gives it company, twice as
    many threads each time. So slow ones hold up nobody for long, and as many as there are may run at the same time.
    """

    def __init__(self, calls: Sequence[Call], run: Callable[[Call], None], ended: Callable[[], None]) -> None:
        """ended is called by each thread when it ends, which is when no call waits any more."""
        self.waiting: Deque[Call] = deque(calls)
        self._run = run
        self._ended = ended
        self._threads: List[threading.Thread] = []
        self._seen, self._since = len(self.waiting), monotonic()
        if calls:
            self._more(1)

    def grow(self) -> None:
        """To be called each TICK, as long as calls wait."""
        waiting, now = len(self.waiting), monotonic()
        if waiting != self._seen:
            self._seen, self._since = waiting, now
        elif waiting and now - self._since >= _PATIENCE:
            self._since = now
            try:
                self._more(min(waiting, len(self._threads)))
            except RuntimeError:  # the machine has no more threads: those that there are go on
                pass

    def stop(self) -> int:
        """Leaves out the calls that wait, and says how many these are."""
        left_out = 0
        while self.waiting:
            try:
                self.waiting.popleft()
            except IndexError:  # a thread has been faster
                break
            left_out += 1
        return left_out

    def join(self) -> None:
        """Waits for the calls that run."""
        for thread in self._threads:
            thread.join()

    def _more(self, n: int) -> None:
        for _ in range(n):
            thread = threading.Thread(target=self._work, name="stategate-bulk", daemon=False)
            thread.start()
            self._threads.append(thread)

    def _work(self) -> None:
        take, run = self.waiting.popleft, self._run
        try:
            while True:
                run(take())
        except IndexError:  # none is left; run raises nothing
            self._ended()


class Tasks:
    """Runs calls in the event loop, each as a task of its own, side by side."""

    def __init__(self, calls: Sequence[Call], run: Callable[[Call, Callable[[], None]], Coroutine[Any, Any, None]], answered: Callable[[], None]) -> None:
        """run calls what it is given when the call has been answered. answered is called when some have been since it was called last."""
        self._calls = calls
        self._run = run
        self._answered = answered
        self._left = len(calls)
        self._beginning = True
        self._end: Optional[asyncio.Future[None]] = None

    async def run(self) -> None:
        """Ends with the last call. When it is cancelled it cancels them, and ends with the last of them all the same."""
        loop = asyncio.get_running_loop()
        self._end = loop.create_future()
        start, at_once = _starter(loop)
        tasks: List[asyncio.Task[None]] = []  # that may still run
        began = monotonic()
        try:
            for n, call in enumerate(self._calls, 1):
                task = start(self._run(call, self._one))
                if not task.done():
                    tasks.append(task)
                if monotonic() - began > _SLICE:
                    self._answered()
                    await asyncio.sleep(0)
                    began = monotonic()
                elif not at_once and n % _TASKS == 0:
                    await asyncio.sleep(0)
                    tasks = [t for t in tasks if not t.done()]
            self._beginning = False
            self._answered()
            if self._left:
                await self._end
        finally:
            running = [t for t in tasks if not t.done()]
            if running:
                for t in running:
                    t.cancel()
                await asyncio.wait(running)

    def _one(self) -> None:
        self._left -= 1
        if self._beginning:
            return  # what is quick gathers
        if not self._left and self._end is not None and not self._end.done():
            self._end.set_result(None)
        self._answered()


def _starter(loop: asyncio.AbstractEventLoop) -> Any:
    """What makes a task, and whether the task runs at once, up to where it first waits, which costs less for one that never does."""
    if loop.get_task_factory() is not None:
        return loop.create_task, False
    if sys.version_info >= (3, 12):
        return partial(asyncio.Task, loop=loop, eager_start=True), True
    return partial(asyncio.Task, loop=loop), False
