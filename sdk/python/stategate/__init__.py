"""Remote functions for the stategate gateway (or for any runtime that speaks StateFun's request-reply protocol).

A function is called with the messages of one address and the state of that address, and says what shall become of them: state,
messages to other functions, delayed messages, records for an egress. It keeps nothing between calls and delivers nothing itself:
the gateway makes the effects of a call durable together, or calls again.

    from stategate import Context, Functions, Message, State

    class Visits(State):
        seen: int = 0

    functions = Functions()

    @functions.function("example/visits")
    def visits(ctx: Context, message: Message, state: Visits) -> None:
        state.seen += 1
        ctx.send("example/greeter", ctx.address.id, state.seen)

    app = functions.asgi()
"""

from ._address import Address
from ._context import Context, Message
from ._functions import Functions, RequestError
from ._state import State, StateError, ValueSpec, value
from ._type import Bool, Bytes, Double, Float, Int, Long, String, Type, bytes_type, json_type, named, protobuf_type

__version__ = "0.1.0"

__all__ = [
    "Address", "Bool", "Bytes", "Context", "Double", "Float", "Functions", "Int", "Long", "Message", "RequestError", "State",
    "StateError", "String", "Type", "ValueSpec", "bytes_type", "json_type", "named", "protobuf_type", "value",
]
