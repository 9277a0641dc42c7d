"""What an answer means for a record: one pure function.

===================================  ===============  =============================================
answer to the inbound call           classification   source
===================================  ===============  =============================================
2xx with a ``messageId``             `Accepted`       OpenAPI file (200); live reports (201)
2xx, empty or JSON without one       `Refused`        live reports: the message is dropped
2xx, body that cannot be read        `Indeterminate`  it was stored, or not: the id is lost
302, 303                             `Indeterminate`  also answered once it has been done
any other 3xx                        `Refused`        never followed: the token would go along
401, 403                             `Forbidden`      this token, this location
408                                  `Indeterminate`  the request may have been processed
429                                  `Throttled`      not stored
any other 4xx                        `Refused`        not stored
5xx                                  `Indeterminate`  500 is also what a wrong provider id gives
===================================  ===============  =============================================

A 401 that says "invalid token" or "expired" asks for the next token, and comes this far only where
that is refused as well. Nor does a 404 of a path that nobody serves: the base URL is wrong.

Any rate-limit header may be missing, nonsense, or contradict another: all of these read as None.
Source: the API's documentation of ``X-RateLimit-*``; ``X-RateLimit-Daily-Reset`` is undocumented.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from leadconnector_async.models import RateLimitHeaders, Receipt, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leadconnector_async.transport.base import Response

_WORDS_SHOWN: Final = 300
_WORDS_READ: Final = 2000
_TOKEN: Final = re.compile(r"(?<=Bearer )[^\s'\",;]{20,}|\bpit-[\w-]{8,}|\beyJ[\w-]+(?:\.[\w-]+)+")
"""Some servers repeat the token that they refuse."""

_receipts: Final = msgspec.json.Decoder(Receipt)
_NO_RECEIPT: Final = Receipt(message_id="")
_PROVIDER_CODE: Final = "CONVERSATIONS_MSG_PROVIDER_NO_ACCESS"


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The message is in its conversation."""

    receipt: Receipt


class _Refusing(msgspec.Struct, frozen=True, gc=False):
    refusal: Refusal


class Refused(_Refusing, frozen=True, gc=False):
    """Nothing was stored, and the same request would be refused again."""


class Throttled(_Refusing, frozen=True, gc=False):
    """Nothing was stored: the location is over its quota."""


class Forbidden(_Refusing, frozen=True, gc=False):
    """Nothing was stored, nor will be with this token in this location."""


class Indeterminate(_Refusing, frozen=True, gc=False):
    """Stored or not: it has to be looked for."""


Classification = Accepted | Refused | Throttled | Forbidden | Indeterminate


def classify(status: int, body: bytes) -> Classification:
    """Tell what an answer to the inbound call means; see the table above."""
    if 200 <= status < 300:
        return _classify_success(status, body)
    refusal = read_refusal(status, body)
    if status == 429:
        return Throttled(refusal)
    if status in (302, 303, 408) or status >= 500:
        return Indeterminate(refusal)
    return Forbidden(refusal) if status in (401, 403) else Refused(refusal)


def _classify_success(status: int, body: bytes) -> Classification:
    try:
        receipt = _receipts.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        receipt = _NO_RECEIPT
    return Accepted(receipt) if receipt.message_id else _classify_odd_success(status, body)


def _classify_odd_success(status: int, body: bytes) -> Classification:
    """Only the lack of an id tells that nothing was stored, not the shape of what is beside it."""

    def answered(what: str) -> Refusal:
        return Refusal(status=status, message=f"answered {what}")

    if not body.strip():
        return Refused(answered("with an empty body: nothing was stored"))
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Indeterminate(answered("with a body that is not JSON"))
    id_ = found.get("messageId") if isinstance(found, dict) else None
    if not id_:
        return Refused(answered("without a messageId: nothing was stored"))
    if not isinstance(id_, str | int):
        return Indeterminate(answered("with a messageId that is no id"))
    said: dict[str, Any] = {own: _text(found.get(name)) for own, name in _RECEIVED.items()}
    said["success"] = found["success"] if isinstance(found.get("success"), bool) else None
    return Accepted(Receipt(message_id=str(id_), **said))


_RECEIVED: Final = {of.name: of.encode_name for of in msgspec.structs.fields(Receipt)[1:-1]}
"""Of what a receipt says, but for its first and its last field, the API's names."""


def expired_token(response: Response) -> Refusal | None:
    """The refusal that a renewed token may lift, if the answer is one."""
    if response.status != 401:
        return None
    refusal = read_refusal(response.status, response.body)
    code = refusal.canonical_code or ""
    words = f"{code} {refusal.message}".lower().replace("_", " ")
    return refusal if _ENDED.search(words) and code != _PROVIDER_CODE else None


_ENDED: Final = re.compile("expired|invalid .*(token|jwt)|(token|jwt) .*(invalid|revoked)")


def is_unauthorized(response: Response) -> bool:
    """Whether it is 401, which an endpoint for tokens answers to one that has ended."""
    return response.status == 401


def is_access_refused(response: Response) -> bool:
    """Whether it is the token that is refused, and not what was asked."""
    return response.status in (401, 403)


def lacks_scope(response: Response) -> bool:
    """Whether the token may not do this, whatever the request says."""
    return is_access_refused(response) and "scope" in _said(response)


def is_grant_denied(response: Response) -> bool:
    """Whether no token is given for what was sent; RFC 6749, 5.2, and the OpenAPI files."""
    return response.status in (400, 401, 403, 404, 422)


def is_success(response: Response) -> bool:
    """Whether the API did what it was asked to."""
    return 200 <= response.status < 300


def is_read(response: Response) -> bool:
    """Whether it has what was asked for, as a reading endpoint answers."""
    return response.status == 200


def is_refusal(response: Response) -> bool:
    """Whether the same request would be refused again."""
    return 400 <= response.status < 500 and response.status not in (408, 429)


def is_final(response: Response) -> bool:
    """Whether it is a refusal, and of the API: a page with 404 may come while it is away."""
    return is_refusal(response) and not (response.status == 404 and is_foreign(response))


def is_server_error(response: Response) -> bool:
    """Whether it is what a wrong conversationProviderId is answered with too (live reports)."""
    return response.status == 500


def is_from_gateway(response: Response) -> bool:
    """Whether it is what a proxy answers for an API that is down, Cloudflare's 520 to 530 too."""
    return response.status in (502, 503, 504, 511) or 520 <= response.status <= 530


def is_foreign(response: Response) -> bool:
    """Whether it is what the API never answers: a page, a text, packed bytes; but not nothing."""
    body = response.body
    return body[:1] != b"{" and body.lstrip()[:1] not in (b"{", b"[", b"")


def is_unthrottled(response: Response) -> bool:
    """Whether the request was within the quota. A server's error tells nothing of it."""
    return response.status < 500 and response.status != 429


_ABSENT: Final = re.compile(
    r"\b(contact|conversation)s?\b.*\b(not found|(does not|doesn't) exist)|"
    r"\bno (contact|conversation)s? (was |were )?found"
)


def says_absent(response: Response) -> bool:
    """Whether it says that there is no such contact or conversation: 404, or 400 (live reports)."""
    return response.status in (400, 404) and bool(_ABSENT.search(_said(response)))


def is_absent(response: Response) -> bool:
    """Whether what its path names is not there; not where nobody serves the path."""
    return says_absent(response) or (response.status == 404 and not lacks_route(response))


_NO_ROUTE: Final = re.compile(r"cannot (get|post|put|delete) /")


def lacks_route(response: Response) -> bool:
    """Whether nobody serves the path: the API says so, or a page of a server before it."""
    is_none = response.status == 404
    return is_none and (is_foreign(response) or bool(_NO_ROUTE.match(_said(response))))


_LACKS: Final = re.compile(r"\bconversation([ _]?id)?\b")


def lacks_conversation(response: Response) -> bool:
    """Whether it refuses a request for want of a conversation, and not for its provider."""
    return response.status in (400, 404, 422) and bool(_LACKS.search(_said(response)))


def exists_already(response: Response) -> bool:
    """Whether it refuses to make what is there already."""
    return response.status == 400 and "already exists" in _said(response)


def retry_after(response: Response, cap: float) -> float | None:
    """Seconds from a ``Retry-After`` of delta-seconds, between 0 and ``cap``.

    The HTTP-date form is not trusted: it needs both clocks to agree. None means no usable value.
    """
    digits = (response.headers.get("Retry-After") or "").strip(" \t")
    return min(float(digits), cap) if digits.isascii() and digits.isdigit() else None


def json_object(body: bytes) -> dict[str, Any]:
    """The object that a body is; empty where it is none."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def read_refusal(status: int, body: bytes) -> Refusal:
    """Read an error body of any of the API's shapes, the v3 files' envelope and HTML included.

    The API names fields here, not their content; an HTML page's text is not repeated.
    """
    found = json_object(body)
    if isinstance(found.get("error"), dict):
        found = {"canonicalCode": found["error"].get("code")} | found | found["error"]
    return Refusal(
        status=status,
        message=_words(found) or _REASONS.get(status, "no explanation given"),
        canonical_code=_text(found.get("canonicalCode")),
        trace_id=_text(found.get("traceId")),
    )


def _said(response: Response) -> str:
    return read_refusal(response.status, response.body).message.lower()


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
    return _TOKEN.sub("…", " ".join(plain.split()))[:_WORDS_SHOWN] or None


_REASONS: Final = {
    **dict.fromkeys((301, 302, 303, 307, 308), "redirected; check the base URL"),
    404: "not found",
    408: "the API gave up waiting",
    413: "too large",
    429: "too many requests",
    500: "Internal server error",
    502: "bad gateway",
    503: "service unavailable",
    504: "gateway timeout",
}

MAX_FIGURE: Final = 10**10
"""Anything larger is garbage: 10**10 milliseconds is a third of a year."""

SILENT: Final = RateLimitHeaders()
_PREFIX: Final = b"x-ratelimit-"
_NAMES: Final = (
    *("X-RateLimit-Max", "X-RateLimit-Remaining", "X-RateLimit-Interval-Milliseconds"),
    *("X-RateLimit-Limit-Daily", "X-RateLimit-Daily-Remaining", "X-RateLimit-Daily-Reset"),
)

_RESTS: Final = tuple(name.lower().encode().removeprefix(_PREFIX) for name in _NAMES)


def _figure(text: str | bytes | None) -> int | None:
    if isinstance(text, bytes):
        text = text.strip(b" \t")
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 11:
        return None
    value = int(text)
    return value if value <= MAX_FIGURE else None


@lru_cache(maxsize=4096)  # limits never change, and what remains is mostly a small number
def _named(line: bytes) -> tuple[bytes, int | None]:
    name, colon, value = line.lower().partition(b":")
    return (name if colon else b""), _figure(value)


def read_rate_limit_headers(headers: Mapping[str, str]) -> RateLimitHeaders:
    """Read them. More than all of a limit cannot remain: neither is believed, nor a day of 0."""
    group = getattr(headers, "group", None)  # of `AnswerHeaders`, which are not read yet
    if group is None:
        figures = [_figure(headers.get(name)) for name in _NAMES]
    else:  # of headers that are there twice the first
        figures = [*map(dict(map(_named, reversed(group(_PREFIX)))).get, _RESTS)]
    most, remaining, interval, daily, daily_remaining, reset = figures
    if most is not None and remaining is not None and remaining > most:
        most = remaining = None
    if daily == 0 or (daily is not None and (daily_remaining or 0) > daily):
        daily = daily_remaining = None
    return RateLimitHeaders(
        max=most,
        remaining=remaining,
        interval_ms=interval,
        daily_limit=daily,
        daily_remaining=daily_remaining,
        daily_reset_ms=reset,
    )
