"""The sandbox without its sockets: a request goes in, and what to answer comes out."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

import orjson
from msgspec import Struct
from msgspec.structs import replace

from leadconnector_async.sandbox._access import Access
from leadconnector_async.sandbox._call import Call
from leadconnector_async.sandbox._contact_book import ContactBook
from leadconnector_async.sandbox._faults import WIRE_KINDS, Fault, FaultPlan
from leadconnector_async.sandbox._hostile import invented_reply, spoil
from leadconnector_async.sandbox._ids import Ids, is_own_form, is_provider_form
from leadconnector_async.sandbox._limits import Meter
from leadconnector_async.sandbox._replies import THROTTLED, ApiError, Reply, not_found
from leadconnector_async.sandbox._routes import Route, find_route
from leadconnector_async.sandbox._store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from leadconnector_async.sandbox._access import Grant
    from leadconnector_async.sandbox._config import Installation, SandboxConfig
    from leadconnector_async.sandbox._store import Conversation
    from leadconnector_async.sandbox._uploads import Upload

_TRUE_ANSWERS: Final = ("rates_garbage", "rates_contradictory")


class Exchange(Struct, frozen=True, gc=False):
    """What to do with a request: the answer, and what happens to it on the wire, if anything."""

    endpoint: str
    reply: Reply
    wire: Fault | None = None


class World:
    """All that the sandbox knows. Nothing here waits; ``clock`` gives seconds."""

    def __init__(self, config: SandboxConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self.config = config
        self.clock = clock
        self.url = ""
        self.ids = Ids(config.seed)
        self.store = Store(seed=config.seed, keep=config.keep_messages)
        self.contacts = ContactBook()
        self.access = Access(config)
        self.faults = FaultPlan(config.faults, config.seed)
        self.uploads: list[Upload] = []
        self.requests: Counter[tuple[str, int]] = Counter()
        self.refresh_tokens: dict[str, Installation] = {}
        self._providers: set[str] = set()
        self._meters: dict[tuple[str, str], Meter] = {}
        self._populate()

    def _populate(self) -> None:
        for contact in self.config.contacts:
            known = {"id": contact.id, "phone": contact.phone, "email": contact.email}
            location = contact.location_id or self.config.location_id
            self.contacts.put(known | {"name": contact.name, "locationId": location})
        if self.config.oauth is not None:
            for installation in self.config.oauth.installations:
                self.refresh_tokens[installation.refresh_token] = installation

    def reconfigure(self, **changes: object) -> None:
        """Change settings of a running sandbox. Limits and tokens start afresh if they change."""
        self.config = replace(self.config, **changes)
        if changes.keys() & {"limits", "location_limits"}:
            self._meters.clear()
        if changes.keys() & {"tokens", "oauth", "location_id"}:
            self.access = Access(self.config)
        if "faults" in changes:
            self.faults.set(self.config.faults)

    @property
    def closed(self) -> bool:
        """Whether ids are refused that were never given out."""
        return self.config.closed

    def know(
        self,
        location: str,
        *,
        contacts: Iterable[str] = (),
        conversations: Iterable[str] = (),
        providers: Iterable[str] = (),
    ) -> None:
        """Take ids for ones that were given out."""
        for contact in contacts:
            if (location, contact) not in self.contacts:
                self.contacts.put({"id": contact, "locationId": location})
        for conversation in conversations:
            if self.store.conversation(location, conversation) is None:
                self._open(location, conversation)
        self._providers.update(providers)

    def knows_contact(self, location: str, contact: str) -> bool:
        """Whether a contact was given out."""
        if self.config.trusting and is_own_form(contact):
            self.know(location, contacts=[contact])
        return not self.closed or (location, contact) in self.contacts

    def conversation(
        self, location: str, conversation: str, contact: str = ""
    ) -> Conversation | None:
        """A conversation that was given out; one that is trusted is with this contact."""
        found = self.store.conversation(location, conversation)
        if found is None and self.config.trusting and is_own_form(conversation):
            return self._open(location, conversation, contact)
        return found

    def _open(self, location: str, conversation: str, contact: str = "") -> Conversation:
        contact = contact or f"contact-of-{conversation}"
        self.know(location, contacts=[contact])
        return self.store.open(location, contact, self.clock(), conversation)

    def knows_provider(self, provider: str) -> bool:
        """Whether a provider was given out, for messages of whatever type."""
        if not self.closed and not self.config.providers:
            return True
        trusted = self.config.trusting and is_provider_form(provider)
        return trusted or provider in self._providers

    def meter(self, app: str, location: str) -> Meter:
        """The quota of an app in a location."""
        found = self._meters.get((app, location))
        if found is None:
            limits = self.config.location_limits.get(location, self.config.limits)
            found = self._meters[app, location] = Meter(limits)
        return found

    def serve(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Exchange:
        """Do what the request asks for. ``target`` is its path and query, encoded."""
        path, _, query = target.partition("?")
        found = find_route(method, path)
        if found is None:
            return Exchange("unknown", not_found(method, path))
        route, params = found
        now = self.clock()
        try:
            grant = self.access.check(route, headers, self.config, now)
        except ApiError as refused:
            return Exchange(route.name, refused.reply)
        call = Call(
            path=path,
            params=params,
            query=dict(parse_qsl(query)) if query else {},
            body=body,
            content_type=headers.get("Content-Type", ""),
            grant=grant,
            now=now,
            closed=self.closed,
            trusting=self.config.trusting,
        )
        return self._metered(route, call)

    def _metered(self, route: Route, call: Call) -> Exchange:
        if route.public:
            return self._faulty(route, call, call.grant.location)
        location = _asked(call.grant, call.query)
        ruling = self.meter(call.grant.app, location).admit(call.now)
        exchange = (
            self._faulty(route, call, location)
            if ruling.admitted
            else Exchange(route.name, THROTTLED)
        )
        reply = exchange.reply
        # What a fault put into the headers is meant to be seen.
        headers = {**ruling.headers, **reply.headers} if reply.headers else ruling.headers
        return Exchange(
            route.name, Reply(reply.status, reply.body, reply.content_type, headers), exchange.wire
        )

    def _faulty(self, route: Route, call: Call, location: str) -> Exchange:
        fault = None
        if self.faults:
            fault = self.faults.choose(route.name, location, _alt_id(call.body))
        if fault is None:
            return Exchange(route.name, self._run(route, call))
        if fault.when == "before" and fault.kind not in _TRUE_ANSWERS:
            reply = invented_reply(fault, self.faults.fired[fault.kind])
        else:
            reply = self._run(route, call)
        wire = fault if fault.kind in WIRE_KINDS else None
        return Exchange(route.name, spoil(fault, reply), wire)

    def _run(self, route: Route, call: Call) -> Reply:
        try:
            return route.endpoint(self, call)
        except ApiError as refused:
            return refused.reply


def _asked(grant: Grant, query: dict[str, str]) -> str:
    """Whose quota a request draws on: a company's token draws on the location that it names."""
    return query.get("locationId", grant.location) if grant.company else grant.location


def _alt_id(body: bytes) -> str | None:
    if b'"altId"' not in body:
        return None
    try:
        alt_id = orjson.loads(body).get("altId")
    except (orjson.JSONDecodeError, AttributeError):
        return None
    return alt_id if isinstance(alt_id, str) else None
