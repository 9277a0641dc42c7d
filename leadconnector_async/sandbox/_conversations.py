"""The endpoints for conversations: open one, look one up, search."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from leadconnector_async.sandbox._reads import known_conversation, visible
from leadconnector_async.sandbox._replies import (
    NO_CONTACT,
    ApiError,
    Reply,
    error,
    json_reply,
    unprocessable,
)
from leadconnector_async.sandbox._store import iso
from leadconnector_async.sandbox._views import conversation_view

if TYPE_CHECKING:
    from leadconnector_async.sandbox._call import Call
    from leadconnector_async.sandbox._store import Conversation
    from leadconnector_async.sandbox._world import World


def create_conversation(world: World, call: Call) -> Reply:
    """``POST /conversations/``. A contact has one conversation: the second call is refused."""
    fields = call.json()
    location = call.location(fields.get("locationId"))
    contact_id = fields.get("contactId")
    if not isinstance(contact_id, str) or not contact_id:
        raise ApiError(unprocessable("contactId must be a string", "contactId is required"))
    if not world.knows_contact(location, contact_id):
        raise ApiError(NO_CONTACT)
    if world.store.conversation_of(location, contact_id) is not None:
        raise ApiError(error(400, f"Conversation with the contact id:{contact_id} already exists!"))
    opened = world.store.open(location, contact_id, call.now)
    moment = iso(time.time_ns() // 1_000_000)
    view = {
        "id": opened.id,
        "dateAdded": moment,
        "dateUpdated": moment,
        "lastMessageDate": moment,
        "deleted": False,
        "contactId": contact_id,
        "locationId": location,
    }
    return json_reply(201, {"success": True, "conversation": view})


def get_conversation(world: World, call: Call) -> Reply:
    """``GET /conversations/{id}``."""
    conversation = known_conversation(world, call)
    view = {
        "id": conversation.id,
        "contactId": conversation.contact_id,
        "locationId": conversation.location_id,
        "deleted": False,
        "inbox": True,
        "type": 1,
        "unreadCount": 0,
        "starred": False,
    }
    return json_reply(200, view)


def search_conversations(world: World, call: Call) -> Reply:
    """``GET /conversations/search``: the index learns of a conversation with its lag."""
    location = call.location(call.query.get("locationId"))
    limit = call.limit(default=20, least=1, most=100)
    found = [
        _seen(world, conversation, call)
        for conversation in _candidates(world, call, location)
        if conversation.opened_at + world.config.reads.search_lag <= call.now
    ]
    found = [view for view in found if _matches(view, call.query.get("query"))]
    descending = call.query.get("sort", "desc") == "desc"
    found.sort(key=lambda view: (view["lastMessageDate"], view["id"]), reverse=descending)
    page = [view for view in found if _is_after(view, call, descending=descending)][:limit]
    return json_reply(200, {"conversations": page, "total": len(found)})


def _candidates(world: World, call: Call, location: str) -> list[Conversation]:
    contact_id, conversation_id = call.query.get("contactId"), call.query.get("id")
    if contact_id:
        one = world.store.conversation_of(location, contact_id)
    elif conversation_id:
        one = world.store.conversation(location, conversation_id)
    else:
        return list(world.store.conversations(location))
    return [one] if one is not None else []


def _seen(world: World, conversation: Conversation, call: Call) -> dict[str, Any]:
    messages = visible(world, conversation.timeline.by_date(), call.now)
    return conversation_view(world, conversation, messages[-1] if messages else None)


def _matches(view: dict[str, Any], text: str | None) -> bool:
    if not text:
        return True
    return any(text.lower() in str(view[name]).lower() for name in ("fullName", "email", "phone"))


def _is_after(view: dict[str, Any], call: Call, *, descending: bool) -> bool:
    start = call.moment("startAfterDate")
    if start is None:
        return True
    moment = int(view["lastMessageDate"])
    return moment < start if descending else moment > start
