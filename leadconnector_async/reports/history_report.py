"""The account of a whole import: what became of its messages, by time, type and place."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.sqlite.history import HistoryReader, Times
from leadconnector_async.records.files import kind_of_refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leadconnector_async.outbox.sqlite.history import HistoryRecord, ReasonTotal

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


class StateCounts(Struct):
    """How many messages stand where. ``found`` are those of ``sent`` whose answer was lost."""

    sent: int = 0
    failed: int = 0
    unresolved: int = 0
    pending: int = 0
    found: int = 0
    left_out: int = 0
    dismissed: int = 0

    @property
    def total(self) -> int:
        """All that were to be sent."""
        return self.sent + self.failed + self.unresolved + self.pending

    def add(self, state: int, n: int, *, found: bool) -> None:
        """Count messages that stand alike."""
        if state == State.SENT:
            self.sent += n
            self.found += n if found else 0
        elif state == State.REJECTED:
            self.failed += n
        elif state == State.UNRESOLVED:
            self.unresolved += n
        elif state == State.LEFT_OUT:
            self.left_out += n
        elif state == State.DISMISSED:
            self.dismissed += n
        else:
            self.pending += n


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
    times: Times

    @property
    def undated(self) -> int:
        """Messages that no month has."""
        return self.counts.total - sum(sum(types.values()) for types in self.months.values())


def history_report_of(outbox: str) -> HistoryReport:
    """Read an outbox, also while an import writes it.

    Raises:
        OutboxError: it does not exist, or cannot be read.
    """
    with HistoryReader(outbox) as history:
        found = history.reasons()
        report = HistoryReport(
            times=history.times(),
            reasons=merged(of for of in found if of.state in (State.REJECTED, State.UNRESOLVED)),
            left_out=merged(of for of in found if of.state is State.LEFT_OUT),
            dismissed=merged(of for of in found if of.state is State.DISMISSED),
            copies=history.copies(),
        )
        _add_up(report, history.passages(kind_of_refused))
    return report


def _add_up(report: HistoryReport, passages: Iterable[HistoryRecord]) -> None:
    """Count records that are alike first: there are few kinds and many records."""
    alike: Counter[tuple[str, str | None, str | None, int, bool]] = Counter()
    dated: Counter[tuple[int, str | None, int]] = Counter()
    periods: dict[str, Period] = {}
    for location, type_, direction, date, state, found in passages:
        alike[location, type_, direction, state, found] += 1
        if date is not None and state not in _NOT_SENT:
            dated[month_of(date // _DAY_MS), type_, state] += 1
            period = periods.get(location)
            if period is None:
                period = periods[location] = Period()
            period.add(date, date)
    for (location, type_, direction, state, found), n in alike.items():
        place = report.locations.setdefault(
            location, (StateCounts(), periods.get(location, Period()))
        )
        affected = [report.counts, place[0]]
        if state not in _NOT_SENT:
            affected.append(report.kinds.setdefault((type_, direction), StateCounts()))
        for counts in affected:
            counts.add(state, n, found=found)
    for (month, type_, state), n in dated.items():
        report.months.setdefault(month, Counter())[type_ or ""] += n
        report.sent_months[month] += n if state == State.SENT else 0
    for period in periods.values():
        report.period.add(period.first, period.last)


@lru_cache(maxsize=50_000)
def month_of(day: int) -> int:
    """The month of a day, both counted: the day from 1970 on, the month from the year 0 on."""
    date = _EPOCH + timedelta(days=day)
    return date.year * 12 + date.month - 1


def merged(reasons: Iterable[ReasonTotal]) -> list[ReasonCount]:
    """Reasons without addresses and numbers that the API may have quoted, and equal ones as one."""
    counts: Counter[tuple[bool, str]] = Counter()
    for state, text, n in reasons:
        reason = _PERSONAL.sub("…", text or "no reason given")
        counts[state is State.UNRESOLVED, reason] += n
    return [ReasonCount(unresolved, text, n) for (unresolved, text), n in counts.most_common()]
