"""Which address leads to which endpoint, and which scope its token needs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from msgspec import Struct

from leadconnector_async.sandbox.contact_endpoints import (
    create_contact,
    find_duplicate,
    get_contact,
    upsert_contact,
)
from leadconnector_async.sandbox.conversation_endpoints import (
    create_conversation,
    get_conversation,
    search_conversations,
)
from leadconnector_async.sandbox.inbound_endpoints import add_inbound, add_outbound_call
from leadconnector_async.sandbox.read_endpoints import export, get_email, get_message, list_messages
from leadconnector_async.sandbox.token_endpoints import location_token, refresh
from leadconnector_async.sandbox.upload_endpoints import upload

if TYPE_CHECKING:
    from collections.abc import Callable

    from leadconnector_async.sandbox.api_request import ApiRequest
    from leadconnector_async.sandbox.replies import Reply
    from leadconnector_async.sandbox.state import SandboxState

_WRITE: Final = "conversations/message.write"

_READ: Final = "conversations/message.readonly"

_FIND: Final = "conversations.readonly"

_OPEN: Final = "conversations.write"


class Route(Struct, frozen=True):
    """One endpoint. ``name`` is what faults and counters call it; ``public`` needs no token."""

    name: str
    method: str
    path: str
    scope: str
    endpoint: Callable[[SandboxState, ApiRequest], Reply]
    public: bool = False


ROUTES: Final = (
    Route("inbound", "POST", "/conversations/messages/inbound", _WRITE, add_inbound),
    Route("outbound", "POST", "/conversations/messages/outbound", _WRITE, add_outbound_call),
    Route("upload", "POST", "/conversations/messages/upload", _WRITE, upload),
    Route("export", "GET", "/conversations/messages/export", _READ, export),
    Route("email", "GET", "/conversations/messages/email/{}", _READ, get_email),
    Route("message", "GET", "/conversations/messages/{}", _READ, get_message),
    Route("messages", "GET", "/conversations/{}/messages", _READ, list_messages),
    Route("search", "GET", "/conversations/search", _FIND, search_conversations),
    Route("conversation", "GET", "/conversations/{}", _FIND, get_conversation),
    Route("open_conversation", "POST", "/conversations/", _OPEN, create_conversation),
    Route("find_contact", "GET", "/contacts/search/duplicate", "contacts.readonly", find_duplicate),
    Route("create_contact", "POST", "/contacts/", "contacts.write", create_contact),
    Route("upsert_contact", "POST", "/contacts/upsert", "contacts.write", upsert_contact),
    Route("contact", "GET", "/contacts/{}", "contacts.readonly", get_contact),
    Route("token", "POST", "/oauth/token", "", refresh, public=True),
    Route("location_token", "POST", "/oauth/locationToken", "oauth.write", location_token),
    Route("location_token", "POST", "/oauth/location-token", "oauth.write", location_token),
)

_EXACT: Final = {(route.method, route.path): route for route in ROUTES if "{}" not in route.path}

_PATTERNS: Final = [
    (route.method, re.compile(route.path.replace("{}", "([^/]+)")), route)
    for route in ROUTES
    if "{}" in route.path
]


def find_route(method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
    """The endpoint at this address, with what stands, decoded, in the places of its ``{}``."""
    exact = _EXACT.get((method, path))
    if exact is not None:
        return exact, ()
    for wanted, pattern, route in _PATTERNS:
        match = pattern.fullmatch(path) if wanted == method else None
        if match is not None:
            return route, tuple(unquote(part) for part in match.groups())
    return None
