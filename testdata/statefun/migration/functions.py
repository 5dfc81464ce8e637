"""An application that moves out of StateFun: a cart that counts what is put into it, and a wallet.

What is between the marks was added for the move (docs/MIGRATION.md); the rest is as it was.
"""

import os
from datetime import timedelta

from aiohttp import web
from statefun import (DoubleType, IntType, LongType, RequestReplyHandler, StatefulFunctions, StringType, ValueSpec, kafka_egress_message,
                      make_json_type, message_builder)

# added for the move
from state_move import DELAYS, EXPORT, RESTORE, export_state, restore_state
# until here

ADD = make_json_type("shop.types/Add")  # item, quantity
PAY = make_json_type("shop.types/Pay")  # amount
REMIND = make_json_type("shop.types/Remind")
NOTE = make_json_type("shop.types/Note")

functions = StatefulFunctions()

CART = [ValueSpec("items", IntType, expire_after_write=timedelta(days=2)), ValueSpec("last", StringType), ValueSpec("note", NOTE)]
WALLET = [ValueSpec("cents", LongType), ValueSpec("mean", DoubleType, expire_after_call=timedelta(days=30))]


def remind_later(context, delay):
    context.send_after(delay, message_builder("shop/cart", context.address.id, value="", value_type=REMIND))


@functions.bind("shop/cart", specs=CART)
def cart(context, message):
    # added for the move
    if message.is_type(EXPORT):
        return export_state(context, message, CART, egress="shop/out")
    if message.is_type(RESTORE):
        return restore_state(context, message, CART)
    if message.is_type(DELAYS):
        return remind_later(context, timedelta(seconds=1))  # yours knows how long from its state
    # until here
    if message.is_type(REMIND):
        text = "%s: %d still in the cart" % (context.address.id, context.storage.items or 0)
        return context.send_egress(kafka_egress_message(typename="shop/out", topic="carts", key=context.address.id, value=text))
    add = message.as_type(ADD)
    if add["quantity"] == 0:  # it is emptied
        del context.storage.items
        return
    context.storage.items = (context.storage.items or 0) + add["quantity"]
    context.storage.last = add["item"]
    note = context.storage.note or {"added": []}
    note["added"].append(add["item"])
    context.storage.note = note
    remind_later(context, timedelta(days=1))
    context.send(message_builder("shop/wallet", context.address.id, value={"amount": add["quantity"] * 2 ** 40}, value_type=PAY))
    text = "%s: %d, last %s, all %s" % (context.address.id, context.storage.items, add["item"], " ".join(note["added"]))
    context.send_egress(kafka_egress_message(typename="shop/out", topic="carts", key=context.address.id, value=text))


@functions.bind("shop/wallet", specs=WALLET)
def wallet(context, message):
    # added for the move
    if message.is_type(EXPORT):
        return export_state(context, message, WALLET, egress="shop/out")
    if message.is_type(RESTORE):
        return restore_state(context, message, WALLET)
    # until here
    context.storage.cents = (context.storage.cents or 0) + message.as_type(PAY)["amount"]
    context.storage.mean = context.storage.cents / 7
    text = "%s: %d cents, mean %r" % (context.address.id, context.storage.cents, context.storage.mean)
    context.send_egress(kafka_egress_message(typename="shop/out", topic="wallets", key=context.address.id, value=text))


handler = RequestReplyHandler(functions)


async def handle(request):
    return web.Response(body=await handler.handle_async(await request.read()), content_type="application/octet-stream")


if __name__ == "__main__":
    app = web.Application(client_max_size=64 << 20)
    app.add_routes([web.post("/statefun", handle)])
    host, _, port = os.environ.get("LISTEN", "127.0.0.1:8000").rpartition(":")
    web.run_app(app, host=host, port=int(port), print=None)
