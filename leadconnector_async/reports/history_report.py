"""The account of a whole import: what became of its messages, by time, type and place."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct, field

from leadconnector_async.api.enrichment import contact_lookup
from leadconnector_async.models import DIRECTIONS, MESSAGE_TYPES
from leadconnector_async.outbox.base import State
from leadconnector_async.records.deferred import read_deferred
from leadconnector_async.records.keys import milliseconds
from leadconnector_async.reports.outbox_status import STATES, OutboxCounts
from leadconnector_async.sources.fields import WrongValueError, flat
from leadconnector_async.sources.formats.failed_list import as_api_names
from leadconnector_async.sources.formats.stream_source import decode_format
from leadconnector_async.sources.values.dates import Dates

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leadconnector_async.outbox.outbox_reader import OutboxReader
    from leadconnector_async.outbox.reader import HistoryRecord, ReasonGroup, RecordKind

_DAY_MS: Final = 86_400_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_NOT_SENT: Final = frozenset({State.LEFT_OUT, State.DISMISSED})
"""Their owner does not want them sent."""

_PERSONAL: Final = re.compile(
    r"""[^\s@<>"'(),;:=]+@[^\s@<>"'(),;:=]+   # an e-mail address
    | \+\d[\d ().-]{5,}\d                    # a telephone number with its country
    | (?<![\w.-])\d{10,15}(?![\w.-])         # one without a plus
    """,
    re.VERBOSE,
)

_TYPES: Final = {name.lower(): name for name in MESSAGE_TYPES}

_UNKNOWN: Final = (None, None, None)


class StateCounts(OutboxCounts, frozen=False):  # type: ignore[misc]  # a Struct may
    """How many messages stand where. ``found`` are those of ``sent`` whose answer was lost."""

    found: int = 0

    @property
    def total(self) -> int:
        """All that were to be sent."""
        return self.sent + self.failed + self.unresolved + self.pending

    def add(self, state: int, n: int, *, found: bool) -> None:
        """Count messages that stand alike."""
        name = STATES[State(state)].replace(" ", "_")
        setattr(self, name, getattr(self, name) + n)
        self.found += n if found and state == State.SENT else 0


class Period(Struct):
    """From the first message to the last, in Unix milliseconds; None where none has a date."""

    first: int | None = None
    last: int | None = None

    def add(self, first: int | None, last: int | None) -> None:
        """Grow to hold another one."""
        if first is not None and (self.first is None or first < self.first):
            self.first = first
        if last is not None and (self.last is None or last > self.last):
            self.last = last


class ReasonCount(Struct, frozen=True):
    """How many messages failed, are unresolved, left out or dismissed, for one reason."""

    unresolved: bool
    reason: str
    count: int


class Times(NamedTuple):
    """When records were settled, in Unix milliseconds; None where none was."""

    first_at: int | None
    last_at: int | None
    sending_ms: int
    """The time in which at least one record was sent, in spans of ten seconds."""


class PeopleCounts(NamedTuple):
    """Whom the messages are with that name them by number or address."""

    matched: int = 0
    made: int = 0
    doubtful: int = 0
    """Those of failed messages for whom no one contact could be told."""


class HistoryReport(Struct, kw_only=True):
    """All of an outbox, added up."""

    counts: StateCounts = field(default_factory=StateCounts)
    period: Period = field(default_factory=Period)
    locations: dict[str, tuple[StateCounts, Period]] = {}
    kinds: dict[tuple[str | None, str | None], StateCounts] = {}
    """By type and direction."""
    months: dict[int, Counter[str]] = {}
    """Messages with a date, by month (``12 * year + month - 1``, UTC) and type."""
    sent_months: Counter[int] = field(default_factory=Counter)
    """How many of a month's are sent."""
    reasons: list[ReasonCount] = []
    """Of what failed or is unresolved: the most frequent first."""
    left_out: list[ReasonCount] = []
    dismissed: list[ReasonCount] = []
    copies: int = 0
    """Equal records that were read beside one of these."""
    people: PeopleCounts = PeopleCounts()
    times: Times

    @property
    def undated(self) -> int:
        """Messages that no month has."""
        return self.counts.total - sum(sum(types.values()) for types in self.months.values())


async def history_report_of(reader: OutboxReader) -> HistoryReport:
    """Read an outbox as of one moment, also while an import writes it.

    Raises:
        OutboxError: it cannot be read.
    """
    counter = _RecordCounter()
    async with reader.at_one_moment():
        found = await reader.summary()
        async for page in reader.records(kind_of_refused):
            counter.add(page)
        people = await _people(reader)
    report = HistoryReport(
        times=Times(found.first_at, found.last_at, found.sending_ms),
        reasons=merged(found.reasons, State.REJECTED, State.UNRESOLVED),
        left_out=merged(found.reasons, State.LEFT_OUT),
        dismissed=merged(found.reasons, State.DISMISSED),
        copies=found.copies,
        people=people,
    )
    counter.add_up(report)
    return report


async def _people(reader: OutboxReader) -> PeopleCounts:
    known, made = await reader.contacts()
    doubtful: defaultdict[str, set[str]] = defaultdict(set)
    async for page in reader.failed():
        for record in page:
            contact = read_deferred(record.deferred).contact if record.deferred else None
            if contact is not None:
                doubtful[record.location].add(contact_lookup(contact))
    count = 0
    for location, names in doubtful.items():
        count += len(names) - len(await reader.lookups(location, list(names)))
    return PeopleCounts(known - made, made, count)


class _RecordCounter:
    """Counts records that are alike first: there are few kinds and many records."""

    def __init__(self) -> None:
        self._alike: Counter[tuple[str, str | None, str | None, int, bool]] = Counter()
        self._dated: Counter[tuple[int, str | None, int]] = Counter()
        self._periods: defaultdict[str, Period] = defaultdict(Period)

    def add(self, records: Iterable[HistoryRecord]) -> None:
        alike, dated, periods = self._alike, self._dated, self._periods
        for location, type_, direction, date, state, found in records:
            alike[location, type_, direction, state, found] += 1
            if date is not None and state not in _NOT_SENT:
                dated[month_of(date // _DAY_MS), type_, state] += 1
                periods[location].add(date, date)

    def add_up(self, report: HistoryReport) -> None:
        for (location, type_, direction, state, found), n in self._alike.items():
            period = self._periods.get(location, Period())
            place = report.locations.setdefault(location, (StateCounts(), period))
            affected = [report.counts, place[0]]
            if state not in _NOT_SENT:
                affected.append(report.kinds.setdefault((type_, direction), StateCounts()))
            for counts in affected:
                counts.add(state, n, found=found)
        for (month, type_, state), n in self._dated.items():
            report.months.setdefault(month, Counter())[type_ or ""] += n
            report.sent_months[month] += n if state == State.SENT else 0
        for period in self._periods.values():
            report.period.add(period.first, period.last)


@lru_cache(maxsize=50_000)
def month_of(day: int) -> int:
    """The month of a day, both counted: the day from 1970 on, the month from the year 0 on."""
    date = _EPOCH + timedelta(days=day)
    return date.year * 12 + date.month - 1


def merged(reasons: Iterable[ReasonGroup], *states: State) -> list[ReasonCount]:
    """Reasons without addresses and numbers that the API may have quoted, and equal ones as one."""
    counts: Counter[tuple[bool, str]] = Counter()
    for of in reasons:
        if of.state in states:
            reason = _PERSONAL.sub("…", of.reason or "no reason given")
            counts[of.state is State.UNRESOLVED, reason] += of.count
    return [ReasonCount(unresolved, text, n) for (unresolved, text), n in counts.most_common()]


def kind_of_refused(form: bytes | None, raw: bytes | None) -> RecordKind:
    """Give the type, the direction, and the date in Unix milliseconds; None for what is not known.

    ``form`` and ``raw`` are those of the record's source.
    """
    if form is None or raw is None:
        return _UNKNOWN
    try:
        record = as_api_names(form, raw)
    except (ValueError, LookupError, TypeError):  # what is refused may be of any shape
        return _UNKNOWN
    if isinstance(record, str):
        return _UNKNOWN
    values = flat(record)
    direction = str(values.get("direction")).lower()
    return (
        _TYPES.get(str(values.get("type")).lower()),
        direction if direction in DIRECTIONS else None,
        _moment(values.get("date"), decode_format(form).timezone),
    )


def _moment(date: object, zone: str | None) -> int | None:
    try:
        moment = Dates(ZoneInfo(zone) if zone else None).read(date)
    except (WrongValueError, ValueError, OverflowError):
        return None
    return None if moment is None else milliseconds(moment)
