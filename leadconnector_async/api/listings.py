"""Reading a page of messages or of conversations, whatever its shape, without I/O.

By the OpenAPI files, a page of the export is ``{"messages": [...], "nextCursor": ..., "total":
...}``, and one of a conversation ``{"messages": [...], "lastMessageId": ..., "nextPage": ...}``;
seen live is the nested ``{"messages": {"messages": [...], "lastMessageId": ...}}``. Either is read
for both. Dates are RFC 3339, or milliseconds or seconds of the Unix epoch. What one entry says
wrong costs that entry.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import getaddresses
from typing import Any, Final

import msgspec
import orjson

from leadconnector_async.api.responses import json_object
from leadconnector_async.models import ConversationSummary
from leadconnector_async.public_place import name_public_place

_MILLISECONDS: Final = 10**11
"""An epoch from here on is in milliseconds: in seconds it would be the year 5138."""

_ID_SHOWN: Final = 60

_TOLD_OTHERWISE: Final = frozenset({"from", "to", "cc", "bcc", "replyToMessageId", "threadId"})


class ListedMessage(msgspec.Struct, rename="camel"):
    """A message as the API gives it back. What it did not tell is None.

    ``message_type`` is such as ``TYPE_SMS``, ``direction`` ``inbound`` or ``outbound``.
    ``date_added`` is when the message happened; without an offset it is in UTC. Of a mail the API
    lists no ``body``, and ``meta`` names its thread; of a call no ``attachments``.

    Example:
        >>> ListedMessage("zlodH0CbfAshgQfgCHyQ", message_type="TYPE_SMS", body="hello").body
        'hello'
    """

    id: str
    message_type: str | None = None
    direction: str | None = None
    date_added: datetime | None = None
    body: str | None = None
    alt_id: str | None = None
    conversation_id: str | None = None
    meta: Any = None
    contact_id: str | None = None
    attachments: list[str] | None = None

    @property
    def thread(self) -> str | None:
        """Of a mail: the id by which its thread is named, if ``meta`` has the documented form."""
        try:
            first = self.meta["email"]["messageIds"][0]
        except (TypeError, KeyError, IndexError):
            return None
        return first if isinstance(first, str) else None

    def __repr__(self) -> str:
        return f"ListedMessage(id={self.id!r}, message_type={self.message_type!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("id", self.id), ("message_type", self.message_type)]


class MessagePage(msgspec.Struct, rename="camel"):
    """A page: what can be compared, and what ``problems`` its other entries have."""

    messages: list[ListedMessage]
    next_cursor: str | None = None
    total: int | None = None
    last_message_id: str | None = None
    next_page: bool | None = None
    """Whether there is another one; None where it does not say."""
    nameless: bool = False
    """Whether an entry has no id."""
    problems: list[str] = []


_TEXTS: Final = {
    field.name: field.encode_name
    for field in msgspec.structs.fields(ListedMessage)
    if field.name not in ("id", "date_added", "meta", "attachments")
}
"""Those of its fields that are texts, and the API's names of them."""

_pages: Final = msgspec.json.Decoder(MessagePage)


def read_messages(body: bytes) -> MessagePage:
    """Read the body of a successful answer.

    Raises:
        ValueError: it is no page of messages; the message says what it is instead.
    """
    try:
        page = _pages.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _read_odd_page(body)
    page.problems.clear()  # ours to fill, whatever an answer has under that name
    page.nameless = False
    return page if all(message.id for message in page.messages) else _read_odd_page(body)


def _json(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body.strip().lower()
        html = text.startswith((b"<!doctype", b"<html"))
        what = "an HTML page" if html else "no JSON" if text else "an empty body"
        raise ValueError(what) from None


def _read_odd_page(body: bytes) -> MessagePage:
    found = _json(body)
    page = found if isinstance(found, dict) else {}
    if isinstance(page.get("messages"), dict):
        page = page | {"messages": []} | page["messages"]
    entries, total = page.get("messages"), page.get("total")
    if not isinstance(entries, list):
        raise ValueError("JSON without a list of messages")  # noqa: TRY004 - no type of ours
    cursor, last = text_of(page.get("nextCursor")), text_of(page.get("lastMessageId"))
    count = total if type(total) is int else None
    more = page.get("nextPage")
    read = MessagePage([], cursor, count, last, more if isinstance(more, bool) else None)
    for entry in entries:
        _read_entry(entry, read)
    return read


def _read_entry(entry: object, page: MessagePage) -> None:
    fields: dict[str, Any] = entry if isinstance(entry, dict) else {}
    id_ = text_of(fields.get("id"))
    if not id_:
        page.nameless = True
        page.problems.append("an entry without an id")
        return
    texts = {own: text_of(fields.get(name)) for own, name in _TEXTS.items()}
    wrong = [n for own, n in _TEXTS.items() if texts[own] is None and fields.get(n) is not None]
    date = _date(fields.get("dateAdded"))
    if date is None and fields.get("dateAdded") is not None:
        wrong.append("dateAdded")
    files = fields.get("attachments")
    if files is not None and _texts(files) != files:
        wrong.append("attachments")
    if wrong:
        shown = "".join(char for char in id_[:_ID_SHOWN] if char.isprintable())
        page.problems.append(f"message {shown}: {' and '.join(wrong)} cannot be read")
    page.messages.append(
        ListedMessage(
            id_,
            date_added=None if wrong else date,  # so that it is taken for no other's copy
            meta=fields.get("meta"),
            attachments=None if files is None else _texts(files),
            **texts,
        )
    )


def entries_of(body: bytes) -> list[dict[str, Any]]:
    """The entries of a page of messages, as they are; those that are no objects are left away."""
    page = _json(body)
    for _ in range(2):
        page = page.get("messages") if isinstance(page, dict) else page
    entries = page if isinstance(page, list) else []
    return [entry for entry in entries if isinstance(entry, dict)]


def mail_ids(entry: dict[str, Any]) -> list[str] | None:
    """By which ids the mails of an entry's thread are asked for; None where it is no mail."""
    if "EMAIL" not in str(entry.get("messageType")):
        return None
    try:
        ids = entry["meta"]["email"]["messageIds"]
    except (TypeError, KeyError):
        ids = None
    found = [id_ for id_ in ids if isinstance(id_, str)] if isinstance(ids, list) else []
    return found or list(filter(None, [text_of(entry.get("id"))]))


def mail_columns(mail: dict[str, Any]) -> dict[str, Any]:
    """A single mail as an export of them has it: who wrote to whom, and which mails it answers.

    The API takes one recipient; the others stand in its cc.
    """
    people = {
        name: [address for _, address in getaddresses(_texts(mail.get(name))) if address]
        for name in ("from", "to", "cc", "bcc")
    }
    before = [text_of(mail.get(name)) for name in ("replyToMessageId", "threadId")]
    columns = {
        "emailFrom": next(iter(people["from"]), None),
        "emailTo": next(iter(people["to"]), None),
        "emailCc": people["to"][1:] + people["cc"],
        "emailBcc": people["bcc"],
        "inReplyTo": [id_ for id_ in before if id_ and id_ != mail.get("id")],
    }
    others = {name: value for name, value in mail.items() if name not in _TOLD_OTHERWISE}
    return others | {name: values for name, values in columns.items() if values}


def _texts(value: object) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def read_object(body: bytes) -> dict[str, Any]:
    """The object that is the body of a successful answer.

    Raises:
        ValueError: it is none; the message says what it is instead.
    """
    found = _json(body)
    if not isinstance(found, dict):
        raise ValueError("JSON that is no object")  # noqa: TRY004 - no type of ours
    return found


def read_conversations(body: bytes) -> Iterator[ConversationSummary]:
    """Read the body of a successful search for conversations.

    Raises:
        ValueError: it is no list of conversations, or, once the others are read, one has no id.
    """
    found = _json(body)
    page = found if isinstance(found, dict) else {}
    entries = page.get("conversations", [] if page.get("total") == 0 else None)
    if not isinstance(entries, list):
        raise ValueError("JSON without a list of conversations")  # noqa: TRY004 - no type of ours
    nameless = False
    for entry in entries:
        fields: dict[str, Any] = entry if isinstance(entry, dict) else {}
        id_, unread = text_of(fields.get("id")), fields.get("unreadCount")
        if not id_:
            nameless = True
            continue
        yield ConversationSummary(
            id=id_,
            contact_id=text_of(fields.get("contactId")),
            unread=unread if type(unread) is int else None,
            last_message_at=_date(fields.get("lastMessageDate") or None),
            last_message_type=text_of(fields.get("lastMessageType")),
        )
    if nameless:
        raise ValueError("a conversation without an id")


def conversation_of(body: bytes, contact: str) -> str | None:
    """The id of a contact's conversation in the body of a successful search; None if it has none.

    Raises:
        ValueError: it is no list of conversations.
    """
    found = read_conversations(body)
    return next((one.id for one in found if one.contact_id in (contact, None)), None)


def published_workflows(body: bytes) -> list[str] | None:
    """The names of those that run in the body of a successful answer; None where it tells none."""
    found = json_object(body).get("workflows")
    if not isinstance(found, list):
        return None
    entries = [entry for entry in found if isinstance(entry, dict)]
    running = [entry for entry in entries if entry.get("status", "published") == "published"]
    return [text_of(entry.get("name")) or "without a name" for entry in running]


def text_of(value: object) -> str | None:
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


def date_ms(date: datetime) -> int:
    """Of the Unix epoch. A date without offset is in UTC, as the API gives them."""
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1000)


name_public_place(globals())
