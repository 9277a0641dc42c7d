"""The shape of a message's fields, refused with 422 and one message per broken rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from leadconnector_async._messages import CALL_STATUSES, DIRECTIONS, MESSAGE_TYPES
from leadconnector_async.sandbox._call import milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEXTS: Final = (
    "contactId",
    "conversationId",
    "conversationProviderId",
    "message",
    "html",
    "subject",
    "emailFrom",
    "emailTo",
    "emailMessageId",
    "altId",
)
_LISTS: Final = ("attachments", "emailCc", "emailBcc")
_TYPES: Final = frozenset(MESSAGE_TYPES)


def _one_of(name: str, choices: tuple[str, ...]) -> str:
    return f"{name} must be one of the following values: {', '.join(choices)}"


def _list_problems(name: str, value: object) -> Iterator[str]:
    # The API names the missing element before the wrong shape, and does so for a text as well.
    if not isinstance(value, list) or (name == "attachments" and not value):
        yield f"{name} must contain at least 1 elements"
    if not isinstance(value, list):
        yield f"{name} must be an array"
    elif not all(isinstance(item, str) for item in value):
        yield f"each value in {name} must be a string"


def _call_problems(call: object) -> Iterator[str]:
    if not isinstance(call, dict):
        yield "call must be an object"
        return
    for name in ("to", "from"):
        if not isinstance(call.get(name, ""), str):
            yield f"call.{name} must be a string"
    if "status" in call and call["status"] not in CALL_STATUSES:
        yield _one_of("call.status", CALL_STATUSES)


def _date_is_good(value: object) -> bool:
    return isinstance(value, str) and milliseconds(value) is not None


def field_problems(fields: dict[str, Any]) -> list[str]:
    """Every rule that the fields break. A null is an absent field."""
    problems = []
    if fields.get("type") not in _TYPES:
        problems.append(_one_of("type", MESSAGE_TYPES))
    problems += [
        f"{name} must be a string" for name in _TEXTS if not isinstance(fields.get(name) or "", str)
    ]
    for name in _LISTS:
        if fields.get(name) is not None:
            problems += _list_problems(name, fields[name])
    if fields.get("direction") not in (None, *DIRECTIONS):
        problems.append(_one_of("direction", DIRECTIONS))
    if fields.get("date") is not None and not _date_is_good(fields["date"]):
        problems.append("date must be a valid ISO 8601 date string")
    if fields.get("call") is not None:
        problems += _call_problems(fields["call"])
    return problems
