"""Greets people, and remembers how often each of them came.

example/person counts the visits of one person; example/greeter takes its time for what it says.
"""

import asyncio
import os

from aiohttp import web
from statefun import (
    IntType,
    RequestReplyHandler,
    StatefulFunctions,
    ValueSpec,
    egress_message_builder,
    kafka_egress_message,
    make_json_type,
    message_builder,
)

GREET_REQUEST = make_json_type("example/GreetRequest")
EGRESS_RECORD = make_json_type("io.statefun.playground/EgressRecord")

# Where the greetings go: to the playground's egress, or to Kafka.
TO_KAFKA = os.environ.get("OUTPUT") == "kafka"

functions = StatefulFunctions()


@functions.bind("example/person", specs=[ValueSpec("visits", IntType)])
async def person(context, message):
    request = message.as_type(GREET_REQUEST)
    visits = (context.storage.visits or 0) + 1
    context.storage.visits = visits
    request["visits"] = visits
    context.send(message_builder("example/greeter", request["name"], value=request, value_type=GREET_REQUEST))


@functions.bind("example/greeter")
async def greeter(context, message):
    request = message.as_type(GREET_REQUEST)
    await asyncio.sleep(0.2)  # a greeting wants to be thought over
    emit(context, "greetings", request["name"], greeting(request["name"], request["visits"]))


def greeting(name, visits):
    first = ["Welcome, %s!", "Nice to see you again, %s!", "Third time lucky, %s!"]
    if visits <= len(first):
        return first[visits - 1] % name
    return "Hello for the %dth time, %s!" % (visits, name)


def emit(context, topic, key, text):
    if TO_KAFKA:
        context.send_egress(kafka_egress_message(typename="example/greets", topic=topic, key=key, value=text))
    else:
        record = {"topic": topic, "payload": text}
        context.send_egress(
            egress_message_builder(target_typename="io.statefun.playground/egress", value=record, value_type=EGRESS_RECORD)
        )


handler = RequestReplyHandler(functions)


async def handle(request):
    reply = await handler.handle_async(await request.read())
    return web.Response(body=reply, content_type="application/octet-stream")


if __name__ == "__main__":
    app = web.Application()
    app.add_routes([web.post("/statefun", handle)])
    web.run_app(app, port=int(os.environ.get("PORT", "8000")), print=None)
