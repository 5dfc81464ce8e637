"""What servers do to applications while a bulk is answered, and who runs its calls."""

import asyncio
import contextvars
import io
import logging
import random
import threading
import unittest
from typing import Any, Dict, List, Tuple
from unittest import mock

from google.protobuf.internal import api_implementation

from stategate import Context, Functions, Message, RequestError, String
from stategate._bulk import Bulk
from stategate._crew import Tasks, Threads
from stategate._protocol.bulk_pb2 import FromFunctions, ToFunctions
from stategate._protocol.request_reply_pb2 import FromFunction

from .test_bulk import ASYNC, BULK, PLAIN, STATE, Played, bulk, sent_text, threads_of_bulks
from .test_wire import request

SEED = random.SystemRandom().randrange(2**32)


def environ(body: bytes, **more: Any) -> Dict[str, Any]:
    return {"REQUEST_METHOD": "POST", "CONTENT_TYPE": BULK, "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body), **more}


class WsgiAlone(unittest.TestCase):
    def setUp(self) -> None:
        logging.getLogger("stategate").setLevel(logging.CRITICAL + 1)

    def play(self, app: Any, environ: Dict[str, Any]) -> Tuple[str, Dict[str, str], Any]:
        started: List[Any] = []
        answer = app(environ, lambda status, headers: started.append((status, headers)))
        [(status, headers)] = started
        return status, dict(headers), answer

    def test_a_server_of_one_thread_is_sent_no_bulks(self) -> None:
        functions = Played().functions
        ok, many = request((String, "hi"), function=PLAIN), bulk([(1, PLAIN, "hi")])
        for threads, more, announced in ((True, {}, True), (False, {}, False), (None, {}, False), (False, {"bulk_calls": 100}, True)):
            with self.subTest(threads=threads, **more):
                app = functions.wsgi(**more)
                single = {**environ(ok, HTTP_STATEGATE_BULK="1"), "CONTENT_TYPE": "application/octet-stream"}
                server = {} if threads is None else {"wsgi.multithread": threads}
                self.assertEqual("Stategate-Bulk" in self.play(app, {**single, **server})[1], announced)
                self.assertEqual(self.play(app, environ(many, **server))[0], "200 OK" if announced else "415 Unsupported Media Type")

    def test_an_adapter_that_hands_over_whole_answers_is_sent_no_bulks(self) -> None:
        app = Played().functions.wsgi(bulk_calls=100)
        ok = {**environ(request((String, "hi"), function=PLAIN), HTTP_STATEGATE_BULK="1"), "CONTENT_TYPE": "application/octet-stream"}
        for name, announced in (("serverless.event", False), ("awsgi.event", False), ("apig_wsgi.request", False), ("some.event", True)):
            ok["wsgi.input"].seek(0)
            self.assertEqual("Stategate-Bulk" in self.play(app, {**ok, name: {}})[1], announced, name)

    def test_a_response_that_is_closed_before_its_end(self) -> None:
        for read in (0, 1):
            played = Played()
            app = played.functions.wsgi(bulk_calls=100)
            calls = [(1, PLAIN, "hi"), (2, PLAIN, "wait"), (3, ASYNC, "wait")]
            calls += [(n, PLAIN, "wait") for n in range(4, 10)]
            with mock.patch("stategate._crew._PATIENCE", 3600):  # so that one thread takes all
                status, headers, answer = self.play(app, environ(bulk(calls)))
                self.assertEqual((status, "Content-Length" in headers), ("200 OK", False))
                for _ in range(read):
                    next(answer)
                for _ in range(3):
                    self.assertTrue(played.come.acquire(timeout=30))
                closing = threading.Thread(target=answer.close)
                closing.start()
                self.assertTrue(played.cancelled.acquire(timeout=30), "the task goes on")
                closing.join(0.05)
                self.assertTrue(closing.is_alive(), "what runs is waited for")
                played.gate.set_result(None)
                closing.join(30)
            self.assertFalse(closing.is_alive())
            self.assertEqual(threads_of_bulks(end=False), [])
            self.assertFalse(played.come.acquire(blocking=False), "calls were run that nobody wants to know of any more")

    def test_what_is_ready_at_once_has_a_length(self) -> None:
        with mock.patch("stategate._crew._SLICE", 3600):
            status, headers, answer = self.play(Played().functions.wsgi(bulk_calls=99), environ(bulk((n, ASYNC, "hi") for n in range(1, 100))))
        [body] = answer
        self.assertEqual((status, headers["Content-Length"]), ("200 OK", str(len(body))))
        self.assertEqual(len(FromFunctions.FromString(body).answers), 99)


class AsgiAlone(unittest.TestCase):
    def setUp(self) -> None:
        logging.getLogger("stategate").setLevel(logging.CRITICAL + 1)

    def play(self, app: Any, body: bytes, send: Any) -> Any:
        async def receive() -> Dict[str, Any]:
            return {"type": "http.request", "body": body}

        return app({"type": "http", "method": "POST", "headers": [(b"Content-Type", BULK.encode())]}, receive, send)

    def sent(self, app: Any, body: bytes) -> List[Dict[str, Any]]:
        events: List[Dict[str, Any]] = []

        async def send(event: Dict[str, Any]) -> None:
            events.append(event)

        asyncio.run(self.play(app, body, send))
        return events

    def test_an_adapter_that_hands_over_whole_answers_is_sent_no_bulks(self) -> None:
        async def receive() -> Dict[str, Any]:
            return {"type": "http.request", "body": request((String, "hi"), function=ASYNC)}

        headers = [(b"content-type", b"application/octet-stream"), (b"stategate-bulk", b"1")]
        for name, announced in (("aws.event", False), ("state", True)):
            events: List[Dict[str, Any]] = []

            async def send(event: Dict[str, Any]) -> None:
                events.append(event)

            asyncio.run(Played().functions.asgi()({"type": "http", "method": "POST", "headers": headers, name: {}}, receive, send))
            self.assertEqual(b"stategate-bulk" in dict(events[0]["headers"]), announced, name)

    def test_what_is_ready_together_leaves_together(self) -> None:
        with mock.patch("stategate._crew._SLICE", 3600):
            start, body = self.sent(Played().functions.asgi(), bulk((n, ASYNC, "hi") for n in range(1, 101)))
        self.assertEqual((len(FromFunctions.FromString(body["body"]).answers), body.get("more_body")), (100, None))
        self.assertIn((b"content-length", str(len(body["body"])).encode()), start["headers"])

    def test_calls_that_work_for_long_give_way(self) -> None:
        now = 0.0

        def clock() -> float:
            nonlocal now
            now += 1
            return now

        with mock.patch("stategate._crew.monotonic", clock):
            events = self.sent(Played().functions.asgi(), bulk((n, ASYNC, "hi") for n in range(1, 11)))
        self.assertEqual([e.get("more_body") for e in events], [None, *[True] * (len(events) - 2), False])
        self.assertGreater(len(events), 5)
        self.assertEqual(len(FromFunctions.FromString(b"".join(e["body"] for e in events[1:])).answers), 10)

    def test_each_call_is_a_task_with_a_context_of_its_own(self) -> None:
        leaked: contextvars.ContextVar[str] = contextvars.ContextVar("leaked", default="")
        seen, tasks = [], []

        async def call(ctx: Context, message: Message) -> None:
            seen.append(leaked.get())
            leaked.set(ctx.address.id)
            tasks.append(asyncio.current_task())

        functions = Functions()
        functions.register("a.b/async", call)
        self.sent(functions.asgi(), bulk((n, ASYNC, "hi") for n in range(1, 6)))
        self.assertEqual((seen, len(set(tasks))), ([""] * 5, 5))

    def test_a_task_factory_is_used_and_may_fail(self) -> None:
        made = []

        async def main(fail: bool) -> List[Any]:
            events = []

            async def send(event: Dict[str, Any]) -> None:
                events.append(event)

            def factory(loop: Any, coroutine: Any, **more: Any) -> Any:
                made.append(coroutine)
                if fail and coroutine.__qualname__ == "Bulk.run":
                    coroutine.close()
                    raise ValueError("no more tasks")
                return asyncio.Task(coroutine, loop=loop, **more)

            asyncio.get_running_loop().set_task_factory(factory)
            await self.play(Played().functions.asgi(), bulk((n, ASYNC, "hi") for n in range(1, 4)), send)
            return events

        self.assertEqual(asyncio.run(main(False))[0]["status"], 200)
        self.assertGreaterEqual(len(made), 4)
        self.assertEqual(asyncio.run(main(True))[0]["status"], 500)

    def test_a_server_that_cancels(self) -> None:
        played = Played()
        with mock.patch("stategate._crew._PATIENCE", 3600):
            asyncio.run(self.cancel(played))
        self.assertEqual([played.cancelled.acquire(blocking=False) for _ in range(3)], [True, True, False])
        self.assertEqual(threads_of_bulks(), [])
        self.assertFalse(played.come.acquire(blocking=False), "calls were run that nobody wants to know of any more")

    async def cancel(self, played: Played) -> None:
        async def send(event: Dict[str, Any]) -> None:
            pass

        calls = [(1, ASYNC, "wait"), (2, ASYNC, "wait"), (3, PLAIN, "wait"), (4, PLAIN, "wait")]
        running = asyncio.ensure_future(self.play(played.functions.asgi(), bulk(calls), send))
        for _ in range(3):
            await asyncio.get_running_loop().run_in_executor(None, played.come.acquire)
        running.cancel()
        with mock.patch("stategate._http.log.error") as logged, self.assertRaises(asyncio.CancelledError):
            await running
        logged.assert_not_called()
        played.gate.set_result(None)

    def test_a_server_that_says_that_the_caller_has_gone(self) -> None:
        played = Played()

        async def send(event: Dict[str, Any]) -> None:
            if "body" in event:
                asyncio.get_running_loop().call_soon(played.gate.set_result, None)
                raise OSError("gone")

        calls = [(1, ASYNC, "hi"), (2, ASYNC, "wait"), (3, PLAIN, "wait")] + [(n, PLAIN, "hi") for n in range(4, 30)]
        with mock.patch("stategate._crew._PATIENCE", 3600):
            asyncio.run(self.play(played.functions.asgi(), bulk(calls), send))
        self.assertEqual((played.cancelled.acquire(blocking=False), threads_of_bulks()), (False, []))
        self.assertLessEqual(sum(played.come.acquire(blocking=False) for _ in calls), 3, "calls were run that nobody wants to know of any more")

    def test_hostile_bodies(self) -> None:
        rng = random.Random(SEED)
        app = Played().functions.asgi()
        good = bulk((n, (PLAIN, ASYNC, STATE)[n % 3], rng.choice(("hi", "fail"))) for n in range(1, 6))
        for round in range(20 if api_implementation.Type() == "cpp" else 300):  # that one tells each on stderr
            body = bytearray(good)
            for _ in range(rng.randrange(1, 4)):
                at = rng.randrange(len(body))
                if rng.random() < 0.5:
                    body[at] = rng.randrange(256)
                elif rng.random() < 0.5:
                    del body[at:at + rng.randrange(1, 20)]
                else:
                    body[at:at] = rng.randbytes(rng.randrange(1, 6))
            with self.subTest(seed=SEED, round=round):
                events = self.sent(app, bytes(body))
                self.assertIn(events[0]["status"], (200, 400))
                if events[0]["status"] == 200:
                    got = [a.number for a in FromFunctions.FromString(b"".join(e["body"] for e in events[1:])).answers]
                    self.assertEqual(sorted(got), sorted(c.number for c in ToFunctions.FromString(bytes(body)).calls))


class Crews(unittest.TestCase):
    def test_threads_get_company_when_no_call_is_taken_up(self) -> None:
        now, come, gate, ended = 0.0, threading.Semaphore(0), threading.Event(), threading.Semaphore(0)

        def run(call: Any) -> None:
            come.release()
            gate.wait(30)

        def arrive(n: int) -> None:
            for _ in range(n):
                self.assertTrue(come.acquire(timeout=30))

        calls: Any = list(range(20))
        with mock.patch("stategate._crew.monotonic", lambda: now):
            threads = Threads(calls, run, ended.release)
            arrive(1)
            threads.grow()  # a call has been taken up
            now = 0.004
            threads.grow()
            self.assertEqual(len(threads._threads), 1)
            for more, left in ((1, 18), (2, 16), (4, 12), (8, 4), (4, 0)):
                now += 0.0051
                threads.grow()
                arrive(more)
                self.assertEqual(len(threads.waiting), left)
                threads.grow()
            now += 10
            threads.grow()
            self.assertEqual(len(threads._threads), 20)
        gate.set()
        threads.join()
        for _ in range(20):
            self.assertTrue(ended.acquire(blocking=False))

    def test_a_machine_without_threads_to_give(self) -> None:
        gate, come = threading.Event(), threading.Event()
        calls: Any = list(range(3))
        done: List[int] = []

        def run(call: Any) -> None:
            come.set()
            gate.wait(30)
            done.append(call)

        threads = Threads(calls, run, lambda: None)
        self.assertTrue(come.wait(30))
        threads.grow()
        with mock.patch("threading.Thread.start", side_effect=RuntimeError("can't start new thread")), mock.patch("stategate._crew._PATIENCE", 0):
            threads.grow()
        gate.set()
        threads.join()
        self.assertEqual(done, [0, 1, 2])

    def test_tasks_end_when_they_are_cancelled(self) -> None:
        async def main() -> List[str]:
            came, begun, ended = asyncio.Event(), [], []

            async def run(call: Any, answered: Any) -> None:
                begun.append(call)
                if len(begun) == len(calls):  # on a slow machine there is a pause between them
                    came.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    await asyncio.sleep(0)
                    ended.append(call)

            calls: Any = ["a", "b"]
            running = asyncio.ensure_future(Tasks(calls, run, lambda: None).run())
            await came.wait()
            running.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await running
            return ended

        self.assertEqual(sorted(asyncio.run(main())), ["a", "b"])


class Bulks(unittest.TestCase):
    def test_answers_that_no_number_makes_short(self) -> None:
        functions = Functions()
        functions.register("a.b/plain", lambda ctx, m: ctx.send("x/y", "k", m.as_(str)))
        for size in (0, 1, 100, 120, 127, 128, 5000, 70_000):
            for number in (1, 127, 128, 2**32 - 1):
                b = Bulk(functions, bulk([(number, PLAIN, "x" * size)]), 2)
                b.run_plain(b.plain[0])
                [answer] = FromFunctions.FromString(b.take()).answers
                self.assertEqual((answer.number, len(sent_text(answer)), b.unanswered), (number, size, 0))
                want = FromFunction.FromString(functions.handle(request((String, "x" * size), function=PLAIN)))
                self.assertEqual(answer.from_function, want)

    def test_a_status_that_is_no_failure(self) -> None:
        for status in (200, 399, 600, -1):
            with self.assertRaises(ValueError):
                RequestError(status, "odd")
