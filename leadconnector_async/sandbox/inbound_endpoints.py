"""The endpoints that store: the inbound message, the external outbound call.

The shape of a message's fields, refused with 422 and one message per broken rule.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from leadconnector_async.models import CALL_STATUSES, DIRECTIONS, MESSAGE_TYPES
from leadconnector_async.sandbox import replies
from leadconnector_async.sandbox.api_request import parse_ms
from leadconnector_async.sandbox.message_store import Conversation, Stored, iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async.sandbox.api_request import ApiRequest
    from leadconnector_async.sandbox.state import SandboxState

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


def _checked(request: ApiRequest) -> dict[str, Any]:
    """The fields of a message, or every rule that they break. A null is an absent field."""
    fields, problems = request.json(), []
    if fields.get("type") not in MESSAGE_TYPES:
        problems.append(_one_of("type", MESSAGE_TYPES))
    problems += replies.wrong_texts(fields, _TEXTS)
    for name in _LISTS:
        if fields.get(name) is not None:
            problems += _list_problems(name, fields[name])
    if fields.get("direction") not in (None, *DIRECTIONS):
        problems.append(_one_of("direction", DIRECTIONS))
    date = fields.get("date")
    if date is not None and not (isinstance(date, str) and parse_ms(date) is not None):
        problems.append("date must be a valid ISO 8601 date string")
    if fields.get("call") is not None:
        problems += _call_problems(fields["call"])
    if problems:
        raise replies.invalid(*problems)
    return fields


def add_inbound(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``POST /conversations/messages/inbound``."""
    fields = _checked(request)
    provider = fields.get("conversationProviderId")
    if not provider and fields["type"] == "Custom" and state.config.custom_vanishes:
        return replies.Reply(201, b"")
    _check_provider(state, fields["type"], provider)
    conversation = _conversation(state, request, fields)
    _check_caller(state, conversation, fields, "from")
    return _store(state, request, conversation, fields)


def add_outbound_call(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``POST /conversations/messages/outbound``: the log of a call made elsewhere."""
    fields = _checked(request)
    if fields["type"] != "Call":
        raise replies.invalid("type must be one of the following values: Call")
    _check_provider(state, "Call", fields.get("conversationProviderId"))
    if state.config.conversation_first and not fields.get("conversationId"):
        raise replies.refused(400, "conversationId is required")
    conversation = _conversation(state, request, fields)
    _check_caller(state, conversation, fields, "to")
    return _store(state, request, conversation, fields | {"direction": "outbound"})


def _check_provider(state: SandboxState, message_type: str, provider: str | None) -> None:
    """Raise what the API answers for a provider that is missing, unknown, or of another type."""
    if not provider:
        if message_type in ("Custom", "Call"):
            raise replies.ApiError(replies.NO_PROVIDER)
        return
    fits = state.config.providers.get(provider)
    if fits == message_type or (fits is None and state.knows_provider(provider)):
        return
    # Both are reported of the API. The first makes a rehearsal wait for retries.
    raise replies.ApiError(
        replies.SERVER_ERROR
        if fits is None and state.config.providers
        else replies.PROVIDER_MISMATCH
    )


def _conversation(state: SandboxState, request: ApiRequest, fields: dict[str, Any]) -> Conversation:
    """The conversation that is meant; an open sandbox opens one that it does not know."""
    location, store = request.grant.location, state.store
    contact_id: str = fields.get("contactId") or ""
    conversation_id: str = fields.get("conversationId") or ""
    if not contact_id and not conversation_id:
        raise replies.refused(400, "contactId or conversationId is required")
    if contact_id and not state.knows_contact(location, contact_id):
        raise replies.ApiError(replies.NO_CONTACT)
    if conversation_id:
        found = state.conversation(location, conversation_id, contact_id)
        if found is None and state.closed:
            raise replies.ApiError(replies.NO_CONVERSATION)
        invented = f"contact-of-{conversation_id}"
        return found or store.open(location, contact_id or invented, request.now, conversation_id)
    return store.conversation_of(location, contact_id) or store.open(
        location, contact_id, request.now
    )


def _check_caller(
    state: SandboxState, conversation: Conversation, fields: dict[str, Any], end: str
) -> None:
    """One end of a call is its contact's, where a closed sandbox knows that one's number."""
    number = (fields.get("call") or {}).get(end)
    inbound = end == "to" or fields.get("direction") == "inbound"
    if not number or not state.closed or fields["type"] != "Call" or not inbound:
        return
    contact = state.contacts.get(conversation.location_id, conversation.contact_id)
    if contact is None or not contact.get("phone"):
        return
    if state.contacts.find(conversation.location_id, "phone", number) is None:
        raise replies.refused(400, f"No contact found for call.{end}")


def _thread(state: SandboxState, location: str, fields: dict[str, Any], own: str) -> str:
    """The first email of the thread that this one joins; itself where it joins none."""
    parent = fields.get("emailMessageId")
    thread = state.store.threads.get((location, parent)) if parent else None
    if thread is not None:
        return thread[0]
    if parent and state.config.strict_threads:
        raise replies.refused(400, "emailMessageId not found")
    return own


def _store(
    state: SandboxState, request: ApiRequest, conversation: Conversation, fields: dict[str, Any]
) -> replies.Reply:
    stored_ms = time.time_ns() // 1_000_000
    date = parse_ms(fields.get("date") or "")
    email_id = state.ids() if fields["type"] == "Email" else None
    location = conversation.location_id
    stored = Stored(
        seq=state.store.total + 1,
        id=state.ids(),
        location_id=location,
        contact_id=conversation.contact_id,
        conversation_id=conversation.id,
        type=fields["type"],
        direction=fields.get("direction") or "outbound",
        date=stored_ms if date is None else date,
        stored_at=request.now,
        stored_ms=stored_ms,
        fields=fields,
        email_message_id=email_id,
        thread_id=_thread(state, location, fields, email_id) if email_id else None,
    )
    state.store.add(stored, conversation)
    if state.config.answer is not None and stored.direction == "inbound":
        own = {"type": "SMS", "direction": "outbound", "message": state.config.answer}
        answer = replace(
            stored, seq=stored.seq + 1, id=state.ids(), type="SMS", direction="outbound"
        )
        state.store.add(replace(answer, date=stored_ms, fields=own), conversation)
    return replies.json_reply(state.config.created_status, _receipt(stored))


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
