"""Functions that were written with StateFun's Python SDK, by its names."""

import asyncio
import json
import unittest
from datetime import timedelta
from typing import Any, List

from stategate._protocol.egress_pb2 import KafkaProducerRecord, KinesisEgressRecord
from stategate._protocol.request_reply_pb2 import FromFunction
from stategate._protocol.types_pb2 import StringWrapper
from stategate.statefun import (
    BoolType, Context, DoubleType, FloatType, IntType, LongType, Message, RequestReplyHandler, SdkAddress, StatefulFunctions, StringType,
    Type, TypeSerializer, ValueSpec, egress_message_builder, kafka_egress_message, kinesis_egress_message, make_json_type,
    make_protobuf_type, message_builder, simple_type,
)

from .test_wire import request

ORDER = make_json_type("shop.types/Order")


class Upper(Type):
    def __init__(self) -> None:
        super().__init__("a.b/upper")

    def serializer(self) -> TypeSerializer:
        class Serializer(TypeSerializer):
            def serialize(self, value: Any) -> bytes:
                return str(value).upper().encode()

            def deserialize(self, value: bytes) -> Any:
                return value.decode().lower()

        return Serializer()


functions = StatefulFunctions()


@functions.bind("shop.fns/cart", specs=[ValueSpec("items", IntType, expire_after_write=timedelta(days=2)), ValueSpec("last", Upper())])
async def cart(ctx: Context, message: Message) -> None:
    order = message.as_type(ORDER)
    ctx.storage.items = (ctx.storage.items or 0) + order["qty"]
    ctx.storage.last = order["sku"]
    ctx.send(message_builder("shop.fns/stock", order["sku"], value=order, value_type=ORDER))
    ctx.send_after(timedelta(minutes=30), message_builder(ctx.address.typename, ctx.address.id, str_value="expire"), cancellation_token="expire")
    ctx.send_egress(kafka_egress_message("shop.io/out", "carts", order, value_type=ORDER, key=ctx.address.id))


seen: List[Any] = []


@functions.bind("shop.fns/every")
def every(ctx: Context, message: Message) -> None:
    seen.append((ctx.caller, ctx.address, message.value_typename(), message.raw_value(), message.target_id))
    ctx.cancel_delayed_message("expire")
    for kwargs in (
        {"bool_value": True}, {"int_value": 1}, {"long_value": 2}, {"float_value": 1.5}, {"double_value": 2.5}, {"str_value": "x"},
        {"value": b"y", "value_type": simple_type("a.b/raw", bytes, bytes)},
        {"value": StringWrapper(value="z"), "value_type": make_protobuf_type(StringWrapper, namespace="my")},
    ):
        ctx.send(message_builder("shop.fns/stock", "1", **kwargs))
    ctx.send_egress(egress_message_builder("shop.io/any", {"a": 1}, ORDER))
    for value in ("text", b"bytes", 1, 1.5):
        ctx.send_egress(kafka_egress_message("shop.io/out", "t", value))
    ctx.send_egress(kinesis_egress_message("shop.io/out", "s", "v", "p", explicit_hash_key="7"))


handler = RequestReplyHandler(functions)


def result(body: bytes) -> Any:
    return FromFunction.FromString(body).invocation_result


class Ported(unittest.TestCase):
    def test_cart(self) -> None:
        body = request((ORDER, {"sku": "pen", "qty": 2}), (ORDER, {"sku": "ink", "qty": 1}), function=("shop.fns", "cart"),
                       states=[("items", IntType, 4), ("last", None, None)])
        got = result(asyncio.run(handler.handle_async(body)))
        self.assertEqual(handler.handle_sync(body), asyncio.run(handler.handle_async(body)))
        self.assertEqual({m.state_name: (m.state_value.typename, m.state_value.value) for m in got.state_mutations},
                         {"items": ("io.statefun.types/int", IntType.encode(7)), "last": ("a.b/upper", b"INK")})
        self.assertEqual([(m.target.type, m.target.id, json.loads(m.argument.value)["qty"]) for m in got.outgoing_messages],
                         [("stock", "pen", 2), ("stock", "ink", 1)])
        self.assertEqual([(d.delay_in_ms, d.cancellation_token) for d in got.delayed_invocations], [(1_800_000, "expire")] * 2)
        self.assertEqual(KafkaProducerRecord.FromString(got.outgoing_egresses[0].argument.value),
                         KafkaProducerRecord(topic="carts", key=b"k", value_bytes=b'{"sku":"pen","qty":2}'))

    def test_every_builder(self) -> None:
        seen.clear()
        got = result(handler.handle_sync(request((StringType, "hi"), function=("shop.fns", "every"), caller=("a", "b", "c"))))
        self.assertEqual(seen, [(SdkAddress("a/b", "c"), SdkAddress("shop.fns/every", "k"), "io.statefun.types/string", b"\x0a\x02hi", "k")])
        self.assertTrue(got.delayed_invocations[0].is_cancellation_request)
        self.assertEqual([(m.argument.typename, m.argument.value) for m in got.outgoing_messages], [
            (BoolType.typename, b"\x08\x01"), (IntType.typename, IntType.encode(1)), (LongType.typename, LongType.encode(2)),
            (FloatType.typename, FloatType.encode(1.5)), (DoubleType.typename, DoubleType.encode(2.5)), (StringType.typename, b"\x0a\x01x"),
            ("a.b/raw", b"y"), ("my/" + StringWrapper.DESCRIPTOR.full_name, b"\x0a\x01z"),
        ])
        values = [KafkaProducerRecord.FromString(e.argument.value).value_bytes for e in got.outgoing_egresses[1:5]]
        self.assertEqual(values, [b"text", b"bytes", b"\0\0\0\x01", b"\x3f\xf8\0\0\0\0\0\0"])
        self.assertEqual(KinesisEgressRecord.FromString(got.outgoing_egresses[5].argument.value).explicit_hash_key, "7")

    def test_messages_are_what_they_are_asked_to_be(self) -> None:
        def call(ctx: Context, message: Message) -> None:
            self.assertTrue(message.is_int() and message.is_type(IntType) and not message.is_string())
            self.assertEqual((message.as_int(), message.as_type(IntType)), (5, 5))

        mine = StatefulFunctions()
        mine.register("a.b/st", call)
        RequestReplyHandler(mine).handle_sync(request((IntType, 5)))

    def test_wrong_use(self) -> None:
        for wrong in (
            lambda: message_builder("a/b", 1, int_value=1), lambda: message_builder("a", "1", int_value=1), lambda: message_builder("a/b", "1"),
            lambda: message_builder("a/b", "1", int_value=1, str_value=""), lambda: kafka_egress_message("a/b", "", "x"),
            lambda: kafka_egress_message("a/b", "t", None), lambda: kafka_egress_message("a/b", "t", {}),
            lambda: kinesis_egress_message("a/b", "s", 1, "p"), lambda: RequestReplyHandler(None),  # type: ignore[arg-type]
            lambda: StatefulFunctions().register("a/b", lambda ctx: None), lambda: ValueSpec("x", IntType, timedelta(1), timedelta(1)),
        ):
            with self.assertRaises((TypeError, ValueError)):
                wrong()
