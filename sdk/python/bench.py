"""What a message costs, beside StateFun's Python SDK on the same protobuf: `scripts/python --bench`.

The function reads and writes a state, sends a message and gives a record to Kafka, for each message; the same bytes go to both SDKs,
and both answer the same. The figure is CPU time of the process, best of five, the two by turns.
"""

import asyncio
import sys
import time

import google.protobuf
import statefun
from google.protobuf.internal import api_implementation
from statefun.request_reply_pb2 import FromFunction, ToFunction

import stategate
import stategate.statefun as ported

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


@ours.function("example/count", states=[stategate.ValueSpec("seen", stategate.Int)])
async def count(ctx, message):
    text = message.as_(stategate.String)
    n = (ctx.state.seen or 0) + 1
    ctx.state.seen = n
    ctx.send("example/greeter", ctx.address.id, n, type=stategate.Int)
    ctx.send_kafka("example/out", "out", text, key=ctx.address.id)


def request(messages):
    to = ToFunction()
    batch = to.invocation
    batch.target.namespace, batch.target.type, batch.target.id = "example", "count", "ada"
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


asyncio.run(main())
