"""All that the sandbox knows; and what was stored, as a test looks at it.

The failure messages quote texts, which are the test's own; headers, and so tokens, are not kept.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import count
from typing import Any, Final

from msgspec import Struct, to_builtins
from msgspec.structs import fields as fields_of, replace

from leadconnector_async.models import MessageFields
from leadconnector_async.sandbox import message_store as stores
from leadconnector_async.sandbox.api_request import AccessControl, json_object, parse_ms
from leadconnector_async.sandbox.config import OAuthInstallation, SandboxConfig
from leadconnector_async.sandbox.faults import FaultPlan
from leadconnector_async.sandbox.message_store import ContactBook, MessageStore, Stored, iso
from leadconnector_async.sandbox.rate_limits import RateLimiter

Ids = Iterable[str]


class MessageCall(Struct, frozen=True, kw_only=True, gc=False):
    """One request to store a message, and its answer.

    ``status`` is 0 where no answer came; ``stored`` is what it stored, if anything.

    Example:
        >>> MessageCall(body=b'{"type":"SMS"}', status=500, stored=None).fields
        {'type': 'SMS'}
    """

    body: bytes
    status: int
    stored: Stored | None

    @property
    def fields(self) -> dict[str, Any]:
        """The request's body; empty where it is no JSON object."""
        return json_object(self.body)

    def __repr__(self) -> str:
        return f"MessageCall(status={self.status}, stored={self.stored!r})"


class StoredMessages(list[Stored]):
    """What is stored, in the order of arrival, and ``calls``: each request to store a message.

    Example:
        >>> sandbox.messages.assert_stored(contact="+12125550100", message="hi")
        >>> sandbox.messages.assert_in_order("hi", "hello", contact="+12125550100")
        >>> assert [call.status for call in sandbox.messages.calls] == [429, 200, 200]
    """

    def __init__(
        self, stored: Iterable[Stored], calls: Iterable[MessageCall], contacts: ContactBook
    ) -> None:
        super().__init__(stored)
        self.calls: list[MessageCall] = list(calls)
        self._contacts = contacts

    def assert_stored(
        self,
        *,
        contact: str | None = None,
        location: str | None = None,
        times: int | None = 1,
        **fields: object,
    ) -> None:
        """Check that a message is stored: once, or ``times``; None for once or more often.

        Args:
            contact: its contact's id, number or address.
            location: its location.
            times: how often.
            fields: the message's other fields in Python's names: ``message="hi"``, ``alt_id="7"``.
                ``date`` may be a datetime.

        Raises:
            AssertionError: it is not; the message tells which came near, and what differs.
            TypeError: there is no such field.
        """
        __tracebackhide__ = True
        wanted = _wanted(fields, contact=contact, location=location)
        apart = [(list(self._differences(one, wanted)), one) for one in self]
        found = sum(not differences for differences, _ in apart)
        if found == times or (times is None and found):
            return
        asked = ", ".join(f"{name}={value!r}" for name, value in wanted.items()) or "any message"
        often = "1 or more" if times is None else times
        lines = [f"{asked}: expected {often}, found {found} among {len(self)} stored messages"]
        for what, one in sorted(apart, key=lambda pair: (len(pair[0]), pair[1].seq))[:3]:
            name = f"message {one.seq} ({one.type}, contact {one.contact_id})"
            lines.append(f"  {name}: {'; '.join(what) or 'is one'}")
        raise AssertionError("\n".join([*lines, *self._not_stored(wanted)]))

    def assert_in_order(
        self, *texts: str, contact: str | None = None, location: str | None = None
    ) -> None:
        """Check that messages of these texts were stored in this order; others may come between.

        Raises:
            AssertionError: they were not; the message has the order in which they arrived.
        """
        __tracebackhide__ = True
        wanted = _wanted({}, contact=contact, location=location)
        of_these = (one for one in self if not any(self._differences(one, wanted)))
        arrived = [one.fields.get("message") for one in of_these]
        rest = iter(arrived)
        for text in texts:
            if text not in rest:  # which takes all before it
                where = "not stored" if text not in arrived else "stored too early"
                expected = f"expected the order {[*texts]}, of {arrived} stored"
                raise AssertionError(f"{text!r} is {where}: {expected}")

    def _differences(self, stored: Stored, wanted: Mapping[str, object]) -> Iterator[str]:
        own = _comparable(stored, self._contacts)
        for name, value in wanted.items():
            found = own.get(name)
            if value not in found if isinstance(found, set) else value != found:
                shown = "absent" if found is None else repr(found)
                yield f"{name} is {shown}, not {value!r}"

    def _not_stored(self, wanted: Mapping[str, object]) -> Iterator[str]:
        """The requests with these fields that stored nothing."""
        sent_otherwise = ("contact", "location", "date")
        plain = [(name, wanted[name]) for name in wanted if name not in sent_otherwise]
        for call in self.calls:
            fields = call.fields
            if call.stored is None and all(fields.get(name) == value for name, value in plain):
                yield f"  a request for it was not stored: status {call.status or 'none'}"


_FIELDS: Final = {"contact", "location", *(field.encode_name for field in fields_of(MessageFields))}


def _wanted(fields: Mapping[str, object], **who: str | None) -> dict[str, object]:
    named: dict[str, object] = {name: value for name, value in who.items() if value is not None}
    for name, value in fields.items():
        first, *more = name.split("_")
        named["".join([first, *map(str.title, more)])] = value
    if unknown := named.keys() - _FIELDS:  # with times=0 it would be found so whatever is stored
        raise TypeError(f"no field of a message is called {', '.join(sorted(unknown))}")
    if date := named.get("date"):
        moment = parse_ms(date.isoformat() if isinstance(date, datetime) else str(date))
        named["date"] = date if moment is None else iso(moment)
    return named


def _comparable(stored: Stored, contacts: ContactBook) -> dict[str, Any]:
    """A message under the names by which it is asked for; a contact has several."""
    known = contacts.get(stored.location_id, stored.contact_id) or {}
    names = [stored.contact_id, known.get("phone"), known.get("email")]
    own = stored.fields | {"direction": stored.direction, "date": iso(stored.date)}
    whose = {"contact": {*filter(None, names), *(known.get("additionalEmails") or ())}}
    return own | {"location": stored.location_id} | whose


class SandboxState:
    """All that the sandbox knows. Nothing here waits; ``clock`` gives seconds."""

    def __init__(self, config: SandboxConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self.config: SandboxConfig = config
        self.clock = clock
        self.url = ""
        self._given_ids = count()
        self.store: MessageStore = MessageStore(seed=config.seed, keep=config.keep_messages)
        self.contacts: ContactBook = ContactBook()
        self.access: AccessControl = AccessControl(config)
        self.faults: FaultPlan = FaultPlan(config.faults, config.seed)
        self.uploads: list[stores.Upload] = []
        self.calls: list[MessageCall] = []
        self.requests: Counter[tuple[str, int]] = Counter()
        self.refresh_tokens: dict[str, OAuthInstallation] = {}
        self._providers: set[str] = set()
        self._rate_limiters: dict[tuple[str, str], RateLimiter] = {}
        homes, own = [*config.tokens.values()], config.location_id
        own = own if own in homes else next(iter(homes), own)  # see `SandboxBase.location_id`
        for contact in config.contacts:
            self.contacts.put(to_builtins(contact) | {"locationId": contact.location_id or own})
        for installation in config.oauth.installations if config.oauth is not None else ():
            self.refresh_tokens[installation.refresh_token] = installation

    def reconfigure(self, **changes: object) -> None:
        """Change settings of a running sandbox. Limits and tokens start afresh if they change."""
        self.config = replace(self.config, **changes)
        if changes.keys() & {"limits", "location_limits"}:
            self._rate_limiters.clear()
        if changes.keys() & {"tokens", "oauth", "location_id"}:
            self.access = AccessControl(self.config)
        if "faults" in changes:
            self.faults.set(self.config.faults)

    def ids(self) -> str:
        """The next id, of a seeded sequence."""
        return stores.derived_id("ids", self.config.seed, next(self._given_ids))

    @property
    def closed(self) -> bool:
        """Whether ids are refused that were never given out."""
        return self.config.closed

    def know(
        self, location: str, *, contacts: Ids = (), conversations: Ids = (), providers: Ids = ()
    ) -> None:
        """Take ids for ones that were given out."""
        for contact in contacts:
            if self.contacts.get(location, contact) is None:
                self.contacts.put({"id": contact, "locationId": location})
        for conversation in conversations:
            if self.store.conversation(location, conversation) is None:
                self._open(location, conversation)
        self._providers.update(providers)

    def knows_contact(self, location: str, contact: str) -> bool:
        """Whether a contact was given out."""
        if self.config.trusting and stores.is_own_form(contact):
            self.know(location, contacts=[contact])
        return not self.closed or self.contacts.get(location, contact) is not None

    def conversation(
        self, location: str, conversation: str, contact: str = ""
    ) -> stores.Conversation | None:
        """A conversation that was given out; one that is trusted is with this contact."""
        found = self.store.conversation(location, conversation)
        if found is None and self.config.trusting and stores.is_own_form(conversation):
            return self._open(location, conversation, contact)
        return found

    def _open(self, location: str, conversation: str, contact: str = "") -> stores.Conversation:
        contact = contact or f"contact-of-{conversation}"
        self.know(location, contacts=[contact])
        return self.store.open(location, contact, self.clock(), conversation)

    def knows_provider(self, provider: str) -> bool:
        """Whether a provider was given out, for messages of whatever type."""
        if not self.closed and not self.config.providers:
            return True
        trusted = self.config.trusting and stores.is_provider_form(provider)
        return trusted or provider in self._providers

    def rate_limiter(self, app: str, location: str) -> RateLimiter:
        """The quota of an app in a location."""
        found = self._rate_limiters.get((app, location))
        if found is None:
            limits = self.config.location_limits.get(location, self.config.limits)
            found = self._rate_limiters[app, location] = RateLimiter(limits)
        return found
