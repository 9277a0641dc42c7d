"""Progress on standard error: a bar on a terminal, a line now and then elsewhere.

Looks at an import, and says what it does and how long it will take.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Final, Protocol

import click

from leadconnector_async.cli.format import counted, number, rate, remaining, size
from leadconnector_async.errors import DailyQuotaSpentError
from leadconnector_async.reports.estimate import DAY, Budget, slowest
from leadconnector_async.reports.progress import (
    Notice,
    Progress,
    RateMeter,
    ReadingProgress,
    SendingProgress,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from leadconnector_async.delivery.scheduler import LocationState
    from leadconnector_async.importer import Importer
    from leadconnector_async.quota.quota import Quota

LINE_EVERY: Final = 10.0
"""Seconds between two lines."""


class Display(Protocol):
    """Shows progress until it is closed."""

    @property
    def interval(self) -> float:
        """Seconds between two calls of `show`."""

    def show(self, progress: Progress, now: float) -> None:
        """Show what is now."""

    def close(self) -> None:
        """Leave the screen clean."""


class NoDisplay:
    """Shows nothing."""

    interval: Final = 1.0

    def show(self, progress: Progress, now: float) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Nothing to clean."""


class LineDisplay:
    """Writes a line every ten seconds, and at once when there is something new to say."""

    interval: Final = 1.0

    def __init__(self) -> None:
        self._due = -1.0
        self._said: str | None = None

    def show(self, progress: Progress, now: float) -> None:
        """Write a line, if it is time for one."""
        if self._due < 0:  # a run that is over soon needs no line
            self._due = now + LINE_EVERY
        notice = progress.notice if isinstance(progress, SendingProgress) else None
        text = notice.text if notice else None
        if text and text != self._said:
            click.echo(text, err=True)
        self._said = text
        if now >= self._due:
            self._due = now + LINE_EVERY
            click.echo(line(progress), err=True)

    def close(self) -> None:
        """Lines leave nothing behind."""


def line(progress: Progress) -> str:
    """Progress in words."""
    match progress:
        case ReadingProgress(read, whole, records):
            of = f" of {size(whole)}" if whole else ""
            return f"Reading: {size(read)}{of}, {counted(records, 'record')}"
        case SendingProgress(done, total, per_second, left):
            speed = "" if per_second is None else f", {rate(per_second)}"
            wait = "" if left is None else f", {remaining(left)} left"
            return f"Sending: {number(done)} of {number(total)}{speed}{wait}"


def choose_display(*, quiet: bool, color: bool) -> Display:
    """The bar where standard error is a terminal, and rich is installed."""
    if quiet:
        return NoDisplay()
    if not sys.stderr.isatty():
        return LineDisplay()
    try:
        from leadconnector_async.cli.rich_progress import BarDisplay  # noqa: PLC0415 - rich is slow to import
    except ModuleNotFoundError:
        return LineDisplay()
    return BarDisplay(color=color)


_SETTLED: Final = 5.0
"""Seconds of sending after which the rate tells more than the quota does."""

_RECENTLY: Final = 10.0
"""Seconds for which an answer 429 is worth a notice: one window of the API."""


class Observer:
    """Asked now and then by whoever shows progress. ``now`` is the loop's time, in seconds."""

    def __init__(self, importer: Importer) -> None:
        self._importer = importer
        self._pace = RateMeter()
        self._throttled = 0
        self._throttled_at = -math.inf

    def look(self, now: float) -> Progress:
        """What the import does now."""
        importer, stats = self._importer, self._importer.stats
        if not importer.sending:
            reader = importer.reader
            return ReadingProgress(reader.bytes_read, reader.size, stats.staged + stats.skipped)
        left = importer.left
        self._pace.note(now, left)
        done = importer.total - sum(left.values())
        estimate = slowest(self._needs(now))
        return SendingProgress(
            done,
            importer.total,
            self._pace.total if self._pace.span else None,
            estimate if self._pace.span and math.isfinite(estimate) else None,
            self._notice(now),
        )

    def _needs(self, now: float) -> Iterator[tuple[int, Budget]]:
        """What is left of each location that goes on, and what it may use."""
        settled = self._pace.span >= _SETTLED
        for state in self._importer.dispatcher.locations.values():
            count = self._importer.left.get(state.number, 0)
            if count and (state.error is None or isinstance(state.error, DailyQuotaSpentError)):
                seen = self._pace.of(state.number) if settled else 0.0
                yield count, budget_of(state.quota, seen, now)

    def _notice(self, now: float) -> Notice | None:
        """Why little moves: the gravest cause alone."""
        dispatcher = self._importer.dispatcher
        if dispatcher.breaker.is_open:
            wait = max(dispatcher.breaker.open_until - now, 0.0)
            return Notice("The API is out of reach: trying again", wait)
        spent = [s for s in dispatcher.locations.values() if s.quota.day_spent and s.error is None]
        if spent:
            wait = min(state.quota.day_ends for state in spent) - now
            return Notice(f"The day's quota of {_locations(len(spent))} is spent: going on", wait)
        if dispatcher.stats.throttled > self._throttled:
            self._throttled, self._throttled_at = dispatcher.stats.throttled, now
        if now - self._throttled_at < _RECENTLY:
            return Notice("The API asks to slow down (429).")
        if not self._pace.total and (doubts := _doubts(dispatcher.locations.values())):
            return Notice(f"Looking for {counted(doubts, 'record')} whose answer was lost.")
        return None


def budget_of(quota: Quota, seen: float, now: float) -> Budget:
    """The location's quota, at the rate that was seen (0: none yet) where that is lower."""
    allowed = quota.limit.requests / quota.limit.interval
    day_ends_in = quota.day_ends - now
    return Budget(
        rate=min(seen, allowed) if seen else allowed,
        daily=quota.day_limit,
        left_today=quota.day_left,
        day_ends_in=day_ends_in if 0 <= day_ends_in < DAY else DAY,
    )


def _locations(count: int) -> str:
    return "the location" if count == 1 else counted(count, "location")


def _doubts(locations: Iterable[LocationState]) -> int:
    return sum(len(lane.doubts) for state in locations for lane in state.lanes.values())
