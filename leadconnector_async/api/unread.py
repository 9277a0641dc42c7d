"""Whether a conversation was unread before its first message is sent, without I/O.

What is known of it stands in two lookups, from then until its last message is settled: ``unread:``
with the contact or conversation, which lanes share, and ``mark:`` with a lane and that, which is
what is still to be done. Both have the same value: `LEAVE`, or the conversation's id where the
record names it, or nothing.

Source: the OpenAPI file for conversations, whose search and single conversation have an
``unreadCount``, and whose update sets it. A contact without a conversation has nothing unread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from leadconnector_async.api import endpoints
from leadconnector_async.api.effects import GetLookups, PutLookups
from leadconnector_async.api.listings import read_object, text_of
from leadconnector_async.api.responses import is_absent, is_success

if TYPE_CHECKING:
    from leadconnector_async.api.effects import Flow
    from leadconnector_async.transport.base import Response

MARK: Final = "mark:"

UNREAD: Final = "unread:"

LEAVE: Final = "-"
"""It was unread, or nobody knows: it stays as it is."""


def note_unread(
    location: str, lane: int, contact: str | None, conversation: str | None
) -> Flow[None]:
    """Learn whether a conversation is to be marked as read at its end, unless that is known."""
    who = conversation or contact or ""
    mark, unread = f"{MARK}{lane}:{who}", f"{UNREAD}{who}"
    known: dict[str, str] = yield GetLookups([mark, unread])
    if mark in known:
        return
    value = known.get(unread)
    if value is None:
        response: Response
        if conversation:
            response = yield endpoints.get_conversation(conversation)
            found = _single(response)
        else:
            response = yield endpoints.find_conversation(location, contact or "")
            found = _listed(response, contact)
        is_read = is_absent(response) or (found is not None and not found.get("unreadCount"))
        value = (conversation or "") if is_read else LEAVE
    yield PutLookups({mark: value, unread: value})


def unread_name(mark: str) -> str:
    """The name of the lookup that is forgotten together with a mark."""
    return UNREAD + mark.removeprefix(MARK).partition(":")[2]


def _single(response: Response) -> dict[str, Any] | None:
    """A conversation; None where it cannot be told."""
    if not is_success(response):
        return None
    try:
        found = read_object(response.body)
    except ValueError:
        return None
    return found.get("conversation", found) if found else None


def _listed(response: Response, contact: str | None) -> dict[str, Any] | None:
    """The conversation of a contact in a search; empty where there is none."""
    entries = (_single(response) or {}).get("conversations")
    if not isinstance(entries, list):
        return None
    for entry in entries:
        if not isinstance(entry, dict):
            return None
        if text_of(entry.get("contactId")) in (contact, None):
            return entry
    return {}
