"""A shop: carts that reserve items of a stock, buy them, or give them back when nobody touches them for half an hour.

Serve it with any ASGI server, or by `python shop.py` (nothing to install beside stategate; a thread for each connection).
module.yaml beside this file wires the functions; test_shop.py tests them without a gateway.
"""

import logging
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import Dict, Union

from stategate import Context, Functions, State, named, value

PATIENCE = timedelta(minutes=30)  # how long a cart waits for its user

log = logging.getLogger("shop")


@named("shop.types/AddToCart")
@dataclass
class AddToCart:
    """Asks a cart for an item, and the stock for its share of it."""

    item: str
    quantity: int


@named("shop.types/Reserved")
@dataclass
class Reserved:
    """The stock's answer: less than what was asked for, or nothing."""

    item: str
    quantity: int


@named("shop.types/Restock")
@dataclass
class Restock:
    """Brings items into the stock: bought ones, or those of a cart that was given up."""

    quantity: int


@named("shop.types/Checkout")
@dataclass
class Checkout:
    """Buys what is in the cart."""


@named("shop.types/Abandon")
@dataclass
class Abandon:
    """Empties a cart that nobody touched for a while."""


class Cart(State):
    basket: Dict[str, int] = value(default_factory=dict)


class Stock(State):
    left: int = 0


functions = Functions()


@functions.function("shop/cart")
def cart(ctx: Context, message: Union[AddToCart, Reserved, Checkout, Abandon], state: Cart) -> None:
    if isinstance(message, AddToCart):
        if message.quantity < 1:
            log.warning("%s adds %d of %s", ctx.address.id, message.quantity, message.item)
            return  # an exception would make the gateway call again, and it would not get better
        ctx.send("shop/stock", message.item, message)
        ctx.send_after(PATIENCE, ctx.address, Abandon(), token="abandon")  # begins anew with each item
    elif isinstance(message, Reserved):
        if message.quantity:
            state.basket[message.item] = state.basket.get(message.item, 0) + message.quantity
    elif isinstance(message, Checkout):
        if state.basket:
            ctx.send_kafka("shop/receipts", "receipts", {"user": ctx.address.id, "items": state.basket}, key=ctx.address.id)
            ctx.cancel("abandon")
            del state.basket
    else:
        for item, quantity in state.basket.items():
            ctx.send("shop/stock", item, Restock(quantity))
        del state.basket


@functions.function("shop/stock")
def stock(ctx: Context, message: Union[Restock, AddToCart], state: Stock) -> None:
    if isinstance(message, Restock):
        state.left += message.quantity
        return
    got = min(state.left, message.quantity)
    state.left -= got
    ctx.reply(Reserved(message.item, got))


app = functions.asgi()

if __name__ == "__main__":
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True
        request_queue_size = 1024  # connections that wait for a thread; more than the 5 of wsgiref, as the gateway opens many at once

    class Handler(WSGIRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    app = functions.wsgi(bulk_calls=100)  # to be said here: wsgiref tells applications that it has one thread, but this server has many
    with make_server("127.0.0.1", port, app, Server, Handler) as server:
        print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()
