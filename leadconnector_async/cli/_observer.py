"""Looks at an import, and says what it does and how long it will take."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from leadconnector_async._errors import DailyQuotaSpent
from leadconnector_async._importing.estimate import DAY, Budget, slowest
from leadconnector_async._importing.pace import Pace
from leadconnector_async._importing.progress import Notice, Progress, Reading, Sending
from leadconnector_async.cli._words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from leadconnector_async._engine.lanes import Site
    from leadconnector_async._importer import Importer
    from leadconnector_async._quota import Quota

_SETTLED: Final = 5.0
"""Seconds of sending after which the rate tells more than the quota does."""
_RECENTLY: Final = 10.0
"""Seconds for which an answer 429 is worth a notice: one window of the API."""


class Observer:
    """Asked now and then by whoever shows progress. ``now`` is the loop's time, in seconds."""

    def __init__(self, importer: Importer) -> None:
        self._importer = importer
        self._pace = Pace()
        self._throttled = 0
        self._throttled_at = -math.inf

    def look(self, now: float) -> Progress:
        """What the import does now."""
        importer, tally = self._importer, self._importer.tally
        if not importer.sending:
            reader = importer.reader
            return Reading(reader.bytes_read, reader.size, tally.staged + tally.skipped)
        left = importer.left
        self._pace.note(now, left)
        done = importer.total - sum(left.values())
        estimate = slowest(self._needs(now))
        return Sending(
            done,
            importer.total,
            self._pace.total if self._pace.span else None,
            estimate if self._pace.span and math.isfinite(estimate) else None,
            self._notice(now),
        )

    def _needs(self, now: float) -> Iterator[tuple[int, Budget]]:
        """What is left of each location that goes on, and what it may use."""
        settled = self._pace.span >= _SETTLED
        for site in self._importer.engine.sites.values():
            count = self._importer.left.get(site.number, 0)
            if count and (site.error is None or isinstance(site.error, DailyQuotaSpent)):
                seen = self._pace.of(site.number) if settled else 0.0
                yield count, budget_of(site.quota, seen, now)

    def _notice(self, now: float) -> Notice | None:
        """Why little moves: the gravest cause alone."""
        engine = self._importer.engine
        if engine.breaker.is_open:
            wait = max(engine.breaker.open_until - now, 0.0)
            return Notice("The API is out of reach: trying again", wait)
        spent = [s for s in engine.sites.values() if s.quota.day_spent and s.error is None]
        if spent:
            wait = min(site.quota.day_ends for site in spent) - now
            return Notice(f"The day's quota of {_locations(len(spent))} is spent: going on", wait)
        if engine.tally.throttled > self._throttled:
            self._throttled, self._throttled_at = engine.tally.throttled, now
        if now - self._throttled_at < _RECENTLY:
            return Notice("The API asks to slow down (429).")
        if not self._pace.total and (doubts := _doubts(engine.sites.values())):
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


def _doubts(sites: Iterable[Site]) -> int:
    return sum(len(lane.doubts) for site in sites for lane in site.lanes.values())
