"""Reading a page of the export, whatever its shape, without I/O.

A page is ``{"messages": [...], "nextCursor": ..., "total": ...}`` by the OpenAPI files; the nested
``{"messages": {"messages": [...]}}`` of the other listing is read as well. Dates are RFC 3339, or
milliseconds or seconds of the Unix epoch. What one entry says wrong costs that entry.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import orjson
from msgspec import Struct

from leadconnector_async.api.reconciliation import ListedMessage

_MILLISECONDS: Final = 10**11
"""An epoch from here on is in milliseconds: in seconds it would be the year 5138."""

_ID_SHOWN: Final = 60


class ExportPage(Struct, rename="camel"):
    """A page: what can be compared, and what ``problems`` its other entries have."""

    messages: list[ListedMessage]
    next_cursor: str | None = None
    total: int | None = None
    problems: list[str] = []


_pages: Final = msgspec.json.Decoder(ExportPage)


def read_export_page(body: bytes) -> ExportPage:
    """Read the body of a successful answer.

    Raises:
        ValueError: it is no page of messages; the message says what it is instead.
    """
    try:
        page = _pages.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _read_odd_page(body)
    page.problems.clear()  # ours to fill, whatever an answer has under that name
    return page if all(message.id for message in page.messages) else _read_odd_page(body)


def _read_odd_page(body: bytes) -> ExportPage:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body.strip().lower()
        html = text.startswith((b"<!doctype", b"<html"))
        what = "an HTML page" if html else "no JSON" if text else "an empty body"
        raise ValueError(what) from None
    page = found if isinstance(found, dict) else {}
    entries = page.get("messages")
    if isinstance(entries, dict):
        entries = entries.get("messages")
    if not isinstance(entries, list):
        raise ValueError("JSON without a list of messages")  # noqa: TRY004 - no type of ours
    cursor, total = _text(page.get("nextCursor")), page.get("total")
    read = ExportPage([], cursor, total if type(total) is int else None)
    for entry in entries:
        _read_entry(entry, read)
    return read


def _read_entry(entry: object, page: ExportPage) -> None:
    fields: dict[str, Any] = entry if isinstance(entry, dict) else {}
    id_ = _text(fields.get("id"))
    if not id_:
        page.problems.append("an entry without an id")
        return
    names = ("messageType", "direction", "body", "altId", "conversationId")
    texts = {name: _text(fields.get(name)) for name in names}
    wrong = [name for name in names if texts[name] is None and fields.get(name) is not None]
    date = _date(fields.get("dateAdded"))
    if date is None and fields.get("dateAdded") is not None:
        wrong.append("dateAdded")
    if wrong:
        shown = "".join(char for char in id_[:_ID_SHOWN] if char.isprintable())
        page.problems.append(f"message {shown}: {' and '.join(wrong)} cannot be read")
    page.messages.append(
        ListedMessage(
            id_,
            message_type=texts["messageType"],
            direction=texts["direction"],
            date_added=None if wrong else date,  # so that it is taken for no other's copy
            body=texts["body"],
            alt_id=texts["altId"],
            conversation_id=texts["conversationId"],
        )
    )


def _text(value: object) -> str | None:
    """A text, or a number where a text belongs."""
    return str(value) if isinstance(value, str) or type(value) is int else None


def _date(value: object) -> datetime | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:20])
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / (1000 if value >= _MILLISECONDS else 1), UTC)
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None
