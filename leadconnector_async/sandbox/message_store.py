"""What the sandbox has stored: contacts, conversations and messages, and the ids it gives them."""

import re
import string
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import islice
from typing import Any, Final

from msgspec import Struct


class Upload(Struct, frozen=True):
    """One uploaded file."""

    url: str
    name: str
    content: bytes
    location_id: str
    contact_id: str
    conversation_id: str

    def __repr__(self) -> str:
        return f"Upload({self.url!r}, {len(self.content)} bytes)"


_PUNCTUATION: Final = re.compile(r"[\s().-]")


def normal_phone(number: str) -> str:
    """A number without its punctuation."""
    return _PUNCTUATION.sub("", number)


class ContactBook:
    """Contacts by location and id, with an index for each field that tells duplicates."""

    def __init__(self) -> None:
        self._contacts: dict[tuple[str, str], dict[str, Any]] = {}
        self._index: dict[tuple[str, str, str], str] = {}
        self._keys: dict[tuple[str, str], list[tuple[str, str, str]]] = {}

    def get(self, location: str, contact_id: str) -> dict[str, Any] | None:
        """A contact's fields."""
        return self._contacts.get((location, contact_id))

    def all(self) -> list[dict[str, Any]]:
        """Every contact, in the order of creation."""
        return list(self._contacts.values())

    def find(self, location: str, field: str, value: str | None) -> dict[str, Any] | None:
        """The contact with this ``email`` or ``phone``."""
        if not value:
            return None
        contact_id = self._index.get((location, field, _normal(field, value)))
        return None if contact_id is None else self._contacts[location, contact_id]

    def put(self, contact: dict[str, Any]) -> None:
        """Add a contact, or index its changed fields again. A field's first owner keeps it."""
        who = contact["locationId"], contact["id"]
        self.remove(*who)
        self._contacts[who] = contact
        emails = [contact.get("email"), *(contact.get("additionalEmails") or ())]
        named = [("email", email) for email in emails] + [("phone", contact.get("phone"))]
        keys = [(who[0], field, _normal(field, value)) for field, value in named if value]
        self._keys[who] = [key for key in keys if self._index.setdefault(key, who[1]) == who[1]]

    def remove(self, location: str, contact_id: str) -> None:
        """Forget a contact, if it is there."""
        self._contacts.pop((location, contact_id), None)
        for key in self._keys.pop((location, contact_id), ()):
            del self._index[key]


def _normal(field: str, value: str) -> str:
    return normal_phone(value) if field == "phone" else value.strip().lower()


_LETTERS: Final = ((string.ascii_letters + string.digits) * 5)[:256].encode()
"""What each byte of a digest becomes in an id."""

_FORM: Final = re.compile(r"[0-9A-Za-z]{20}")

_FORM_OF_PROVIDERS: Final = re.compile(r"[0-9a-f]{24}|[0-9A-Za-z]{20}")


def is_own_form(text: str) -> bool:
    """Tell whether the API may have given out such an id, by the examples of its OpenAPI files."""
    return _FORM.fullmatch(text) is not None


def is_provider_form(text: str) -> bool:
    """The same of the id of a conversation provider."""
    return _FORM_OF_PROVIDERS.fullmatch(text) is not None


def derived_id(*parts: object) -> str:
    """The id that belongs to these parts."""
    digest = blake2b("\0".join(map(str, parts)).encode(), digest_size=20).digest()
    return digest.translate(_LETTERS).decode()


# Without an offset, since the API writes Z where Python would write +00:00.
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC, see above


def iso(milliseconds: int) -> str:
    """A moment of the Unix epoch as the API writes it: UTC, milliseconds, ``Z``."""
    return (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds") + "Z"


class Stored(Struct, frozen=True, kw_only=True, gc=False):
    """One stored message.

    ``fields`` is the request's body as it came. ``date`` is the message's own, in milliseconds of
    the Unix epoch; ``stored_at`` is the sandbox's clock at storing, ``seq`` counts arrivals from 1.

    Example:
        >>> with SandboxThread() as sandbox:
        ...     print([stored.fields["message"] for stored in sandbox.messages])
        []
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

    def by_date(self) -> list[Stored]:
        """Oldest first; messages of one moment in the order of their arrival."""
        fresh = self.by_arrival[len(self._by_date) :]
        if fresh:
            self._by_date.extend(fresh)
            self._by_date.sort(key=lambda stored: (stored.date, stored.seq))
        return self._by_date


@dataclass(slots=True, eq=False)
class Conversation:
    """The one conversation of a contact."""

    id: str
    location_id: str
    contact_id: str
    opened_at: float
    unread: int = 0
    timeline: Timeline = field(default_factory=Timeline)

    def __repr__(self) -> str:
        return f"Conversation({self.id!r}, contact={self.contact_id!r})"


class MessageStore:
    """All conversations of all locations. ``keep=False`` counts messages and forgets them."""

    def __init__(self, *, seed: int, keep: bool) -> None:
        self._seed = seed
        self._keep = keep
        self._conversations: dict[tuple[str, str], Conversation] = {}
        self._of_contact: dict[tuple[str, str], Conversation] = {}
        self.timelines: defaultdict[str, Timeline] = defaultdict(Timeline)
        """All messages of a location."""
        self.by_id: dict[str, Stored] = {}
        self.threads: dict[tuple[str, str], list[str]] = {}
        """The ids of the thread that an email of a location is in, the first naming the thread."""
        self.counts: Counter[str] = Counter()
        self.total: int = 0

    def conversation(self, location: str, conversation_id: str) -> Conversation | None:
        """A conversation by its id."""
        return self._conversations.get((location, conversation_id))

    def conversation_of(self, location: str, contact_id: str) -> Conversation | None:
        """A contact's conversation, if it was opened."""
        return self._of_contact.get((location, contact_id))

    def conversations(self, location: str | None = None) -> list[Conversation]:
        """All of a location, or of every location, in the order in which they were opened."""
        return [one for one in self._conversations.values() if location in (None, one.location_id)]

    def open(
        self, location: str, contact_id: str, now: float, conversation_id: str | None = None
    ) -> Conversation:
        """Open a conversation. Without an id of its own, it follows from location and contact."""
        chosen = conversation_id or derived_id(self._seed, "conversation", location, contact_id)
        opened = Conversation(chosen, location, contact_id, now)
        self._conversations[location, chosen] = opened
        self._of_contact.setdefault((location, contact_id), opened)
        return opened

    def drop(self, location: str, contact_id: str) -> None:
        """Forget a contact's conversation and its messages."""
        gone = self._of_contact.pop((location, contact_id), None)
        if gone is None:
            return
        del self._conversations[location, gone.id]
        for stored in gone.timeline.by_arrival:
            self.by_id.pop(stored.id, None)
        kept = self.by_id.values()
        self.timelines[location] = Timeline()
        self.timelines[location].by_arrival += [one for one in kept if one.location_id == location]

    def add(self, stored: Stored, conversation: Conversation) -> None:
        """Store a message."""
        self.total += 1
        self.counts[stored.location_id] += 1
        if not self._keep:
            return
        self.by_id[stored.id] = stored
        conversation.unread += stored.direction == "inbound"
        conversation.timeline.by_arrival.append(stored)
        self.timelines[stored.location_id].by_arrival.append(stored)
        if stored.email_message_id and stored.thread_id:
            place, mail = stored.location_id, stored.email_message_id
            thread = self.threads.setdefault((place, stored.thread_id), [])
            thread.append(mail)
            self.threads[place, mail] = thread

    def numbered(self, seq: int) -> Stored | None:
        """The message that arrived as this one, where it is among the last."""
        last = islice(reversed(self.by_id.values()), 2)  # it, or an answer to it
        return next((stored for stored in last if stored.seq == seq), None)

    def messages(self) -> list[Stored]:
        """All that is kept, in the order of arrival."""
        return list(self.by_id.values())
