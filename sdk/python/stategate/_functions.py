# mypy: disable-error-code="import-untyped"
"""The functions of a service, and how a request becomes a reply."""

from __future__ import annotations

import inspect
import logging
import typing
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Type as Class, TypeVar, Union

from google.protobuf.message import DecodeError

from . import _wire
from ._address import Address, split_typename
from ._context import Context, Message
from ._protocol.request_reply_pb2 import ToFunction
from ._state import State, ValueSpec, state_class
from ._type import type_of

F = TypeVar("F", bound=Callable[..., Any])

log = logging.getLogger("stategate")

BULK_CALLS = 100  # more of them in one request save next to nothing


class RequestError(Exception):
    """A request that is none, with the HTTP status that says so, from 400 to 599."""

    def __init__(self, status: int, text: str) -> None:
        if not 400 <= status <= 599:
            raise ValueError(f"status {status} says of no failure")
        super().__init__(text)
        self.status = status


class Function:
    """One function that is served."""

    __slots__ = ("typename", "call", "is_async", "state", "specs", "names", "takes_state", "_read")

    def __init__(self, typename: str, call: Callable[..., Any], state: Class[State], takes_state: bool, read: Callable[[Message], Any]) -> None:
        self.typename = typename
        self.call = call
        self.is_async = inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None))
        self.state = state
        self.specs = state._specs
        self.takes_state = takes_state
        self._read = read
        self.names = frozenset(s.name for s in self.specs)


class Functions:
    """The functions that a service serves, each under its type "namespace/name". The request says which one it is for, not the URL.

        functions = Functions()

        @functions.function("example/visits")
        def visits(ctx: Context, message: Message, state: Visits) -> None:
            state.seen += 1

    `functions.asgi()` and `functions.wsgi()` are applications for any server; `handle` and `handle_async` take and give bytes.
    """

    def __init__(self) -> None:
        self._functions: Dict[Tuple[str, str], Function] = {}

    def __iter__(self) -> typing.Iterator[Function]:
        return iter(self._functions.values())

    def function(self, typename: str, *, state: Optional[Class[State]] = None, states: Optional[Sequence[ValueSpec[Any]]] = None) -> Callable[[F], F]:
        """Decorates a plain or async function (ctx, message) or (ctx, message, state).

        message is a Message, or a value of the class that its annotation names: a message of another type then fails the call. A union
        of such classes takes each of them. state is the function's State: by the annotation of the third parameter, or by `state=`, or
        made of `states=`. It is ctx.state too.
        """

        def register(call: F) -> F:
            self.register(typename, call, state=state, states=states)
            return call

        return register

    def register(
        self, typename: str, call: Callable[..., Any], *, state: Optional[Class[State]] = None, states: Optional[Sequence[ValueSpec[Any]]] = None
    ) -> None:
        """What function does, without a decorator. Bound methods and callable objects are served too."""
        namespace, name = split_typename(typename)
        if (namespace, name) in self._functions:
            raise ValueError(f"function {typename} is there twice")
        if state is not None and states is not None:
            raise ValueError(f"function {typename}: state and states exclude each other")
        if not callable(call):
            raise TypeError(f"function {typename}: {call!r} cannot be called")
        names, hints = _parameters(typename, call)
        declared = hints.get(names[2]) if len(names) == 3 else None
        if declared is not None and not (isinstance(declared, type) and issubclass(declared, State)):
            raise TypeError(f"function {typename}: its third parameter is its state, want a class made of State, got {declared!r}")
        if state is None:
            state = declared if declared is not None else state_class(states or ())
        try:
            read = _reader(hints.get(names[1]))
        except TypeError as e:
            raise TypeError(f"function {typename}: its second parameter is the message: {e}") from e
        self._functions[namespace, name] = Function(typename, call, state, len(names) == 3, read)

    # A request becomes a batch: the messages of one address, in order, on one set of states.

    def _begin(self, request: bytes) -> Union[bytes, "Batch"]:
        to = ToFunction()
        try:
            to.ParseFromString(request)
        except (DecodeError, UnicodeDecodeError) as e:  # the latter by protobuf in pure Python
            raise RequestError(400, f"parse request: {e}") from e
        return self._start(to)

    def _served(self, to: Any) -> Optional[Function]:
        target = to.invocation.target
        return self._functions.get((target.namespace, target.type))

    def _start(self, to: Any) -> Union[bytes, "Batch"]:
        """A ToFunction is answered at once when states are missing."""
        wire = to.invocation
        target = wire.target
        f = self._functions.get((target.namespace, target.type))
        if f is None:
            if not target.type:
                raise RequestError(400, "parse request: it has no target")
            raise RequestError(404, f"function {target.namespace}/{target.type} is not served here")
        held = {}
        for s in wire.state:
            value = s.state_value
            held[s.state_name] = value if value.has_value else None
        if not f.names <= held.keys():
            return _wire.incomplete([spec._wire for spec in f.specs if spec.name not in held])
        return Batch(f, Context(Address(f.typename, target.id), f.state(held)), wire.invocations)

    def handle(self, request: bytes) -> bytes:
        """Answers a request. An async function needs handle_async. An exception of the function fails the call: nothing happens."""
        batch = self._begin(request)
        if isinstance(batch, bytes):
            return batch
        if batch.function.is_async:
            raise TypeError(f"function {batch.function.typename} is async: use handle_async")
        return batch.run_plain()

    async def handle_async(self, request: bytes) -> bytes:
        """Answers a request; plain functions run in the caller's thread."""
        batch = self._begin(request)
        if isinstance(batch, bytes):
            return batch
        return await batch.run()

    def asgi(
        self, *, request_bytes_max: int = 64 << 20, threads: bool = True, bulk_calls: int = BULK_CALLS, signing_keys: Sequence[str] = ()
    ) -> Any:
        """An ASGI application, alone or mounted in another. Plain functions run in threads, unless threads is False.

        bulk_calls: how many calls the gateway may send in one request, which then run side by side. 1: it sends each by itself.
        signing_keys: those of the gateway's file of signing keys; a request that is signed with none of them is answered with 401. Several,
        for the time in which one is replaced. None: whoever reaches the application may call.
        """
        from ._asgi import Application
        from ._signature import Signatures

        return Application(self, request_bytes_max, threads, bulk_calls, Signatures(signing_keys))

    def wsgi(self, *, request_bytes_max: int = 64 << 20, bulk_calls: Optional[int] = None, signing_keys: Sequence[str] = ()) -> Any:
        """A WSGI application, alone or mounted in another. Async functions run on one event loop in a thread of its own.

        bulk_calls: how many calls the gateway may send in one request, which then run side by side, in threads. 1: it sends each by itself.
        None: as asgi has it; but 1 in a server that has one thread (by wsgi.multithread), where functions may count on being alone.
        signing_keys: as asgi has it.
        """
        from ._signature import Signatures
        from ._wsgi import Application

        return Application(self, request_bytes_max, bulk_calls, Signatures(signing_keys))

    @staticmethod
    def check_signature(header: str, request: bytes, signing_keys: Sequence[str]) -> None:
        """Raises a RequestError of status 401 unless a request for handle is signed with one of the keys; header is its Stategate-Signature.

        Answer with the header "WWW-Authenticate: Stategate-Signature", too: the gateway then knows that no call is at fault.
        """
        from ._signature import Signatures

        if not signing_keys:
            raise ValueError("signing_keys is empty: want at least one")
        Signatures(signing_keys).check(header, False, request)


class Batch:
    __slots__ = ("function", "context", "_messages")

    def __init__(self, function: Function, context: Context, messages: Any) -> None:
        self.function = function
        self.context = context
        self._messages = messages

    def __iter__(self) -> typing.Iterator[Tuple[Any, ...]]:
        """The arguments of each message's call; what the context says of the message changes with it."""
        ctx, read, takes_state = self.context, self.function._read, self.function.takes_state
        for m in self._messages:
            caller = None
            if m.HasField("caller"):
                c = m.caller
                caller = Address(f"{c.namespace}/{c.type}", c.id)
            ctx.caller = caller
            ctx.message = message = Message(m.argument)
            yield (ctx, read(message), ctx.state) if takes_state else (ctx, read(message))

    def run_plain(self) -> bytes:
        f = self.function
        for args in self:
            answer = f.call(*args)
            if answer is not None:
                _nothing(f, answer)
        return self.end()

    async def run(self) -> bytes:
        f = self.function
        for args in self:
            answer = f.call(*args)
            if f.is_async:
                answer = await answer
            if answer is not None:
                _nothing(f, answer)
        return self.end()

    def end(self) -> bytes:
        effects = self.context._effects
        self.context.state._store(effects)
        return _wire.result(effects)


def _nothing(f: Function, answer: Any) -> None:
    if inspect.isawaitable(answer):
        if inspect.iscoroutine(answer):
            answer.close()
        raise TypeError(f"function {f.typename} returned an awaitable and is not async")
    raise TypeError(f"function {f.typename} returned {answer!r}: effects are asked for by its context, an answer by ctx.reply")


def _parameters(typename: str, call: Callable[..., Any]) -> Tuple[List[str], Dict[str, Any]]:
    parameters = list(inspect.signature(call).parameters.values())
    if len(parameters) not in (2, 3) or any(p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters):
        raise TypeError(f"function {typename}: want parameters (ctx, message) or (ctx, message, state), got {inspect.signature(call)}")
    target = call if inspect.isroutine(call) else type(call).__call__
    try:
        hints = typing.get_type_hints(target, include_extras=True)
    except NameError as e:
        raise TypeError(f"function {typename}: {e}: annotations must be defined before it, in its module") from e
    return [p.name for p in parameters], hints


def _as_it_is(message: Message) -> Message:
    return message


def _reader(hint: Any) -> Callable[[Message], Any]:
    if hint is None or hint is Any or hint is Message:
        return _as_it_is
    origin = typing.get_origin(hint)
    if origin is not None and (origin is Union or getattr(origin, "__name__", "") == "UnionType"):
        by_name = {t.typename: t for t in map(type_of, typing.get_args(hint))}
        if len(by_name) != len(typing.get_args(hint)):
            raise TypeError(f"two types of {hint!r} have one name: give them names with named()")

        def read_one(message: Message) -> Any:
            t = by_name.get(message.typename)
            if t is None:
                raise TypeError(f"the message is a {message.typename!r}, not one of {', '.join(sorted(by_name))}")
            return message._decode(t)

        return read_one
    wanted = type_of(hint)
    return lambda message: message._decode(wanted)

