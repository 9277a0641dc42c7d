"""Whether a message that the API gives back is one of ours, where no id tells."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from leadconnector_async._api.rules import RULES
from leadconnector_async._messages import InboundMessage

SLACK_MS: Final = 1000
"""The API keeps dates to the second or to the millisecond."""
OLDER_MS: Final = 60_000
"""How much earlier than ours the server's clock may be."""


class Message(Struct, rename="camel"):
    """A message as the API gives it back: only the fields that tell messages apart."""

    id: str
    message_type: str | None = None
    direction: str | None = None
    date_added: datetime | None = None
    body: str | None = None
    alt_id: str | None = None
    conversation_id: str | None = None
    meta: Any = None

    @property
    def thread(self) -> str | None:
        """Of a mail: the id by which its thread is named, if ``meta`` has the documented form."""
        try:
            first = self.meta["email"]["messageIds"][0]
        except (TypeError, KeyError, IndexError):
            return None
        return first if isinstance(first, str) else None

    def __repr__(self) -> str:
        return f"Message(id={self.id!r}, message_type={self.message_type!r})"


class Target(Struct, frozen=True):
    """One record to look for."""

    seq: int
    message: InboundMessage
    alt_id: str | None
    """What was sent as ``altId``."""
    date_ms: int
    """Its date, or the time it was staged where it has none."""


def vagueness(target: Target) -> tuple[bool, bool, bool]:
    """A record that could be nearly any message must not take one that only another can be.

    Nor must one that has an ``altId`` to be found by.
    """
    message = target.message
    return (not message.message, message.date is None, target.alt_id is not None)


def looks_like(found: Message, target: Target) -> bool:
    """Tell whether type, direction, date and text agree."""
    ours = target.message
    read_as = RULES[ours.type].read_as
    return (
        (not read_as or found.message_type in (None, ours.type, *read_as))
        and found.direction in (None, ours.direction)
        and _same_time(found, target)
        and _same_text(found.body, ours)
    )


def _same_text(body: str | None, ours: InboundMessage) -> bool:
    """A listing shows an e-mail's html, perhaps made harmless first, or its text, or neither."""
    if not body or (ours.html and ours.date is not None):
        return True
    texts = [text for text in (ours.message, ours.html) if text]
    return not texts or body.split() in [text.split() for text in texts]


def _same_time(found: Message, target: Target) -> bool:
    if found.date_added is None:
        return False
    at = milliseconds(found.date_added)
    if target.message.date is None:  # stored under the time of its arrival, after it was staged
        return at >= target.date_ms - OLDER_MS
    return abs(at - target.date_ms) <= SLACK_MS


def milliseconds(date: datetime) -> int:
    """Of the Unix epoch. A date without offset is in UTC, as the API gives them."""
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1000)
