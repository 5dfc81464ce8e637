"""Tests of functions without a gateway: a harness that plays messages to them, keeps their state and has a clock of its own.

    play = Harness(functions)
    effects = play.call("shop/cart", "ada", AddItem("pen", 2))
    assert effects.sent[0].to == Address("shop/stock", "pen")
    play.run()                                   # deliver what was sent, until nothing waits
    play.advance(timedelta(days=2))              # delayed messages and expirations
    assert play.state("shop/cart", "ada") == {}

Everything goes through the bytes of the protocol, as it does with a gateway.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Deque, Dict, List, Optional, Tuple, Union

from . import _context, _type
from ._address import Address, split_typename
from ._context import Message
from ._functions import Function, Functions
from ._protocol.egress_pb2 import KafkaProducerRecord, KinesisEgressRecord
from ._protocol.request_reply_pb2 import Address as WireAddress, FromFunction, ToFunction, TypedValue

_BUILT_IN = {t.typename: t for t in (_type.Bool, _type.Int, _type.Long, _type.Float, _type.Double, _type.String)}


class _Value(Message):
    """A value that a function gave away."""

    __slots__ = ()

    @property
    def value(self) -> Any:
        """A built-in type as Python has it, JSON parsed, everything else as bytes."""
        built_in = _BUILT_IN.get(self.typename)
        if built_in is not None:
            return built_in.decode(self.raw)
        try:
            return json.loads(self.raw)
        except ValueError:
            return self.raw


class Sent(_Value):
    """A message that was sent, and with a delay if it has one."""

    __slots__ = ("sender", "to", "delay", "token")

    def __init__(self, wire: Any, sender: Address, to: Address, delay: Optional[timedelta] = None, token: str = "") -> None:
        super().__init__(wire)
        self.sender, self.to, self.delay, self.token = sender, to, delay, token

    def __repr__(self) -> str:
        later = f" after {self.delay}" if self.delay is not None else ""
        return f"<{self.value!r} to {self.to}{later}>"


class Record(_Value):
    """A record for an egress. topic and key are those of a record for Kafka, or the stream and partition key of one for Kinesis."""

    __slots__ = ("egress", "topic", "key")

    def __init__(self, egress: str, wire: Any) -> None:
        self.egress = egress
        self.topic = self.key = ""
        if wire.typename == _context._KAFKA:
            kafka = KafkaProducerRecord.FromString(wire.value)
            self.topic, self.key = kafka.topic, _text(kafka.key)
            wire = TypedValue(has_value=True, value=kafka.value_bytes)
        elif wire.typename == _context._KINESIS:
            kinesis = KinesisEgressRecord.FromString(wire.value)
            self.topic, self.key = kinesis.stream, _text(kinesis.partition_key)
            wire = TypedValue(has_value=True, value=kinesis.value_bytes)
        super().__init__(wire)

    def __repr__(self) -> str:
        where = f", {self.topic} {self.key!r}" if self.topic else ""
        return f"<{self.value!r} for {self.egress}{where}>"


@dataclass
class Effects:
    """What functions asked for, in order."""

    sent: List[Sent] = field(default_factory=list)
    delayed: List[Sent] = field(default_factory=list)
    cancelled: List[str] = field(default_factory=list)
    egress: List[Record] = field(default_factory=list)
    written: Dict[str, Any] = field(default_factory=dict)  # states by name: their new values, None when made unset

    def add(self, more: "Effects") -> None:
        self.sent += more.sent
        self.delayed += more.delayed
        self.cancelled += more.cancelled
        self.egress += more.egress
        self.written.update(more.written)


class FunctionFailed(AssertionError):
    """A call failed, with the exception of the function as its cause: none of its effects happened."""


@dataclass
class _Cell:
    typename: str
    value: bytes
    at: timedelta  # when it was written, or called where that counts


@dataclass
class _Timer:
    due: timedelta
    number: int
    message: Sent


class Harness:
    """Plays messages to functions. Its clock begins at 0 and moves by advance alone."""

    def __init__(self, functions: Union[Functions, Any]) -> None:
        inner = getattr(functions, "functions", functions)  # StatefulFunctions of stategate.statefun
        self._functions: Functions = inner
        self._served: Dict[str, Function] = {f.typename: f for f in inner}
        self._states: Dict[Address, Dict[str, _Cell]] = {}
        self._waiting: Deque[Sent] = deque()
        self._timers: List[_Timer] = []
        self._numbers = 0
        self.now = timedelta()
        self.egress: List[Record] = []  # all records so far
        self.undelivered: List[Sent] = []  # messages to functions that are not served here

    def call(self, to: Union[Address, str], *id_and_values: Any, type: Any = None, caller: Optional[Address] = None) -> Effects:
        """Calls a function with messages: call("ns/name", "id", value, ...) or call(address, value, ...): several values are one batch.

        What it sends waits for run.
        """
        values = list(id_and_values)
        address = to if isinstance(to, Address) else Address(to, values.pop(0))
        return self._call(address, [(caller, _typed(v, type)) for v in values])

    def run(self, most: int = 10_000) -> Effects:
        """Delivers what waits, and what that sends, until nothing waits. More than `most` messages are taken for a loop."""
        all_effects, left = Effects(), most
        while self._waiting:
            if left == 0:
                raise AssertionError(f"{most} messages were delivered and there are more: do two functions send to each other for ever?")
            left -= 1
            m = self._waiting.popleft()
            if m.to.typename not in self._served:
                self.undelivered.append(m)
                continue
            all_effects.add(self._call(m.to, [(m.sender, m._wire)]))
        return all_effects

    def advance(self, by: timedelta) -> Effects:
        """Moves the clock: delivers what waits and each delayed message at its time."""
        until = self.now + by
        all_effects = self.run()
        while True:
            due = [t for t in self._timers if t.due <= until]
            if not due:
                self.now = until
                return all_effects
            first = min(due, key=lambda t: (t.due, t.number))
            self._timers.remove(first)
            self.now = max(self.now, first.due)
            self._waiting.append(first.message)
            all_effects.add(self.run())

    @property
    def pending(self) -> List[Sent]:
        """Delayed messages that have not left, the next one first."""
        return [t.message for t in sorted(self._timers, key=lambda t: (t.due, t.number))]

    def state(self, function: str, id: str) -> Dict[str, Any]:
        """The states of an address that are set, by name."""
        address, f = Address(function, id), self._served[function]
        return {s.name: s.type.decode(c.value) for s in f.specs for c in [self._cell(address, f, s.name)] if c is not None}

    def set_state(self, function: str, id: str, **values: Any) -> None:
        """Sets states of an address, as though they had been written now; None makes one unset."""
        specs = {s.name: s for s in self._served[function].specs}
        cells = self._states.setdefault(Address(function, id), {})
        for name, value in values.items():
            if name not in specs:
                raise ValueError(f"{function} has no state {name!r}: {', '.join(specs) or 'it has none'}")
            if value is None:
                cells.pop(name, None)
            else:
                cells[name] = _Cell(specs[name].type.typename, specs[name].type.encode(value), self.now)

    def _cell(self, address: Address, f: Function, name: str) -> Optional[_Cell]:
        cell = self._states.get(address, {}).get(name)
        mode, ms = next(s.expiration for s in f.specs if s.name == name)
        if cell is not None and mode and cell.at + timedelta(milliseconds=ms) <= self.now:
            return None
        return cell

    def _call(self, address: Address, messages: List[Tuple[Optional[Address], Any]]) -> Effects:
        f = self._served.get(address.typename)
        if f is None:
            raise AssertionError(f"function {address.typename} is not served here: {', '.join(sorted(self._served)) or 'none is'}")
        request = ToFunction()
        invocation = request.invocation
        invocation.target.CopyFrom(_wire_address(address))
        for caller, value in messages:
            m = invocation.invocations.add()
            m.argument.CopyFrom(value)
            if caller is not None:
                m.caller.CopyFrom(_wire_address(caller))
        reply = self._answer(f, request)
        if reply.HasField("incomplete_invocation_context"):
            for spec in reply.incomplete_invocation_context.missing_values:
                state = invocation.state.add()
                state.state_name = spec.state_name
                cell = self._cell(address, f, spec.state_name)
                if cell is not None:
                    state.state_value.CopyFrom(TypedValue(typename=cell.typename, has_value=True, value=cell.value))
                    if spec.expiration_spec.mode == 2:  # after call
                        cell.at = self.now
            reply = self._answer(f, request)
        return self._apply(address, f, reply.invocation_result)

    def _answer(self, f: Function, request: ToFunction) -> FromFunction:
        try:
            body = request.SerializeToString()
            reply: FromFunction = FromFunction.FromString(_wait(self._functions.handle_async(body)) if f.is_async else self._functions.handle(body))
            return reply
        except Exception as e:
            raise FunctionFailed(f"{f.typename} failed: {type(e).__name__}: {e}") from e

    def _apply(self, address: Address, f: Function, result: FromFunction.InvocationResponse) -> Effects:
        effects = Effects()
        for m in result.outgoing_messages:
            effects.sent.append(Sent(m.argument, address, _address(m.target)))
        self._waiting.extend(effects.sent)
        for d in result.delayed_invocations:
            if d.is_cancellation_request:
                effects.cancelled.append(d.cancellation_token)
                self._forget(address.id, d.cancellation_token)
                continue
            delay = timedelta(milliseconds=d.delay_in_ms)
            sent = Sent(d.argument, address, _address(d.target), delay, d.cancellation_token)
            if sent.token:
                self._forget(address.id, sent.token)
            effects.delayed.append(sent)
            self._numbers += 1
            self._timers.append(_Timer(self.now + delay, self._numbers, sent))
        effects.egress += [Record(f"{e.egress_namespace}/{e.egress_type}", e.argument) for e in result.outgoing_egresses]
        self.egress += effects.egress
        cells = self._states.setdefault(address, {})
        types = {s.name: s.type for s in f.specs}
        for m in result.state_mutations:
            if m.mutation_type == FromFunction.PersistedValueMutation.DELETE:
                cells.pop(m.state_name, None)
                effects.written[m.state_name] = None
            else:
                cells[m.state_name] = _Cell(m.state_value.typename, m.state_value.value, self.now)
                effects.written[m.state_name] = types[m.state_name].decode(m.state_value.value)
        return effects

    def _forget(self, sender_id: str, token: str) -> None:
        self._timers = [t for t in self._timers if not (t.message.token == token and t.message.sender.id == sender_id)]


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _typed(value: Any, type: Any) -> Any:
    if isinstance(value, Message):
        return value._wire
    typename, data = _context.encode(value, type)
    return TypedValue(typename=typename, has_value=True, value=data)


def _wire_address(a: Address) -> Any:
    namespace, name = split_typename(a.typename)
    return WireAddress(namespace=namespace, type=name, id=a.id)


def _address(a: Any) -> Address:
    return Address(f"{a.namespace}/{a.type}", a.id)


def _wait(coroutine: Any) -> Any:
    """Runs a coroutine to its end, inside a running event loop too."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    outcome: List[Any] = []

    def run() -> None:
        try:
            outcome.append((asyncio.run(coroutine), None))
        except BaseException as e:  # handed on
            outcome.append((None, e))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    value, error = outcome[0]
    if error is not None:
        raise error
    return value
