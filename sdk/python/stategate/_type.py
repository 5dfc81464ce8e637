# mypy: disable-error-code="import-untyped"
"""Types: how values travel. Functions share types by name, whatever language they are written in."""

from __future__ import annotations

import dataclasses
import json
import struct
import sys
import typing
from typing import Any, Callable, Dict, Generic, Optional, Type as Class, TypeVar

from google.protobuf.message import Message as ProtobufMessage

from . import _json
from ._address import split_typename
from ._wire import delimited

T = TypeVar("T")
M = TypeVar("M", bound=ProtobufMessage)
C = TypeVar("C", bound=type)

JSON_TYPENAME = "io.stategate.types/json"
BYTES_TYPENAME = "io.stategate.types/bytes"


class Type(Generic[T]):
    """A name, "namespace/name", and how values become bytes and come back.

    mutable says that a value can be changed in place: a state of such a type that was read is encoded again when the call ends, and
    written if it differs. False is right, and quicker, for values such as numbers, text and frozen objects.
    """

    __slots__ = ("typename", "encode", "decode", "mutable")

    def __init__(self, typename: str, encode: Callable[[T], bytes], decode: Callable[[bytes], T], *, mutable: bool = True) -> None:
        split_typename(typename)
        self.typename = typename
        self.encode = encode
        self.decode = decode
        self.mutable = mutable

    def __repr__(self) -> str:
        return f"Type({self.typename!r})"


def _number(typename: str, tag: bytes, form: str, zero: Any, least: Optional[int] = None, most: Optional[int] = None) -> Any:
    packed = struct.Struct(form)
    pack, unpack, size = packed.pack, packed.unpack_from, packed.size + 1

    def encode(value: Any) -> bytes:
        if value == zero and (least is not None or str(value) != "-0.0"):
            return b""
        try:
            return tag + pack(value)
        except (struct.error, OverflowError) as e:
            wanted = f"a whole number from {least} to {most}" if least is not None else "a number"
            raise ValueError(f"{typename}: want {wanted}, got {value!r}") from e

    def decode(data: bytes) -> Any:
        if not data:
            return zero
        if len(data) != size or data[:1] != tag:
            raise ValueError(f"{len(data)} bytes are no {typename}")
        return unpack(data, 1)[0]

    return Type(typename, encode, decode, mutable=False)


def _encode_bool(value: bool) -> bytes:
    return b"\x08\x01" if value else b""


def _decode_bool(data: bytes) -> bool:
    if data in (b"", b"\x08\x00"):
        return False
    if data == b"\x08\x01":
        return True
    raise ValueError(f"{len(data)} bytes are no io.statefun.types/bool")


def _encode_string(value: str) -> bytes:
    return delimited(b"\x0a", value.encode()) if value else b""


def _decode_string(data: bytes) -> str:
    if not data:
        return ""
    n = shift = 0
    at = 1
    for at in range(1, min(len(data), 6)):
        n |= (data[at] & 0x7F) << shift
        shift += 7
        if data[at] < 0x80:
            break
    if data[:1] != b"\x0a" or at + 1 + n != len(data):
        raise ValueError(f"{len(data)} bytes are no io.statefun.types/string (plain text is of a type of its own, or bytes)")
    return data[at + 1 :].decode()


Bool: Type[bool] = Type("io.statefun.types/bool", _encode_bool, _decode_bool, mutable=False)
Int: Type[int] = _number("io.statefun.types/int", b"\x0d", "<i", 0, -(2**31), 2**31 - 1)
Long: Type[int] = _number("io.statefun.types/long", b"\x09", "<q", 0, -(2**63), 2**63 - 1)
Float: Type[float] = _number("io.statefun.types/float", b"\x0d", "<f", 0.0)
Double: Type[float] = _number("io.statefun.types/double", b"\x09", "<d", 0.0)
String: Type[str] = Type("io.statefun.types/string", _encode_string, _decode_string, mutable=False)
Bytes: Type[bytes] = Type(BYTES_TYPENAME, bytes, bytes, mutable=False)


def bytes_type(typename: str) -> Type[bytes]:
    """A type of raw bytes under a name of its own, such as the values of a Kafka topic."""
    return Type(typename, bytes, bytes, mutable=False)


@typing.overload
def json_type(typename: str) -> Type[Any]: ...
@typing.overload
def json_type(typename: str, of: Class[T]) -> Type[T]: ...
def json_type(typename: str, of: Any = Any) -> Type[Any]:
    """A type whose values travel as JSON. With `of` they become values of it (a dataclass, Dict[str, X], ...) when they are read."""
    return Type(typename, _json.dumps, _json_decoder(of))


def _json_decoder(of: Any) -> Callable[[bytes], Any]:
    if of is Any:
        return json.loads
    made: Dict[str, Any] = {}

    def decode(data: bytes) -> Any:
        convert = made.get("")
        if convert is None:  # not before it is needed: a class may name others that are defined below it
            convert = made[""] = _json.reader(of)
        return convert(json.loads(data))

    return decode


def protobuf_type(cls: Class[M], typename: Optional[str] = None) -> Type[M]:
    """A type whose values are protobuf messages. Its name is "type.googleapis.com/" and the message's full name unless given."""
    if typename is None:
        typename = f"type.googleapis.com/{cls.DESCRIPTOR.full_name}"

    def encode(value: M) -> bytes:
        data: bytes = value.SerializeToString(deterministic=True)
        return data

    def decode(data: bytes) -> M:
        value: M = cls()
        value.ParseFromString(data)
        return value

    return Type(typename, encode, decode)


def named(typename: str) -> Callable[[C], C]:
    """Gives a class a type name: values of it are sent and read under that name, as JSON unless it is a protobuf message.

        @named("shop.types/AddItem")
        @dataclass
        class AddItem:
            sku: str
            quantity: int = 1
    """
    split_typename(typename)

    def name(cls: C) -> C:
        _of_class[cls] = _make(cls, typename)
        return cls

    return name


_of_class: Dict[Any, Type[Any]] = {bool: Bool, int: Long, float: Double, str: String, bytes: Bytes}


def _make(cls: Any, typename: Optional[str] = None) -> Type[Any]:
    if isinstance(cls, type):
        if issubclass(cls, ProtobufMessage):
            return protobuf_type(cls, typename)
        if hasattr(cls, "model_validate_json"):  # a pydantic model
            return Type(typename or JSON_TYPENAME, lambda v: v.model_dump_json().encode(), cls.model_validate_json)
    if not dataclasses.is_dataclass(cls):  # one may hold what is not defined yet, so it is looked at when it is first read
        _json.reader(cls)
    return json_type(typename or JSON_TYPENAME, cls)


def type_of(hint: Any) -> Type[Any]:
    """The type that stands for an annotation: a Type itself, a class that has one, or JSON. Otherwise a TypeError."""
    if isinstance(hint, Type):
        return hint
    try:
        return _of_class[hint]
    except (KeyError, TypeError):
        pass
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        for extra in args[1:]:
            if isinstance(extra, Type):
                return extra
        return type_of(args[0])
    present = [a for a in args if a is not type(None)]
    if len(present) == 1 and len(args) == 2 and type(None) in args:  # Optional
        return type_of(present[0])
    made = _make(hint)
    try:
        _of_class[hint] = made
    except TypeError:
        pass
    return made


def type_of_value(value: Any) -> Type[Any]:
    """The type that a value is sent with when none is given."""
    try:
        return _of_class[type(value)]
    except KeyError:
        pass
    if isinstance(value, (dict, list, tuple)) or value is None:
        return _any_json
    return type_of(type(value))


_any_json: Type[Any] = json_type(JSON_TYPENAME)

if sys.version_info < (3, 9):  # pragma: no cover
    raise ImportError("stategate needs Python 3.9 or newer")
