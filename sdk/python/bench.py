"""What a message costs, beside StateFun's Python SDK on the same protobuf: `scripts/python --bench`.

The function reads and writes a state, sends a message and gives a record to Kafka, for each message; the same bytes go to both SDKs,
and both answer the same. The figure is CPU time of the process, best of five, the two by turns.

Then the same function, async and plain, behind uvicorn: calls of one message each, one in a request and 100 in a request. The figure is
CPU time of the server, best of five, by turns again.
"""

import asyncio
import http.client
import json
import subprocess
import sys
import threading
import time

import google.protobuf
import statefun
from google.protobuf.internal import api_implementation
from statefun.request_reply_pb2 import FromFunction, ToFunction

import stategate
import stategate.statefun as ported
from stategate._protocol import bulk_pb2

theirs = statefun.StatefulFunctions()
moved = ported.StatefulFunctions()
ours = stategate.Functions()


def bind(sdk, functions):
    @functions.bind("example/count", specs=[sdk.ValueSpec("seen", sdk.IntType)])
    async def count(ctx, message):
        text = message.as_string()
        n = (ctx.storage.seen or 0) + 1
        ctx.storage.seen = n
        ctx.send(sdk.message_builder("example/greeter", ctx.address.id, int_value=n))
        ctx.send_egress(sdk.kafka_egress_message("example/out", "out", text, key=ctx.address.id))

    return sdk.RequestReplyHandler(functions).handle_async


def effects(ctx, message):
    text = message.as_(stategate.String)
    n = (ctx.state.seen or 0) + 1
    ctx.state.seen = n
    ctx.send("example/greeter", ctx.address.id, n, type=stategate.Int)
    ctx.send_kafka("example/out", "out", text, key=ctx.address.id)


@ours.function("example/count", states=[stategate.ValueSpec("seen", stategate.Int)])
async def count(ctx, message):
    effects(ctx, message)


@ours.function("example/plain", states=[stategate.ValueSpec("seen", stategate.Int)])
def plain(ctx, message):
    effects(ctx, message)


def request(messages, function="count", id="ada"):
    to = ToFunction()
    batch = to.invocation
    batch.target.namespace, batch.target.type, batch.target.id = "example", function, id
    state = batch.state.add()
    state.state_name = "seen"
    state.state_value.typename, state.state_value.has_value, state.state_value.value = "io.statefun.types/int", True, b"\x0d\x05\0\0\0"
    for _ in range(messages):
        argument = batch.invocations.add().argument
        argument.typename, argument.has_value, argument.value = "io.statefun.types/string", True, b"\x0a\x05hello"
    return to.SerializeToString()


async def microseconds(handle, body, messages, calls):
    began = time.process_time()
    for _ in range(calls):
        await handle(body)
    return (time.process_time() - began) / calls / messages * 1e6


async def main():
    print(f"Python {sys.version.split()[0]}, protobuf {google.protobuf.__version__}, implementation {api_implementation.Type()}")
    handlers = {"StateFun's SDK": bind(statefun, theirs), "stategate": ours.handle_async, "stategate.statefun": bind(ported, moved)}
    for messages, calls in ((1, 4000), (100, 100)):
        body = request(messages)
        answers = [FromFunction.FromString(await h(body)) for h in handlers.values()]
        assert all(a == answers[0] for a in answers), "the answers differ"
        best = dict.fromkeys(handlers, float("inf"))
        for _ in range(5):
            for name, handle in handlers.items():
                best[name] = min(best[name], await microseconds(handle, body, messages, calls))
        for name, us in best.items():
            print(f"batch of {messages:3}: {us:6.2f} us CPU per message, {best[next(iter(best))] / us:4.2f}x  {name}")


CONNECTIONS, CALLS = 8, 100


def serve():
    """The server: it says its port, and the CPU time that it has used to who asks for it."""
    import uvicorn

    app = ours.asgi()

    async def measured(scope, receive, send):
        if scope["type"] != "http" or scope["method"] != "GET":
            return await app(scope, receive, send)
        body = json.dumps(time.process_time()).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})

    class Server(uvicorn.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets)
            print(self.servers[0].sockets[0].getsockname()[1], flush=True)

    Server(uvicorn.Config(measured, port=0, log_level="critical", timeout_graceful_shutdown=1)).run()


class Client:
    """Connections that post, all at the same time."""

    def __init__(self, port):
        self.port = port
        self.connections = [http.client.HTTPConnection("127.0.0.1", port) for _ in range(CONNECTIONS)]

    def get(self):
        self.connections[0].request("GET", "/")
        return json.load(self.connections[0].getresponse())

    def post(self, content_type, bodies):
        """The CPU time of the server for these bodies, on each connection once; and the last answer."""
        last = []

        def run(connection):
            for body in bodies:
                connection.request("POST", "/", body, {"Content-Type": content_type, "Stategate-Bulk": "1"})
                response = connection.getresponse()
                last.append(response.read())
                assert response.status == 200, last[-1]

        began = self.get()
        threads = [threading.Thread(target=run, args=(c,)) for c in self.connections]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(last) == CONNECTIONS * len(bodies)
        return self.get() - began, last[-1]


def served():
    server = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True)
    try:
        client = Client(int(server.stdout.readline()))
        ways = {}
        for function in ("count", "plain"):
            requests = [request(1, function, f"id-{n}") for n in range(CALLS)]
            bulk = bulk_pb2.ToFunctions()
            for n, body in enumerate(requests, 1):
                bulk.calls.add(number=n).to_function.ParseFromString(body)
            ways[function, "one in a request"] = "application/octet-stream", requests, 1
            ways[function, f"{CALLS} in a request"] = "application/vnd.stategate.bulk.v1", [bulk.SerializeToString()] * 4, CALLS
        best = dict.fromkeys(ways, float("inf"))
        for _ in range(5):
            for way, (content_type, bodies, calls) in ways.items():
                seconds, last = client.post(content_type, bodies)
                if calls > 1:
                    answers = bulk_pb2.FromFunctions.FromString(last).answers
                    assert len(answers) == calls and all(a.from_function.invocation_result.outgoing_messages for a in answers)
                best[way] = min(best[way], seconds / CONNECTIONS / len(bodies) / calls * 1e6)
        for (function, how), us in best.items():
            kind = "async" if function == "count" else "plain"
            print(f"uvicorn, {kind} function: {us:6.2f} us CPU per message, {best[function, 'one in a request'] / us:5.2f}x  calls {how}")
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        asyncio.run(main())
        served()
