"""Requests that ask whether a token may do something, and change nothing, without I/O.

What may be read is read. What may be written is asked with fields that the API's own validation
refuses: a token without the scope is refused before that. Paths, versions and scopes: the OpenAPI
files for contacts and conversations; ``/workflows/`` is documented beside them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import orjson
from msgspec import Struct

from leadconnector_async.api import responses
from leadconnector_async.api.contacts import CONTACTS_VERSION
from leadconnector_async.api.endpoints import CONVERSATIONS_VERSION, INBOUND_PATH
from leadconnector_async.api.listings import read_object, text_of
from leadconnector_async.transport.base import Request

if TYPE_CHECKING:
    from leadconnector_async.transport.base import Response

NOBODY: Final = "+12025550100"
"""Of the numbers 555-0100 to 555-0199, which no telephone has."""

_SCOPE: Final = re.compile(r"scope", re.IGNORECASE)

_WRONG: Final = orjson.dumps({"locationId": 0, "contactId": 0, "phone": 0, "type": "none"})


class Probe(Struct, frozen=True):
    """What tells whether a token has a scope, and what an import needs it for."""

    scope: str
    used_for: str
    request: Request
    is_needed: bool = True


def probes(location: str) -> list[Probe]:
    """One for each scope that an import may need."""

    def read(path: str, version: str, **asked: str) -> Request:
        query = urlencode({"locationId": location} | asked)
        return Request("GET", f"{path}?{query}", version)

    find = read("/contacts/search/duplicate", CONTACTS_VERSION, number=NOBODY)
    search = read("/conversations/search", CONVERSATIONS_VERSION, limit="1")
    export = read("/conversations/messages/export", CONVERSATIONS_VERSION, limit="10")
    make = Request("POST", "/contacts/", CONTACTS_VERSION, _WRONG)
    begin = Request("POST", "/conversations/", CONVERSATIONS_VERSION, _WRONG)
    add = Request("POST", INBOUND_PATH, CONVERSATIONS_VERSION, _WRONG)
    marking = "open conversations, and mark them as read"
    return [
        Probe("contacts.readonly", "find contacts", find),
        Probe("contacts.write", "create contacts", make),
        Probe("conversations.readonly", "look for messages in doubt", search),
        Probe("conversations.write", marking, begin, is_needed=False),
        Probe("conversations/message.readonly", "look for messages in doubt, and verify", export),
        Probe("conversations/message.write", "add messages", add),
    ]


def lacks_scope(response: Response) -> bool:
    """Whether the token may not do this, whatever the request says."""
    words = responses.read_refusal(response.status, response.body).message
    return responses.is_access_refused(response) and bool(_SCOPE.search(words))


def is_permitted(response: Response) -> bool:
    """Whether it was read, or refused for its fields alone."""
    return responses.is_success(response) or (
        responses.is_refusal(response) and not responses.is_access_refused(response)
    )


def list_workflows(location: str) -> Request:
    """The account's automations. Needs the scope workflows.readonly, which an import does not."""
    return Request("GET", f"/workflows/?{urlencode({'locationId': location})}", CONTACTS_VERSION)


def published_workflows(response: Response) -> list[str] | None:
    """The names of those that run; None where the answer does not tell."""
    try:
        found: Any = (
            read_object(response.body).get("workflows") if responses.is_success(response) else None
        )
    except ValueError:
        return None
    if not isinstance(found, list):
        return None
    entries = [entry for entry in found if isinstance(entry, dict)]
    running = [entry for entry in entries if entry.get("status", "published") == "published"]
    return [text_of(entry.get("name")) or "without a name" for entry in running]
