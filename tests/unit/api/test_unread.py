from __future__ import annotations

from typing import Any

import orjson
import pytest

from leadconnector_async.api.effects import GetLookups, PutLookups
from leadconnector_async.api.enrichment import LEAVE, note_unread, unread_name
from leadconnector_async.transport.base import Request, Response


def noted(
    status: int, content: object, *, conversation: str | None = None, **known: str
) -> str | None:
    """What is remembered of a conversation; None where nothing new is."""
    steps = note_unread("l", 7, "c1", conversation)
    asked = next(steps)
    assert isinstance(asked, GetLookups)
    try:
        step = steps.send({name: value for name, value in known.items() if name in asked.names})
        if isinstance(step, Request):
            body = content if isinstance(content, bytes) else orjson.dumps(content)
            step = steps.send(Response(status, {}, body))
    except StopIteration:
        return None
    assert isinstance(step, PutLookups)
    (value,) = set(step.lookups.values())
    return value


def search(*found: dict[str, Any]) -> dict[str, Any]:
    """A page of conversations."""
    return {"conversations": [*found], "total": len(found)}


@pytest.mark.parametrize(
    ("status", "content", "value"),
    [
        (200, search(), ""),
        (200, search({"id": "v", "contactId": "c1", "unreadCount": 0}), ""),
        (200, search({"id": "v", "contactId": "c1"}), ""),
        (200, search({"id": "v", "contactId": "c1", "unreadCount": 3}), LEAVE),
        (200, search({"id": "v", "contactId": "c2", "unreadCount": 3}), ""),
        (404, {"message": "Not found"}, ""),
        (400, {"message": "Contact not found"}, ""),
        (200, b"<html>", LEAVE),
        (200, {"conversations": "many"}, LEAVE),
        (200, {"conversations": ["odd"]}, LEAVE),
        (500, {"message": "Internal server error"}, LEAVE),
    ],
)
def test_what_was_unread_is_left(status: int, content: object, value: str) -> None:
    """And so is what nobody can tell. Where there is no conversation, nothing is unread."""
    assert noted(status, content) == value


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ({"id": "v", "unreadCount": 0}, "v"),
        ({"conversation": {"id": "v", "unreadCount": 1}}, LEAVE),
        (b"[]", LEAVE),
    ],
)
def test_a_conversation_that_is_named_is_asked_for(content: object, value: str) -> None:
    """And is the one that is marked, whatever else its lane holds."""
    assert noted(200, content, conversation="v") == value


def test_what_is_known_is_not_asked_again() -> None:
    """By the lane, or by another lane with the same contact."""
    assert noted(500, b"", **{"mark:7:c1": LEAVE}) is None
    assert noted(500, b"", **{"unread:c1": ""}) == ""


def test_a_mark_names_what_is_forgotten_with_it() -> None:
    """Whatever the contact's id holds."""
    assert unread_name("mark:-7:a:b") == "unread:a:b"
