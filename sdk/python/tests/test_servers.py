"""The applications behind real servers, over HTTP, alone and mounted in frameworks (where those are installed)."""

import asyncio
import contextlib
import http.client
import importlib.util
import logging
import socket
import threading
import time
import unittest
from typing import Any, Dict, Iterator, Tuple
from wsgiref.simple_server import WSGIRequestHandler, make_server

from stategate import Context, Functions, Message, String

from .test_wire import request

functions = Functions()
PLAIN, ASYNC = ("a.b", "plain"), ("a.b", "async")


@functions.function("a.b/plain")
def plain(ctx: Context, message: Message) -> None:
    answer(ctx, message, threading.current_thread().name)


@functions.function("a.b/async")
async def asynchronous(ctx: Context, message: Message) -> None:
    await asyncio.sleep(0)
    answer(ctx, message, "async")


def answer(ctx: Context, message: Message, how: str) -> None:
    if message.as_(str) == "fail":
        raise ValueError("für nothing")
    if message.as_(str) == "slow":
        time.sleep(0.3)
    ctx.send("x/y", ctx.address.id, how)


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@contextlib.contextmanager
def wsgi_server(app: Any) -> Iterator[int]:
    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def asgi_server(app: Any) -> Iterator[int]:
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise AssertionError("the server ended")
        time.sleep(0.01)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def post(port: int, body: bytes, path: str = "/statefun", method: str = "POST", **headers: str) -> Tuple[int, bytes, Dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, {"Content-Type": "application/octet-stream", **{k.replace("_", "-"): v for k, v in headers.items()}})
        response = connection.getresponse()
        return response.status, response.read(), {k.lower(): v for k, v in response.getheaders()}
    finally:
        connection.close()


class Served:
    """What holds for both kinds of application."""

    def server(self, app: Any) -> Any: ...
    def app(self, **more: Any) -> Any: ...

    def check(self: Any, port: int) -> None:
        for f in (PLAIN, ASYNC):
            status, body, headers = post(port, request((String, "hi"), function=f))
            self.assertEqual((status, headers["content-type"], headers["content-length"]), (200, "application/octet-stream", str(len(body))))
            self.assertEqual(body, asyncio.run(functions.handle_async(request((String, "hi"), function=f)))
                             if f == ASYNC else body)
            self.assertTrue(body.startswith(b"\xa2\x06") and len(body) > 20)

    def test_calls(self: Any) -> None:
        with self.server(self.app()) as port:
            self.check(port)

    def test_failures_are_told(self: Any) -> None:
        logging.getLogger("stategate").setLevel(logging.CRITICAL + 1)
        ok = request((String, "hi"), function=PLAIN)
        with self.server(self.app(request_bytes_max=1000)) as port:
            for status, text, got in (
                (500, "ValueError: für nothing", post(port, request((String, "fail"), function=PLAIN))),
                (500, "ValueError: für nothing", post(port, request((String, "fail"), function=ASYNC))),
                (400, "parse request", post(port, b"\xff\xff")),
                (400, "no target", post(port, b"")),
                (404, "not served", post(port, request((String, "hi"), function=("a", "b")))),
                (405, "want POST", post(port, b"", method="GET")),
                (415, "text/plain", post(port, ok, Content_Type="text/plain")),
                (413, "1000", post(port, request((String, "x" * 2000), function=PLAIN))),
            ):
                self.assertEqual((got[0], got[2]["content-type"]), (status, "text/plain; charset=utf-8"), text)
                self.assertIn(text, got[1].decode())
            self.assertEqual(post(port, ok, Content_Type="Application/Octet-Stream; x=y")[0], 200)


class Wsgi(Served, unittest.TestCase):
    def server(self, app: Any) -> Any:
        return wsgi_server(app)

    def app(self, **more: Any) -> Any:
        return functions.wsgi(**more)

    @unittest.skipUnless(importlib.util.find_spec("flask"), "Flask is not installed")
    def test_mounted_in_flask(self) -> None:
        from flask import Flask
        from werkzeug.middleware.dispatcher import DispatcherMiddleware

        app = Flask("shop")
        app.add_url_rule("/", view_func=lambda: "mine")
        app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/statefun": functions.wsgi()})  # type: ignore[method-assign]
        with wsgi_server(app) as port:
            self.check(port)
            self.assertEqual(post(port, b"", "/", "GET")[1], b"mine")


@unittest.skipUnless(importlib.util.find_spec("uvicorn"), "uvicorn is not installed")
class Asgi(Served, unittest.TestCase):
    def server(self, app: Any) -> Any:
        return asgi_server(app)

    def app(self, **more: Any) -> Any:
        return functions.asgi(**more)

    def test_a_plain_function_holds_nobody_up(self) -> None:
        def slow(port: int) -> None:
            post(port, request((String, "slow"), function=PLAIN))

        with asgi_server(functions.asgi()) as port:
            thread = threading.Thread(target=slow, args=(port,))
            began = time.monotonic()
            thread.start()
            while time.monotonic() - began < 0.05:
                pass
            post(port, request((String, "hi"), function=ASYNC))
            quick = time.monotonic() - began
            thread.join()
            self.assertLess(quick, time.monotonic() - began)

    @unittest.skipUnless(importlib.util.find_spec("starlette"), "Starlette is not installed")
    def test_mounted_in_starlette(self) -> None:
        from starlette.applications import Starlette
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route

        async def mine(request: Any) -> Any:
            return PlainTextResponse("mine")

        app = Starlette(routes=[Route("/", mine), Route("/statefun", functions.asgi())])
        with asgi_server(app) as port:
            self.check(port)
            self.assertEqual(post(port, b"", "/", "GET")[1], b"mine")

    @unittest.skipUnless(importlib.util.find_spec("fastapi"), "FastAPI is not installed")
    def test_mounted_in_fastapi(self) -> None:
        from fastapi import FastAPI

        app = FastAPI()
        app.add_route("/statefun", functions.asgi(), methods=["POST"])
        with asgi_server(app) as port:
            self.check(port)


class AsgiAlone(unittest.TestCase):
    def test_a_caller_that_goes_away_gets_nothing(self) -> None:
        sent = []

        async def receive() -> Dict[str, Any]:
            return {"type": "http.disconnect"}

        async def send(event: Dict[str, Any]) -> None:
            sent.append(event)

        scope = {"type": "http", "method": "POST", "headers": [(b"Content-Type", b"application/octet-stream")]}
        asyncio.run(functions.asgi()(scope, receive, send))
        self.assertEqual(sent, [])
        with self.assertRaises(ValueError):
            asyncio.run(functions.asgi()({"type": "websocket"}, receive, send))

    def test_a_body_in_pieces(self) -> None:
        body = request((String, "hi"), function=ASYNC)
        events = [{"type": "http.request", "body": body[:5], "more_body": True}, {"type": "http.request", "body": body[5:]}]
        sent: Any = []

        async def receive() -> Dict[str, Any]:
            return events.pop(0)

        async def send(event: Dict[str, Any]) -> None:
            sent.append(event)

        scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/octet-stream")]}
        asyncio.run(functions.asgi(threads=False)(scope, receive, send))
        self.assertEqual([sent[0]["status"], sent[1]["body"][:2]], [200, b"\xa2\x06"])


