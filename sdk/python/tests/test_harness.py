"""The harness for tests: a small shop played through it."""

import asyncio
import unittest
from dataclasses import dataclass
from datetime import timedelta
from typing import Dict, Union

from stategate import Address, Context, Functions, Int, Message, State, ValueSpec, named, value
from stategate.testing import FunctionFailed, Harness


@named("shop/Reserve")
@dataclass
class Reserve:
    sku: str
    quantity: int


@named("shop/Reserved")
@dataclass
class Reserved:
    sku: str
    quantity: int


@named("shop/Expire")
@dataclass
class Expire:
    pass


class Cart(State):
    items: Dict[str, int] = value(default_factory=dict, expire_after_write=timedelta(hours=2))
    calls: int = value(default=0, expire_after_call=timedelta(hours=1))


functions = Functions()


@functions.function("shop/cart")
async def cart(ctx: Context, message: Union[Reserve, Reserved, Expire], state: Cart) -> None:
    state.calls += 1
    if isinstance(message, Reserve):
        ctx.send("shop/stock", message.sku, message)
        ctx.send_after(timedelta(minutes=30), ctx.address, Expire(), token="expire")
    elif isinstance(message, Reserved):
        state.items[message.sku] = state.items.get(message.sku, 0) + message.quantity
    else:
        ctx.send_kafka("shop/out", "carts", state.items, key=ctx.address.id)
        del state.items


@functions.function("shop/stock", states=[ValueSpec("left", Int, default=3)])
def stock(ctx: Context, message: Message) -> None:
    wanted = message.as_(Reserve)
    if wanted.quantity > ctx.state.left:
        raise ValueError(f"only {ctx.state.left} {wanted.sku} are left")
    ctx.state.left -= wanted.quantity
    ctx.reply(Reserved(wanted.sku, wanted.quantity))


@functions.function("shop/loop")
def loop(ctx: Context, message: Message) -> None:
    ctx.send("shop/nowhere", "1", 1)
    if message.is_(str):
        ctx.send(ctx.address, "again")
        ctx.cancel("none")


class Played(unittest.TestCase):
    def test_messages_timers_and_state(self) -> None:
        play = Harness(functions)
        effects = play.call("shop/cart", "ada", Reserve("pen", 2))
        self.assertEqual([(m.to, m.value) for m in effects.sent], [(Address("shop/stock", "pen"), {"sku": "pen", "quantity": 2})])
        self.assertEqual(effects.sent[0].as_(Reserve), Reserve("pen", 2))
        self.assertEqual([(d.delay, d.token) for d in effects.delayed], [(timedelta(minutes=30), "expire")])
        play.run()
        self.assertEqual((play.state("shop/stock", "pen"), play.state("shop/cart", "ada")), ({"left": 1}, {"items": {"pen": 2}, "calls": 2}))
        play.advance(timedelta(minutes=20))
        play.call(Address("shop/cart", "ada"), Reserve("pen", 1))  # the token begins anew
        self.assertEqual(play.advance(timedelta(minutes=29)).egress, [])
        self.assertEqual(len(play.pending), 1)
        [record] = play.advance(timedelta(minutes=1)).egress
        self.assertEqual((record.egress, record.topic, record.key, record.value), ("shop/out", "carts", "ada", {"pen": 3}))
        self.assertEqual(repr(record), "<{'pen': 3} for shop/out, carts 'ada'>")
        self.assertEqual((play.egress, play.pending, play.state("shop/cart", "ada")), ([record], [], {"calls": 5}))

    def test_failures_have_no_effects_and_a_cause(self) -> None:
        play = Harness(functions)
        play.set_state("shop/stock", "pen", left=1)
        with self.assertRaises(FunctionFailed) as e:
            play.call("shop/stock", "pen", Reserve("pen", 2), caller=Address("shop/cart", "ada"))
        self.assertIsInstance(e.exception.__cause__, ValueError)
        self.assertEqual(play.state("shop/stock", "pen"), {"left": 1})
        with self.assertRaisesRegex(AssertionError, "not served"):
            play.call("shop/other", "1", 1)
        with self.assertRaisesRegex(ValueError, "no state 'lef'"):
            play.set_state("shop/stock", "pen", lef=1)

    def test_expiration(self) -> None:
        play = Harness(functions)
        play.set_state("shop/cart", "ada", items={"pen": 1}, calls=7)
        play.advance(timedelta(minutes=59))
        play.call("shop/cart", "ada", Reserved("ink", 1), Reserved("ink", 1))
        self.assertEqual(play.state("shop/cart", "ada"), {"items": {"pen": 1, "ink": 2}, "calls": 9})
        play.advance(timedelta(minutes=60))
        self.assertEqual(play.state("shop/cart", "ada"), {"items": {"pen": 1, "ink": 2}})
        play.advance(timedelta(minutes=60))
        self.assertEqual(play.state("shop/cart", "ada"), {})

    def test_loops_and_strangers(self) -> None:
        play = Harness(functions)
        play.call("shop/loop", "1", 1)
        play.run()
        self.assertEqual([m.to for m in play.undelivered], [Address("shop/nowhere", "1")])
        play.call("shop/loop", "1", "go")
        with self.assertRaisesRegex(AssertionError, "for ever"):
            play.run()

    def test_inside_an_event_loop(self) -> None:
        async def test() -> None:
            Harness(functions).call("shop/cart", "ada", Reserve("pen", 2))
            with self.assertRaises(FunctionFailed):
                Harness(functions).call("shop/cart", "ada", "text")

        asyncio.run(test())
