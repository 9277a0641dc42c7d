"""The faults that are answers: wrong status, wrong body, wrong headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson
from msgspec.structs import replace

from leadconnector_async.sandbox._ids import derived_id
from leadconnector_async.sandbox._replies import SERVER_ERROR, THROTTLED, Reply, error, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from leadconnector_async.sandbox._faults import Fault

_PAGE: Final = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
_GARBAGE_RATES: Final = {
    "X-RateLimit-Max": "lots",
    "X-RateLimit-Remaining": "-7",
    "X-RateLimit-Interval-Milliseconds": "1e999",
    "X-RateLimit-Limit-Daily": "",
    "X-RateLimit-Daily-Remaining": "99999999999999999999",
    "X-RateLimit-Daily-Reset": "NaN",
    "Retry-After": "soon",
}
_CONTRADICTORY_RATES: Final = {
    "X-RateLimit-Max": "1",
    "X-RateLimit-Remaining": "5000",
    "X-RateLimit-Interval-Milliseconds": "0",
    "X-RateLimit-Limit-Daily": "10",
    "X-RateLimit-Daily-Remaining": "200000",
    "X-RateLimit-Daily-Reset": "0",
}


def invented_reply(fault: Fault, seen: int) -> Reply:
    """A success for a message that was never stored."""
    ids = {name: derived_id(fault.kind, name, seen) for name in ("conversationId", "messageId")}
    return json_reply(200, {"success": True, **ids, "message": "Success"})


def _with_headers(reply: Reply, headers: dict[str, str]) -> Reply:
    return replace(reply, headers={**reply.headers, **headers})


def _html(status: int) -> Reply:
    return Reply(status, _PAGE, "text/html; charset=utf-8")


def _altered(reply: Reply, **changes: object) -> Reply:
    content = orjson.loads(reply.body or b"{}") | changes
    return json_reply(200, {name: value for name, value in content.items() if value is not None})


def _throttled(fault: Fault, retry_after: str | None) -> Reply:
    if retry_after is None and fault.seconds is not None:
        retry_after = f"{fault.seconds:g}"
    return _with_headers(THROTTLED, {"Retry-After": retry_after} if retry_after else {})


def _redirect(status: int, fault: Fault) -> Reply:
    return Reply(status, b"", headers={"Location": fault.target})


_SPOILERS: Final[dict[str, Callable[[Fault, Reply], Reply]]] = {
    "429": lambda fault, _: _throttled(fault, None),
    "500": lambda _, __: SERVER_ERROR,
    "502": lambda _, __: _html(502),
    "503": lambda _, __: error(503, "Service Unavailable"),
    "504": lambda _, __: error(504, "Gateway Timeout"),
    "garbage": lambda _, __: Reply(200, b'\x00\xff{"success": tru'),
    "html": lambda _, __: _html(200),
    "no_id": lambda _, reply: _altered(reply, messageId=None),
    "id_type": lambda _, reply: _altered(reply, messageId=12345),
    "rates_garbage": lambda _, reply: _with_headers(reply, _GARBAGE_RATES),
    "rates_contradictory": lambda _, reply: _with_headers(reply, _CONTRADICTORY_RATES),
    "retry_past": lambda fault, _: _throttled(fault, "Wed, 21 Oct 2015 07:28:00 GMT"),
    "retry_far": lambda fault, _: _throttled(fault, "31536000"),
    "redirect_302": lambda fault, _: _redirect(302, fault),
    "redirect_307": lambda fault, _: _redirect(307, fault),
}


def spoil(fault: Fault, reply: Reply) -> Reply:
    """What is answered instead of ``reply``. Faults of the wire change nothing here."""
    spoiler = _SPOILERS.get(fault.kind)
    return spoiler(fault, reply) if spoiler else reply
