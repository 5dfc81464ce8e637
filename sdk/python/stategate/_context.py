"""What a function is called with: a message, and a context that takes the effects that it asks for."""

from __future__ import annotations

import datetime
import typing
from typing import Any, List, Optional, Tuple, Type as Class, TypeVar, Union, overload

from . import _wire
from ._address import Address
from ._state import State
from ._type import Type, type_of, type_of_value

T = TypeVar("T")

_KAFKA = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"
_KINESIS = "type.googleapis.com/io.statefun.sdk.egress.KinesisEgressRecord"
_MILLISECOND = datetime.timedelta(milliseconds=1)


class Message:
    """One message: a value and its type's name. It is read as what it is said to be."""

    __slots__ = ("_wire",)

    def __init__(self, wire: Any) -> None:
        self._wire = wire

    @property
    def typename(self) -> str:
        return str(self._wire.typename)

    @property
    def raw(self) -> bytes:
        """The bytes as they came."""
        return bytes(self._wire.value)

    def is_(self, type: Any) -> bool:
        """Tells whether it is of a type, by name."""
        return bool(self._wire.typename == type_of(type).typename)

    @overload
    def as_(self, type: Type[T]) -> T: ...
    @overload
    def as_(self, type: Class[T]) -> T: ...
    def as_(self, type: Any) -> Any:
        """The value. A message of another type, or without a value, is a TypeError; bytes that are none of it a ValueError."""
        return self._decode(type if type.__class__ is Type else type_of(type))

    def _decode(self, type: Type[T]) -> T:
        wire = self._wire
        if wire.typename != type.typename:
            raise TypeError(f"the message is a {wire.typename!r}, not a {type.typename}")
        if not wire.has_value:
            raise TypeError(f"the message has no value: want a {type.typename}")
        try:
            return type.decode(wire.value)
        except Exception as e:
            raise ValueError(f"cannot read a {type.typename}: {e}") from e

    def __repr__(self) -> str:
        return f"<Message {self.typename}, {len(self._wire.value)} bytes>"


def encode(value: Any, type: Any) -> Tuple[str, bytes]:
    """The name of a value's type, and its bytes."""
    t = type_of_value(value) if type is None else type if type.__class__ is Type else type_of(type)
    try:
        return t.typename, t.encode(value)
    except Exception as e:
        raise ValueError(f"cannot write {value!r} as {t.typename}: {e}") from e


class Context:
    """The address that is called, its state, and the effects of the call.

    Effects leave only when the whole call has succeeded. They are in the order in which they are asked for.
    """

    __slots__ = ("address", "caller", "message", "state", "_effects")

    address: Address
    caller: Optional[Address]  # None: the message came from an ingress
    message: Message
    state: Any  # the function's State

    def __init__(self, address: Address, state: State) -> None:
        self.address = address
        self.state = state
        self._effects: List[bytes] = []

    def send(self, to: Union[Address, str], id_or_value: Any, value: Any = ..., *, type: Any = None) -> None:
        """Sends a message: send("shop/stock", "pen", Reserve(2)) or send(address, Reserve(2))."""
        typename, id, value = _target(to, id_or_value, value)
        self._effects.append(_wire.message(typename, id, *encode(value, type)))

    def reply(self, value: Any, *, type: Any = None) -> None:
        """Sends a message to the caller. A message from an ingress that waits for no answer has none: that is a ValueError."""
        if self.caller is None:
            raise ValueError("there is nobody to reply to: the message has no caller")
        self.send(self.caller, value, type=type)

    def send_after(
        self, delay: datetime.timedelta, to: Union[Address, str], id_or_value: Any, value: Any = ..., *, type: Any = None, token: str = ""
    ) -> None:
        """Sends a message when the delay (rounded up to milliseconds) has passed. With a token cancel can take it back until then.

        A token belongs to the id that is called; used again while its message waits, it replaces that message.
        """
        typename, id, value = _target(to, id_or_value, value)
        ms = -(-delay // _MILLISECOND)
        if ms < 0:
            raise ValueError(f"the delay {delay} is negative")
        self._effects.append(_wire.delayed(ms, typename, id, *encode(value, type), token))

    def cancel(self, token: str) -> None:
        """Takes a delayed message back that has not left yet; if there is none, nothing happens."""
        if not token:
            raise ValueError("the token is empty")
        self._effects.append(_wire.cancellation(token))

    def send_egress(self, egress: str, value: Any, *, type: Any = None) -> None:
        """Gives a value to an egress, "namespace/name"."""
        self._effects.append(_wire.egress(egress, *encode(value, type)))

    def send_kafka(self, egress: str, topic: str, value: Any, *, key: Union[str, bytes] = b"", type: Any = None) -> None:
        """Gives a record to a Kafka egress. bytes and str are written as they are, other values by their type; no key: ""."""
        if not topic:
            raise ValueError("the record has no topic")
        record = _wire.kafka_record(topic, key.encode() if isinstance(key, str) else key, _plain(value, type))
        self._effects.append(_wire.egress(egress, _KAFKA, record))

    def send_kinesis(
        self, egress: str, stream: str, value: Any, *, partition_key: str, explicit_hash_key: str = "", type: Any = None
    ) -> None:
        """Gives a record to a Kinesis egress."""
        if not (stream and partition_key):
            raise ValueError("the record needs a stream and a partition key")
        record = _wire.kinesis_record(stream, partition_key, _plain(value, type), explicit_hash_key)
        self._effects.append(_wire.egress(egress, _KINESIS, record))


def _target(to: Union[Address, str], id_or_value: Any, value: Any) -> Tuple[str, str, Any]:
    if value is ...:
        if not isinstance(to, Address):
            raise TypeError(f'want an Address and a value, or "namespace/name", an id and a value; got {to!r} and one more')
        return to.typename, to.id, id_or_value
    if not isinstance(id_or_value, str):
        raise TypeError(f"an id is text, got {id_or_value!r}")
    return typing.cast(str, to), id_or_value, value


def _plain(value: Any, type: Any) -> bytes:
    if type is None:
        if isinstance(value, (bytes, bytearray)):
            return bytes(value)
        if isinstance(value, str):
            return value.encode()
    return encode(value, type)[1]
