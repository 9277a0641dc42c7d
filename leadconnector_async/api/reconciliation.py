"""Looking for records of one contact among what the API gives back, without I/O.

A `Search` says which request to make next and is fed the answers, until it knows. First the
conversation (where only the contact is known), then its messages, newest first, down to the date
of the oldest record. A message is the record if it carries its ``altId``; where the API shows
none, if type, direction, date and text agree and it belongs to no other record of ours.

Whether a message that the API gives back is one of ours, where no id tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from leadconnector_async.api import effects, endpoints, responses
from leadconnector_async.api.listings import MessagePage, conversation_of, date_ms, read_messages
from leadconnector_async.models import InboundMessage
from leadconnector_async.records.validation import RULES

if TYPE_CHECKING:
    from collections.abc import Sequence, Set as AbstractSet

    from leadconnector_async.api.listings import ListedMessage
    from leadconnector_async.transport.base import Request, Response

SLACK_MS: Final = 1000
"""The API keeps dates to the second or to the millisecond."""

OLDER_MS: Final = 60_000
"""How much earlier than ours the server's clock may be."""


class SearchTarget(Struct, frozen=True):
    """One record to look for."""

    seq: int
    message: InboundMessage
    alt_id: str | None
    """What was sent as ``altId``."""
    date_ms: int
    """Its date, or the time it was staged where it has none."""


def specificity(target: SearchTarget) -> tuple[bool, bool, bool]:
    """A record that could be nearly any message must not take one that only another can be.

    Nor must one that has an ``altId`` to be found by.
    """
    message = target.message
    return (not message.message, message.date is None, target.alt_id is not None)


def matches(found: ListedMessage, target: SearchTarget) -> bool:
    """Tell whether type, direction, date and text agree."""
    return looks_like(found, target) and _same_time(found, target)


def looks_like(found: ListedMessage, target: SearchTarget) -> bool:
    """Tell whether type, direction and text agree."""
    ours = target.message
    read_as = RULES[ours.type].read_as
    kind, own = (found.message_type or "").upper(), ours.type.upper()
    return (
        (not read_as or kind in ("", own, f"TYPE_{own}", *read_as))
        and found.direction in (None, ours.direction)
        and _same_text(found.body, ours)
    )


def _same_text(body: str | None, ours: InboundMessage) -> bool:
    """A listing shows an e-mail's html, perhaps made harmless first, or its text, or neither."""
    if not body or (ours.html and ours.date is not None):
        return True
    texts = [text for text in (ours.message, ours.html) if text]
    return not texts or body.split() in [text.split() for text in texts]


def _same_time(found: ListedMessage, target: SearchTarget) -> bool:
    if found.date_added is None:
        return False
    at = date_ms(found.date_added)
    if target.message.date is None:  # stored under the time of its arrival, after it was staged
        return at >= target.date_ms - OLDER_MS
    return abs(at - target.date_ms) <= SLACK_MS


MAX_PAGES: Final = 200

UNREADABLE: Final = "the API's listing cannot be read"


class Found(Struct, frozen=True):
    """The record is stored, as this message."""

    message_id: str
    conversation_id: str | None
    thread: str | None = None


class NotFound(Struct, frozen=True):
    """The API does not show the record, which is a proof only after the settling time."""


class Inconclusive(Struct, frozen=True):
    """It cannot be found out by looking."""

    reason: str


class LookupFailed(Struct, frozen=True):
    """This look failed; a later one may not."""

    reason: str


Finding = Found | NotFound | Inconclusive | LookupFailed


class Search:
    """One look for the records of one lane.

    Ask `request`, `feed` its answer, until `feed` returns a finding by ``seq`` for the first
    target, and for the others that are in the same conversation.
    ``taken`` are the ids of messages that belong to other records.
    """

    def __init__(
        self, location: str, targets: Sequence[SearchTarget], taken: AbstractSet[str]
    ) -> None:
        self._location = location
        # Records of one contact can name different conversations: then each has its own look.
        places = [(of.message.contact_id, of.message.conversation_id) for of in targets]
        self._contact, self._conversation = places[0]
        self.who: str = self._contact or self._conversation or ""
        """Whom the records are with, as they say it."""
        here = (of for of, place in zip(targets, places, strict=True) if place == places[0])
        self._targets = sorted(here, key=specificity)
        self._taken = set(taken)
        self._oldest = min(target.date_ms for target in self._targets) - OLDER_MS
        self._by_alt_id = {target.alt_id: target for target in self._targets if target.alt_id}
        self._found: dict[int, ListedMessage] = {}
        self._lookalikes: dict[int, ListedMessage] = {}
        self._undated: list[ListedMessage] = []
        self._nameless = False
        self._before: str | None = None
        self._pages = 0
        self._shows_alt_ids = False

    def request(self) -> Request:
        """The next request to make."""
        if self._conversation is None:
            return endpoints.search_conversations(self._location, contactId=self._contact)
        return endpoints.list_messages(self._conversation, self._before)

    def feed(self, response: Response) -> dict[int, Finding] | None:
        """Take the answer to `request`; None asks for another request."""
        if not responses.is_read(response):
            return self._all(self._refused(response))
        try:
            if self._conversation is None:
                self._conversation = conversation_of(response.body, self._contact or "")
                return None if self._conversation else self._all(NotFound())
            return self._take_page(read_messages(response.body))
        except ValueError:
            return self.lookup_failed(UNREADABLE)

    def lookup_failed(self, reason: str) -> dict[int, Finding]:
        """What a look comes to that failed."""
        return self._all(LookupFailed(reason))

    def _refused(self, response: Response) -> Finding:
        if (responses.says_absent if self._conversation is None else responses.is_absent)(response):
            return NotFound()
        words = effects.words_of(response)
        if responses.is_final(response):
            return Inconclusive(f"looking was refused: {words}")
        return LookupFailed(f"looking failed: {words}")

    def _take_page(self, page: MessagePage) -> dict[int, Finding] | None:
        self._pages += 1
        self._nameless |= page.nameless
        for message in page.messages:
            self._compare(message)
        last = page.messages[-1] if page.messages else None
        before = page.last_message_id or (last.id if last else None)
        is_over = page.next_page is False if last else not (page.next_page and before)
        if len(self._found) == len(self._targets) or is_over:
            return self._conclude()
        if last and last.date_added is not None and date_ms(last.date_added) < self._oldest:
            return self._conclude()
        if self._pages >= MAX_PAGES:
            return self._all(Inconclusive(f"the conversation is longer than {MAX_PAGES} pages"))
        if before == self._before:
            if page.next_page is None:  # it has no pages
                return self._conclude()
            return self.lookup_failed("the API's listing does not move on")
        self._before = before
        return None

    def _compare(self, message: ListedMessage) -> None:
        if message.alt_id:
            self._shows_alt_ids = True
            target = self._by_alt_id.get(message.alt_id)
            if target is not None:
                self._found[target.seq] = message
        elif message.id not in self._taken:
            for target in self._targets:
                if target.seq not in self._lookalikes and matches(message, target):
                    self._lookalikes[target.seq] = message
                    self._taken.add(message.id)
                    return
            if message.date_added is None:
                self._undated.append(message)

    def _conclude(self) -> dict[int, Finding]:
        return {target.seq: self._conclude_for(target) for target in self._targets}

    def _conclude_for(self, target: SearchTarget) -> Finding:
        found = self._found.get(target.seq)
        if not (target.alt_id and self._shows_alt_ids):
            found = self._lookalikes.get(target.seq)
            if found and target.message.date is None and not target.message.message:
                return Inconclusive("the API shows no altId, and it has neither date nor text")
            if found is None and any(looks_like(message, target) for message in self._undated):
                return Inconclusive("an entry of the listing that may be it has no date to read")
        if found is None:
            return LookupFailed(UNREADABLE) if self._nameless else NotFound()
        return Found(found.id, found.conversation_id or self._conversation, found.thread)

    def _all(self, finding: Finding) -> dict[int, Finding]:
        return {target.seq: finding for target in self._targets}
