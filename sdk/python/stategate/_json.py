"""Python values as JSON and back: what json takes, and dataclasses, enumerations, dates, UUIDs, decimals, sets, tuples and bytes."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import json
import types
import typing
import uuid
from typing import Any, Callable, Dict, Tuple

Convert = Callable[[Any], Any]


def default(value: Any) -> Any:
    """What json.dumps is to write for a value that it does not know."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (uuid.UUID, decimal.Decimal)):
        return str(value)
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=default).encode


def dumps(value: Any) -> bytes:
    """Compact JSON in UTF-8. Equal values of one type give equal bytes as long as their dicts have one order."""
    return _encode(value).encode("utf-8")


def same(value: Any) -> Any:
    return value


def reader(hint: Any) -> Convert:
    """The function that makes a value of a type out of parsed JSON. A type that it does not know is a TypeError now, not later."""
    try:
        return _readers[hint]
    except (KeyError, TypeError):  # a TypeError: a hint that cannot be hashed
        pass
    made = _make(hint)
    try:
        _readers[hint] = made
    except TypeError:
        pass
    return made


_readers: Dict[Any, Convert] = {}


def _make(hint: Any) -> Convert:
    if hint is Any or hint in _PLAIN:
        return _PLAIN.get(hint, same) if hint is not Any else same
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return reader(args[0])
    if origin is typing.Union or (hasattr(types, "UnionType") and origin is types.UnionType):
        return _union(args)
    if origin is typing.Literal:
        return same
    if origin in (list, set, frozenset, tuple) or hint in (list, set, frozenset, tuple):
        return _sequence(origin or hint, args)
    if origin is dict or hint is dict:
        return _mapping(args)
    if isinstance(hint, type):
        if dataclasses.is_dataclass(hint):
            return _dataclass(hint)
        if issubclass(hint, enum.Enum):
            return hint
        if typing.is_typeddict(hint) if hasattr(typing, "is_typeddict") else hasattr(hint, "__total__"):
            return same
    raise TypeError(f"{hint!r} cannot be read from JSON: use a dataclass or a Type of its own")


def _float(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"want a number, got {value!r}")


def _exactly(*wanted: type) -> Convert:
    def check(value: Any) -> Any:
        if type(value) in wanted:
            return value
        raise ValueError(f"want {wanted[0].__name__}, got {value!r}")

    return check


_PLAIN: Dict[Any, Convert] = {
    str: _exactly(str),
    int: _exactly(int),
    bool: _exactly(bool),
    float: _float,
    type(None): _exactly(type(None)),
    object: same,
    bytes: lambda v: base64.b64decode(v, validate=True),
    datetime.datetime: lambda v: datetime.datetime.fromisoformat(v),
    datetime.date: lambda v: datetime.date.fromisoformat(v),
    datetime.time: lambda v: datetime.time.fromisoformat(v),
    uuid.UUID: lambda v: uuid.UUID(v),
    decimal.Decimal: lambda v: decimal.Decimal(v),
}


def _union(args: Tuple[Any, ...]) -> Convert:
    readers = [reader(a) for a in args if a is not type(None)]
    optional = type(None) in args

    def read(value: Any) -> Any:
        if value is None and optional:
            return None
        reasons = []
        for r in readers:
            try:
                return r(value)
            except (ValueError, TypeError, KeyError) as e:
                reasons.append(str(e))
        raise ValueError("; ".join(reasons))

    return read


def _sequence(kind: Any, args: Tuple[Any, ...]) -> Convert:
    if kind is tuple and args and args[-1] is not Ellipsis:
        readers = [reader(a) for a in args]

        def read_tuple(value: Any) -> Any:
            if not isinstance(value, list) or len(value) != len(readers):
                raise ValueError(f"want a list of {len(readers)}, got {value!r}")
            return tuple(r(v) for r, v in zip(readers, value))

        return read_tuple
    item = reader(args[0]) if args else same

    def read(value: Any) -> Any:
        if not isinstance(value, list):
            raise ValueError(f"want a list, got {value!r}")
        if item is same:
            return value if kind is list else kind(value)
        return kind(item(v) for v in value)

    return read


def _mapping(args: Tuple[Any, ...]) -> Convert:
    if args and args[0] is not str:
        raise TypeError(f"JSON has text as keys, not {args[0]!r}")
    item = reader(args[1]) if args else same

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError(f"want an object, got {value!r}")
        return value if item is same else {k: item(v) for k, v in value.items()}

    return read


def _dataclass(cls: Any) -> Convert:
    readers: Dict[str, Convert] = {}

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError(f"want an object for {cls.__name__}, got {value!r}")
        given = {}
        for name, convert in readers.items():
            if name in value:
                try:
                    given[name] = convert(value[name])
                except (ValueError, TypeError, KeyError) as e:
                    raise ValueError(f"{cls.__name__}.{name}: {e}") from e
        try:
            return cls(**given)
        except TypeError as e:  # a field without a default is not there
            raise ValueError(f"{cls.__name__}: {e}") from e

    _readers[cls] = read  # before its fields: they may name it
    hints = typing.get_type_hints(cls, include_extras=True)
    readers.update((f.name, reader(hints[f.name])) for f in dataclasses.fields(cls) if f.init)
    return read
