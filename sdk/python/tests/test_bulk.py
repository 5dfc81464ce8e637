"""Bulk calls: many calls in one request, answered as they end, behind real servers and by themselves."""

import asyncio
import contextvars
import http.client
import importlib.util
import logging
import random
import sys
import threading
import unittest
from concurrent.futures import Future
from typing import Any, Dict, Iterable, List, Optional, Tuple
from unittest import mock

from google.protobuf.message import DecodeError

from stategate import Context, Functions, Int, Message, RequestError, String, ValueSpec
from stategate._bulk import Bulk
from stategate._crew import Tasks, Threads
from stategate._protocol.bulk_pb2 import FromFunctions, ToFunctions
from stategate._protocol.request_reply_pb2 import FromFunction, ToFunction

from .test_servers import asgi_server, post, wsgi_server
from .test_wire import request

BULK = "application/vnd.stategate.bulk.v1"
PLAIN, ASYNC, STATE = ("a.b", "plain"), ("a.b", "async"), ("a.b", "state")
SEED = random.SystemRandom().randrange(2**32)


class Silent(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Played:
    """Functions that do what their message says: answer, fail, wait until the gate is opened, or until all have come."""

    def __init__(self, all: int = 0) -> None:
        self.gate: "Future[None]" = Future()
        self.come: "threading.Semaphore" = threading.Semaphore(0)
        self.missing = all
        self.lock = threading.Lock()
        self.cancelled = 0
        self.functions = Functions()
        self.functions.register("a.b/plain", self.plain)
        self.functions.register("a.b/async", self.asynchronous)
        self.functions.register("a.b/state", self.plain, states=[ValueSpec("seen", Int)])

    def act(self, ctx: Context, text: str) -> bool:
        """True: to wait for the gate."""
        self.come.release()
        if text == "fail":
            raise ValueError("für nothing")
        if text == "exit":
            sys.exit("bye")
        if text == "cancel":
            raise asyncio.CancelledError
        if text == "silent":
            raise Silent
        if text == "refuse":
            raise RequestError(413, "too much")
        if text == "long":
            raise ValueError("x" * 1_000_000)
        if text == "all":
            with self.lock:
                self.missing -= 1
                if self.missing == 0:
                    self.gate.set_result(None)
        ctx.send("x/y", ctx.address.id, text)
        return text in ("wait", "all")

    def plain(self, ctx: Context, message: Message) -> None:
        if self.act(ctx, message.as_(str)):
            self.gate.result(30)

    async def asynchronous(self, ctx: Context, message: Message) -> None:
        if self.act(ctx, message.as_(str)):
            try:
                await asyncio.shield(asyncio.wrap_future(self.gate))
            except asyncio.CancelledError:
                self.cancelled += 1
                raise


def bulk(calls: Iterable[Tuple[int, Tuple[str, str], str]]) -> bytes:
    """A bulk request of calls (number, function, text)."""
    to = ToFunctions()
    for number, function, text in calls:
        to.calls.add(number=number, to_function=ToFunction.FromString(request((String, text), function=function, id=f"id-{number}")))
    return to.SerializeToString()


class Answers:
    """The response to a bulk, read as it comes."""

    def __init__(self, port: int, body: bytes) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.connection.request("POST", "/statefun", body, {"Content-Type": BULK})
        self.response = self.connection.getresponse()
        self.headers = {k.lower(): v for k, v in self.response.getheaders()}
        self.data = b""

    def __enter__(self) -> "Answers":
        return self

    def __exit__(self, *_: Any) -> None:
        self.connection.close()

    def read(self, numbers: Optional[Iterable[int]] = None) -> Dict[int, Any]:
        """What there is once all these numbers are answered, or at the end."""
        while True:
            try:
                answers = FromFunctions.FromString(self.data).answers
                got = {a.number: a for a in answers}
                assert len(got) == len(answers), "a number is answered twice"
                if numbers is not None and got.keys() >= set(numbers):
                    return got
            except (DecodeError, UnicodeDecodeError):
                pass
            part = self.response.read1(65536)
            if not part:
                assert numbers is None, f"the response has ended before {numbers} were answered"
                return got
            self.data += part


def sent_text(answer: Any) -> str:
    [message] = answer.from_function.invocation_result.outgoing_messages
    return str(String.decode(message.argument.value))


def threads_of_bulks(end: bool = True) -> List[threading.Thread]:
    """Threads that are there; with end, those that do not end by themselves now."""
    threads = [t for t in threading.enumerate() if t.name == "stategate-bulk"]
    for thread in threads if end else ():
        thread.join(30)
    return [t for t in threads if t.is_alive()]


class Served:
    """What holds for both kinds of application."""

    calls = 100

    def server(self, app: Any) -> Any: ...
    def app(self, functions: Functions, **more: Any) -> Any: ...

    def setUp(self) -> None:
        logging.getLogger("stategate").setLevel(logging.CRITICAL + 1)

    def test_bulk_calls_are_announced_to_who_offers_them(self: Any) -> None:
        played = Played()
        ok = request((String, "hi"), function=PLAIN)
        with self.server(self.app(played.functions, bulk_calls=7)) as port:
            for offer in ("1", " 1", "2, 1", "1 ,0", "1;some=thing", "x,1;y"):
                self.assertEqual(post(port, ok, Stategate_Bulk=offer)[2].get("stategate-bulk"), "1; calls=7", offer)
            for offer in ("2", "", "11", "calls=1", ";1", '"1"', ",,", "\xff"):
                self.assertNotIn("stategate-bulk", post(port, ok, Stategate_Bulk=offer)[2], offer)
            self.assertNotIn("stategate-bulk", post(port, ok)[2])
            for bad in (request((String, "fail"), function=PLAIN), request((String, "hi"), function=("a", "b")), b"\xff"):
                status, _, headers = post(port, bad, Stategate_Bulk="1")
                self.assertGreaterEqual(status, 400)
                self.assertNotIn("stategate-bulk", headers)
            unset = request((String, "hi"), function=STATE)
            self.assertEqual(post(port, unset, Stategate_Bulk="1")[2].get("stategate-bulk"), "1; calls=7")

    def test_switched_off(self: Any) -> None:
        with self.server(self.app(Played().functions, bulk_calls=1)) as port:
            self.assertNotIn("stategate-bulk", post(port, request((String, "hi"), function=PLAIN), Stategate_Bulk="1")[2])
            status, body, headers = post(port, bulk([(1, PLAIN, "hi")]), Content_Type=BULK)
            self.assertEqual((status, "stategate-bulk" in headers), (415, False))
            self.assertIn(BULK, body.decode())
        for wrong in (0, -1):
            with self.assertRaises(ValueError):
                self.app(Played().functions, bulk_calls=wrong)

    def test_calls_of_all_kinds(self: Any) -> None:
        played = Played()
        calls = [(n + 1, f, text) for n, (f, text) in enumerate((f, text) for f in (PLAIN, ASYNC) for text in (
            "hi", "fail", "exit", "cancel", "silent", "refuse", "long", "ho"))]
        calls += [(2**32 - 1, ("a.b", "none"), "hi"), (1000, STATE, "hi")]
        with self.server(self.app(played.functions)) as port, Answers(port, bulk(calls)) as answers:
            got = answers.read()
            self.assertEqual((answers.response.status, answers.headers["content-type"]), (200, BULK))
            self.assertEqual(answers.headers["stategate-bulk"], f"1; calls={self.calls}")
        self.assertEqual(sorted(got), sorted(number for number, _, _ in calls))
        want = {
            "fail": (500, "ValueError: für nothing"), "exit": (500, "SystemExit: bye"), "cancel": (500, "CancelledError: "),
            "silent": (500, "Silent"), "refuse": (413, "too much"), "long": (500, "ValueError: " + 3988 * "x"),
        }
        for number, function, text in calls:
            if function == STATE:
                [spec] = got[number].from_function.incomplete_invocation_context.missing_values
                self.assertEqual(spec.state_name, "seen")
            elif text in want or function == ("a.b", "none"):
                failure = got[number].failure
                self.assertEqual((failure.status, failure.reason), want.get(text, (404, "function a.b/none is not served here")))
            else:
                self.assertEqual(sent_text(got[number]), text)
        self.assertEqual(threads_of_bulks(), [])

    def test_one_that_waits_holds_up_no_other(self: Any) -> None:
        for function in (PLAIN, ASYNC):
            played = Played()
            calls = [(n, function, "wait" if n in (1, 50) else "hi") for n in range(1, self.calls + 1)]
            others = {n for n, _, text in calls if text == "hi"}
            with self.server(self.app(played.functions)) as port, Answers(port, bulk(calls)) as answers:
                got = answers.read(others)
                self.assertEqual(set(got), others, "the others were not answered before it")
                played.gate.set_result(None)
                self.assertEqual(len(answers.read()), self.calls)
        self.assertEqual(threads_of_bulks(), [])

    def test_all_may_wait_at_the_same_time(self: Any) -> None:
        played = Played(all=self.calls)
        calls = [(n, (PLAIN, ASYNC)[n % 2], "all") for n in range(1, self.calls + 1)]
        with self.server(self.app(played.functions)) as port, Answers(port, bulk(calls)) as answers:
            self.assertEqual([sent_text(a) for a in answers.read().values()], ["all"] * self.calls)

    def test_what_is_no_bulk(self: Any) -> None:
        played = Played()
        many = bulk((n, PLAIN, "hi") for n in range(1, self.calls + 2))
        with self.server(self.app(played.functions, request_bytes_max=len(many))) as port:
            for status, text, body in (
                (400, "parse request", b"\xff\xff"), (400, "parse request", b"\x0a\x05\x08\x01"), (400, "number", b"\x0a\x00"),
                (400, "number", bulk([(1, PLAIN, "hi"), (0, PLAIN, "hi")])), (400, "number", bulk([(3, PLAIN, "hi"), (3, ASYNC, "hi")])),
                (400, "parse request", bulk([(1, PLAIN, "hi")]).replace(b"id-1", b"id-\xff")), (400, f"{self.calls + 1} calls", many),
                (413, str(len(many)), many + b"x"),
            ):
                got = post(port, body, Content_Type=BULK)
                self.assertEqual((got[0], got[2]["content-type"]), (status, "text/plain; charset=utf-8"), text)
                self.assertIn(text, got[1].decode())
                self.assertNotIn("stategate-bulk", got[2])
            self.assertFalse(played.come.acquire(blocking=False), "a call was run")
            for body in (b"", bulk([(1, PLAIN, "hi")])):
                status, answer, headers = post(port, body, Content_Type=BULK.upper() + "; x=y")
                self.assertEqual((status, headers["content-length"]), (200, str(len(answer))))
                self.assertEqual(len(FromFunctions.FromString(answer).answers), 1 if body else 0)
            self.assertEqual(post(port, b"", Content_Type=BULK, method="GET")[0], 405)

    def test_a_caller_that_goes_away(self: Any) -> None:
        played = Played()
        with self.server(self.app(played.functions)) as port:
            with Answers(port, bulk((n, (PLAIN, ASYNC)[n % 2], "hi" if n < 3 else "wait") for n in range(1, 9))) as answers:
                answers.read({1, 2})
                for _ in range(8):
                    self.assertTrue(played.come.acquire(timeout=30))
            played.gate.set_result(None)
            with Answers(port, bulk([(1, PLAIN, "hi")])) as answers:
                self.assertEqual(len(answers.read()), 1)
        self.assertEqual(threads_of_bulks(), [])

    def test_logging_that_fails(self: Any) -> None:
        class Broken(logging.Filter):
            def filter(self, record: logging.LogRecord) -> bool:
                raise OSError("the disk is full")

        logger, broken = logging.getLogger("stategate"), Broken()
        logger.setLevel(logging.ERROR)
        logger.addFilter(broken)
        try:
            with self.server(self.app(Played().functions)) as port:
                with Answers(port, bulk([(1, PLAIN, "fail"), (2, ASYNC, "fail"), (3, PLAIN, "hi")])) as answers:
                    self.assertEqual([a.failure.status for _, a in sorted(answers.read().items())], [500, 500, 0])
        finally:
            logger.removeFilter(broken)


class Wsgi(Served, unittest.TestCase):
    def server(self, app: Any) -> Any:
        return wsgi_server(app)

    def app(self, functions: Functions, **more: Any) -> Any:
        return functions.wsgi(**{"bulk_calls": self.calls, **more})


@unittest.skipUnless(importlib.util.find_spec("uvicorn"), "uvicorn is not installed")
class Asgi(Served, unittest.TestCase):
    def server(self, app: Any) -> Any:
        return asgi_server(app)

    def app(self, functions: Functions, **more: Any) -> Any:
        return functions.asgi(**more)


@unittest.skipUnless(importlib.util.find_spec("uvicorn"), "uvicorn is not installed")
class AsgiWithoutThreads(Asgi):
    def app(self, functions: Functions, **more: Any) -> Any:
        return functions.asgi(threads=False, **more)

    test_one_that_waits_holds_up_no_other = test_all_may_wait_at_the_same_time = test_a_caller_that_goes_away = None  # type: ignore[assignment]


def environ(body: bytes, **more: Any) -> Dict[str, Any]:
    import io

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
        self.assertEqual(played.cancelled, 2)
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
                played.gate.set_result(None)
                raise OSError("gone")

        calls = [(1, ASYNC, "hi"), (2, ASYNC, "wait"), (3, PLAIN, "wait")] + [(n, PLAIN, "hi") for n in range(4, 30)]
        with mock.patch("stategate._crew._PATIENCE", 3600):
            asyncio.run(self.play(played.functions.asgi(), bulk(calls), send))
        self.assertEqual((played.cancelled, threads_of_bulks()), (0, []))

    def test_hostile_bodies(self) -> None:
        rng = random.Random(SEED)
        app = Played().functions.asgi()
        good = bulk((n, (PLAIN, ASYNC, STATE)[n % 3], rng.choice(("hi", "fail"))) for n in range(1, 6))
        for round in range(300):
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
            came, ended = asyncio.Event(), []

            async def run(call: Any, answered: Any) -> None:
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
