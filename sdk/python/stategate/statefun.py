# mypy: disable-error-code="import-untyped"
"""The names of StateFun's Python SDK, for functions that were written with it: porting is changing the import.

    from stategate.statefun import RequestReplyHandler, StatefulFunctions, ValueSpec, IntType, message_builder

What is different: a state that was read and changed in place (a dict, a list) is written back when the call ends; assigning None to a
state makes it unset; bound methods and callable objects can be bound; names of states may have capitals; a plain function needs no
event loop, so handle_sync works inside one too.
"""

from __future__ import annotations

import asyncio
import inspect
import struct
from datetime import timedelta
from typing import Any, Callable, Dict, List, Optional, Type as Class, Union

from google.protobuf.message import Message as ProtobufMessage

from . import _functions, _state, _type, _wire
from ._address import Address as SdkAddress, split_typename
from ._context import _KAFKA, _KINESIS, Context as _Context
from ._protocol.request_reply_pb2 import TypedValue
from ._type import Bool as BoolType, Double as DoubleType, Float as FloatType, Int as IntType, Long as LongType, String as StringType


class TypeSerializer:
    """Turns values of a type into bytes and back."""

    def serialize(self, value: Any) -> bytes:
        raise NotImplementedError

    def deserialize(self, value: bytes) -> Any:
        raise NotImplementedError


class Type:
    """A type of one's own: its name, "namespace/name", and its serializer."""

    def __init__(self, typename: str) -> None:
        split_typename(typename)
        self.typename = typename

    def serializer(self) -> TypeSerializer:
        raise NotImplementedError


AnyType = Union[Type, _type.Type[Any]]


def _ours(t: AnyType) -> _type.Type[Any]:
    if isinstance(t, _type.Type):
        return t
    s = t.serializer()
    return _type.Type(t.typename, s.serialize, s.deserialize)


def simple_type(typename: str, serialize_fn: Callable[[Any], bytes], deserialize_fn: Callable[[bytes], Any]) -> _type.Type[Any]:
    """A type of two functions."""
    return _type.Type(typename, serialize_fn, deserialize_fn)


def make_json_type(typename: str) -> _type.Type[Any]:
    """A type whose values travel as JSON."""
    return _type.json_type(typename)


def make_protobuf_type(cls: Class[ProtobufMessage], namespace: Optional[str] = None) -> _type.Type[Any]:
    """A type whose values are protobuf messages, "type.googleapis.com/" or the namespace before the full name."""
    return _type.protobuf_type(cls, f"{namespace}/{cls.DESCRIPTOR.full_name}" if namespace else None)


class ValueSpec(_state.ValueSpec[Any]):
    """One state of a function."""

    def __init__(
        self, name: str, type: AnyType, expire_after_call: Optional[timedelta] = None, expire_after_write: Optional[timedelta] = None
    ) -> None:
        super().__init__(name, _ours(type), expire_after_call=expire_after_call, expire_after_write=expire_after_write)


class _Value:
    """What messages of both directions have in common."""

    __slots__ = ("typed_value",)

    typed_value: TypedValue

    def raw_value(self) -> Optional[bytes]:
        return self.typed_value.value if self.typed_value.has_value else None

    def value_typename(self) -> str:
        return self.typed_value.typename


def _as(t: _type.Type[Any]) -> Callable[[Any], Any]:
    def read(self: Any) -> Any:
        return self.as_type(t)

    return read


def _is(t: _type.Type[Any]) -> Callable[[Any], bool]:
    def check(self: Any) -> bool:
        return bool(self.typed_value.typename == t.typename)

    return check


class Message(_Value):
    """A message to a function: one that came, or one to send."""

    __slots__ = ("target_typename", "target_id")

    def __init__(self, target_typename: str, target_id: str, typed_value: TypedValue) -> None:
        self.target_typename = target_typename
        self.target_id = target_id
        self.typed_value = typed_value

    def is_type(self, tpe: AnyType) -> bool:
        return self.typed_value.typename == tpe.typename

    def as_type(self, tpe: AnyType) -> Any:
        """The value, whatever its type is said to be; None if there is none."""
        return _ours(tpe).decode(self.typed_value.value) if self.typed_value.has_value else None

    is_bool, as_bool = _is(BoolType), _as(BoolType)
    is_int, as_int = _is(IntType), _as(IntType)
    is_long, as_long = _is(LongType), _as(LongType)
    is_float, as_float = _is(FloatType), _as(FloatType)
    is_double, as_double = _is(DoubleType), _as(DoubleType)
    is_string, as_string = _is(StringType), _as(StringType)


class EgressMessage(_Value):
    """A record for an egress."""

    __slots__ = ("typename",)

    def __init__(self, typename: str, typed_value: TypedValue) -> None:
        self.typename = typename
        self.typed_value = typed_value


def _typed(value: Any, t: AnyType) -> TypedValue:
    return TypedValue(typename=t.typename, has_value=True, value=_ours(t).encode(value))


_KEYWORDS: Dict[str, _type.Type[Any]] = {
    "bool_value": BoolType, "int_value": IntType, "long_value": LongType, "float_value": FloatType, "double_value": DoubleType,
    "str_value": StringType,
}


def message_builder(target_typename: str, target_id: str, **kwargs: Any) -> Message:
    """A message: with one of bool_value, int_value, long_value, float_value, double_value, str_value, or value and value_type."""
    if not isinstance(target_id, str):
        raise ValueError(f"an id is text, got {target_id!r}")
    split_typename(target_typename)
    if set(kwargs) == {"value", "value_type"}:
        return Message(target_typename, target_id, _typed(kwargs["value"], kwargs["value_type"]))
    if len(kwargs) != 1 or not kwargs.keys() <= _KEYWORDS.keys():
        raise TypeError(f"want one of {', '.join(_KEYWORDS)}, or value and value_type; got {', '.join(kwargs) or 'none'}")
    [(name, value)] = kwargs.items()
    return Message(target_typename, target_id, _typed(value, _KEYWORDS[name]))


def egress_message_builder(target_typename: str, value: Any, value_type: AnyType) -> EgressMessage:
    """A record for any egress."""
    split_typename(target_typename)
    return EgressMessage(target_typename, _typed(value, value_type))


def kafka_egress_message(
    typename: str, topic: str, value: Any, value_type: Optional[AnyType] = None, key: Optional[str] = None
) -> EgressMessage:
    """A record for a Kafka egress. Without a type: text as UTF-8, bytes, an int in 4 bytes and a float in 8, the highest first."""
    if not (typename and topic):
        raise ValueError("a record for Kafka needs the egress and a topic")
    record = _wire.kafka_record(topic, (key or "").encode(), _plain(value, value_type, numbers=True))
    return EgressMessage(typename, TypedValue(typename=_KAFKA, has_value=True, value=record))


def kinesis_egress_message(
    typename: str, stream: str, value: Any, partition_key: str, value_type: Optional[AnyType] = None, explicit_hash_key: Optional[str] = None
) -> EgressMessage:
    """A record for a Kinesis egress."""
    if not (typename and stream and partition_key):
        raise ValueError("a record for Kinesis needs the egress, a stream and a partition key")
    record = _wire.kinesis_record(stream, partition_key, _plain(value, value_type, numbers=False), explicit_hash_key or "")
    return EgressMessage(typename, TypedValue(typename=_KINESIS, has_value=True, value=record))


def _plain(value: Any, value_type: Optional[AnyType], *, numbers: bool) -> bytes:
    if value is None:
        raise ValueError("a record needs a value")
    if value_type is not None:
        return _ours(value_type).encode(value)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    if isinstance(value, str):
        return value.encode()
    if numbers and isinstance(value, int):
        return struct.pack(">i", value)
    if numbers and isinstance(value, float):
        return struct.pack(">d", value)
    raise TypeError(f"{value!r} needs a value_type")


class Context:
    """What a function is called with."""

    __slots__ = ("_inner", "address", "storage", "caller")

    def __init__(self, inner: _Context) -> None:
        self._inner = inner
        self.address: SdkAddress = inner.address
        self.storage: Any = inner.state
        self.caller: Optional[SdkAddress] = inner.caller

    def send(self, message: Message) -> None:
        v = message.typed_value
        self._inner._effects.append(_wire.message(message.target_typename, message.target_id, v.typename, v.value))

    def send_after(self, duration: timedelta, message: Message, cancellation_token: str = "") -> None:
        """Sends a message after a delay, in whole milliseconds (what is less is left out)."""
        ms = duration // timedelta(milliseconds=1)
        if ms < 0:
            raise ValueError(f"the delay {duration} is negative")
        v = message.typed_value
        entry = _wire.delayed(ms, message.target_typename, message.target_id, v.typename, v.value, cancellation_token)
        self._inner._effects.append(entry)

    def cancel_delayed_message(self, cancellation_token: str) -> None:
        self._inner.cancel(cancellation_token)

    def send_egress(self, message: EgressMessage) -> None:
        v = message.typed_value
        self._inner._effects.append(_wire.egress(message.typename, v.typename, v.value))


class StatefulFunctions:
    """The functions that a service serves. `functions.asgi()` of what it wraps makes it an application."""

    def __init__(self) -> None:
        self.functions = _functions.Functions()

    def bind(self, typename: str, specs: Optional[List[ValueSpec]] = None) -> Callable[[Any], Any]:
        def register(fun: Any) -> Any:
            self.register(typename, fun, specs)
            return fun

        return register

    def register(self, typename: str, fun: Any, specs: Optional[List[ValueSpec]] = None) -> None:
        if len(inspect.signature(fun).parameters) != 2:
            raise ValueError(f"function {typename}: want two parameters, the context and the message")

        def prepare(inner: _Context, message: Any) -> Any:
            return Context(inner), Message(inner.address.typename, inner.address.id, message._wire)

        call: Any
        if inspect.iscoroutinefunction(fun) or inspect.iscoroutinefunction(getattr(fun, "__call__", None)):

            async def call(inner: Any, message: Any) -> None:
                await fun(*prepare(inner, message))

        else:

            def call(inner: Any, message: Any) -> None:
                fun(*prepare(inner, message))

        self.functions.register(typename, call, states=specs or ())


class RequestReplyHandler:
    """Answers requests: bytes in, bytes out. The web framework around it sets the content type, application/octet-stream.

    It does not see headers, so bulk calls cannot be agreed on: each call comes by itself. `functions.functions.asgi()` takes many at a time.
    """

    def __init__(self, functions: StatefulFunctions) -> None:
        if not isinstance(functions, StatefulFunctions):
            raise ValueError("want StatefulFunctions")
        self.functions = functions

    def handle_sync(self, request_bytes: Union[str, bytes, bytearray]) -> bytes:
        batch = self.functions.functions._begin(_bytes(request_bytes))
        if isinstance(batch, bytes):
            return batch
        return asyncio.run(batch.run()) if batch.function.is_async else batch.run_plain()

    async def handle_async(self, request_bytes: Union[str, bytes, bytearray]) -> bytes:
        return await self.functions.functions.handle_async(_bytes(request_bytes))


def _bytes(request: Union[str, bytes, bytearray]) -> bytes:
    return request.encode("latin-1") if isinstance(request, str) else bytes(request)


__all__ = [
    "BoolType", "Context", "DoubleType", "EgressMessage", "FloatType", "IntType", "LongType", "Message", "RequestReplyHandler",
    "SdkAddress", "StatefulFunctions", "StringType", "Type", "TypeSerializer", "ValueSpec", "egress_message_builder",
    "kafka_egress_message", "kinesis_egress_message", "make_json_type", "make_protobuf_type", "message_builder", "simple_type",
]
