"""Replies are written by hand, so each of them is compared with what the protobuf library reads and writes."""

import random
import unittest
from datetime import timedelta

from google.protobuf.internal import api_implementation

from stategate import Address, Bool, Bytes, Double, Float, Functions, Int, Long, String, ValueSpec, bytes_type
from stategate._protocol import egress_pb2, types_pb2
from stategate._protocol.request_reply_pb2 import FromFunction, ToFunction

SEED = random.SystemRandom().randrange(2**32)


def request(*values, states=(), caller=None, function=("a.b", "st"), id="k"):
    """A request of one function with messages of (type, value)."""
    to = ToFunction()
    batch = to.invocation
    batch.target.namespace, batch.target.type, batch.target.id = *function, id
    for name, type, value in states:
        state = batch.state.add()
        state.state_name = name
        if type is not None:
            state.state_value.typename, state.state_value.has_value, state.state_value.value = type.typename, True, type.encode(value)
    for type, value in values:
        m = batch.invocations.add()
        m.argument.typename, m.argument.has_value, m.argument.value = type.typename, True, type.encode(value)
        if caller is not None:
            m.caller.namespace, m.caller.type, m.caller.id = caller
    return to.SerializeToString()


def reply_of(call, body=None, states=(), **function):
    functions = Functions()
    functions.register("a.b/st", call, states=states, **function)
    return functions.handle(request((String, "hi")) if body is None else body)


class Built_in(unittest.TestCase):
    def test_bytes_are_the_library_s(self):
        for type, wrapper, values in (
            (Bool, types_pb2.BooleanWrapper, [False, True]),
            (Int, types_pb2.IntWrapper, [0, 1, -1, 2**31 - 1, -(2**31)]),
            (Long, types_pb2.LongWrapper, [0, 1, -1, 2**63 - 1, -(2**63)]),
            (Float, types_pb2.FloatWrapper, [0.0, 1.5, -2.25, float("inf"), -0.0]),
            (Double, types_pb2.DoubleWrapper, [0.0, 1.5, 1e300, float("-inf"), -0.0]),
            (String, types_pb2.StringWrapper, ["", "hi", "ü" * 70, "x" * 127, "x" * 128, "x" * 20000, "\0"]),
        ):
            for value in values:
                want = wrapper(value=value).SerializeToString()
                if str(value) == "-0.0" and api_implementation.Type() == "python":
                    want = type.encode(value)  # that implementation takes it for 0.0
                self.assertEqual(type.encode(value), want, (type, value))
                self.assertEqual(type.decode(want), value)
                self.assertEqual(str(type.decode(want)), str(value))  # -0.0 is not 0.0

    def test_what_is_none_of_it_is_refused(self):
        for type, data in (
            (Bool, b"\x08\x02"), (Bool, b"\x08"), (Int, b"\x0d\0\0"), (Int, b"\x09" + 8 * b"\0"), (Long, b"\x08\x01"), (Float, b"x"),
            (Double, b"\x09"), (String, b"plain text"), (String, b"\x0a\x05hi"), (String, b"\x0a\xff\xff\xff\xff\xff\xff"), (String, b"\x0a"),
            (String, b"\x0a\x01\xff"),
        ):
            with self.assertRaises(ValueError, msg=(type, data)):
                type.decode(data)
        for type, value in ((Int, 2**31), (Long, -(2**63) - 1), (Int, 1.5), (Int, "1"), (Double, "x")):
            with self.assertRaises(ValueError, msg=(type, value)):
                type.encode(value)


class Replies(unittest.TestCase):
    def test_golden(self):
        """The bytes that StateFun's own SDK for Go answers to the same requests."""
        seen = ValueSpec("seen", Int, expire_after_write=timedelta(seconds=5))
        no_state = bytes.fromhex("a206340a0c0a03612e62120273741a016b1a2412220a18696f2e737461746566756e2e74797065732f737472696e6710011a040a026869")
        unset = bytes.fromhex(
            "a2063c0a0c0a03612e62120273741a016b12060a047365656e1a2412220a18696f2e737461746566756e2e74797065732f737472696e6710011a040a026869")

        def set_and_send(ctx, message):
            ctx.state.seen = 0
            ctx.send_after(timedelta(0), ctx.address, "x")

        def delete(ctx, message):
            del ctx.state.seen

        self.assertEqual(reply_of(set_and_send, no_state, [seen]).hex(), "aa06260a240a047365656e120508011088271a15696f2e737461746566756e2e74797065732f696e74")
        got = FromFunction.FromString(reply_of(set_and_send, unset, [seen]))
        self.assertEqual(got, FromFunction.FromString(bytes.fromhex(
            "a206580a23080112047365656e1a190a15696f2e737461746566756e2e74797065732f696e7410011a31120c0a03612e62120273741a016b1a210a18696f"
            "2e737461746566756e2e74797065732f737472696e6710011a030a0178")))
        self.assertEqual(reply_of(delete, unset, [seen]).hex(), "a206080a0612047365656e")
        self.assertEqual(reply_of(lambda ctx, m: None), b"\xa2\x06\x00")

    def test_random_effects_are_what_the_library_reads(self):
        rng = random.Random(SEED)
        text = lambda: "".join(rng.choice("aä€😀/\0 ") for _ in range(rng.choice((0, 1, 5, 127, 128, 300))))  # noqa: E731
        for round in range(200):
            want = FromFunction()
            result = want.invocation_result
            result.SetInParent()
            steps = []

            def argument(into):
                into.typename, into.has_value, into.value = "x.y/z", True, text().encode()
                return into.value

            for _ in range(rng.randrange(6)):
                kind = rng.randrange(5)
                id, token = text(), text()
                if kind == 0:
                    m = result.outgoing_messages.add()
                    m.target.namespace, m.target.type, m.target.id = "n/s", "f", id
                    value = argument(m.argument)
                    steps.append(lambda c, id=id, v=value: c.send("n/s/f", id, v, type=bytes_type("x.y/z")))
                elif kind == 1:
                    d = result.delayed_invocations.add()
                    d.delay_in_ms = rng.choice((0, 1, 127, 128, 2**40))
                    d.target.namespace, d.target.type, d.target.id, d.cancellation_token = "n", "f", id, token
                    value = argument(d.argument)
                    steps.append(lambda c, d=d, id=id, t=token, v=value: c.send_after(
                        timedelta(milliseconds=d.delay_in_ms), Address("n/f", id), v, type=bytes_type("x.y/z"), token=t))
                elif kind == 2 and token:
                    d = result.delayed_invocations.add()
                    d.is_cancellation_request, d.cancellation_token = True, token
                    steps.append(lambda c, t=token: c.cancel(t))
                elif kind == 3:
                    e = result.outgoing_egresses.add()
                    e.egress_namespace, e.egress_type = "n", "e"
                    value = argument(e.argument)
                    steps.append(lambda c, v=value: c.send_egress("n/e", v, type=bytes_type("x.y/z")))
                elif kind == 4:
                    e = result.outgoing_egresses.add()
                    e.egress_namespace, e.egress_type = "n", "k"
                    value = text().encode()
                    e.argument.typename = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"
                    e.argument.has_value = True
                    record = egress_pb2.KafkaProducerRecord(topic="t", value_bytes=value, key=id.encode())
                    e.argument.value = record.SerializeToString()
                    steps.append(lambda c, id=id, v=value: c.send_kafka("n/k", "t", v, key=id))
            def call(ctx, message):
                for step in steps:
                    step(ctx)

            reply = reply_of(call)
            self.assertEqual(FromFunction.FromString(reply), want, f"seed {SEED}, round {round}")

    def test_kinesis(self):
        got = FromFunction.FromString(reply_of(lambda ctx, m: ctx.send_kinesis("n/k", "clicks", "v", partition_key="p", explicit_hash_key="7")))
        argument = got.invocation_result.outgoing_egresses[0].argument
        self.assertEqual(argument.typename, "type.googleapis.com/io.statefun.sdk.egress.KinesisEgressRecord")
        self.assertEqual(egress_pb2.KinesisEgressRecord.FromString(argument.value),
                         egress_pb2.KinesisEgressRecord(partition_key=b"p", value_bytes=b"v", stream="clicks", explicit_hash_key="7"))

    def test_bytes_without_a_type(self):
        got = FromFunction.FromString(reply_of(lambda ctx, m: ctx.send("n/f", "1", b"raw")))
        self.assertEqual(got.invocation_result.outgoing_messages[0].argument.typename, Bytes.typename)
