"""How reads show what is stored. The numbers follow the order of the API's list of types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from leadconnector_async.sandbox._store import iso

if TYPE_CHECKING:
    from leadconnector_async.sandbox._store import Conversation, Stored
    from leadconnector_async.sandbox._world import World

MESSAGE_TYPES_ON_READ: Final[dict[str, tuple[str, int]]] = {
    "Call": ("TYPE_CALL", 1),
    "SMS": ("TYPE_SMS", 2),
    "Email": ("TYPE_EMAIL", 3),
    "WebChat": ("TYPE_WEBCHAT", 5),
    "Campaign_Call": ("TYPE_CAMPAIGN_CALL", 8),
    "Campaign_VoiceMail": ("TYPE_CAMPAIGN_VOICEMAIL", 10),
    "FB": ("TYPE_FACEBOOK", 11),
    "GMB": ("TYPE_GMB", 15),
    "IG": ("TYPE_INSTAGRAM", 18),
    "WhatsApp": ("TYPE_WHATSAPP", 19),
    "Custom": ("TYPE_CUSTOM_PROVIDER_SMS", 22),
    "IVR_Call": ("TYPE_IVR_CALL", 24),
    "Live_Chat": ("TYPE_LIVE_CHAT", 29),
    "ALL_IN_ONE_CHAT": ("TYPE_LIVE_CHAT", 29),
    "TIKTOK": ("TYPE_TIKTOK", 37),
    "FORM_SUBMISSION": ("TYPE_FORM_SUBMISSION", 40),
    "RCS": ("TYPE_RCS", 42),
}
_CUSTOM_EMAIL: Final = ("TYPE_CUSTOM_PROVIDER_EMAIL", 23)

CHANNELS: Final[dict[str, frozenset[str]]] = {
    "Call": frozenset(
        {"TYPE_CALL", "TYPE_IVR_CALL", "TYPE_CAMPAIGN_CALL", "TYPE_CAMPAIGN_VOICEMAIL"}
    ),
    "SMS": frozenset({"TYPE_SMS", "TYPE_CUSTOM_PROVIDER_SMS"}),
    "Email": frozenset({"TYPE_EMAIL", "TYPE_CUSTOM_PROVIDER_EMAIL"}),
    "WhatsApp": frozenset({"TYPE_WHATSAPP"}),
    "Instagram": frozenset({"TYPE_INSTAGRAM"}),
    "Facebook": frozenset({"TYPE_FACEBOOK"}),
}


def message_type(stored: Stored) -> tuple[str, int]:
    """The type's name and number on reads. A ``Custom`` message with mail fields is an email."""
    if stored.type == "Custom" and ("html" in stored.fields or "subject" in stored.fields):
        return _CUSTOM_EMAIL
    return MESSAGE_TYPES_ON_READ[stored.type]


def is_email(stored: Stored) -> bool:
    """Whether the export leaves it out unless it is asked for."""
    return message_type(stored)[0] in CHANNELS["Email"]


def is_call(stored: Stored) -> bool:
    """Whether its attachments are kept from reads."""
    return message_type(stored)[0] in CHANNELS["Call"]


def email_text(stored: Stored) -> str:
    """The body of an email: the HTML where there is one."""
    return stored.fields.get("html") or stored.fields.get("message") or ""


def message_view(world: World, stored: Stored) -> dict[str, Any]:
    """A message as lists show it."""
    fields, (name, number) = stored.fields, message_type(stored)
    call_status = (fields.get("call") or {}).get("status")
    view: dict[str, Any] = {
        "id": stored.id,
        "direction": stored.direction,
        "status": call_status or "delivered",
        "type": number,
        "messageType": name,
        "locationId": stored.location_id,
        "contactId": stored.contact_id,
        "conversationId": stored.conversation_id,
        "dateAdded": iso(stored.date),
        "dateUpdated": iso(stored.stored_ms),
        "contentType": "text/html" if fields.get("html") else "text/plain",
        "source": "api",
        "meta": _meta(world, stored, call_status),
    }
    if not is_call(stored):
        view["attachments"] = fields.get("attachments") or []
        if not is_email(stored):
            view["body"] = fields.get("message") or ""
        elif world.config.reads.email_body:
            view["body"] = email_text(stored)
    if fields.get("conversationProviderId"):
        view["conversationProviderId"] = fields["conversationProviderId"]
    if stored.alt_id and world.config.reads.alt_id:
        view["altId"] = stored.alt_id
    return view


def _meta(world: World, stored: Stored, call_status: str | None) -> dict[str, Any]:
    if call_status:
        return {"callStatus": call_status, "call": {"status": call_status}}
    if stored.email_message_id:
        thread = world.store.thread(stored.location_id, stored.email_message_id)
        return {"email": {"messageIds": thread or [stored.email_message_id]}}
    return {}


def email_view(world: World, stored: Stored) -> dict[str, Any]:
    """An email with its text and its addresses."""
    fields = stored.fields
    view = message_view(world, stored) | {
        "id": stored.email_message_id or stored.id,
        "threadId": stored.thread_id or stored.id,
        "subject": fields.get("subject", ""),
        "body": email_text(stored),
        "from": fields.get("emailFrom", ""),
        "to": [fields["emailTo"]] if fields.get("emailTo") else [],
        "cc": fields.get("emailCc") or [],
        "bcc": fields.get("emailBcc") or [],
    }
    if fields.get("emailMessageId"):
        view["replyToMessageId"] = fields["emailMessageId"]
    return view


def conversation_view(
    world: World, conversation: Conversation, last: Stored | None
) -> dict[str, Any]:
    """A conversation as the search shows it, with the last message that is visible."""
    contact = world.contacts.get(conversation.location_id, conversation.contact_id) or {}
    name = contact.get("name") or ""
    return {
        "id": conversation.id,
        "contactId": conversation.contact_id,
        "locationId": conversation.location_id,
        "lastMessageBody": (last.fields.get("message") or "") if last else "",
        "lastMessageType": message_type(last)[0] if last else "",
        "lastMessageDate": last.date if last else 0,
        "type": "TYPE_PHONE",
        "unreadCount": 0,
        "fullName": name,
        "contactName": name,
        "email": contact.get("email") or "",
        "phone": contact.get("phone") or "",
    }
