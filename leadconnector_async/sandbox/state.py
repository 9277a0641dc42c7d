"""All that the sandbox knows."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from msgspec.structs import replace

from leadconnector_async.sandbox.api_request import AccessControl
from leadconnector_async.sandbox.faults import FaultPlan
from leadconnector_async.sandbox.message_store import (
    ContactBook,
    IdSequence,
    MessageStore,
    is_own_form,
    is_provider_form,
)
from leadconnector_async.sandbox.rate_limits import RateLimiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from leadconnector_async.sandbox.config import OAuthInstallation, SandboxConfig
    from leadconnector_async.sandbox.message_store import Conversation, Upload
    from leadconnector_async.sandbox.stored_messages import MessageCall


class SandboxState:
    """All that the sandbox knows. Nothing here waits; ``clock`` gives seconds."""

    def __init__(self, config: SandboxConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self.config: SandboxConfig = config
        self.clock = clock
        self.url = ""
        self.ids: IdSequence = IdSequence(config.seed)
        self.store: MessageStore = MessageStore(seed=config.seed, keep=config.keep_messages)
        self.contacts: ContactBook = ContactBook()
        self.access: AccessControl = AccessControl(config)
        self.faults: FaultPlan = FaultPlan(config.faults, config.seed)
        self.uploads: list[Upload] = []
        self.calls: list[MessageCall] = []
        self.requests: Counter[tuple[str, int]] = Counter()
        self.refresh_tokens: dict[str, OAuthInstallation] = {}
        self._providers: set[str] = set()
        self._rate_limiters: dict[tuple[str, str], RateLimiter] = {}
        self._populate()

    def _populate(self) -> None:
        for contact in self.config.contacts:
            known: dict[str, object] = {
                "id": contact.id,
                "phone": contact.phone,
                "email": contact.email,
            }
            location = contact.location_id or self.config.location_id
            known |= {"name": contact.name, "additionalEmails": [*contact.additional_emails]}
            self.contacts.put(known | {"locationId": location})
        if self.config.oauth is not None:
            for installation in self.config.oauth.installations:
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

    def rate_limiter(self, app: str, location: str) -> RateLimiter:
        """The quota of an app in a location."""
        found = self._rate_limiters.get((app, location))
        if found is None:
            limits = self.config.location_limits.get(location, self.config.limits)
            found = self._rate_limiters[app, location] = RateLimiter(limits)
        return found
