"""State: values that each address has of its own. The gateway keeps them, and hands them over with each call."""

from __future__ import annotations

import datetime
import keyword
import sys
import typing
from typing import Any, Callable, Dict, Generic, List, Optional, Sequence, Tuple, Type as Class, TypeVar

from . import _wire
from ._type import Type, type_of

T = TypeVar("T")

_NONE, _AFTER_WRITE, _AFTER_CALL = 0, 1, 2


class StateError(ValueError):
    """A state that cannot be read or written as it is declared."""


class ValueSpec(Generic[T]):
    """One state of a function: its name, its type, and when the gateway forgets it.

    expire_after_call: when its address was not called for that long. expire_after_write: when it was not written for that long.
    default: what reading gives while it is unset; None unless given. default_factory: makes it.
    """

    __slots__ = ("name", "type", "expiration", "factory", "_wire_name", "_wire")

    def __init__(
        self,
        name: str,
        type: Any,
        *,
        expire_after_call: Optional[datetime.timedelta] = None,
        expire_after_write: Optional[datetime.timedelta] = None,
        default: Any = None,
        default_factory: Optional[Callable[[], Any]] = None,
    ) -> None:
        if not name.isidentifier() or keyword.iskeyword(name) or name in _RESERVED:
            raise ValueError(f"state {name!r}: want a name as a variable has it")
        self.name = name
        self.type: Type[Any] = type_of(type)
        self.expiration = _expiration(name, expire_after_call, expire_after_write)
        self.factory: Callable[[], Any] = default_factory if default_factory is not None else lambda: default
        self._wire_name = name.encode()
        self._wire = _wire.state_spec(name, self.type.typename, self.expiration)

    def __repr__(self) -> str:
        return f"ValueSpec({self.name!r}, {self.type!r})"

    # As a class attribute of a State it is the state itself.

    def __get__(self, state: Any, owner: Any) -> Any:
        if state is None:
            return self
        try:
            return state._values[self.name]
        except KeyError:
            return state._read(self)

    def __set__(self, state: Any, value: Any) -> None:
        if value is None:
            self.__delete__(state)
            return
        state._values[self.name] = value
        state._written[self.name] = _LATER if self.type.mutable else self._encode(value)

    def __delete__(self, state: Any) -> None:
        state._values.pop(self.name, None)
        state._written[self.name] = None

    def _encode(self, value: Any) -> bytes:
        try:
            return self.type.encode(value)
        except Exception as e:
            raise StateError(f"state {self.name!r}: cannot write {value!r} as {self.type.typename}: {e}") from e


_LATER = b""  # a value that can still change is encoded when the call ends
_RESERVED = ("_specs", "_wires", "_values", "_written", "_read", "_store", "_notice")


def _expiration(name: str, call: Optional[datetime.timedelta], write: Optional[datetime.timedelta]) -> Tuple[int, int]:
    if call and write:
        raise ValueError(f"state {name!r}: expire_after_call and expire_after_write exclude each other")
    after = call or write
    if not after:
        return (_NONE, 0)
    ms = -(-after // datetime.timedelta(milliseconds=1))  # rounded up: it must not come at once
    if ms <= 0:
        raise ValueError(f"state {name!r}: it expires after {after}: want more than 0")
    return (_AFTER_CALL if call else _AFTER_WRITE, ms)


def value(
    *,
    type: Any = None,
    expire_after_call: Optional[datetime.timedelta] = None,
    expire_after_write: Optional[datetime.timedelta] = None,
    default: Any = None,
    default_factory: Optional[Callable[[], Any]] = None,
) -> Any:
    """Says more of a state of a State class than its annotation does."""
    return _Declared(
        dict(type=type, expire_after_call=expire_after_call, expire_after_write=expire_after_write, default=default, default_factory=default_factory)
    )


class _Declared:
    def __init__(self, options: Dict[str, Any]) -> None:
        self.options = options


class _StateType(type):
    """Gives States no attributes beside their states, so that a name written wrong is an AttributeError."""

    def __new__(mcs, name: str, bases: Any, body: Dict[str, Any], **more: Any) -> Any:
        body.setdefault("__slots__", ())
        return super().__new__(mcs, name, bases, body, **more)


class State(metaclass=_StateType):
    """The states of a function, as annotated attributes:

        class Cart(State):
            items: Dict[str, int] = value(default_factory=dict, expire_after_call=timedelta(days=2))
            total: int = 0
            note: Optional[str]

    A state that is not set reads as its default, None unless given. Assigning writes, del makes it unset, and so does None. A value
    that is changed in place (a dict, a list, a dataclass, a protobuf message) is written back when the call ends. int is a 64-bit
    number, float a double, bytes raw bytes, a protobuf message itself, and everything else JSON; Annotated[int, Int] asks for another.
    """

    _specs: Tuple[ValueSpec[Any], ...] = ()

    __slots__ = ("_wires", "_values", "_written")

    def __init__(self, wires: Dict[str, Any]) -> None:
        self._wires = wires  # name: TypedValue of the request
        self._values: Dict[str, Any] = {}  # as the function sees them
        self._written: Dict[str, Optional[bytes]] = {}  # None: made unset

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        specs = {s.name: s for s in cls._specs}
        for name, hint in _own_hints(cls).items():
            if name.startswith("_") or typing.get_origin(hint) is typing.ClassVar:
                continue
            spec = _declare(cls, name, hint)
            specs[name] = spec
            setattr(cls, name, spec)
        cls._specs = tuple(specs.values())

    def _read(self, spec: ValueSpec[Any]) -> Any:
        name = spec.name
        wire = self._wires.get(name)
        if name in self._written or wire is None:  # deleted, or unset
            got = spec.factory()
        else:
            if wire.typename != spec.type.typename:
                raise StateError(f"state {name!r} is declared as {spec.type.typename} and holds a {wire.typename}: give the new type a new name")
            try:
                got = spec.type.decode(wire.value)
            except Exception as e:
                raise StateError(f"state {name!r}: cannot read a {spec.type.typename}: {e}") from e
        self._values[name] = got
        return got

    def _store(self, effects: List[bytes]) -> None:
        """Adds a mutation for each state that was written, or changed in place."""
        for spec in self._specs:
            name = spec.name
            if name in self._values and spec.type.mutable:
                self._notice(spec)
            if name not in self._written:
                continue
            data = self._written[name]
            effects.append(_wire.deletion(spec._wire_name) if data is None else _wire.modification(spec._wire_name, spec.type.typename, data))

    def _notice(self, spec: ValueSpec[Any]) -> None:
        held, written = self._values[spec.name], self._written.get(spec.name, ...)
        if held is None:
            return
        now = spec._encode(held)
        if written is ...:  # read, and not assigned
            wire = self._wires.get(spec.name)
            if wire is not None and (wire.value == now or spec._encode(spec.type.decode(wire.value)) == now):
                return
        if written is None or written is ... and wire is None:  # what was read is its default
            before = spec.factory()
            if before is not None and spec._encode(before) == now:
                return
        self._written[spec.name] = now


def _own_hints(cls: Class[State]) -> Dict[str, Any]:
    annotations = cls.__dict__.get("__annotations__")
    if annotations is None and sys.version_info >= (3, 14):
        import annotationlib

        annotations = annotationlib.get_annotations(cls)
    if not annotations:
        return {}
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except NameError as e:
        raise TypeError(f"{cls.__name__}: {e}: what a State names must be defined before it, in its module") from e
    return {name: hints[name] for name in annotations}


def _declare(cls: Class[State], name: str, hint: Any) -> ValueSpec[Any]:
    given = cls.__dict__.get(name)
    options: Dict[str, Any] = dict(given.options) if isinstance(given, _Declared) else {"default": given}
    wanted = options.pop("type", None)
    if isinstance(given, (dict, list, set)):
        raise TypeError(f"{cls.__name__}.{name}: write value(default_factory={type(given).__name__}): a default is shared by all calls")
    try:
        return ValueSpec(name, hint if wanted is None else wanted, **options)
    except (TypeError, ValueError) as e:
        raise type(e)(f"{cls.__name__}.{name}: {e}") from e


def state_class(specs: Sequence[ValueSpec[Any]]) -> Class[State]:
    """The State that a list of specs comes to."""
    body: Dict[str, Any] = {"__slots__": ()}
    for spec in specs:
        if spec.name in body:
            raise ValueError(f"state {spec.name!r} is declared twice")
        body[spec.name] = spec
    cls: Any = _StateType("State", (State,), body)
    cls._specs = tuple(specs)
    made: Class[State] = cls
    return made


__all__ = ["State", "StateError", "ValueSpec", "state_class", "value"]
