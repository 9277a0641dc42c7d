"""The endpoints that store: the inbound message, the external outbound call."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from leadconnector_async.sandbox._call import milliseconds
from leadconnector_async.sandbox._fields import field_problems
from leadconnector_async.sandbox._replies import (
    NO_CONTACT,
    NO_CONVERSATION,
    NO_PROVIDER,
    PROVIDER_MISMATCH,
    SERVER_ERROR,
    ApiError,
    Reply,
    error,
    json_reply,
    unprocessable,
)
from leadconnector_async.sandbox._store import Conversation, Stored, iso

if TYPE_CHECKING:
    from leadconnector_async.sandbox._call import Call
    from leadconnector_async.sandbox._world import World

_NEED_PROVIDER: Final = ("Custom", "Call")
_VANISHED: Final = Reply(201, b"")


def add_inbound(world: World, call: Call) -> Reply:
    """``POST /conversations/messages/inbound``."""
    fields = _checked(call)
    provider = fields.get("conversationProviderId")
    if not provider and fields["type"] == "Custom" and world.config.custom_vanishes:
        return _VANISHED
    _check_provider(world, fields["type"], provider)
    conversation = _conversation(world, call, fields)
    _check_caller(world, conversation, fields, "from")
    return _store(world, call, conversation, fields)


def add_outbound_call(world: World, call: Call) -> Reply:
    """``POST /conversations/messages/outbound``: the log of a call made elsewhere."""
    fields = _checked(call)
    if fields["type"] != "Call":
        raise ApiError(unprocessable("type must be one of the following values: Call"))
    _check_provider(world, "Call", fields.get("conversationProviderId"))
    conversation = _conversation(world, call, fields)
    _check_caller(world, conversation, fields, "to")
    return _store(world, call, conversation, fields | {"direction": "outbound"})


def _checked(call: Call) -> dict[str, Any]:
    fields = call.json()
    problems = field_problems(fields)
    if problems:
        raise ApiError(unprocessable(*problems))
    return fields


def _check_provider(world: World, message_type: str, provider: str | None) -> None:
    """Raise what the API answers for a provider that is missing, unknown, or of another type."""
    if not provider:
        if message_type in _NEED_PROVIDER:
            raise ApiError(NO_PROVIDER)
        return
    fits = world.config.providers.get(provider)
    if fits == message_type or (fits is None and world.knows_provider(provider)):
        return
    # Both are reported of the API. The first makes a rehearsal wait for retries.
    raise ApiError(SERVER_ERROR if fits is None and world.config.providers else PROVIDER_MISMATCH)


def _conversation(world: World, call: Call, fields: dict[str, Any]) -> Conversation:
    """The conversation that is meant; an open sandbox opens one that it does not know."""
    location, store = call.grant.location, world.store
    contact_id: str = fields.get("contactId") or ""
    conversation_id: str = fields.get("conversationId") or ""
    if not contact_id and not conversation_id:
        raise ApiError(error(400, "contactId or conversationId is required"))
    if contact_id and not world.knows_contact(location, contact_id):
        raise ApiError(NO_CONTACT)
    if conversation_id:
        found = world.conversation(location, conversation_id, contact_id)
        if found is None and world.closed:
            raise ApiError(NO_CONVERSATION)
        invented = f"contact-of-{conversation_id}"
        return found or store.open(location, contact_id or invented, call.now, conversation_id)
    return store.conversation_of(location, contact_id) or store.open(location, contact_id, call.now)


def _check_caller(
    world: World, conversation: Conversation, fields: dict[str, Any], end: str
) -> None:
    """One end of a call is its contact's, where a closed sandbox knows that one's number."""
    number = (fields.get("call") or {}).get(end)
    inbound = end == "to" or fields.get("direction") == "inbound"
    if not number or not world.closed or fields["type"] != "Call" or not inbound:
        return
    contact = world.contacts.get(conversation.location_id, conversation.contact_id)
    if contact is None or not contact.get("phone"):
        return
    if world.contacts.find(conversation.location_id, "phone", number) is None:
        raise ApiError(error(400, f"No contact found for call.{end}"))


def _thread(world: World, location: str, fields: dict[str, Any], own: str) -> str:
    """The first email of the thread that this one joins; itself where it joins none."""
    parent = fields.get("emailMessageId")
    thread = world.store.thread(location, parent) if parent else None
    if thread is not None:
        return thread[0]
    if parent and world.config.strict_threads:
        raise ApiError(error(400, "emailMessageId not found"))
    return own


def _store(world: World, call: Call, conversation: Conversation, fields: dict[str, Any]) -> Reply:
    stored_ms = time.time_ns() // 1_000_000
    date = milliseconds(fields.get("date") or "")
    email_id = world.ids() if fields["type"] == "Email" else None
    location = conversation.location_id
    stored = Stored(
        seq=world.store.total + 1,
        id=world.ids(),
        location_id=location,
        contact_id=conversation.contact_id,
        conversation_id=conversation.id,
        type=fields["type"],
        direction=fields.get("direction") or "outbound",
        date=stored_ms if date is None else date,
        stored_at=call.now,
        stored_ms=stored_ms,
        fields=fields,
        email_message_id=email_id,
        thread_id=_thread(world, location, fields, email_id) if email_id else None,
    )
    world.store.add(stored, conversation)
    return json_reply(world.config.created_status, _receipt(stored))


def _receipt(stored: Stored) -> dict[str, object]:
    receipt: dict[str, object] = {
        "success": True,
        "conversationId": stored.conversation_id,
        "messageId": stored.id,
        "message": "Success",
        "contactId": stored.contact_id,
        "dateAdded": iso(stored.date),
    }
    if stored.email_message_id:
        receipt["emailMessageId"] = stored.email_message_id
    return receipt
