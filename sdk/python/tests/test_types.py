import datetime
import decimal
import enum
import unittest
import uuid
from dataclasses import dataclass, field
from typing import Annotated, Any, Dict, List, Optional, Set, Tuple, Union

from stategate import Bool, Bytes, Double, Float, Int, Long, String, Type, json_type, named, protobuf_type
from stategate._protocol.types_pb2 import IntWrapper
from stategate._type import JSON_TYPENAME, type_of, type_of_value


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Line:
    sku: str
    price: decimal.Decimal = decimal.Decimal(0)
    tags: Set[str] = field(default_factory=set)


@named("shop.types/Order")
@dataclass
class Order:
    id: uuid.UUID
    lines: List[Line]
    at: datetime.datetime
    colour: Colour = Colour.RED
    note: Optional[str] = None
    pair: Tuple[int, str] = (1, "a")
    by_sku: Dict[str, Line] = field(default_factory=dict)
    raw: bytes = b""
    next: Optional["Order"] = None
    either: Union[int, Line] = 0


class Json(unittest.TestCase):
    def test_a_dataclass_comes_back_as_it_was(self):
        line = Line("pen", decimal.Decimal("1.10"), {"blue"})
        at = datetime.datetime(2026, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc)
        order = Order(uuid.UUID(int=7), [line], at, note="für", by_sku={"pen": line}, raw=b"\0\xff", either=line)
        order.next = Order(uuid.UUID(int=8), [], at)
        t = type_of(Order)
        self.assertEqual(t.typename, "shop.types/Order")
        data = t.encode(order)
        self.assertIn("für".encode(), data)
        self.assertEqual(t.decode(data), order)

    def test_what_does_not_fit_is_told_by_its_path(self):
        good = '{"id":"00000000-0000-0000-0000-000000000007","at":"2026-01-01T00:00:00","lines":%s}'
        t = type_of(Order)
        self.assertEqual(t.decode((good % '[{"sku":"a","unknown":1}]').encode()).lines, [Line("a")])
        for lines, text in (('[{"sku":1}]', "Order.lines: Line.sku: want str"), ("[{}]", "sku"), ("{}", "want a list"), ("[null]", "object for Line")):
            with self.assertRaisesRegex(ValueError, text):
                t.decode((good % lines).encode())
        for broken in (b"", b"{", b"\xff", b"[" * 100_000, b"null"):
            with self.assertRaises((ValueError, RecursionError), msg=broken[:9]):
                t.decode(broken)

    def test_any(self):
        t: Type[Any] = json_type("a.b/c")
        self.assertEqual(t.decode(t.encode({"a": [1, None, "ä"]})), {"a": [1, None, "ä"]})
        with self.assertRaises(TypeError):
            t.encode(object())


class Chosen(unittest.TestCase):
    def test_types_of_annotations(self):
        for hint, want in ((bool, Bool), (int, Long), (float, Double), (str, String), (bytes, Bytes), (Optional[str], String),
                           (Annotated[int, Int], Int), (Annotated[float, "unit", Float], Float), (Int, Int)):
            self.assertIs(type_of(hint), want, hint)
        self.assertEqual(type_of(Dict[str, int]).typename, JSON_TYPENAME)
        self.assertEqual(type_of(Dict[str, int]).decode(b'{"a":1}'), {"a": 1})
        self.assertEqual(type_of(IntWrapper).typename, "type.googleapis.com/" + IntWrapper.DESCRIPTOR.full_name)
        with self.assertRaises(TypeError):
            type_of(Dict[int, int])
        with self.assertRaises(TypeError):
            type_of(object().__class__.__mro__)

    def test_types_of_values(self):
        for value, want in ((True, Bool), (1, Long), (1.0, Double), ("", String), (b"", Bytes)):
            self.assertIs(type_of_value(value), want)
        for value in ({}, [], (), None, Line("a")):
            self.assertEqual(type_of_value(value).typename, JSON_TYPENAME)

    def test_protobuf(self):
        t = protobuf_type(IntWrapper, "a.b/int")
        self.assertEqual((t.typename, t.decode(t.encode(IntWrapper(value=5))).value), ("a.b/int", 5))

    def test_names(self):
        for bad in ("", "a", "a/", "/a", "/"):
            with self.assertRaises(ValueError, msg=bad):
                Type(bad, bytes, bytes)
        Type("a/b/c", bytes, bytes)
