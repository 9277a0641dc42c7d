"""A piece of an import: which records this run sends, and which are left for later.

All records are staged once and keep their keys, whatever is selected; what is left for later stands
in the queue under the negative number of its location, where nothing is claimed. The selection is
made anew by each import, over all records that came from sources, the sent ones included: so the
same command again sends nothing more, and one without a selection sends all the rest.
"""

import re
from collections.abc import Iterable, Set as AbstractSet
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Annotated, Final

import msgspec

from leadconnector_async.arguments import AtLeastOne, Checked
from leadconnector_async.errors import SelectionError
from leadconnector_async.models import Call
from leadconnector_async.records.deferred import read_deferred
from leadconnector_async.records.keys import milliseconds
from leadconnector_async.sources.values.contact_values import Contacts

Day = str | date
"""A day or a moment: in ISO 8601, or an object."""

Candidate = tuple[int, int, int, int, int, bytes | None, str | None]
"""Number, location, lane, source (0 for none) and date of a record, with its body and its
deferred parts, which need be there only where the selection has some of ``only``."""

_PUNCTUATED: Final = re.compile(r"[\d\s()+./-]*\d{3}[\d\s()+./-]*")

_E164: Final = re.compile(r"\+\d+")

WHOLE: Final = 0
"""As ``limit_conversations``: the conversations of what ``limit`` takes, however many they are."""


class Selection(Checked, frozen=True, kw_only=True):
    """The records that meet all of this, in the order of their dates. Dates: Unix milliseconds."""

    limit: AtLeastOne | None = None
    """The first so many messages."""
    limit_conversations: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """The messages of the first so many conversations; or `WHOLE`."""
    since: int | None = None
    until: int | None = None
    """Before this moment."""
    only: tuple[str, ...] = ()
    """Types of messages, ids of contacts and conversations, numbers and addresses: any of them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.limit_conversations == WHOLE and self.limit is None:
            raise ValueError("limit_conversations without a number needs a limit of messages")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("until must be after since")


def selection_of(  # noqa: PLR0913 - one argument for each thing to select by
    *,
    limit: int | None = None,
    limit_conversations: int | None = None,
    since: Day | None = None,
    until: Day | None = None,
    only: Iterable[str] = (),
    timezone: tzinfo | None = None,
    region: str | None = None,
) -> Selection | None:
    """The selection that a user means; None where it is all.

    A moment without an offset is one of ``timezone``, else of UTC. A day without a time begins
    ``since``, and ``until`` ends with it. Numbers without a country code are those of ``region``.

    Raises:
        ValueError: a date cannot be read, or nothing can be both.
    """
    names = tuple(_number(name.strip(), region) for name in only)
    if not all(names):
        raise ValueError("only needs a type, a contact, a number or an address")
    selection = Selection(
        limit=limit,
        limit_conversations=limit_conversations,
        since=None if since is None else _moment(since, timezone),
        until=None if until is None else _moment(until, timezone, ends=True),
        only=names,
    )
    return None if selection == Selection() else selection


def _number(name: str, region: str | None) -> str:
    """A telephone number as records spell it; anything else as it is."""
    if not _PUNCTUATED.fullmatch(name) or _E164.fullmatch(name):
        return name
    return f"+{Contacts(region, possible=True).same(name)}"


def _moment(value: Day, timezone: tzinfo | None, *, ends: bool = False) -> int:
    try:
        found = datetime.fromisoformat(value.strip()) if isinstance(value, str) else value
        is_day = len(str(value).strip()) <= len("2024-01-31")  # with any time of day it is longer
        if not isinstance(found, datetime):
            found = datetime(found.year, found.month, found.day)  # noqa: DTZ001 - see below
        if found.tzinfo is None:
            found = found.replace(tzinfo=timezone or UTC)
        return milliseconds(found + timedelta(days=1) if is_day and ends else found)
    except (AttributeError, ValueError, OverflowError):  # the latter where no day follows
        raise ValueError(f"{value!r} is no day such as 2024-01-31, and no moment") from None


class SelectionPass:
    """One walk over the candidates. ``held`` are in flight, or in doubt: they stay."""

    def __init__(self, selection: Selection, held: AbstractSet[int]) -> None:
        self._selection = selection
        self._held = held
        self._chosen = 0
        self._lanes: set[tuple[int, int]] = set()
        self._names = {name.casefold(): name for name in selection.only}
        self._missing = set(self._names)

    def takes(self, candidate: Candidate) -> bool:
        """Tell whether this run may send a candidate. They come by date and number."""
        seq, location, lane, source, date, payload, deferred = candidate
        if not source:  # a program's, which waits for it
            return True
        if self._is_meant(date, payload, deferred) and self._has_room((location, lane)):
            self._lanes.add((location, lane))
            self._chosen += 1
            return True
        return seq in self._held

    def check(self) -> None:
        """See that the walk has met all that is to be selected.

        Raises:
            SelectionError: something of ``only`` is in no record.
        """
        if self._missing:
            listed = ", ".join(sorted(self._names[name] for name in self._missing))
            fix = ": a number needs its country code, or --region" if "+" in listed else ""
            wrong = f"no record has the type, contact, number or address {listed}"
            raise SelectionError(wrong + fix)

    def _is_meant(self, at: int, payload: bytes | None, deferred: str | None) -> bool:
        since, until = self._selection.since, self._selection.until
        if self._names:
            found = _names_of(payload or b"{}", deferred) & self._names.keys()
            self._missing -= found
            if not found:
                return False
        return (since is None or at >= since) and (until is None or at < until)

    def _has_room(self, lane: tuple[int, int]) -> bool:
        limit, conversations = self._selection.limit, self._selection.limit_conversations
        if conversations and lane not in self._lanes and len(self._lanes) >= conversations:
            return False
        if limit is None or self._chosen < limit:
            return True
        return conversations == WHOLE and lane in self._lanes


class _Named(msgspec.Struct, rename="camel", gc=False):
    type: str = ""
    contact_id: str | None = None
    conversation_id: str | None = None
    email_from: str | None = None
    email_to: str | None = None
    call: Call | None = None


_bodies: Final = msgspec.json.Decoder(_Named)


def _names_of(payload: bytes, deferred: str | None) -> set[str]:
    """All that a record can be selected by."""
    body = _bodies.decode(payload)
    names = [body.type, body.contact_id, body.conversation_id, body.email_from, body.email_to]
    if body.call is not None:
        names += [body.call.to, body.call.from_]
    contact = read_deferred(deferred).contact if deferred else None
    if contact is not None:
        names += [contact.phone, contact.email]
    return {name.casefold() for name in names if name}
