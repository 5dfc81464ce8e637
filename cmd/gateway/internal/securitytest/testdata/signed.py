"""A service whose functions only their gateway calls: they answer how often an address was called."""

import os
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from stategate import Context, Functions, Int, Message, ValueSpec

functions = Functions()


@functions.function("test/crowd", states=[ValueSpec("calls", Int)])
@functions.function("test/f", states=[ValueSpec("calls", Int)])
def count(ctx: Context, message: Message) -> None:
    ctx.state.calls = (ctx.state.calls or 0) + 1
    if ctx.caller is not None:
        ctx.reply(ctx.state.calls, type=Int)


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 1024


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


host, port = os.environ["ADDRESS"].rsplit(":", 1)
application = functions.wsgi(bulk_calls=100, signing_keys=os.environ["KEYS"].split())
make_server(host, int(port), application, Server, Quiet).serve_forever()
