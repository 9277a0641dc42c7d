"""What an answer means for a record: one pure function.

======================================  ============  ===========================================
answer to the inbound call              verdict       source
======================================  ============  ===========================================
2xx with a ``messageId``                `Stored`      OpenAPI file (200); live reports (201)
2xx, empty or JSON without one          `Refused`     live reports: the message is dropped
2xx, body that cannot be read           `Unknown`     it was stored, or not: the id is lost
3xx                                     `Refused`     never followed: the token would go along
400 404 405 409 410 413 414 415 422     `Refused`     not stored
any other 4xx                           `Refused`     not stored
401 "Invalid token", "expired"          `Renew`       a renewed token may help
401 "no token"                          `Renew`       `no_token`: our own provider's, not the API's
401 otherwise, 403                      `Barred`      this token, this location: no renewal helps
408                                     `Unknown`     the request may have been processed
429                                     `Throttled`   not stored
5xx                                     `Unknown`     500 is also what a wrong provider id gives
======================================  ============  ===========================================

A request that never left is `NotSentError`, one whose answer never came `FateUnknownError`; both
are told by the transport.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import orjson
from msgspec import Struct

from leadconnector_async._messages import Receipt, Refusal
from leadconnector_async._transport import Answer

_WORDS_SHOWN: Final = 300
_WORDS_READ: Final = 2000
_receipts: Final = msgspec.json.Decoder(Receipt)
_NO_TOKEN: Final = "no token"  # noqa: S105 - two words
_PROVIDER_CODE: Final = "CONVERSATIONS_MSG_PROVIDER_NO_ACCESS"


class Stored(Struct, frozen=True, gc=False):
    """The message is in its conversation."""

    receipt: Receipt


class Refused(Struct, frozen=True, gc=False):
    """Nothing was stored, and the same request would be refused again."""

    refusal: Refusal


class Throttled(Struct, frozen=True, gc=False):
    """Nothing was stored: the location is over its quota."""

    refusal: Refusal


class Renew(Struct, frozen=True, gc=False):
    """Nothing was stored: the token may have expired."""

    refusal: Refusal


class Barred(Struct, frozen=True, gc=False):
    """Nothing was stored, nor will be with this token in this location."""

    refusal: Refusal


class Unknown(Struct, frozen=True, gc=False):
    """Stored or not: it has to be looked for."""

    refusal: Refusal


Verdict = Stored | Refused | Throttled | Renew | Barred | Unknown


def judge(status: int, body: bytes) -> Verdict:
    """Tell what an answer to the inbound call means; see the table above."""
    if 200 <= status < 300:
        return _judge_success(status, body)
    refusal = read_refusal(status, body)
    if status == 429:
        return Throttled(refusal)
    if status == 408 or status >= 500:
        return Unknown(refusal)
    if status == 401:
        return Renew(refusal) if _renewable(refusal) else Barred(refusal)
    if status == 403:
        return Barred(refusal)
    return Refused(refusal)


def _judge_success(status: int, body: bytes) -> Verdict:
    try:
        receipt = _receipts.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _judge_odd_success(status, body)
    if receipt.message_id:
        return Stored(receipt)
    return _judge_odd_success(status, body)


def _judge_odd_success(status: int, body: bytes) -> Verdict:
    """Only the lack of an id tells that nothing was stored, not the shape of what is beside it."""
    if not body.strip():
        return Refused(
            Refusal(status=status, message="answered with an empty body: nothing was stored")
        )
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Unknown(Refusal(status=status, message="answered with a body that is not JSON"))
    id_ = found.get("messageId") if isinstance(found, dict) else None
    if not id_:
        return Refused(
            Refusal(status=status, message="answered without a messageId: nothing was stored")
        )
    if not isinstance(id_, str | int):
        return Unknown(Refusal(status=status, message="answered with a messageId that is no id"))
    return Stored(
        Receipt(
            message_id=str(id_),
            conversation_id=_text(found.get("conversationId")),
            contact_id=_text(found.get("contactId")),
            email_message_id=_text(found.get("emailMessageId")),
            date_added=_text(found.get("dateAdded")),
        )
    )


def _renewable(refusal: Refusal) -> bool:
    words = refusal.message.lower()
    return refusal.canonical_code != _PROVIDER_CODE and (
        "invalid token" in words
        or "expired" in words
        or "invalid jwt" in words
        or words.startswith(_NO_TOKEN)
    )


def no_token(refusal: Refusal) -> Answer:
    """What a token provider says for want of a token, as an answer that `judge` understands.

    It is renewable: a look for what may be stored has to wait for a token, and proves nothing.
    """
    body = {"statusCode": 401, "message": f"{_NO_TOKEN}: {refusal.message}"}
    return Answer(401, {}, orjson.dumps(body))


def read_refusal(status: int, body: bytes) -> Refusal:
    """Read an error body of any of the API's shapes, HTML included.

    The API names fields here, not their content; an HTML page's text is not repeated.
    """
    try:
        found = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError:
        found = {}
    if not isinstance(found, dict):
        found = {}
    return Refusal(
        status=status,
        message=_words(found) or _REASONS.get(status, "no explanation given"),
        canonical_code=_text(found.get("canonicalCode")),
        trace_id=_text(found.get("traceId")),
    )


def _words(found: dict[str, Any]) -> str | None:
    message = found.get("message")
    if isinstance(message, list):
        message = "; ".join(part for part in message if isinstance(part, str))
    return _text(message) or _text(found.get("error"))


def _text(value: object) -> str | None:
    """One line of what an answer says, without the control codes that would move a terminal."""
    if not isinstance(value, str):
        return None
    plain = "".join(char if char.isprintable() else " " for char in value[:_WORDS_READ])
    return " ".join(plain.split())[:_WORDS_SHOWN] or None


_REASONS: Final = {
    301: "redirected; check the base URL",
    302: "redirected; check the base URL",
    303: "redirected; check the base URL",
    307: "redirected; check the base URL",
    308: "redirected; check the base URL",
    404: "not found",
    408: "the API gave up waiting",
    413: "too large",
    429: "too many requests",
    500: "Internal server error",
    502: "bad gateway",
    503: "service unavailable",
    504: "gateway timeout",
}
