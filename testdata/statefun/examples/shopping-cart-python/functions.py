"""A shop: what is in stock, and what its users have put into their carts.

com.example/stock keeps how many there are of one item. com.example/user-shopping-cart keeps the cart of one user: what is put
into it is reserved in the stock first, and goes back there when the cart is cleared, or when nobody comes for it in time.
"""

import os
from datetime import timedelta

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

STOCK = "com.example/stock"
CART = "com.example/user-shopping-cart"

# What comes from outside.
RESTOCK_ITEM = make_json_type("com.example/RestockItem")  # itemId, quantity
ADD_TO_CART = make_json_type("com.example/AddToCart")  # userId, itemId, quantity, reserveSeconds
CHECKOUT = make_json_type("com.example/Checkout")  # userId
CLEAR_CART = make_json_type("com.example/ClearCart")  # userId

# What carts and stocks say to each other.
REQUEST_ITEM = make_json_type("com.example/RequestItem")  # quantity, reserveSeconds
ITEM_AVAILABILITY = make_json_type("com.example/ItemAvailability")  # itemId, quantity, available, reserveSeconds
EXPIRE_CART = make_json_type("com.example/ExpireCart")

BASKET = make_json_type("com.example/Basket")  # item -> quantity

EGRESS_RECORD = make_json_type("io.statefun.playground/EgressRecord")

# Where receipts and updates go: to the playground's egress, or to Kafka.
TO_KAFKA = os.environ.get("OUTPUT") == "kafka"

HALF_AN_HOUR = 1800
EXPIRATION = "expiration"

functions = StatefulFunctions()


@functions.bind(STOCK, specs=[ValueSpec("quantity", IntType)])
def stock(context, message):
    item, quantity = context.address.id, context.storage.quantity or 0
    if message.is_type(RESTOCK_ITEM):
        context.storage.quantity = quantity + message.as_type(RESTOCK_ITEM)["quantity"]
    elif message.is_type(REQUEST_ITEM):
        request = message.as_type(REQUEST_ITEM)
        available = quantity >= request["quantity"]
        if available:
            context.storage.quantity = quantity - request["quantity"]
        answer = dict(request, itemId=item, available=available)
        caller = context.caller
        context.send(message_builder(caller.typename, caller.id, value=answer, value_type=ITEM_AVAILABILITY))


@functions.bind(CART, specs=[ValueSpec("basket", BASKET, expire_after_write=timedelta(days=1))])
def cart(context, message):
    if message.is_type(ADD_TO_CART):
        add = message.as_type(ADD_TO_CART)
        request = {"quantity": add["quantity"], "reserveSeconds": add.get("reserveSeconds", HALF_AN_HOUR)}
        context.send(message_builder(STOCK, add["itemId"], value=request, value_type=REQUEST_ITEM))
    elif message.is_type(ITEM_AVAILABILITY):
        put_into(context, message.as_type(ITEM_AVAILABILITY))
    elif message.is_type(CHECKOUT):
        check_out(context)
    elif message.is_type(CLEAR_CART) or message.is_type(EXPIRE_CART):
        how = "cleared" if message.is_type(CLEAR_CART) else "expired"
        give_back(context)
        emit(context, "cart-updates", "the cart of %s is %s" % (context.address.id, how))


def put_into(context, answer):
    user, item, quantity = context.address.id, answer["itemId"], answer["quantity"]
    if not answer["available"]:
        emit(context, "cart-updates", "%s: there are not %d of %s" % (user, quantity, item))
        return
    basket = context.storage.basket or {}
    basket[item] = basket.get(item, 0) + quantity
    context.storage.basket = basket
    # The time begins anew: what was planned before is called off.
    context.cancel_delayed_message(EXPIRATION)
    context.send_after(
        timedelta(seconds=answer["reserveSeconds"]),
        message_builder(CART, user, value={}, value_type=EXPIRE_CART),
        cancellation_token=EXPIRATION,
    )
    emit(context, "cart-updates", "%s: %s" % (user, listing(basket)))


def check_out(context):
    basket = context.storage.basket
    if not basket:
        emit(context, "receipts", "%s has nothing in the cart" % context.address.id)
        return
    context.cancel_delayed_message(EXPIRATION)
    del context.storage.basket
    emit(context, "receipts", "%s has bought %s" % (context.address.id, listing(basket)))


def give_back(context):
    for item, quantity in sorted((context.storage.basket or {}).items()):
        back = {"itemId": item, "quantity": quantity}
        context.send(message_builder(STOCK, item, value=back, value_type=RESTOCK_ITEM))
    del context.storage.basket
    context.cancel_delayed_message(EXPIRATION)


def listing(basket):
    return ", ".join("%d %s" % (quantity, item) for item, quantity in sorted(basket.items()))


def emit(context, topic, text):
    if TO_KAFKA:
        record = kafka_egress_message(typename="com.example/out", topic=topic, key=context.address.id, value=text)
    else:
        value = {"topic": topic, "payload": text}
        record = egress_message_builder(target_typename="io.statefun.playground/egress", value=value, value_type=EGRESS_RECORD)
    context.send_egress(record)


handler = RequestReplyHandler(functions)


async def handle(request):
    reply = await handler.handle_async(await request.read())
    return web.Response(body=reply, content_type="application/octet-stream")


if __name__ == "__main__":
    app = web.Application()
    app.add_routes([web.post("/statefun", handle)])
    web.run_app(app, port=int(os.environ.get("PORT", "8000")), print=None)
