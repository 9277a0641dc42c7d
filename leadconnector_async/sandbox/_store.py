"""What the sandbox has stored: conversations and their messages, in the order of arrival."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from leadconnector_async.sandbox._ids import derived_id

if TYPE_CHECKING:
    from collections.abc import Iterator

# Without an offset, since the API writes Z where Python would write +00:00.
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC, see above


def iso(milliseconds: int) -> str:
    """A moment of the Unix epoch as the API writes it: UTC, milliseconds, ``Z``."""
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds") + "Z"


class Stored(Struct, frozen=True, kw_only=True, gc=False):
    """One stored message.

    ``fields`` is the request's body as it came. ``date`` is the message's own, in milliseconds of
    the Unix epoch; ``stored_at`` is the sandbox's clock at storing, ``seq`` counts arrivals from 1.
    """

    seq: int
    id: str
    location_id: str
    contact_id: str
    conversation_id: str
    type: str
    direction: str
    date: int
    stored_at: float
    stored_ms: int
    fields: dict[str, Any]
    email_message_id: str | None = None
    thread_id: str | None = None

    @property
    def alt_id(self) -> str | None:
        """The sender's own id."""
        return self.fields.get("altId")

    def __repr__(self) -> str:
        return f"Stored({self.seq}, {self.id!r}, type={self.type!r}, contact={self.contact_id!r})"


class Timeline:
    """Messages that can be walked by date or by arrival. Sorted when read, not when written."""

    def __init__(self) -> None:
        self.by_arrival: list[Stored] = []
        self._by_date: list[Stored] = []

    def add(self, stored: Stored) -> None:
        """Append what has just arrived."""
        self.by_arrival.append(stored)

    def by_date(self) -> list[Stored]:
        """Oldest first; messages of one moment in the order of their arrival."""
        fresh = self.by_arrival[len(self._by_date) :]
        if fresh:
            self._by_date.extend(fresh)
            self._by_date.sort(key=lambda stored: (stored.date, stored.seq))
        return self._by_date


class Conversation:
    """The one conversation of a contact."""

    def __init__(self, conversation_id: str, location_id: str, contact_id: str, at: float) -> None:
        self.id = conversation_id
        self.location_id = location_id
        self.contact_id = contact_id
        self.opened_at = at
        self.timeline = Timeline()

    def __repr__(self) -> str:
        return f"Conversation({self.id!r}, contact={self.contact_id!r})"


class Store:
    """All conversations of all locations. ``keep=False`` counts messages and forgets them."""

    def __init__(self, *, seed: int, keep: bool) -> None:
        self._seed = seed
        self._keep = keep
        self._conversations: dict[tuple[str, str], Conversation] = {}
        self._of_contact: dict[tuple[str, str], Conversation] = {}
        self._locations: dict[str, Timeline] = {}
        self._messages: dict[str, Stored] = {}
        self._threads: dict[tuple[str, str], list[str]] = {}
        self.counts: Counter[str] = Counter()
        self.total = 0

    def conversation(self, location: str, conversation_id: str) -> Conversation | None:
        """A conversation by its id."""
        return self._conversations.get((location, conversation_id))

    def conversation_of(self, location: str, contact_id: str) -> Conversation | None:
        """A contact's conversation, if it was opened."""
        return self._of_contact.get((location, contact_id))

    def conversations(self, location: str) -> Iterator[Conversation]:
        """All of a location, in the order in which they were opened."""
        return (one for (where, _), one in self._conversations.items() if where == location)

    def all_conversations(self) -> list[Conversation]:
        """All of every location, in the order in which they were opened."""
        return list(self._conversations.values())

    def open(
        self, location: str, contact_id: str, now: float, conversation_id: str | None = None
    ) -> Conversation:
        """Open a conversation. Without an id of its own, it follows from location and contact."""
        chosen = conversation_id or derived_id(self._seed, "conversation", location, contact_id)
        opened = Conversation(chosen, location, contact_id, now)
        self._conversations[location, chosen] = opened
        self._of_contact.setdefault((location, contact_id), opened)
        return opened

    def add(self, stored: Stored, conversation: Conversation) -> None:
        """Store a message."""
        self.total += 1
        self.counts[stored.location_id] += 1
        if not self._keep:
            return
        self._messages[stored.id] = stored
        conversation.timeline.add(stored)
        self.timeline(stored.location_id).add(stored)
        if stored.email_message_id and stored.thread_id:
            self._join(stored.location_id, stored.thread_id, stored.email_message_id)

    def _join(self, location: str, thread_id: str, email_message_id: str) -> None:
        thread = self._threads.setdefault((location, thread_id), [])
        thread.append(email_message_id)
        self._threads[location, email_message_id] = thread

    def thread(self, location: str, email_message_id: str) -> list[str] | None:
        """The ids of the thread that this email is in, the first one naming the thread."""
        return self._threads.get((location, email_message_id))

    def timeline(self, location: str) -> Timeline:
        """All messages of a location."""
        found = self._locations.get(location)
        if found is None:
            found = self._locations[location] = Timeline()
        return found

    def message(self, message_id: str) -> Stored | None:
        """A message by its id."""
        return self._messages.get(message_id)

    def messages(self) -> list[Stored]:
        """All that is kept, in the order of arrival."""
        return list(self._messages.values())
