"""Replies in protobuf's wire format, put together from bytes.

Requests are parsed by the protobuf library. Replies are written here: what is always the same in them (the names of functions, types
and egresses) is encoded once, and the rest costs a few concatenations, a third of what the same messages cost as objects. Tests
compare every reply with the library's.
"""

from __future__ import annotations

from functools import lru_cache
from typing import List, Tuple

from ._address import split_typename


def varint(n: int) -> bytes:
    """A number from 0 to 2^64 - 1."""
    if n < 0x80:
        return _ONE[n]
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


_ONE = [bytes((n,)) for n in range(0x80)]


def delimited(tag: bytes, data: bytes) -> bytes:
    """A field with a length: text, bytes or a message."""
    n = len(data)
    return tag + (_ONE[n] if n < 0x80 else varint(n)) + data


@lru_cache(maxsize=4096)
def two_names(typename: str) -> bytes:
    """Fields 1 and 2: "namespace/name" apart, as addresses and egresses have it. A name without two parts is a ValueError."""
    namespace, name = split_typename(typename)
    return delimited(b"\x0a", namespace.encode()) + delimited(b"\x12", name.encode())


@lru_cache(maxsize=4096)
def type_head(typename: str) -> bytes:
    """The fields of a TypedValue before its value: its type, and that it has one."""
    return delimited(b"\x0a", typename.encode()) + b"\x10\x01"


# The three that functions ask for again and again are written out; calls cost more than what they save here.


def message(typename: str, id: str, value_typename: str, value: bytes) -> bytes:
    """An entry of outgoing_messages."""
    body = two_names(typename)
    data = id.encode()
    n = len(data)
    body += b"\x1a" + (_ONE[n] if n < 0x80 else varint(n)) + data
    n = len(body)
    body = b"\x0a" + (_ONE[n] if n < 0x80 else varint(n)) + body
    argument = type_head(value_typename)
    if value:
        n = len(value)
        argument += b"\x1a" + (_ONE[n] if n < 0x80 else varint(n)) + value
    n = len(argument)
    body += b"\x12" + (_ONE[n] if n < 0x80 else varint(n)) + argument
    n = len(body)
    return b"\x12" + (_ONE[n] if n < 0x80 else varint(n)) + body


def egress(typename: str, value_typename: str, value: bytes) -> bytes:
    """An entry of outgoing_egresses."""
    argument = type_head(value_typename)
    if value:
        n = len(value)
        argument += b"\x1a" + (_ONE[n] if n < 0x80 else varint(n)) + value
    n = len(argument)
    body = two_names(typename) + b"\x1a" + (_ONE[n] if n < 0x80 else varint(n)) + argument
    n = len(body)
    return b"\x22" + (_ONE[n] if n < 0x80 else varint(n)) + body


def kafka_record(topic: str, key: bytes, value: bytes) -> bytes:
    """A KafkaProducerRecord."""
    out = b""
    if key:
        n = len(key)
        out = b"\x0a" + (_ONE[n] if n < 0x80 else varint(n)) + key
    if value:
        n = len(value)
        out += b"\x12" + (_ONE[n] if n < 0x80 else varint(n)) + value
    return out + _topic(topic)


@lru_cache(maxsize=4096)
def _topic(topic: str) -> bytes:
    return delimited(b"\x1a", topic.encode())


def typed_value(tag: bytes, typename: str, value: bytes) -> bytes:
    head = type_head(typename)
    return delimited(tag, head + delimited(b"\x1a", value) if value else head)


def delayed(ms: int, typename: str, id: str, value_typename: str, value: bytes, token: str) -> bytes:
    """An entry of delayed_invocations that sends."""
    body = b"\x08" + varint(ms) if ms else b""
    body += delimited(b"\x12", two_names(typename) + delimited(b"\x1a", id.encode())) + typed_value(b"\x1a", value_typename, value)
    if token:
        body += delimited(b"\x5a", token.encode())
    return delimited(b"\x1a", body)


def cancellation(token: str) -> bytes:
    """An entry of delayed_invocations that cancels."""
    return delimited(b"\x1a", b"\x50\x01" + delimited(b"\x5a", token.encode()))


def modification(name: bytes, typename: str, value: bytes) -> bytes:
    """An entry of state_mutations that sets."""
    return delimited(b"\x0a", b"\x08\x01" + delimited(b"\x12", name) + typed_value(b"\x1a", typename, value))


def deletion(name: bytes) -> bytes:
    """An entry of state_mutations that makes a state unset."""
    return delimited(b"\x0a", delimited(b"\x12", name))


def result(effects: List[bytes]) -> bytes:
    """A whole FromFunction with the effects of a call. The order of entries of one kind is that of the list."""
    return delimited(b"\xa2\x06", b"".join(effects))


def incomplete(specs: List[bytes]) -> bytes:
    """A whole FromFunction that asks for states."""
    return delimited(b"\xaa\x06", b"".join(delimited(b"\x0a", s) for s in specs))


def state_spec(name: str, typename: str, expiration: Tuple[int, int]) -> bytes:
    """One state that is asked for; expiration is (mode, milliseconds), mode 0 for never."""
    out = delimited(b"\x0a", name.encode())
    mode, ms = expiration
    if mode:
        out += delimited(b"\x12", b"\x08" + varint(mode) + b"\x10" + varint(ms))
    return out + delimited(b"\x1a", typename.encode())


def kinesis_record(stream: str, partition_key: str, value: bytes, explicit_hash_key: str) -> bytes:
    """A KinesisEgressRecord."""
    out = delimited(b"\x0a", partition_key.encode()) if partition_key else b""
    if value:
        out += delimited(b"\x12", value)
    out += delimited(b"\x1a", stream.encode())
    return out + delimited(b"\x22", explicit_hash_key.encode()) if explicit_hash_key else out


def answer(number: int, reply: bytes) -> bytes:
    """The answer to one call of a bulk, as an entry of FromFunctions; reply is a whole FromFunction."""
    n = len(reply)
    head = b"\x08" + (_ONE[number] if number < 0x80 else varint(number)) + b"\x12" + (_ONE[n] if n < 0x80 else varint(n))
    n += len(head)
    return b"\x0a" + (_ONE[n] if n < 0x80 else varint(n)) + head + reply


def failed(number: int, status: int, reason: bytes) -> bytes:
    """The answer to a call that has failed; reason is UTF-8."""
    return delimited(b"\x0a", b"\x08" + varint(number) + delimited(b"\x1a", b"\x08" + varint(status) + delimited(b"\x12", reason)))
