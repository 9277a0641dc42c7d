"""The endpoints that store: the inbound message, the external outbound call, the attachment.

The shape of a message's fields, refused with 422 and one message per broken rule; and the little of
multipart that attachments need. By the OpenAPI files' model, and by the official SDKs, which send
JSON, files may also be named by ``attachmentUrls``.
"""

import re
import time
from collections.abc import Iterator
from mimetypes import guess_type
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from msgspec import Struct, structs

from leadconnector_async.models import CALL_STATUSES, DIRECTIONS, MESSAGE_TYPES
from leadconnector_async.sandbox import replies
from leadconnector_async.sandbox.api_request import ApiRequest, parse_ms
from leadconnector_async.sandbox.message_store import Conversation, Stored, Upload, iso
from leadconnector_async.sandbox.state import SandboxState

Fields = dict[str, Any]

_TEXTS: Final = (
    *("contactId", "conversationId", "conversationProviderId", "message", "html", "subject"),
    *("emailFrom", "emailTo", "emailMessageId", "altId"),
)


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


def _checked(request: ApiRequest) -> Fields:
    """The fields of a message, or every rule that they break. A null is an absent field."""
    fields, problems = request.json(), []
    if fields.get("type") not in MESSAGE_TYPES:
        problems.append(_one_of("type", MESSAGE_TYPES))
    problems += replies.wrong_texts(fields, _TEXTS)
    for name in ("attachments", "emailCc", "emailBcc"):
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
    _check_call(state, conversation, fields, "from")
    return _store(state, request, conversation, fields)


def add_outbound(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``POST /conversations/messages/outbound``: the log of a call made elsewhere."""
    fields = _checked(request)
    if fields["type"] != "Call":
        raise replies.invalid("type must be one of the following values: Call")
    _check_provider(state, "Call", fields.get("conversationProviderId"))
    if state.config.conversation_first and not fields.get("conversationId"):
        raise replies.refused(400, "conversationId is required")
    conversation = _conversation(state, request, fields)
    _check_call(state, conversation, fields, "to")
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
    unknown = fits is None and state.config.providers
    raise replies.ApiError(replies.SERVER_ERROR if unknown else replies.PROVIDER_MISMATCH)


def _conversation(state: SandboxState, request: ApiRequest, fields: Fields) -> Conversation:
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
    known = store.conversation_of(location, contact_id)
    return known or store.open(location, contact_id, request.now)


def _check_call(state: SandboxState, conversation: Conversation, fields: Fields, end: str) -> None:
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


def _thread(state: SandboxState, location: str, fields: Fields, own: str) -> str:
    """The first email of the thread that this one joins; itself where it joins none."""
    parent = fields.get("emailMessageId")
    thread = state.store.threads.get((location, parent)) if parent else None
    if thread is not None:
        return thread[0]
    if parent and state.config.strict_threads:
        raise replies.refused(400, "emailMessageId not found")
    return own


def _store(
    state: SandboxState, request: ApiRequest, conversation: Conversation, fields: Fields
) -> replies.Reply:
    stored_ms = time.time_ns() // 1_000_000
    date = parse_ms(fields.get("date") or "")
    email_id = state.ids() if fields["type"] == "Email" else None
    stored = Stored(
        seq=state.store.total + 1,
        id=state.ids(),
        location_id=conversation.location_id,
        contact_id=conversation.contact_id,
        conversation_id=conversation.id,
        type=fields["type"],
        direction=fields.get("direction") or "outbound",
        date=stored_ms if date is None else date,
        stored_at=request.now,
        stored_ms=stored_ms,
        fields=fields,
        email_message_id=email_id,
        thread_id=_thread(state, conversation.location_id, fields, email_id) if email_id else None,
    )
    state.store.add(stored, conversation)
    if state.config.answer is not None and stored.direction == "inbound":
        own = {"type": "SMS", "direction": "outbound", "message": state.config.answer}
        seq = stored.seq + 1
        answer = structs.replace(stored, seq=seq, id=state.ids(), type="SMS", direction="outbound")
        state.store.add(structs.replace(answer, date=stored_ms, fields=own), conversation)
    return replies.json_reply(state.config.created_status, _receipt(stored))


def _receipt(stored: Stored) -> dict[str, object]:
    ids = {"conversationId": stored.conversation_id, "messageId": stored.id}
    ids |= {"emailMessageId": stored.email_message_id} if stored.email_message_id else {}
    told = {"contactId": stored.contact_id, "dateAdded": iso(stored.date)}
    return {"success": True, "message": "Success", **ids, **told}


SUFFIXES: Final = frozenset(
    ["jpg", "jpeg", "png", "mp4", "mpeg", "zip", "rar", "pdf", "doc", "docx", "txt", "mp3", "wav"]
)

_FILENAME: Final = re.compile(r'\bfilename="(.*?)"(?=\s*(?:;|\r|$))')
"""A quotation mark ends the name only where the parameter ends: some clients escape none."""

_ESCAPES: Final = {'\\"': '"', "%22": '"', "%0D": "\r", "%0A": "\n"}
"""How clients write what would end a name: RFC 7578 and browsers."""


class Part(Struct, frozen=True):
    """One part of a multipart body."""

    name: str
    filename: str | None
    content: bytes


def parts(content_type: str, body: bytes) -> Iterator[Part]:
    """Take a multipart body apart."""
    boundary = re.search(r'boundary="?([^";]+)"?', content_type)
    if boundary is None:
        return
    for piece in (b"\r\n" + body).split(b"\r\n--" + boundary[1].encode())[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        header = head.decode("utf-8", "replace")
        name, filename = re.search(r'\bname="([^"]*)"', header), _FILENAME.search(header)
        yield Part(name[1] if name else "", _plain(filename[1]) if filename else None, content)


def _plain(name: str) -> str:
    for escape, char in _ESCAPES.items():
        name = name.replace(escape, char)
    return name


def _received(request: ApiRequest) -> tuple[Fields, list[Part]]:
    """The fields and the files of a multipart body, or of JSON."""
    files: list[Part] = []
    kind = request.headers.get("Content-Type", "")
    if "json" in kind.lower():
        fields = request.json()
        urls = fields.get("attachmentUrls") or []
    else:
        found = list(parts(kind, request.body))
        texts = [part for part in found if part.filename is None]
        pairs = [(part.name, part.content.decode("utf-8", "replace")) for part in texts]
        fields, urls = dict(pairs), [text for name, text in pairs if name == "attachmentUrls"]
        files = [part for part in found if part not in texts and part.name == "fileAttachment"]
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise replies.invalid("each value in attachmentUrls must be a string")
    return fields, files + [Part("fileAttachment", _name_in(url), b"") for url in urls]


def _name_in(url: str) -> str:
    try:
        return unquote(urlsplit(url).path).rpartition("/")[2]
    except ValueError:
        raise replies.invalid("each value in attachmentUrls must be a URL") from None


def upload(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``POST /conversations/messages/upload``: 415 for a wrong type, 413 for too large a file."""
    fields, files = _received(request)
    needed = ("conversationId",) if state.config.conversation_first else ()
    for name in (*needed, "contactId", "locationId"):
        if not isinstance(fields.get(name), str) or not fields[name]:
            raise replies.refused(400, f"{name} is required")
    contact, conversation = fields["contactId"], fields.get("conversationId")
    location = request.location(fields["locationId"])
    if not files:
        raise replies.refused(400, "fileAttachment is required")
    if not state.knows_contact(location, contact):
        raise replies.ApiError(replies.NO_CONTACT)
    if conversation and state.closed and state.conversation(location, conversation) is None:
        raise replies.ApiError(replies.NO_CONVERSATION)
    for part in files:
        _check_file(part, state.config.upload_limit)
    urls = {}
    for part in files:
        name = part.filename or ""
        urls[name] = f"{state.url}/uploads/{state.ids()}/{quote(name)}"
        whose = location, contact, conversation or ""
        state.uploads.append(Upload(urls[name], name, part.content, *whose))
    return replies.json_reply(200, {"uploadedFiles": urls})


def get_upload(state: SandboxState, request: ApiRequest) -> replies.Reply:
    """``GET /uploads/…``: an uploaded file, for whoever knows its URL."""
    id_, name = request.params
    for kept in state.uploads:
        if kept.name == name and f"/uploads/{id_}/" in kept.url:
            kind = guess_type(name)[0] or "application/octet-stream"
            return replies.Reply(200, kept.content, kind)
    raise replies.ApiError(replies.not_found("GET", request.path))


def _check_file(part: Part, most: int) -> None:
    if (part.filename or "").rpartition(".")[2].lower() not in SUFFIXES:
        status, message = 415, "Unsupported file type"
    elif len(part.content) > most:
        status, message = 413, "File is too large"
    else:
        return
    raise replies.ApiError(replies.json_reply(status, {"status": status, "message": message}))
