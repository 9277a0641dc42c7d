"""How each call is spelled: method, path, version. Nothing here does I/O.

Paths, versions and scopes: the OpenAPI files for conversations (2021-04-15) and contacts;
``/workflows/`` is documented beside them. Where the client is told another version, its transport
sends that with every request.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

import orjson
from msgspec.structs import replace

from leadconnector_async.api.listings import read_conversations, read_messages, read_object
from leadconnector_async.models import Refusal
from leadconnector_async.transport.base import FileUpload, Request

BASE_URL: Final = "https://services.leadconnectorhq.com"

CONVERSATIONS_VERSION: Final = "2021-04-15"

CONTACTS_VERSION: Final = "2021-07-28"

INBOUND_PATH: Final = "/conversations/messages/inbound"

OUTBOUND_CALL_PATH: Final = "/conversations/messages/outbound"

PAGE: Final = 100
"""Messages asked for at a time when a conversation is read."""

EXPORT_PAGE: Final = 500
"""The export's largest page, by the OpenAPI file."""


def post_message(path: str, body: bytes) -> Request:
    """Add one message, by the endpoint that its kind has."""
    return Request("POST", path, CONVERSATIONS_VERSION, body)


def open_conversation(location: str, contact: str) -> Request:
    """Open the conversation of a contact. Without its trailing slash the path is another one."""
    body = orjson.dumps({"locationId": location, "contactId": contact})
    return Request("POST", "/conversations/", CONVERSATIONS_VERSION, body)


def get_conversation(conversation: str) -> Request:
    """One conversation, which names its contact."""
    return Request("GET", f"/conversations/{quote(conversation, safe='')}", CONVERSATIONS_VERSION)


def mark_read(location: str, conversation: str) -> Request:
    """Set a conversation's count of unread messages to 0. Doing it again changes nothing."""
    path = f"/conversations/{quote(conversation, safe='')}"
    body = orjson.dumps({"locationId": location, "unreadCount": 0})
    return Request("PUT", path, CONVERSATIONS_VERSION, body)


def upload(
    path: str, name: str, location: str, contact: str, conversation: str | None = None
) -> Request:
    """Give a file of this machine a public URL, by which it is called so.

    A contact is enough (highlevel-api-docs 149).
    """
    fields = {"conversationId": conversation} if conversation else {}
    fields |= {"contactId": contact, "locationId": location}
    body = FileUpload(fields, "fileAttachment", Path(path), name)
    return Request("POST", "/conversations/messages/upload", CONVERSATIONS_VERSION, upload=body)


def search_conversations(location: str, **asked: str | int | None) -> Request:
    """Find conversations, by what is asked of them under the API's own names.

    The index lags behind writes by seconds.
    """
    query = {"locationId": location} | {name: value for name, value in asked.items() if value}
    return Request("GET", f"/conversations/search?{urlencode(query)}", CONVERSATIONS_VERSION)


def list_messages(conversation: str, before: str | None = None) -> Request:
    """A page of a conversation's messages, newest first, older than message ``before``."""
    query = {"limit": str(PAGE)} | ({"lastMessageId": before} if before else {})
    path = f"/conversations/{quote(conversation, safe='')}/messages?{urlencode(query)}"
    return Request("GET", path, CONVERSATIONS_VERSION)


def get_email(mail: str) -> Request:
    """One mail with its text and addresses, by the id that ``meta.email.messageIds`` gives."""
    path = f"/conversations/messages/email/{quote(mail, safe='')}"
    return Request("GET", path, CONVERSATIONS_VERSION)


def export_messages(location: str, **asked: str | None) -> Request:
    """A page of a location's messages, by what is asked of them under the API's own names.

    Without a ``channel``, e-mails are left out.
    """
    query = {"locationId": location, "limit": str(EXPORT_PAGE)}
    query |= {name: value for name, value in asked.items() if value}
    path = f"/conversations/messages/export?{urlencode(query)}"
    return Request("GET", path, CONVERSATIONS_VERSION)


_SCOPES: Final = (
    ("GET", "/contacts/", "contacts.readonly"),
    ("POST", "/contacts/", "contacts.write"),
    ("GET", "/conversations/messages/", "conversations/message.readonly"),
    ("POST", "/conversations/messages/", "conversations/message.write"),
    ("GET", "/conversations/", "conversations.readonly"),
    ("POST", "/conversations/", "conversations.write"),
    ("PUT", "/conversations/", "conversations.write"),
)
"""By the OpenAPI files' ``security``; the first that fits."""


def with_missing_scope(request: Request, refusal: Refusal) -> Refusal:
    """Add to the refusal of a scope which one it is: the API does not say."""
    if "scope" not in refusal.message.lower():
        return refusal
    for method, path, scope in _SCOPES:
        if request.method == method and request.path.startswith(path):
            return replace(refusal, message=f"{refusal.message.rstrip('.')}: it lacks {scope}")
    return refusal


_NOBODY: Final = "+12025550100"
"""Of the numbers 555-0100 to 555-0199, which no telephone has."""

_WRONG: Final = orjson.dumps({"locationId": 0, "contactId": 0, "phone": 0, "type": "none"})


class Probe(NamedTuple):
    """What tells whether a token has a scope, and what an import needs it for."""

    scope: str
    used_for: str
    request: Request
    is_needed: bool = True
    read: Callable[[bytes], object] = read_object
    """Raises ValueError for a body that the API does not answer this with."""


def probes(location: str) -> list[Probe]:
    """Ask for each scope that an import may need, by requests that change nothing.

    What may be read is read. What may be written is asked with fields that the API's own validation
    refuses: a token without the scope is refused before that.
    """

    def read(path: str, version: str, **asked: str) -> Request:
        return Request("GET", f"{path}?{urlencode({'locationId': location} | asked)}", version)

    find = read("/contacts/search/duplicate", CONTACTS_VERSION, number=_NOBODY)
    search = read("/conversations/search", CONVERSATIONS_VERSION, limit="1")
    export = read("/conversations/messages/export", CONVERSATIONS_VERSION, limit="10")
    make = Request("POST", "/contacts/", CONTACTS_VERSION, _WRONG)
    begin = Request("POST", "/conversations/", CONVERSATIONS_VERSION, _WRONG)
    marking = "open conversations, and mark them as read"
    looks = "look for messages in doubt"

    def listed(body: bytes) -> object:
        return list(read_conversations(body))

    return [
        Probe("contacts.readonly", "find contacts", find),
        Probe("contacts.write", "create contacts", make),
        Probe("conversations.readonly", looks, search, read=listed),
        Probe("conversations.write", marking, begin, is_needed=False),
        Probe("conversations/message.readonly", f"{looks}, and verify", export, read=read_messages),
        Probe("conversations/message.write", "add messages", post_message(INBOUND_PATH, _WRONG)),
    ]


def list_workflows(location: str) -> Request:
    """The account's automations. Needs the scope workflows.readonly, which an import does not."""
    return Request("GET", f"/workflows/?{urlencode({'locationId': location})}", CONTACTS_VERSION)


def is_needed(request: Request) -> bool:
    """Whether no record gets on without it, as it may without looking for its message."""
    return request.method == "POST" or not request.path.startswith("/conversations/")
