"""Looking for records of one contact among what the API gives back, without I/O.

A `Search` says which request to make next and is fed the answers, until it knows. First the
conversation (where only the contact is known), then its messages, newest first, down to the date
of the oldest record. A message is the record if it carries its ``altId``; where the API shows
none, if type, direction, date and text agree and it belongs to no other record of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from leadconnector_async._api import requests
from leadconnector_async._api.answers import read_refusal
from leadconnector_async._api.likeness import (
    OLDER_MS,
    Message,
    Target,
    looks_like,
    milliseconds,
    vagueness,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from leadconnector_async._messages import InboundMessage
    from leadconnector_async._transport import Answer, Request

MOST_PAGES: Final = 200


class _Page(Struct, rename="camel"):
    messages: list[Message] = []
    last_message_id: str | None = None
    next_page: bool = False


class _Listing(Struct):
    messages: _Page


class _Conversation(Struct, rename="camel"):
    id: str
    contact_id: str | None = None


class _Conversations(Struct):
    conversations: list[_Conversation] = []


_listings: Final = msgspec.json.Decoder(_Listing)
_conversations: Final = msgspec.json.Decoder(_Conversations)


class Found(Struct, frozen=True):
    """The record is stored, as this message."""

    message_id: str
    conversation_id: str | None
    thread: str | None = None


class Absent(Struct, frozen=True):
    """The API does not show the record, which is a proof only after the settling time."""


class Impossible(Struct, frozen=True):
    """It cannot be found out by looking."""

    reason: str


class Trouble(Struct, frozen=True):
    """This look failed; a later one may not."""

    reason: str


Finding = Found | Absent | Impossible | Trouble


class Search:
    """One look for the records of one lane.

    Ask `request`, `feed` its answer, until `feed` returns a finding by ``seq`` for the first
    target, and for the others that are in the same conversation.
    ``taken`` are the ids of messages that belong to other records.
    """

    def __init__(
        self,
        location: str,
        targets: Sequence[Target],
        taken: AbstractSet[str],
        *,
        version: str = requests.CONVERSATIONS_VERSION,
    ) -> None:
        self._location = location
        self._version = version
        self._contact = targets[0].message.contact_id
        self._conversation = targets[0].message.conversation_id
        here = [target for target in targets if self._is_here(target.message)]
        self._targets = sorted(here, key=vagueness)
        self._taken = set(taken)
        self._oldest = min(target.date_ms for target in self._targets) - OLDER_MS
        self._by_alt_id = {target.alt_id: target for target in self._targets if target.alt_id}
        self._found: dict[int, Message] = {}
        self._lookalikes: dict[int, Message] = {}
        self._before: str | None = None
        self._pages = 0
        self._shows_alt_ids = False

    @property
    def who(self) -> str:
        """Whom the records are with, as they say it."""
        return self._contact or self._conversation or ""

    def _is_here(self, message: InboundMessage) -> bool:
        """Records of one contact can name different conversations: then each has its own look."""
        return (message.contact_id, message.conversation_id) == (self._contact, self._conversation)

    def request(self) -> Request:
        """The next request to make."""
        if self._conversation is None:
            return requests.find_conversation(self._location, self._contact or "", self._version)
        return requests.list_messages(self._conversation, self._before, self._version)

    def feed(self, answer: Answer) -> dict[int, Finding] | None:
        """Take the answer to `request`; None asks for another request."""
        if answer.status != 200:
            return self._all(self._refused(answer))
        try:
            if self._conversation is None:
                return self._take_conversation(_conversations.decode(answer.body))
            return self._take_page(_listings.decode(answer.body).messages)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self.trouble("the API's listing cannot be read")

    def trouble(self, reason: str) -> dict[int, Finding]:
        """What a look comes to that failed."""
        return self._all(Trouble(reason))

    def _refused(self, answer: Answer) -> Finding:
        refusal = read_refusal(answer.status, answer.body)
        if answer.status == 404 and self._conversation is not None:
            return Absent()
        if 400 <= answer.status < 500 and answer.status not in (408, 429):
            return Impossible(f"looking was refused: {refusal.status} {refusal.message}")
        return Trouble(f"looking failed: {refusal.status} {refusal.message}")

    def _take_conversation(self, found: _Conversations) -> dict[int, Finding] | None:
        for conversation in found.conversations:
            if conversation.contact_id in (self._contact, None):
                self._conversation = conversation.id
                return None
        return self._all(Absent())

    def _take_page(self, page: _Page) -> dict[int, Finding] | None:
        self._pages += 1
        for message in page.messages:
            self._compare(message)
        if len(self._found) == len(self._targets) or not page.next_page or not page.messages:
            return self._conclude()
        last = page.messages[-1]
        if last.date_added is not None and milliseconds(last.date_added) < self._oldest:
            return self._conclude()
        if self._pages >= MOST_PAGES:
            return self._all(Impossible(f"the conversation is longer than {MOST_PAGES} pages"))
        before = page.last_message_id or last.id
        if before == self._before:
            return self.trouble("the API's listing does not move on")
        self._before = before
        return None

    def _compare(self, message: Message) -> None:
        if message.alt_id is not None:
            self._shows_alt_ids = True
            target = self._by_alt_id.get(message.alt_id)
            if target is not None:
                self._found[target.seq] = message
        elif message.id not in self._taken:
            for target in self._targets:
                if target.seq not in self._lookalikes and looks_like(message, target):
                    self._lookalikes[target.seq] = message
                    self._taken.add(message.id)
                    return

    def _conclude(self) -> dict[int, Finding]:
        return {target.seq: self._conclude_for(target) for target in self._targets}

    def _conclude_for(self, target: Target) -> Finding:
        found = self._found.get(target.seq)
        if found is None and not (target.alt_id and self._shows_alt_ids):
            found = self._lookalikes.get(target.seq)
            if found and target.message.date is None and not target.message.message:
                return Impossible("the API shows no altId, and it has neither date nor text")
        if found is None:
            return Absent()
        return Found(found.id, found.conversation_id or self._conversation, found.thread)

    def _all(self, finding: Finding) -> dict[int, Finding]:
        return {target.seq: finding for target in self._targets}
