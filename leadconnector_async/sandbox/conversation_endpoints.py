"""The endpoints for conversations: open one, look one up, search."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from leadconnector_async.sandbox.message_store import iso
from leadconnector_async.sandbox.read_endpoints import (
    conversation_view,
    known_conversation,
    visible,
)
from leadconnector_async.sandbox.replies import (
    NO_CONTACT,
    ApiError,
    Reply,
    error,
    json_reply,
    unprocessable,
)

if TYPE_CHECKING:
    from leadconnector_async.sandbox.api_request import ApiRequest
    from leadconnector_async.sandbox.message_store import Conversation
    from leadconnector_async.sandbox.state import SandboxState


def create_conversation(state: SandboxState, request: ApiRequest) -> Reply:
    """``POST /conversations/``. A contact has one conversation: the second call is refused."""
    fields = request.json()
    location = request.location(fields.get("locationId"))
    contact_id = fields.get("contactId")
    if not isinstance(contact_id, str) or not contact_id:
        raise ApiError(unprocessable("contactId must be a string", "contactId is required"))
    if not state.knows_contact(location, contact_id):
        raise ApiError(NO_CONTACT)
    if state.store.conversation_of(location, contact_id) is not None:
        raise ApiError(error(400, f"Conversation with the contact id:{contact_id} already exists!"))
    opened = state.store.open(location, contact_id, request.now)
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


def get_conversation(state: SandboxState, request: ApiRequest) -> Reply:
    """``GET /conversations/{id}``."""
    return json_reply(200, _single(known_conversation(state, request)))


def _single(conversation: Conversation) -> dict[str, Any]:
    return {
        "id": conversation.id,
        "contactId": conversation.contact_id,
        "locationId": conversation.location_id,
        "deleted": False,
        "inbox": True,
        "type": 1,
        "unreadCount": conversation.unread,
        "starred": False,
    }


def update_conversation(state: SandboxState, request: ApiRequest) -> Reply:
    """``PUT /conversations/{id}``: of what the API lets be set, the count of unread messages."""
    fields = request.json()
    request.location(fields.get("locationId"))
    conversation = known_conversation(state, request)
    count = fields.get("unreadCount", conversation.unread)
    if type(count) is not int or count < 0:
        raise ApiError(unprocessable("unreadCount must be a number"))
    conversation.unread = count
    return json_reply(200, {"success": True, "conversation": _single(conversation)})


def list_workflows(state: SandboxState, request: ApiRequest) -> Reply:
    """``GET /workflows/``: the account's automations, all of them published."""
    location = request.location(request.query.get("locationId"))
    found = [
        {"id": f"w{number}", "name": name, "status": "published", "locationId": location}
        for number, name in enumerate(state.config.workflows, 1)
    ]
    return json_reply(200, {"workflows": found})


def search_conversations(state: SandboxState, request: ApiRequest) -> Reply:
    """``GET /conversations/search``: the index learns of a conversation with its lag."""
    location = request.location(request.query.get("locationId"))
    limit = request.limit(default=20, least=1, most=100)
    found = [
        _seen(state, conversation, request)
        for conversation in _candidates(state, request, location)
        if conversation.opened_at + state.config.reads.search_lag <= request.now
    ]
    found = [view for view in found if _matches(view, request.query.get("query"))]
    descending = request.query.get("sort", "desc") == "desc"
    found.sort(key=lambda view: (view["lastMessageDate"], view["id"]), reverse=descending)
    page = [view for view in found if _is_after(view, request, descending=descending)][:limit]
    return json_reply(200, {"conversations": page, "total": len(found)})


def _candidates(state: SandboxState, request: ApiRequest, location: str) -> list[Conversation]:
    contact_id, conversation_id = request.query.get("contactId"), request.query.get("id")
    if contact_id:
        one = state.store.conversation_of(location, contact_id)
    elif conversation_id:
        one = state.store.conversation(location, conversation_id)
    else:
        return list(state.store.conversations(location))
    return [one] if one is not None else []


def _seen(state: SandboxState, conversation: Conversation, request: ApiRequest) -> dict[str, Any]:
    messages = visible(state, conversation.timeline.by_date(), request.now)
    return conversation_view(state, conversation, messages[-1] if messages else None)


def _matches(view: dict[str, Any], text: str | None) -> bool:
    if not text:
        return True
    return any(text.lower() in str(view[name]).lower() for name in ("fullName", "email", "phone"))


def _is_after(view: dict[str, Any], request: ApiRequest, *, descending: bool) -> bool:
    start = request.moment("startAfterDate")
    if start is None:
        return True
    moment = int(view["lastMessageDate"])
    return moment < start if descending else moment > start
