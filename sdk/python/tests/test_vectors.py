"""What the vectors of testdata/protocol say, which the SDKs of all languages read."""

import asyncio
import json
import logging
import unittest
from pathlib import Path
from typing import Any, Dict, List

from google.protobuf import json_format
from google.protobuf.internal import api_implementation

from stategate import Context, Functions, Int, Message, RequestError, ValueSpec
from stategate._bulk import Bulk
from stategate._protocol import bulk_pb2, egress_pb2, request_reply_pb2, types_pb2
from stategate._protocol.bulk_pb2 import FromFunctions, ToFunctions

HERE = Path(__file__).parent
FOLDER = next(f for f in (HERE / "protocol", HERE / "../../../testdata/protocol") if f.exists())  # scripts/python lays them beside the tests


def vectors(file: str) -> List[Dict[str, Any]]:
    got: List[Dict[str, Any]] = json.loads((FOLDER / file).read_text(encoding="utf-8"))
    assert got, file
    return got


def message(name: str) -> Any:
    return next(getattr(m, name) for m in (bulk_pb2, request_reply_pb2, egress_pb2, types_pb2) if hasattr(m, name))


class Vectors(unittest.TestCase):
    def test_messages(self) -> None:
        for file in ("request.json", "reply.json", "bulk.json", "bulk-refused.json", "type.json", "egress.json"):
            for v in vectors(file):
                with self.subTest(f"{file}: {v['name']}"):
                    got = message(v["message"]).FromString(bytes.fromhex(v["hex"]))
                    if v.get("canonical", True):
                        self.assertEqual(got.SerializeToString().hex(), v["hex"])
                    got.DiscardUnknownFields()
                    self.assertEqual(got, json_format.ParseDict(v["json"], message(v["message"])()))

    def test_broken(self) -> None:
        functions = Functions()
        for v in vectors("broken.json"):
            data = bytes.fromhex(v["hex"])
            if api_implementation.Type() == "cpp" and v["name"] in ("end-group", "html"):
                continue  # that implementation takes the end of a group for the end of the message
            with self.subTest(v["name"]), self.assertRaises(Exception):
                message(v["message"]).FromString(data)
            if v["message"] == "ToFunctions":
                with self.subTest(v["name"]), self.assertRaises(RequestError) as e:
                    Bulk(functions, data, 100)
                self.assertEqual(e.exception.status, 400)


class Bulks(unittest.TestCase):
    """A function with a state "seen", which the requests are for."""

    def setUp(self) -> None:
        logging.getLogger("stategate").setLevel(logging.CRITICAL)
        self.called: List[str] = []
        self.functions = Functions()
        self.functions.register("a.b/st", self.call, states=[ValueSpec("seen", Int)])

    def call(self, ctx: Context, message: Message) -> None:
        self.called.append(ctx.address.id)
        ctx.state.seen = (ctx.state.seen or 0) + 1

    def answers(self, request: bytes) -> Dict[int, Any]:
        bulk = Bulk(self.functions, request, 100)
        for call in bulk.plain:
            bulk.run_plain(call)
        answers = list(FromFunctions.FromString(bulk.take()).answers)
        self.assertEqual(bulk.unanswered, 0)
        return {a.number: a for a in answers}

    def test_each_call_is_answered_as_it_would_be_alone(self) -> None:
        for v in vectors("bulk.json"):
            if v["message"] != "ToFunctions":
                continue
            with self.subTest(v["name"]):
                calls = ToFunctions.FromString(bytes.fromhex(v["hex"])).calls
                got = self.answers(bytes.fromhex(v["hex"]))
                self.assertEqual(len(got), len(calls))
                for c in calls:
                    try:
                        want = self.functions.handle(c.to_function.SerializeToString())
                    except RequestError as e:
                        self.assertEqual((got[c.number].failure.status, got[c.number].failure.reason), (e.status, str(e)))
                    else:
                        self.assertEqual(got[c.number].from_function, message("FromFunction").FromString(want))

    def test_answers_are_written_as_the_vectors_have_them(self) -> None:
        want = {v["name"]: v["hex"] for v in vectors("bulk.json")}
        calls = {v["name"]: ToFunctions.FromString(bytes.fromhex(v["hex"])) for v in vectors("bulk.json") if v["message"] == "ToFunctions"}
        three = calls["three-calls"]
        del three.calls[1:]
        for request, name in ((three, "one-answer"), (calls["one-call"], "incomplete")):
            bulk = Bulk(self.functions, request.SerializeToString(), 100)
            bulk.run_plain(bulk.plain[0])
            self.assertEqual(bulk.take().hex(), want[name])

        async def quiet(ctx: Context, message: Message) -> None:
            pass

        async def failing(ctx: Context, message: Message) -> None:
            raise RequestError(404, 'function "a.b/größer" is not served here')

        for call, name in ((quiet, "no-effects"), (failing, "failure-reason-beyond-ascii")):
            functions = Functions()
            functions.register("a.b/st", call)
            bulk = Bulk(functions, calls["one-call"].SerializeToString(), 100)
            asyncio.run(bulk.run(bulk.asynchronous[0], lambda: None))
            self.assertEqual(bulk.take().hex(), want[name])

    def test_numbers_that_are_refused(self) -> None:
        for v in vectors("bulk-refused.json"):
            with self.subTest(v["name"]), self.assertRaises(RequestError) as e:
                Bulk(self.functions, bytes.fromhex(v["hex"]), 100)
            self.assertEqual(e.exception.status, 400)
        self.assertEqual(self.called, [])
