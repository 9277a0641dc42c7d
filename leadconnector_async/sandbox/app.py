"""The sandbox without its sockets: a request goes in, and what to answer comes out.

At the end: which address leads to which endpoint, and which scope its token needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from msgspec import Struct, structs

from leadconnector_async.sandbox import (
    account_endpoints as account,
    read_endpoints as reads,
    storing_endpoints as storing,
)
from leadconnector_async.sandbox.api_request import ApiRequest, json_object
from leadconnector_async.sandbox.faults import NUMBERS, WIRE_KINDS, Fault, invented_reply, spoil
from leadconnector_async.sandbox.message_store import normal_phone
from leadconnector_async.sandbox.replies import THROTTLED, ApiError, Reply, not_found
from leadconnector_async.sandbox.state import MessageCall, SandboxState


def respond(
    state: SandboxState, method: str, target: str, headers: Mapping[str, str], body: bytes
) -> Exchange:
    """Do what the request asks for. ``target`` is its path and query, encoded."""
    seq = state.store.total + 1
    exchange = _respond(state, method, target, headers, body)
    if exchange.endpoint in ("inbound", "outbound") and state.config.keep_messages:
        stored = state.store.numbered(seq)
        state.calls.append(MessageCall(body=body, status=exchange.status, stored=stored))
    return exchange


def _respond(
    state: SandboxState, method: str, target: str, headers: Mapping[str, str], body: bytes
) -> Exchange:
    path, _, query = target.encode("utf-8", "replace").decode().partition("?")
    found = find_route(method, path)
    if found is None:
        return Exchange("unknown", not_found(method, path))
    route, params = found
    now = state.clock()
    try:
        grant = state.access.check(route.scope, headers, state.config, now)
    except ApiError as refused:
        return Exchange(route.name, refused.reply)
    asked = dict(parse_qsl(query)) if query else {}
    known = state.closed, state.config.trusting
    request = ApiRequest(path, params, asked, body, headers, grant, now, *known)
    return _metered(state, route, request)


def _metered(state: SandboxState, route: Route, request: ApiRequest) -> Exchange:
    if not route.scope:
        return _faulty(state, route, request, request.grant.location)
    location = request.grant.location
    if request.grant.company:  # a company's token draws on the quota of the location that it names
        location = request.query.get("locationId", location)
    ruling = state.rate_limiter(request.grant.app, location).allow(request.now)
    exchange = Exchange(route.name, THROTTLED)
    if ruling.allowed:
        exchange = _faulty(state, route, request, location)
    reply = exchange.reply
    # What a fault put into the headers is meant to be seen.
    headers = {**ruling.headers, **reply.headers} if reply.headers else ruling.headers
    return structs.replace(exchange, reply=structs.replace(reply, headers=headers))


def _faulty(state: SandboxState, route: Route, request: ApiRequest, location: str) -> Exchange:
    fault = None
    if state.faults:
        fault = state.faults.choose(route.name, location, _named(state, request))
    if fault is None:
        return Exchange(route.name, _run(state, route, request))
    if fault.when == "before" and not fault.kind.startswith("rates_"):
        reply = invented_reply(fault, state.faults.fired[fault.kind])
    else:
        reply = _run(state, route, request)
    return Exchange(route.name, spoil(fault, reply), fault if fault.kind in WIRE_KINDS else None)


def _run(state: SandboxState, route: Route, request: ApiRequest) -> Reply:
    try:
        return route.endpoint(state, request)
    except ApiError as refused:
        return refused.reply


class Exchange(Struct, frozen=True, gc=False):
    """What to do with a request: the answer, and what happens to it on the wire, if anything."""

    endpoint: str
    reply: Reply
    wire: Fault | None = None

    @property
    def status(self) -> int:
        """The status that is answered; 0 where none is."""
        return self.reply.status if self.wire is None else 0


def _named(state: SandboxState, request: ApiRequest) -> dict[str, Any]:
    """What a request names, in its query or in its JSON, and whose numbers, where a fault asks."""
    if not state.faults.asks:
        return {}
    named: dict[str, Any] = request.query | json_object(request.body)
    opened = state.store.conversation(request.grant.location, str(named.get("conversationId")))
    contact_id = named.get("contactId") or (opened.contact_id if opened else "")
    contact = state.contacts.get(request.grant.location, str(contact_id)) or {}
    call: Any = named.get("call")
    call = call if isinstance(call, dict) else {}
    numbers = [call.get("to"), call.get("from"), contact.get("phone")]
    numbers += [named.get("phone"), named.get("number")]
    return named | {NUMBERS: {normal_phone(one) for one in numbers if isinstance(one, str)}}


_WRITE: Final = "conversations/message.write"

_READ: Final = "conversations/message.readonly"

_FIND: Final = "conversations.readonly"

_OPEN: Final = "conversations.write"

_LOOK_UP: Final = "contacts.readonly"

_MAKE: Final = "contacts.write"


class Route(Struct, frozen=True):
    """One endpoint. ``name`` is what faults and counters call it; no ``scope`` needs no token."""

    name: str
    method: str
    path: str
    scope: str
    endpoint: Callable[[SandboxState, ApiRequest], Reply]


ROUTES: Final = (
    Route("inbound", "POST", "/conversations/messages/inbound", _WRITE, storing.add_inbound),
    Route("outbound", "POST", "/conversations/messages/outbound", _WRITE, storing.add_outbound),
    Route("upload", "POST", "/conversations/messages/upload", _WRITE, storing.upload),
    Route("export", "GET", "/conversations/messages/export", _READ, reads.export),
    Route("email", "GET", "/conversations/messages/email/{}", _READ, reads.get_email),
    Route("message", "GET", "/conversations/messages/{}", _READ, reads.get_message),
    Route("messages", "GET", "/conversations/{}/messages", _READ, reads.list_messages),
    Route("search", "GET", "/conversations/search", _FIND, account.search_conversations),
    Route("conversation", "GET", "/conversations/{}", _FIND, account.get_conversation),
    Route("update_conversation", "PUT", "/conversations/{}", _OPEN, account.update_conversation),
    Route("open_conversation", "POST", "/conversations/", _OPEN, account.create_conversation),
    Route("find_contact", "GET", "/contacts/search/duplicate", _LOOK_UP, account.find_duplicate),
    Route("create_contact", "POST", "/contacts/", _MAKE, account.create_contact),
    Route("upsert_contact", "POST", "/contacts/upsert", _MAKE, account.upsert_contact),
    Route("workflows", "GET", "/workflows/", "workflows.readonly", account.list_workflows),
    Route("delete_contact", "DELETE", "/contacts/{}", _MAKE, account.delete_contact),
    Route("contact", "GET", "/contacts/{}", _LOOK_UP, account.get_contact),
    Route("file", "GET", "/uploads/{}/{}", "", storing.get_upload),
    Route("token", "POST", "/oauth/token", "", account.refresh),
    Route("location_token", "POST", "/oauth/locationToken", "oauth.write", account.location_token),
    Route("location_token", "POST", "/oauth/location-token", "oauth.write", account.location_token),
)

_PATTERNS: Final = [(re.compile(route.path.replace("{}", "([^/]+)")), route) for route in ROUTES]


@lru_cache(maxsize=256)  # most requests go to the same few addresses
def find_route(method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
    """The endpoint at this address, with what stands, decoded, in the places of its ``{}``."""
    for pattern, route in _PATTERNS:
        if route.method == method and (match := pattern.fullmatch(path)):
            return route, tuple(map(unquote, match.groups()))
    return None
