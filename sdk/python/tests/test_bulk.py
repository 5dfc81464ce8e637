"""Bulk calls: many calls in one request, answered as they end, behind real servers and by themselves."""

import asyncio
import http.client
import importlib.util
import logging
import sys
import threading
import unittest
from concurrent.futures import Future
from typing import Any, Dict, Iterable, List, Optional, Tuple

from google.protobuf.message import DecodeError

from stategate import Context, Functions, Int, Message, RequestError, String, ValueSpec
from stategate._protocol.bulk_pb2 import FromFunctions, ToFunctions
from stategate._protocol.request_reply_pb2 import ToFunction

from .test_servers import asgi_server, post, wsgi_server
from .test_wire import request

BULK = "application/vnd.stategate.bulk.v1"
PLAIN, ASYNC, STATE = ("a.b", "plain"), ("a.b", "async"), ("a.b", "state")


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
        self.cancelled = threading.Semaphore(0)
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
                self.cancelled.release()
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
            self.assertEqual(answers.headers["x-accel-buffering"], "no")
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
