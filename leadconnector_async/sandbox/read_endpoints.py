"""The endpoints that read messages: of a conversation, of a location, or one."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final

from leadconnector_async.data_files import read_toml
from leadconnector_async.sandbox import replies
from leadconnector_async.sandbox.api_request import ApiRequest
from leadconnector_async.sandbox.message_store import Conversation, Stored, iso
from leadconnector_async.sandbox.state import SandboxState

MESSAGE_TYPES_ON_READ: Final[dict[str, tuple[str, int, str]]] = read_toml(
    __package__, "message_types"
)
"""Of each type its name and its number on reads, and the channel that the export has it in."""

_CHANNELS: Final = ("Call", "SMS", "Email", "WhatsApp", "Instagram", "Facebook")


def message_type(stored: Stored) -> tuple[str, int, str]:
    """How a message is read. A ``Custom`` one with mail fields is an email."""
    if stored.type == "Custom" and ("html" in stored.fields or "subject" in stored.fields):
        return "TYPE_CUSTOM_PROVIDER_EMAIL", 23, "Email"
    return MESSAGE_TYPES_ON_READ[stored.type]


def message_view(state: SandboxState, stored: Stored) -> dict[str, Any]:
    """A message as lists show it."""
    fields, (name, number, channel) = stored.fields, message_type(stored)
    view: dict[str, Any] = {
        "id": stored.id,
        "direction": stored.direction,
        "status": "delivered",
        "type": number,
        "messageType": name,
        "locationId": stored.location_id,
        "contactId": stored.contact_id,
        "conversationId": stored.conversation_id,
        "dateAdded": iso(stored.date),
        "dateUpdated": iso(stored.stored_ms),
        "contentType": "text/html" if fields.get("html") else "text/plain",
        "source": "api",
        "meta": _meta(state, stored, (fields.get("call") or {}).get("status")),
    }
    if channel != "Call":  # of which attachments are kept from reads
        view["attachments"] = fields.get("attachments") or []
        if channel != "Email":  # whose text is at an address of its own
            view["body"] = fields.get("message") or ""
    if fields.get("conversationProviderId"):
        view["conversationProviderId"] = fields["conversationProviderId"]
    if stored.alt_id and state.config.reads.alt_id:
        view["altId"] = stored.alt_id
    return view


def _meta(state: SandboxState, stored: Stored, call_status: str | None) -> dict[str, Any]:
    if call_status:
        return {"callStatus": call_status, "call": {"status": call_status}}
    if stored.email_message_id:
        thread = state.store.threads.get((stored.location_id, stored.email_message_id))
        return {"email": {"messageIds": thread or [stored.email_message_id]}}
    return {}


def email_view(state: SandboxState, stored: Stored) -> dict[str, Any]:
    """An email with its text and its addresses."""
    fields = stored.fields
    view = message_view(state, stored) | {
        "id": stored.email_message_id or stored.id,
        "threadId": stored.thread_id or stored.id,
        "subject": fields.get("subject", ""),
        "body": fields.get("html") or fields.get("message") or "",
        "from": fields.get("emailFrom", ""),
        "to": [fields["emailTo"]] if fields.get("emailTo") else [],
        "cc": fields.get("emailCc") or [],
        "bcc": fields.get("emailBcc") or [],
    }
    if fields.get("emailMessageId"):
        view["replyToMessageId"] = fields["emailMessageId"]
    return view


def ids_of(conversation: Conversation) -> dict[str, Any]:
    """What every view of a conversation begins with."""
    place = {"contactId": conversation.contact_id, "locationId": conversation.location_id}
    return {"id": conversation.id} | place


def conversation_view(
    state: SandboxState, conversation: Conversation, last: Stored | None
) -> dict[str, Any]:
    """A conversation as the search shows it, with the last message that is visible."""
    contact = state.contacts.get(conversation.location_id, conversation.contact_id) or {}
    name = contact.get("name") or ""
    return ids_of(conversation) | {
        "lastMessageBody": (last.fields.get("message") or "") if last else "",
        "lastMessageType": message_type(last)[0] if last else "TYPE_SMS",
        "lastMessageDate": last.date if last else 0,
        "type": "TYPE_PHONE",
        "unreadCount": conversation.unread,
        "fullName": name,
        "contactName": name,
        "email": contact.get("email") or "",
        "phone": contact.get("phone") or "",
    }


PageCursor = tuple[int, int]
"""Where a message stands in an order: its moment, then its number."""


_by_date: Final[Callable[[Stored], PageCursor]] = attrgetter("date", "seq")

_by_arrival: Final[Callable[[Stored], PageCursor]] = attrgetter("stored_ms", "seq")


def visible(state: SandboxState, messages: Sequence[Stored], now: float) -> list[Stored]:
    """Those that reads can see by now."""
    lag = state.config.reads.lag
    if not lag:
        return list(messages)
    return [stored for stored in messages if stored.stored_at + lag <= now]


def known_conversation(state: SandboxState, request: ApiRequest) -> Conversation:
    """The conversation that the address names."""
    found = state.conversation(request.grant.location, request.params[0])
    if found is None:
        raise replies.ApiError(replies.NO_CONVERSATION)
    return found


def list_messages(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``GET /conversations/{id}/messages``: newest first by date, 20 a page, 100 at most."""
    conversation = known_conversation(state, request)
    limit = request.limit(default=20, least=1, most=100)
    messages = visible(state, conversation.timeline.by_date(), request.now)
    wanted = request.query.get("type")
    if wanted:
        names = set(wanted.split(","))
        messages = [stored for stored in messages if message_type(stored)[0] in names]
    last = request.query.get("lastMessageId")
    if last:
        stored = state.store.by_id.get(last)
        if stored is None:
            raise replies.refused(400, "lastMessageId not found")
        messages = messages[: bisect_left(messages, _by_date(stored), key=_by_date)]
    page = messages[-limit:][::-1]
    content = {
        "lastMessageId": page[-1].id if page else "",
        "nextPage": len(messages) > limit,
        "messages": [message_view(state, stored) for stored in page],
    }
    return replies.json_reply(200, content if state.config.reads.flat else {"messages": content})


def get_message(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``GET /conversations/messages/{id}``."""
    stored = state.store.by_id.get(request.params[0])
    if stored is None or not _may_see(state, request, stored):
        raise replies.refused(400, "Message not found")
    return replies.json_reply(200, message_view(state, stored))


def get_email(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``GET /conversations/messages/email/{id}``, by message id or email message id."""
    sought = request.params[0]
    for stored in reversed(state.store.timelines[request.grant.location].by_arrival):
        if sought in (stored.id, stored.email_message_id) and message_type(stored)[2] == "Email":
            if _may_see(state, request, stored):
                return replies.json_reply(200, email_view(state, stored))
            break
    raise replies.refused(400, "Email not found")


def _may_see(state: SandboxState, request: ApiRequest, stored: Stored) -> bool:
    same_place = stored.location_id == request.grant.location
    return same_place and bool(visible(state, [stored], request.now))


def export(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``GET /conversations/messages/export``: 100 a page, 10 to 500, emails only when asked for."""
    location = request.location(request.query.get("locationId"))
    limit = request.limit(default=100, least=10, most=500)
    timeline = state.store.timelines[location]
    by_date = state.config.reads.export_by == "date"
    key = _by_date if by_date else _by_arrival
    ordered = timeline.by_date() if by_date else timeline.by_arrival
    keep = _filter(request, key)
    matching = [stored for stored in visible(state, ordered, request.now) if keep(stored)]
    last = _cursor(request)
    if request.query.get("sortOrder", "desc") == "desc":
        rest = matching if last is None else matching[: bisect_left(matching, last, key=key)]
        page = rest[-limit:][::-1]
    else:
        rest = matching if last is None else matching[bisect_right(matching, last, key=key) :]
        page = rest[:limit]
    messages = [message_view(state, stored) for stored in page]
    content: dict[str, Any] = {"messages": messages, "total": len(matching)}
    if len(rest) > limit:
        content["nextCursor"] = "{}.{}".format(*key(page[-1]))
    return replies.json_reply(200, content)


def _filter(request: ApiRequest, key: Callable[[Stored], PageCursor]) -> Callable[[Stored], bool]:
    channel = request.query.get("channel")
    if channel is not None and channel not in _CHANNELS:
        choices = ", ".join(_CHANNELS)
        raise replies.invalid(f"channel must be one of the following values: {choices}")
    contact, conversation = request.query.get("contactId"), request.query.get("conversationId")
    start, end = request.moment("startDate"), request.moment("endDate")

    def keep(stored: Stored) -> bool:
        moment = key(stored)[0]
        own = message_type(stored)[2]
        return (
            (own != "Email" if channel is None else own == channel)  # mails if they are asked for
            and contact in (None, stored.contact_id)
            and conversation in (None, stored.conversation_id)
            and (start is None or moment >= start)
            and (end is None or moment <= end)
        )

    return keep


def _cursor(request: ApiRequest) -> PageCursor | None:
    """Where the page before ended, whatever was added or became visible since."""
    cursor = request.query.get("cursor")
    if not cursor:
        return None
    try:
        moment, seq = map(int, cursor.split("."))
    except ValueError:
        raise replies.invalid("cursor is not valid") from None
    return moment, seq
