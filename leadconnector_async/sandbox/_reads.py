"""The endpoints that read messages: of a conversation, of a location, or one."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left
from typing import TYPE_CHECKING

import orjson

from leadconnector_async.sandbox._replies import (
    NO_CONVERSATION,
    ApiError,
    Reply,
    error,
    json_reply,
    unprocessable,
)
from leadconnector_async.sandbox._views import (
    CHANNELS,
    email_view,
    is_email,
    message_type,
    message_view,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from leadconnector_async.sandbox._call import Call
    from leadconnector_async.sandbox._store import Conversation, Stored
    from leadconnector_async.sandbox._world import World

Place = tuple[int, int]
"""Where a message stands in an order: its moment, then its number."""


def visible(world: World, messages: Sequence[Stored], now: float) -> list[Stored]:
    """Those that reads can see by now."""
    lag = world.config.reads.lag
    if not lag:
        return list(messages)
    return [stored for stored in messages if stored.stored_at + lag <= now]


def known_conversation(world: World, call: Call) -> Conversation:
    """The conversation that the address names."""
    found = world.conversation(call.grant.location, call.params[0])
    if found is None:
        raise ApiError(NO_CONVERSATION)
    return found


def _by_date(stored: Stored) -> Place:
    return stored.date, stored.seq


def _by_arrival(stored: Stored) -> Place:
    return stored.stored_ms, stored.seq


def list_messages(world: World, call: Call) -> Reply:
    """``GET /conversations/{id}/messages``: newest first by date, 20 a page, 100 at most."""
    conversation = known_conversation(world, call)
    limit = call.limit(default=20, least=1, most=100)
    messages = visible(world, conversation.timeline.by_date(), call.now)
    wanted = call.query.get("type")
    if wanted:
        names = set(wanted.split(","))
        messages = [stored for stored in messages if message_type(stored)[0] in names]
    last = call.query.get("lastMessageId")
    if last:
        messages = messages[: _position(world, messages, last)]
    page = messages[-limit:][::-1]
    content = {
        "lastMessageId": page[-1].id if page else "",
        "nextPage": len(messages) > limit,
        "messages": [message_view(world, stored) for stored in page],
    }
    return json_reply(200, {"messages": content})


def _position(world: World, messages: Sequence[Stored], message_id: str) -> int:
    stored = world.store.message(message_id)
    if stored is None:
        raise ApiError(error(400, "lastMessageId not found"))
    return bisect_left(messages, _by_date(stored), key=_by_date)


def get_message(world: World, call: Call) -> Reply:
    """``GET /conversations/messages/{id}``."""
    stored = world.store.message(call.params[0])
    if stored is None or not _may_see(world, call, stored):
        raise ApiError(error(400, "Message not found"))
    return json_reply(200, {"message": message_view(world, stored)})


def get_email(world: World, call: Call) -> Reply:
    """``GET /conversations/messages/email/{id}``, by message id or email message id."""
    sought = call.params[0]
    for stored in reversed(world.store.timeline(call.grant.location).by_arrival):
        if sought in (stored.id, stored.email_message_id) and is_email(stored):
            if _may_see(world, call, stored):
                return json_reply(200, {"emailMessage": email_view(world, stored)})
            break
    raise ApiError(error(400, "Email not found"))


def _may_see(world: World, call: Call, stored: Stored) -> bool:
    same_place = stored.location_id == call.grant.location
    return same_place and bool(visible(world, [stored], call.now))


def export(world: World, call: Call) -> Reply:
    """``GET /conversations/messages/export``: 100 a page, 10 to 500, emails only when asked for."""
    location = call.location(call.query.get("locationId"))
    limit = call.limit(default=100, least=10, most=500)
    timeline = world.store.timeline(location)
    by_date = world.config.reads.export_by == "date"
    key = _by_date if by_date else _by_arrival
    ordered = timeline.by_date() if by_date else timeline.by_arrival
    keep = _filter(call, key)
    matching = [stored for stored in visible(world, ordered, call.now) if keep(stored)]
    descending = call.query.get("sortOrder", "desc") == "desc"
    if descending:
        matching.reverse()
    start = _after(call, matching, key, descending=descending)
    page = matching[start : start + limit]
    more = start + limit < len(matching)
    content = {
        "messages": [message_view(world, stored) for stored in page],
        "nextCursor": _cursor(key(page[-1])) if more else None,
        "total": len(matching),
    }
    return json_reply(200, content)


def _filter(call: Call, key: Callable[[Stored], Place]) -> Callable[[Stored], bool]:
    channel = call.query.get("channel")
    if channel is not None and channel not in CHANNELS:
        choices = ", ".join(CHANNELS)
        raise ApiError(unprocessable(f"channel must be one of the following values: {choices}"))
    contact, conversation = call.query.get("contactId"), call.query.get("conversationId")
    start, end = call.moment("startDate"), call.moment("endDate")

    def keep(stored: Stored) -> bool:
        moment = key(stored)[0]
        fits_channel = (
            not is_email(stored)
            if channel is None
            else message_type(stored)[0] in CHANNELS[channel]
        )
        return (
            fits_channel
            and contact in (None, stored.contact_id)
            and conversation in (None, stored.conversation_id)
            and (start is None or moment >= start)
            and (end is None or moment <= end)
        )

    return keep


def _cursor(at: Place) -> str:
    return urlsafe_b64encode(orjson.dumps(at)).decode()


def _after(
    call: Call,
    messages: Sequence[Stored],
    key: Callable[[Stored], Place],
    *,
    descending: bool,
) -> int:
    """Where the page after the cursor begins, whatever was added or became visible since."""
    cursor = call.query.get("cursor")
    if not cursor:
        return 0
    try:
        moment, seq = orjson.loads(urlsafe_b64decode(cursor))
    except ValueError as exc:
        raise ApiError(unprocessable("cursor is not valid")) from exc
    sign = -1 if descending else 1

    def signed(stored: Stored) -> Place:
        date, number = key(stored)
        return sign * date, sign * number

    return bisect_left(messages, (sign * moment, sign * seq + 1), key=signed)
