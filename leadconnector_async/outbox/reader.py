"""What is read of an outbox: figures, and single records; see `OutboxReader`."""

import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import msgspec

from leadconnector_async.outbox.base import State, TrailEvent

MAX_PLACES = 5
"""Positions that are told for one reason."""

RecordKind = tuple[str | None, str | None, int | None]
"""Type, direction and date (in Unix milliseconds) of a record; None for what is not known."""

KindOf = Callable[[bytes | None, bytes | None], RecordKind]
"""Reads that of the form and the text of a record."""


class _PayloadKind(msgspec.Struct, gc=False):
    """What is decoded of a payload. A database's own JSON functions take three times as long."""

    type: str | None = None
    direction: str | None = None
    date: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_kinds: Final = msgspec.json.Decoder(_PayloadKind)


def kind_of(payload: bytes, date: int) -> RecordKind:
    """Type, direction, and ``date`` if the message has one."""
    kind = _kinds.decode(payload)
    return kind.type, kind.direction, None if kind.date is msgspec.UNSET else date


class SourcePosition(NamedTuple):
    """Where a record stands: its source's name and line; '' and 0 for no source."""

    source: str
    line: int


class ReasonGroup(msgspec.Struct, frozen=True):
    """How many records ended so, and where the first of them stand."""

    state: State
    reason: str | None
    count: int
    first: list[SourcePosition]


MAX_REASONS: Final = 1_000

OTHERS: Final = "other reasons"
"""Takes what comes after so many different reasons: memory has to stay bounded."""

_OF_ONE_RECORD: Final = re.compile(
    r"""\ \("[^"]*"\)                                  # the value
    | \ \((?:byte\ 0x[0-9A-F]{2}\ at\ )?position\ \d+\)  # what cannot be decoded
    | \ at\ position\ \d+
    | (?<=\btext)\ of\ \d+\ characters
    """,
    re.VERBOSE,
)


def gist(reason: str) -> str:
    """A reason without the value, the length and the position that one record has."""
    if '("' in reason or "position" in reason or "characters" in reason:  # which is rare
        return _OF_ONE_RECORD.sub("", reason)
    return reason


class Group(msgspec.Struct):
    """How many records ended so. ``reason`` is the gist where several reasons share it."""

    state: int
    reason: str | None
    count: int
    sources: list[tuple[int, int | None]]
    """Each reason with the first record that ended so: ``(seq, reason)``."""


def grouped(rows: Iterable[tuple[int, int | None, str | None, int, int]]) -> list[Group]:
    """Put like reasons together, the most frequent first, with the earliest few of each group.

    A file whose dates are all of another form would otherwise have as many reasons as lines.
    ``rows`` are state, number and text of a reason, how many ended so, and the first of them.
    """
    groups: dict[tuple[int, str | None], Group] = {}
    for state, number, text, n, seq in rows:
        key = state, text and gist(text)
        if key not in groups and len(groups) >= MAX_REASONS:
            key = state, OTHERS
        group = groups.get(key)
        if group is None:
            groups[key] = Group(state, OTHERS if key[1] == OTHERS else text, n, [(seq, number)])
            continue
        group.reason = key[1]
        group.count += n
        group.sources = sorted([*group.sources, (seq, number)])[:MAX_PLACES]
    return sorted(groups.values(), key=lambda group: -group.count)


class RecordCounts(NamedTuple):
    """How many records stand where. ``pending`` are those that no one has claimed."""

    pending: int = 0
    claimed: int = 0
    sent: int = 0
    rejected: int = 0
    unresolved: int = 0
    left_out: int = 0
    dismissed: int = 0

    @property
    def left(self) -> int:
        """Records without an end."""
        return self.pending + self.claimed


class Owner(NamedTuple):
    """A process that owns locations, or is one of those that share them."""

    label: str
    """Its machine and number there, ``host/pid``, as far as it told them: they decide nothing."""
    id: str
    """What tells it from others of its name; '' where it did not tell."""
    joined: bool
    """Whether it counts where locations are shared fairly, as a worker does."""
    locations: frozenset[str]
    sent_lately: int


class OutboxSummary(NamedTuple):
    """What stands in an outbox. Times are Unix milliseconds."""

    locations: dict[str, RecordCounts]
    reasons: list[ReasonGroup]
    """Why records failed, are unresolved, left out or dismissed: the most frequent first, those
    that differ by one record's value as one."""
    first_at: int | None
    """When the first record was settled."""
    last_at: int | None
    sent_lately: int
    lately_s: float
    """``sent_lately`` were sent within so many seconds before now."""
    records: int
    """How many are kept, counted one by one."""
    copies: int
    """How many more were read that equal one of them."""
    first_copies: list[SourcePosition]
    sending_ms: int
    """The time in which at least one record was sent, in spans of ten seconds."""
    later: dict[str, int]
    """How many of those that are pending the last selection left for later, by location."""
    owners: tuple[Owner, ...] = ()
    """Who sends now, where several processes may. The owner of a file is not known."""

    @property
    def counts(self) -> RecordCounts:
        """Over all locations."""
        return RecordCounts(*map(sum, zip(*self.locations.values(), strict=True)))

    def left_now(self, location: str) -> int:
        """How many records of a location have no end, but for those of a later run."""
        return self.locations[location].left - self.later.get(location, 0)


class FailedRecord(NamedTuple):
    """A record that was rejected or is unresolved. ``form`` and ``raw`` are its source's."""

    key: bytes
    location: str
    state: State
    reason: str | None
    detail: bytes | None
    source: str
    form: bytes | None
    line: int
    raw: bytes | None
    payload: bytes | None
    deferred: str | None = None

    def __repr__(self) -> str:
        return f"FailedRecord(source={self.source!r}, line={self.line}, reason={self.reason!r})"


class SentRecord(NamedTuple):
    """A record that is believed to be stored. ``date`` is in Unix milliseconds."""

    key: bytes
    date: int
    payload: bytes
    message_id: str | None
    conversation_id: str | None

    def __repr__(self) -> str:
        return f"SentRecord(message_id={self.message_id!r})"


class HistoryRecord(NamedTuple):
    """One record: what it is, and where it stands. A tuple, since a million of them are made."""

    location: str
    type: str | None
    """None where it is not known: validation refused the record."""
    direction: str | None
    date: int | None
    """Unix milliseconds; None where the message has none."""
    state: int
    """A `State`, as a plain integer."""
    found: bool
    """Sent, and found by looking after its answer was lost."""


class RecordLife(NamedTuple):
    """All that is known of one record. Times and dates are Unix milliseconds."""

    key: bytes
    location: str
    type: str | None
    """None where validation refused the record."""
    direction: str | None
    date: int | None
    places: list[SourcePosition]
    """Where it was read: first, where it came from; then, where its equals stand."""
    trail: list[TrailEvent]
    """What happened before its end, in order. Of a record in flight: before it was claimed."""
    worker: str | None
    """The process that settled it."""
    state: State
    at: int | None
    """When it was settled."""
    attempts: int
    message_id: str | None
    conversation_id: str | None
    email_message_id: str | None
    reason: str | None
    detail: bytes | None

    def __repr__(self) -> str:
        return f"RecordLife(key={self.key!r}, state={self.state.name})"


class QueuedRecord(NamedTuple):
    """A record that is still to be sent: its body, and what that lacks."""

    location: str
    payload: bytes
    deferred: str | None

    def __repr__(self) -> str:
        return f"QueuedRecord(location={self.location!r})"


class Workload(NamedTuple):
    """What is left to do in a location.

    ``handles`` are the numbers and addresses whose contact is not known yet, ``ways`` how many
    look-ups can find them, ``owners`` the conversations whose contact has to be asked for.
    """

    records: int
    handles: int = 0
    contacts: int = 0
    ways: int = 0
    files: int = 0
    conversations: int = 0
    owners: int = 0


class NamedIds(NamedTuple):
    """The ids of each kind, once each."""

    contacts: set[str]
    conversations: set[str]
    providers: set[str]
    locations: set[str]
