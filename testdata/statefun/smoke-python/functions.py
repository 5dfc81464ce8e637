"""The command interpreter of StateFun's smoke test, for the Python SDK, which had none.

A message is a list of commands, which are carried out in order: count one up, send further commands to another id of this function,
now or after a while, call off what was to be sent, write a record, wait for something and go on, say how far the count is.
"""

import asyncio
import os
from datetime import timedelta

from aiohttp import web
from statefun import (
    LongType,
    RequestReplyHandler,
    StatefulFunctions,
    ValueSpec,
    kafka_egress_message,
    make_json_type,
    message_builder,
)

INTERPRETER = "statefun.smoke.e2e/command-interpreter-fn"
SINK = "statefun.smoke.e2e/sink"

SOURCE_COMMAND = make_json_type("statefun.smoke.e2e/source-command")
COMMANDS = make_json_type("statefun.smoke.e2e/commands")
VERIFICATION_RESULT = make_json_type("statefun.smoke.e2e/verification-result")

functions = StatefulFunctions()


@functions.bind(INTERPRETER, specs=[ValueSpec("state", LongType)])
async def interpret(context, message):
    is_from_source = message.is_type(SOURCE_COMMAND)
    commands = message.as_type(SOURCE_COMMAND if is_from_source else COMMANDS)
    await run(context, commands)


async def run(context, commands):
    for command in commands:
        ((what, details),) = command.items()
        await CARRY_OUT[what](context, details)


async def increment(context, _):
    context.storage.state = (context.storage.state or 0) + 1


async def send(context, details):
    context.send(to(details))


async def send_after(context, details):
    context.send_after(timedelta(milliseconds=details["delay"]), to(details), details.get("token", ""))


async def cancel_send_after(context, details):
    context.cancel_delayed_message(details["token"])


async def send_egress(context, number):
    context.send_egress(kafka_egress_message(SINK, "smoke-python-discards", str(number), key=context.address.id))


async def async_operation(context, details):
    try:
        await asyncio.wait_for(elsewhere(details["failure"]), timeout=10)
    except LookupError:
        pass  # it goes on all the same
    await run(context, details["commands"])


async def elsewhere(failure):
    await asyncio.sleep(0.001)
    if failure:
        raise LookupError("asked for")


async def verify(context, expected):
    result = {"id": context.address.id, "expected": expected, "actual": context.storage.state or 0}
    context.send_egress(kafka_egress_message(SINK, "smoke-python-verifications", result, value_type=VERIFICATION_RESULT, key=context.address.id))


def to(details):
    return message_builder(INTERPRETER, str(details["target"]), value=details["commands"], value_type=COMMANDS)


CARRY_OUT = {
    "increment": increment,
    "send": send,
    "sendAfter": send_after,
    "cancelSendAfter": cancel_send_after,
    "sendEgress": send_egress,
    "asyncOperation": async_operation,
    "verify": verify,
}

handler = RequestReplyHandler(functions)


async def handle(request):
    reply = await handler.handle_async(await request.read())
    return web.Response(body=reply, content_type="application/octet-stream")


if __name__ == "__main__":
    app = web.Application(client_max_size=32 << 20)
    app.add_routes([web.post("/", handle)])
    web.run_app(app, port=int(os.environ.get("PORT", "8000")), print=None)
