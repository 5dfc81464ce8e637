import asyncio
import logging
import unittest
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, Dict, List, Optional, Union

from stategate import (
    Address, Context, Functions, Int, Long, Message, RequestError, State, StateError, String, Type, ValueSpec, bytes_type, named, value,
)
from stategate._protocol.request_reply_pb2 import FromFunction, ToFunction

from .test_wire import request


@named("t/Add")
@dataclass
class Add:
    n: int


@named("t/Drop")
@dataclass
class Drop:
    pass


class Cart(State):
    items: Dict[str, int] = value(default_factory=dict, expire_after_call=timedelta(days=2))
    total: int = 0
    small: Annotated[int, Int] = 5
    note: Optional[str]


def serve(call: Any, **more: Any) -> Functions:
    functions = Functions()
    functions.register("a.b/st", call, **more)
    return functions


def effects(reply: bytes) -> Any:
    got = FromFunction.FromString(reply)
    assert got.WhichOneof("response") == "invocation_result", got
    return got.invocation_result


def written(reply: bytes) -> Dict[str, Any]:
    return {m.state_name: m.state_value.value if m.mutation_type else None for m in effects(reply).state_mutations}


HI = (String, "hi")


class Calls(unittest.TestCase):
    def test_a_batch_is_played_in_order_on_one_state(self):
        seen: List[Any] = []

        def call(ctx: Context, message: Message) -> None:
            seen.append((message.as_(str), ctx.caller, ctx.address, ctx.state.n))
            ctx.state.n = (ctx.state.n or 0) + 1

        body = request(HI, (String, "ho"), states=[("n", None, None), ("other", Int, 1)], caller=("c", "d", "e"))
        got = serve(call, states=[ValueSpec("n", Int)]).handle(body)
        me, caller = Address("a.b/st", "k"), Address("c/d", "e")
        self.assertEqual(seen, [("hi", caller, me, None), ("ho", caller, me, 1)])
        self.assertEqual(written(got), {"n": Int.encode(2)})

    def test_typed_messages(self):
        got: List[Any] = []

        async def call(ctx: Context, message: Union[Add, Drop], state: Cart) -> None:
            got.append(message)

        functions = serve(call)
        states = [(s.name, None, None) for s in Cart._specs]
        from stategate._type import type_of

        asyncio.run(functions.handle_async(request((type_of(Add), Add(3)), (type_of(Drop), Drop()), states=states)))
        self.assertEqual(got, [Add(3), Drop()])
        with self.assertRaisesRegex(TypeError, "not one of t/Add, t/Drop"):
            asyncio.run(functions.handle_async(request(HI, states=states)))
        with self.assertRaisesRegex(TypeError, "use handle_async"):
            functions.handle(request(HI, states=states))

    def test_a_message_is_read_as_what_it_is(self):
        def call(ctx: Context, message: Message) -> None:
            self.assertTrue(message.is_(str) and not message.is_(Int))
            self.assertEqual(message.raw, b"\x0a\x02hi")
            with self.assertRaisesRegex(TypeError, "is a 'io.statefun.types/string', not a io.statefun.types/long"):
                message.as_(int)

        serve(call).handle(request(HI))
        plain = bytes_type("io.statefun.types/string")
        with self.assertRaisesRegex(ValueError, "plain text"):
            serve(lambda ctx, m: m.as_(str) and None).handle(request((plain, b"hi")))

    def test_failures_have_no_effects(self):
        def call(ctx: Context, message: Message) -> None:
            ctx.send("a/b", "1", 1)
            raise KeyError("no")

        with self.assertRaises(KeyError):
            serve(call).handle(request(HI))
        for wrong in (
            lambda ctx, m: 5, lambda ctx, m: ctx.reply("x"), lambda ctx, m: ctx.send("nowhere", "1", 1), lambda ctx, m: ctx.send("a/b", 1, 1),
            lambda ctx, m: ctx.send("a/b", "x"), lambda ctx, m: ctx.cancel(""), lambda ctx, m: ctx.send("a/b", "1", object()),
            lambda ctx, m: ctx.send_after(timedelta(seconds=-1), "a/b", "1", 1), lambda ctx, m: ctx.send("a/b", "1", 2**63),
            lambda ctx, m: ctx.send_kafka("a/b", "", "x"), lambda ctx, m: asyncio.sleep(0), lambda ctx, m: ctx.send("a/b", "\ud800", 1),
            lambda ctx, m: ctx.send_egress("x", 1),
        ):
            with self.assertRaises((TypeError, ValueError)):
                serve(wrong).handle(request(HI))

    def test_what_is_no_request(self):
        functions = serve(lambda ctx, m: None)
        for body, status in (
            (b"", 400), (b"\xff", 400), (b"not protobuf at all", 400), (ToFunction().SerializeToString(), 400),
            (request(HI, function=("a.b", "other")), 404), (b"\xa2\x06\xff\xff\xff\xff\x7f", 400),
            (request(HI).replace(b"a.b", b"a.\xff"), 400),
        ):
            with self.assertRaises(RequestError, msg=body) as e:
                functions.handle(body)
            self.assertEqual(e.exception.status, status, body)

    def test_registration_says_what_is_wrong(self):
        class Wrong:
            pass

        def third(ctx: Context, message: Message, state: Wrong) -> None: ...
        def unnamed(ctx: Context, message: Union[Dict[str, int], List[int]]) -> None: ...
        def one(ctx: Context) -> None: ...
        def keyword(ctx: Context, *, message: Message) -> None: ...

        for typename, call, more, text in (
            ("a", print, {}, "namespace/name"), ("a/b", one, {}, "want parameters"), ("a/b", keyword, {}, "want parameters"),
            ("a/b", third, {}, "third parameter"), ("a/b", unnamed, {}, "one name"), ("a/b", 5, {}, "cannot be called"),
            ("a/b", lambda c, m: None, {"states": [ValueSpec("x", Int), ValueSpec("x", Int)]}, "twice"),
            ("a/b", lambda c, m: None, {"states": [], "state": Cart}, "exclude"),
        ):
            with self.assertRaisesRegex((TypeError, ValueError), text):
                Functions().register(typename, call, **more)
        functions = serve(lambda ctx, m: None)
        with self.assertRaisesRegex(ValueError, "twice"):
            functions.register("a.b/st", lambda ctx, m: None)

        class Bound:
            def call(self, ctx: Context, message: Message) -> None:
                ctx.send("a/b", "1", "bound")

            async def __call__(self, ctx: Context, message: Message) -> None:
                ctx.send("a/b", "1", "object")

        self.assertEqual(len(effects(serve(Bound().call).handle(request(HI))).outgoing_messages), 1)
        self.assertEqual(len(effects(asyncio.run(serve(Bound()).handle_async(request(HI)))).outgoing_messages), 1)


class States(unittest.TestCase):
    unset = [("items", None, None), ("total", None, None), ("small", None, None), ("note", None, None)]

    def play(self, change: Any, states: Any = None) -> Dict[str, Any]:
        def call(ctx: Context, message: Message, state: Cart) -> None:
            change(state)

        return written(serve(call).handle(request(HI, states=states or self.unset)))

    def test_missing_states_are_asked_for(self):
        got = FromFunction.FromString(serve(lambda c, m: None, state=Cart).handle(request(HI, states=self.unset[1:])))
        [spec] = got.incomplete_invocation_context.missing_values
        self.assertEqual((spec.state_name, spec.type_typename, spec.expiration_spec.mode, spec.expiration_spec.expire_after_millis),
                         ("items", "io.stategate.types/json", 2, 172_800_000))

    def test_defaults_are_read_and_not_written(self):
        def change(s: Cart) -> None:
            self.assertEqual((s.items, s.total, s.small, s.note), ({}, 0, 5, None))

        self.assertEqual(self.play(change), {})

    def test_changes_in_place_are_written(self):
        def add(s: Cart) -> None:
            s.items["a"] = 1

        self.assertEqual(self.play(add), {"items": b'{"a":1}'})
        items = ValueSpec("items", Dict[str, int]).type
        self.assertEqual(self.play(add, [("items", items, {"a": 1})] + self.unset[1:]), {})
        spaced = Type("io.stategate.types/json", lambda v: b'{ "a": 1 }', bytes)  # as another SDK writes it
        self.assertEqual(self.play(lambda s: s.items, [("items", spaced, None)] + self.unset[1:]), {})
        self.assertEqual(self.play(lambda s: s.items.clear(), [("items", items, {"a": 1})] + self.unset[1:]), {"items": b"{}"})

    def test_assigned_deleted_and_back(self):
        def both(s: Cart) -> None:
            s.items = {"a": 1}
            s.items["b"] = 2
            s.total += 4
            s.note = "x"
            del s.note
            s.small = None  # type: ignore[assignment]
            self.assertEqual((s.note, s.small), (None, 5))

        self.assertEqual(self.play(both), {"items": b'{"a":1,"b":2}', "total": Long.encode(4), "note": None, "small": None})

        def again(s: Cart) -> None:
            del s.items
            s.items["c"] = 3

        self.assertEqual(self.play(again, [("items", ValueSpec("items", Dict[str, int]).type, {"a": 1})] + self.unset[1:]), {"items": b'{"c":3}'})

        def emptied(s: Cart) -> None:
            s.items["c"] = 3
            del s.items
            self.assertEqual(s.items, {})

        self.assertEqual(self.play(emptied), {"items": None})

    def test_errors(self):
        with self.assertRaisesRegex(StateError, "declared as io.statefun.types/long and holds a io.statefun.types/int"):
            self.play(lambda s: s.total, [("items", None, None), ("total", Int, 1), *self.unset[2:]])
        with self.assertRaisesRegex(StateError, "cannot write 'x'"):
            self.play(lambda s: setattr(s, "total", "x"))
        with self.assertRaises(AttributeError):
            self.play(lambda s: setattr(s, "unknown", 1))
        with self.assertRaises(AttributeError):
            self.play(lambda s: s.unknown)
        for make in (
            lambda: ValueSpec("not a name", Int), lambda: ValueSpec("class", Int), lambda: ValueSpec("_store", Int),
            lambda: ValueSpec("x", Int, expire_after_call=timedelta(1), expire_after_write=timedelta(1)),
            lambda: ValueSpec("x", Int, expire_after_write=timedelta(-1)), lambda: ValueSpec("x", Dict[int, int]),
            lambda: type("Shared", (State,), {"__annotations__": {"x": dict}, "x": {}, "__module__": __name__}),
        ):
            with self.assertRaises((TypeError, ValueError)):
                make()

    def test_classes_inherit(self):
        class More(Cart):
            extra: List[str] = value(default_factory=list)

        self.assertEqual([s.name for s in More._specs], ["items", "total", "small", "note", "extra"])

    def test_a_default_is_not_shared(self):
        @dataclass
        class Held:
            names: List[str] = field(default_factory=list)

        spec = ValueSpec("held", Held, default_factory=Held)

        def call(ctx: Context, message: Message) -> None:
            ctx.state.held.names.append("x")

        functions = serve(call, states=[spec])
        for _ in range(2):
            self.assertEqual(written(functions.handle(request(HI, states=[("held", None, None)]))), {"held": b'{"names":["x"]}'})


logging.getLogger("stategate").setLevel(logging.CRITICAL)
