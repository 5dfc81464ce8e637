"""What both kinds of application know of HTTP: what a call is, how it fails, and how bulk calls are agreed on."""

from __future__ import annotations

from typing import Any, Mapping, Tuple

from ._functions import RequestError, log

CONTENT_TYPE = "application/octet-stream"
BULK_CONTENT_TYPE = "application/vnd.stategate.bulk.v1"
TEXT_CONTENT_TYPE = "text/plain; charset=utf-8"
UNBUFFERED = ("X-Accel-Buffering", "no")  # of a response to a bulk: else nginx holds the first answers back for the last

# What adapters that hand an answer over whole put beside the request: those for functions of AWS (Mangum, serverless-wsgi, awsgi,
# apig-wsgi). All servers of ASGI and WSGI are bound to pass on each part at once; they do not say so.
_WHOLE = ("aws.event", "serverless.event", "awsgi.event", "apig_wsgi.request")

_REASON_MAX = 4000  # characters of a text that says why; the gateway shows some hundreds


def streams(about: Mapping[str, Any]) -> bool:
    """Tells whether the answers of a bulk can leave as calls end, by the scope or the environ of a request."""
    return not any(name in about for name in _WHOLE)


class Calls:
    """How many calls of one bulk an application runs at the same time. With 1 there are no bulk calls."""

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError(f"bulk_calls is {most}: want 1 (no bulk calls) or more")
        self.most = most
        self.header = f"1; calls={most}"

    def offered(self, header: str) -> bool:
        """Tells whether a request offers bulk calls by its Stategate-Bulk header, in the version that is known here."""
        if self.most == 1:
            return False
        return header == "1" or any(version.partition(";")[0].strip() == "1" for version in header.split(","))

    def check(self, method: str, content_type: str) -> bool:
        """Refuses what is no call. True: it is a bulk."""
        if method != "POST":
            raise RequestError(405, f"method {method}: want POST")
        media = content_type.partition(";")[0].strip().lower()
        if media == CONTENT_TYPE:
            return False
        if media == BULK_CONTENT_TYPE and self.most > 1:
            return True
        raise RequestError(415, f"content type {content_type!r}: want {CONTENT_TYPE}")


def failure(e: BaseException) -> Tuple[int, bytes]:
    """The status and the text that say why a call failed; a function's own failure is logged with its trace."""
    if isinstance(e, RequestError):
        log.warning("call refused: %s", e)
        return e.status, _text(str(e))
    log.error("call failed", exc_info=e)
    return 500, _text(reason(e))


def reason(e: BaseException) -> str:
    """Says what an exception is, also one that cannot say it itself."""
    try:
        return f"{type(e).__name__}: {e}"
    except Exception:
        return type(e).__name__


def _text(text: str) -> bytes:
    return text[:_REASON_MAX].encode("utf-8", "replace")
