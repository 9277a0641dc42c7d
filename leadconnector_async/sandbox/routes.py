"""Which address leads to which endpoint, and which scope its token needs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from leadconnector_async.sandbox import (
    contact_endpoints,
    conversation_endpoints,
    inbound_endpoints,
    read_endpoints,
    token_endpoints,
    upload_endpoints,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from leadconnector_async.sandbox.api_request import ApiRequest
    from leadconnector_async.sandbox.replies import Reply
    from leadconnector_async.sandbox.state import SandboxState

_WRITE: Final = "conversations/message.write"

_READ: Final = "conversations/message.readonly"


class Route(Struct, frozen=True):
    """One endpoint. ``name`` is what faults and counters call it; ``public`` needs no token."""

    name: str
    method: str
    path: str
    scope: str
    endpoint: Callable[[SandboxState, ApiRequest], Reply]
    public: bool = False


ROUTES: Final = (
    Route(
        "inbound", "POST", "/conversations/messages/inbound", _WRITE, inbound_endpoints.add_inbound
    ),
    Route(
        "outbound",
        "POST",
        "/conversations/messages/outbound",
        _WRITE,
        inbound_endpoints.add_outbound_call,
    ),
    Route("upload", "POST", "/conversations/messages/upload", _WRITE, upload_endpoints.upload),
    Route("export", "GET", "/conversations/messages/export", _READ, read_endpoints.export),
    Route("email", "GET", "/conversations/messages/email/{}", _READ, read_endpoints.get_email),
    Route("message", "GET", "/conversations/messages/{}", _READ, read_endpoints.get_message),
    Route("messages", "GET", "/conversations/{}/messages", _READ, read_endpoints.list_messages),
    Route(
        "search",
        "GET",
        "/conversations/search",
        "conversations.readonly",
        conversation_endpoints.search_conversations,
    ),
    Route(
        "conversation",
        "GET",
        "/conversations/{}",
        "conversations.readonly",
        conversation_endpoints.get_conversation,
    ),
    Route(
        "open_conversation",
        "POST",
        "/conversations/",
        "conversations.write",
        conversation_endpoints.create_conversation,
    ),
    Route(
        "find_contact",
        "GET",
        "/contacts/search/duplicate",
        "contacts.readonly",
        contact_endpoints.find_duplicate,
    ),
    Route(
        "create_contact", "POST", "/contacts/", "contacts.write", contact_endpoints.create_contact
    ),
    Route(
        "upsert_contact",
        "POST",
        "/contacts/upsert",
        "contacts.write",
        contact_endpoints.upsert_contact,
    ),
    Route("token", "POST", "/oauth/token", "", token_endpoints.refresh, public=True),
    Route(
        "location_token",
        "POST",
        "/oauth/locationToken",
        "oauth.write",
        token_endpoints.location_token,
    ),
)

_EXACT: Final = {(route.method, route.path): route for route in ROUTES if "{}" not in route.path}

_PATTERNS: Final = [
    (route.method, re.compile(route.path.replace("{}", "([^/]+)")), route)
    for route in ROUTES
    if "{}" in route.path
]


def find_route(method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
    """The endpoint at this address, with what stands in the places of its ``{}``."""
    exact = _EXACT.get((method, path))
    if exact is not None:
        return exact, ()
    for wanted, pattern, route in _PATTERNS:
        match = pattern.fullmatch(path) if wanted == method else None
        if match is not None:
            return route, match.groups()
    return None
