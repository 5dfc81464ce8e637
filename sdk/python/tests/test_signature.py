"""Requests that are signed, and those that are not as they should be."""

import asyncio
import hashlib
import hmac
import io
import json
import logging
import time
import unittest
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from stategate import Context, Functions, Message, RequestError
from stategate._http import BULK_CONTENT_TYPE, CONTENT_TYPE
from stategate._protocol.bulk_pb2 import ToFunctions
from stategate._protocol.request_reply_pb2 import ToFunction
from stategate._signature import SignatureError, Signatures

HERE = Path(__file__).parent
FOLDER = next(f for f in (HERE / "protocol", HERE / "../../../testdata/protocol") if f.exists())

KEY = "a-key-of-the-gateway-0123456789abcdef"


def sign(key: str, media: str, body: bytes, at: Optional[float] = None) -> str:
    seconds = int(time.time() if at is None else at)
    return f"t={seconds}, v1={hmac.new(key.encode(), f'v1{chr(10)}{seconds}{chr(10)}{media}{chr(10)}'.encode() + body, hashlib.sha256).hexdigest()}"


class Vectors(unittest.TestCase):
    def test_vectors(self) -> None:
        vectors: List[Dict[str, Any]] = json.loads((FOLDER / "signature.json").read_text(encoding="utf-8"))
        self.assertGreater(len(vectors), 20)
        for v in vectors:
            with self.subTest(v["name"]):
                try:
                    Signatures(v["keys"]).check(v["header"], v["content_type"] == BULK_CONTENT_TYPE, bytes.fromhex(v["hex"]), v["now"])
                    valid = True
                except SignatureError as e:
                    valid = False
                    self.assertEqual(e.status, 401)
                    self.assertNotIn(v["keys"][0], str(e))
                self.assertEqual(valid, v["valid"])

    def test_keys_that_are_none(self) -> None:
        with self.assertRaisesRegex(ValueError, r"signing_keys\[1\] has 7 characters") as e:
            Signatures([KEY, "hunter2"])
        self.assertNotIn("hunter2", str(e.exception))
        with self.assertRaises(TypeError):
            Functions().asgi(signing_keys=KEY)
        with self.assertRaises(ValueError):
            Functions.check_signature("", b"", [])

    def test_hostile_headers(self) -> None:
        for header in ("v1=" + "0 " * 32, "t=1,v1=" + "\u0660" * 64, "t=\u00b2, v1=" + "00" * 32, "t=" + "9" * 5000, "," * 100_000, "t=-1, v1=" + "00" * 32, "\x00", "t==1"):
            with self.subTest(header[:30]), self.assertRaises(SignatureError):
                Signatures([KEY]).check(header, False, b"")


class Applications(unittest.TestCase):
    def setUp(self) -> None:
        self.ran = 0
        self.functions = Functions()
        self.functions.register("a.b/st", self.call)
        one = ToFunction()
        one.invocation.target.namespace, one.invocation.target.type, one.invocation.target.id = "a.b", "st", "k"
        one.invocation.invocations.add().argument.typename = "x/y"
        bulk = ToFunctions()
        bulk.calls.add(number=1, to_function=one)
        self.requests = {CONTENT_TYPE: one.SerializeToString(), BULK_CONTENT_TYPE: bulk.SerializeToString()}
        logging.getLogger("stategate").setLevel(logging.CRITICAL + 1)
        self.addCleanup(logging.getLogger("stategate").setLevel, logging.NOTSET)

    def call(self, ctx: Context, message: Message) -> None:
        self.ran += 1

    def test_only_signed_requests_run(self) -> None:
        for kind, ask in (("asgi", self.ask_asgi), ("wsgi", self.ask_wsgi)):
            for media, body in self.requests.items():
                for name, headers, status in (
                    ("signed", [sign(KEY, media, body)], 200),
                    ("in two lines", ["v1=" + "00" * 32, sign(KEY, media, body)], 200),
                    ("not signed", [], 401),
                    ("empty", [""], 401),
                    ("with another key", [sign("x" * 40, media, body)], 401),
                    ("of another body", [sign(KEY, media, b"x" + body)], 401),
                    ("of the other kind", [sign(KEY, "other/kind", body)], 401),
                    ("an hour ago", [sign(KEY, media, body, time.time() - 3600)], 401),
                ):
                    with self.subTest(f"{kind}, {media}: {name}"):
                        self.ran = 0
                        got, answer = ask(media, body, headers)
                        self.assertEqual((got, self.ran), (status, 1 if status == 200 else 0))
                        self.assertEqual(answer.get("www-authenticate"), None if status == 200 else "Stategate-Signature")

    def test_bytes(self) -> None:
        body = self.requests[CONTENT_TYPE]
        Functions.check_signature(sign(KEY, CONTENT_TYPE, body), body, [KEY])
        with self.assertRaises(RequestError) as e:
            Functions.check_signature(sign(KEY, CONTENT_TYPE, body), body + b"x", [KEY])
        self.assertEqual(e.exception.status, 401)

    def ask_asgi(self, media: str, body: bytes, signatures: List[str]) -> Tuple[int, Dict[str, str]]:
        sent: List[Dict[str, Any]] = []

        async def receive() -> Dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(event: Dict[str, Any]) -> None:
            sent.append(event)

        headers = [(b"content-type", media.encode()), *((b"Stategate-Signature", s.encode()) for s in signatures)]
        asyncio.run(self.functions.asgi(signing_keys=[KEY])({"type": "http", "method": "POST", "headers": headers}, receive, send))
        return sent[0]["status"], {k.decode().lower(): v.decode() for k, v in sent[0]["headers"]}

    def ask_wsgi(self, media: str, body: bytes, signatures: List[str]) -> Tuple[int, Dict[str, str]]:
        environ = {"REQUEST_METHOD": "POST", "CONTENT_TYPE": media, "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body), "wsgi.multithread": True}
        if signatures:
            environ["HTTP_STATEGATE_SIGNATURE"] = ",".join(signatures)  # as servers join what comes in several lines
        got: List[Any] = []
        answer = self.functions.wsgi(signing_keys=[KEY])(environ, lambda status, headers: got.extend((status, headers)))
        b"".join(answer)
        return int(got[0].split()[0]), {k.lower(): v for k, v in got[1]}
