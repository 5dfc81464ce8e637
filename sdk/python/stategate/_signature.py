"""Whether a request comes from who has a key: the header Stategate-Signature, "t=SECONDS, v1=HEX, v1=HEX"."""

from __future__ import annotations

import hmac
import time
from typing import List, Optional, Sequence, Tuple

from ._functions import RequestError
from ._http import BULK_CONTENT_TYPE, CONTENT_TYPE

CHALLENGE = ("WWW-Authenticate", "Stategate-Signature")  # of a refusal, so that the gateway knows that no call is at fault

_AGE_MAX = 300  # seconds that the clocks of gateway and function may be apart, with the way between them
_KEY_MIN = 32
_PARTS_MAX = 16


class SignatureError(RequestError):
    """A request that is not signed as it should be."""

    def __init__(self, text: str) -> None:
        super().__init__(401, text)


class Signatures:
    """What an application asks for. Without keys it asks for nothing."""

    def __init__(self, keys: Sequence[str]) -> None:
        if isinstance(keys, (str, bytes)):
            raise TypeError("signing_keys is one text: want a list of them")
        self._keys: List[bytes] = []
        for i, key in enumerate(keys):
            if len(key) < _KEY_MIN:  # not shown: it is a secret still
                raise ValueError(f"signing_keys[{i}] has {len(key)} characters: want at least {_KEY_MIN}, as openssl rand -hex 32 makes them")
            self._keys.append(key.encode())

    def check(self, header: str, is_bulk: bool, body: bytes, now: Optional[float] = None) -> None:
        """Compares so that time tells nothing."""
        if not self._keys:
            return
        if not header.strip():
            raise SignatureError("the request is not signed")
        seconds, proofs = _parse(header)
        apart = int(time.time() if now is None else now) - int(seconds)
        if abs(apart) > _AGE_MAX:
            raise SignatureError(f"the request was signed {apart} s ago by its clock: at most {_AGE_MAX} s apart are allowed")
        text = f"v1\n{seconds}\n{BULK_CONTENT_TYPE if is_bulk else CONTENT_TYPE}\n".encode() + body
        found = False
        for key in self._keys:
            want = hmac.digest(key, text, "sha256")
            for proof in proofs:
                found |= hmac.compare_digest(proof, want)
        if not found:
            raise SignatureError("the request is signed with another key, or was changed")


def _parse(header: str) -> Tuple[str, List[bytes]]:
    """Takes a header apart. Parts that are not known are for later versions."""
    parts = header.split(",", _PARTS_MAX)
    if len(parts) > _PARTS_MAX:
        raise SignatureError(f"parse Stategate-Signature: it has more than {_PARTS_MAX} parts")
    seconds = ""
    proofs: List[bytes] = []
    for part in parts:
        name, _, value = part.strip(" \t").partition("=")
        if name == "t":
            if seconds or not (value.isascii() and value.isdigit() and len(value) <= 15):
                raise SignatureError("parse Stategate-Signature: want one time in seconds")
            seconds = value
        elif name == "v1":
            proofs.append(_proof(value))
    if not seconds:
        raise SignatureError("parse Stategate-Signature: it has no time")
    if not proofs:
        raise SignatureError("parse Stategate-Signature: it has no signature of version 1")
    return seconds, proofs


def _proof(text: str) -> bytes:
    try:
        proof = bytes.fromhex(text)
    except ValueError:
        proof = b""
    if len(text) != 64 or len(proof) != 32:  # fromhex takes spaces
        raise SignatureError("parse Stategate-Signature: want v1 as 64 hexadecimal digits")
    return proof
