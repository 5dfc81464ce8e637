"""The application that ../README.md describes, on the official Python SDK and aiohttp."""
import asyncio
import os
from datetime import timedelta

from aiohttp import web
from google.protobuf.wrappers_pb2 import StringValue
from statefun import (BoolType, DoubleType, FloatType, IntType, LongType, RequestReplyHandler, StatefulFunctions, StringType, ValueSpec,
                      kafka_egress_message, make_json_type, make_protobuf_type, message_builder, simple_type)

PREFIX = os.environ["PREFIX"]
EXPIRATION = timedelta(milliseconds=int(os.environ["EXPIRATION"]))

COMMAND = simple_type("apps.types/command", serialize_fn=str.encode, deserialize_fn=bytes.decode)
NOTE = make_json_type("apps.types/note")
NAME = make_protobuf_type(StringValue)
BLOB = simple_type("apps.types/blob", serialize_fn=bytes, deserialize_fn=bytes)

functions = StatefulFunctions()


def emit(context, value, key=None, value_type=None, function=None):
    topic = f"{PREFIX}out-{function or context.address.name}"
    context.send_egress(kafka_egress_message("apps.io/out", topic, value, value_type=value_type, key=key))


class Kind:
    """A type of values: one to set, its zero, and how one becomes the next."""

    def __init__(self, value_type, sample, zero, bump):
        self.type, self.sample, self.zero, self.bump = value_type, sample, zero, bump


KINDS = {
    "bool": Kind(BoolType, True, False, lambda v: not v),
    "int": Kind(IntType, 7, 0, lambda v: v + 1),
    "long": Kind(LongType, 2 ** 40 + 1, 0, lambda v: v + 1),
    "float": Kind(FloatType, 1.5, 0.0, lambda v: v + 0.5),
    "double": Kind(DoubleType, 0.1, 0.0, lambda v: v + 0.25),
    "string": Kind(StringType, "grüße 😀", "", lambda v: v + "!"),
    "note": Kind(NOTE, {"n": 1, "text": "é"}, {"n": 0, "text": ""}, lambda v: {**v, "n": v["n"] + 1}),
    "name": Kind(NAME, StringValue(value="p"), StringValue(), lambda v: StringValue(value=v.value + "!")),
    "blob": Kind(BLOB, b"\x00\xff", b"", lambda v: v + b"\x01"),
}


@functions.bind("apps.fns/values", specs=[ValueSpec(name, kind.type) for name, kind in KINDS.items()])
def values(context, message):
    verb, *names = message.as_type(COMMAND).split(" ")
    storage = context.storage
    for name, kind in KINDS.items():
        if verb == "show":
            value = getattr(storage, name)
            if value is None:
                emit(context, "unset", key=f"{context.address.id} {name}")
            else:
                emit(context, value, key=f"{context.address.id} {name}", value_type=kind.type)
        if name not in names and names != ["all"]:
            continue
        if verb == "set":
            setattr(storage, name, kind.sample)
        elif verb == "zero":
            setattr(storage, name, kind.zero)
        elif verb == "bump":
            before = getattr(storage, name)
            setattr(storage, name, kind.bump(kind.zero if before is None else before))
        elif verb == "delete":
            delattr(storage, name)


@functions.bind("apps.fns/expiring", specs=[ValueSpec("written", StringType, expire_after_write=EXPIRATION),
                                            ValueSpec("called", StringType, expire_after_call=EXPIRATION)])
def expiring(context, message):
    verb, number = message.as_type(COMMAND).split(" ")
    if verb == "set":
        context.storage.written = "x"
        context.storage.called = "x"
    emit(context, f"{number} written={context.storage.written or '-'} called={context.storage.called or '-'}", key=context.address.id)


def name_of(address):
    return f"{address.typename}/{address.id}" if address else "nobody"


@functions.bind("apps.fns/asker", specs=[ValueSpec("answers", IntType)])
def asker(context, message):
    if message.is_type(COMMAND):
        _, name, to = message.as_type(COMMAND).split(" ")
        kind = KINDS[name]
        context.send(message_builder("apps.fns/answerer", to, value=kind.sample, value_type=kind.type))
        emit(context, f"asked for {name_of(context.caller)}", key=context.address.id)
        return
    context.storage.answers = (context.storage.answers or 0) + 1
    for name, kind in KINDS.items():
        if message.is_type(kind.type):
            key = f"{context.address.id} {context.storage.answers} {name_of(context.caller)} {name}"
            emit(context, message.as_type(kind.type), key=key, value_type=kind.type)


@functions.bind("apps.fns/answerer", specs=[ValueSpec("asked", LongType)])
def answerer(context, message):
    context.storage.asked = (context.storage.asked or 0) + 1
    for kind in KINDS.values():
        if message.is_type(kind.type):
            context.send(message_builder(context.caller.typename, context.caller.id, value=message.as_type(kind.type), value_type=kind.type))
    emit(context, f"{context.storage.asked} for {name_of(context.caller)}", key=context.address.id)


@functions.bind("apps.fns/alarm")
def alarm(context, message):
    if message.is_string():
        emit(context, f"{message.as_string()} from {name_of(context.caller)}", key=context.address.id)
        return
    verb, *words = message.as_type(COMMAND).split(" ")

    def send_after(ms, to, text, token=""):
        context.send_after(timedelta(milliseconds=int(ms)), message_builder("apps.fns/alarm", to, str_value=text), token)

    if verb == "after":
        send_after(words[0], context.address.id, words[1])
    elif verb == "to":
        send_after(words[0], words[1], words[2])
    elif verb == "token":
        send_after(words[0], context.address.id, words[2], words[1])
    elif verb == "cancel":
        context.cancel_delayed_message(words[0])
    elif verb == "replace":
        context.cancel_delayed_message(words[1])
        send_after(words[0], context.address.id, words[2], words[1])


@functions.bind("apps.fns/writer")
def writer(context, _):
    me = context.address.id
    emit(context, "text", key=me)
    emit(context, "keyless")
    emit(context, b"\x00\x01\xfe\xff", key=me)
    emit(context, 258, key=me)
    for kind in KINDS.values():
        emit(context, kind.sample, key=me, value_type=kind.type)
    emit(context, "elsewhere", key=me, function="counter")


@functions.bind("apps.fns/counter", specs=[ValueSpec("count", LongType)])
def counter(context, message):
    count, number = context.storage.count or 0, message.as_int()
    context.storage.count = count + 1
    emit(context, str(number) if number == count + 1 else f"{number} after {count}", key=context.address.id)


attempts = {}


@functions.bind("apps.fns/flaky")
def flaky(context, message):
    verb, *words = message.as_type(COMMAND).split(" ")
    if verb == "fail":
        attempts[words[1]] = attempts.get(words[1], 0) + 1
        if attempts[words[1]] <= int(words[0]):
            raise ValueError(f"attempt {attempts[words[1]]} of {words[1]}")
    emit(context, words[-1], key=context.address.id)


@functions.bind("apps.fns/stray")
def stray(context, _):
    context.send(message_builder("apps.lost/nobody", context.address.id, str_value="hello"))
    emit(context, "sent", key=context.address.id)


@functions.bind("apps.fns/patient", specs=[ValueSpec("last", StringType)])
async def patient(context, message):
    word = message.as_type(COMMAND)
    await asyncio.sleep(0.02)
    emit(context, f"{context.storage.last or '-'} {word}", key=context.address.id)
    context.storage.last = word


handler = RequestReplyHandler(functions)


async def handle(request):
    answer = await handler.handle_async(await request.read())
    return web.Response(body=answer, content_type="application/octet-stream")


async def ready(_):
    print("ready", flush=True)


app = web.Application(client_max_size=8 << 20)
app.router.add_post("/statefun", handle)
app.on_startup.append(ready)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), access_log=None, print=None)
