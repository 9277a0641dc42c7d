"""What an import does at this moment, for those who watch it, and how long sending takes.

How fast records go out is measured over the last half minute; how long the rest takes by the quota
is pure. Times are in seconds.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from msgspec import Struct

from leadconnector_async.errors import DailyQuotaSpentError, LeadConnectorError
from leadconnector_async.public_place import name_public_place
from leadconnector_async.quota.limits import QuotaSnapshot, RateLimit, part
from leadconnector_async.quota.quota import Quota

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from leadconnector_async.breaker import Breaker
    from leadconnector_async.delivery.results import RunStats
    from leadconnector_async.delivery.scheduler import LocationState
    from leadconnector_async.outbox.reader import Workload
    from leadconnector_async.policy import ContactMode
    from leadconnector_async.sources.batch_reader import SourceReader

DAY: Final = 86_400.0


class Budget(Struct, frozen=True, kw_only=True):
    """What a location may use: ``rate`` requests a second, and ``daily`` a day.

    ``left_today`` (None: all of it) remain of the day's until ``day_ends_in`` seconds from now.
    """

    rate: float
    daily: int | None = None
    left_today: int | None = None
    day_ends_in: float = DAY


def budget_after(
    limit: RateLimit | None, snapshot: QuotaSnapshot | None, now_ms: int, share: float = 1.0
) -> Budget:
    """The quota, with the day's limit that the API has announced, less what is used of this day's.

    ``now_ms`` is in Unix milliseconds, ``share`` the part of each limit that is used.
    """
    limit = limit and limit.shared(share)
    rate = math.inf if limit is None else limit.requests / limit.interval
    announced = snapshot.day_limit if snapshot else None
    daily = part(announced, share) if announced else (limit.daily if limit else None)
    ends_in = (snapshot.day_ends - now_ms) / 1000 if snapshot else 0.0
    if snapshot is None or daily is None or ends_in <= 0:
        return Budget(rate=rate, daily=daily)
    left = max(daily - snapshot.day_used, 0)
    return Budget(rate=rate, daily=daily, left_today=left, day_ends_in=min(ends_in, DAY))


def seconds_needed(count: int, budget: Budget) -> float:
    """The shortest time in which ``count`` requests fit into the budget.

    What fits into today goes at the rate. The rest waits for the day's end, fills whole days, and
    ends after its last day's share at the rate.
    """
    if count <= 0:
        return 0.0
    daily = budget.daily
    if daily is None or daily >= budget.rate * DAY:
        return count / budget.rate
    today = daily if budget.left_today is None else min(budget.left_today, daily)
    if count <= today:
        return count / budget.rate
    rest = count - today
    days = math.ceil(rest / daily) - 1
    begins = max(budget.day_ends_in, today / budget.rate)
    return begins + days * DAY + (rest - days * daily) / budget.rate


def requests_for(work: Workload, mode: ContactMode, marks: int = 0) -> tuple[int, int]:
    """The least and the most requests that a location's records take, if none is made again.

    A contact may be found by the first look-up; or by none, and is created. A conversation is
    opened, and searched for where it exists, only where a call or an upload may not name a contact;
    its owner is asked for where nobody else uploads the file. Of ``marks`` conversations, each is
    looked at, and marked unless it was unread before.
    """
    alike = work.records + work.files + marks
    contacts = work.ways + work.handles * (mode != "find")
    others = contacts + 2 * work.conversations + work.owners + marks
    return alike + work.handles, alike + others


def slowest(needs: Iterable[tuple[int, Budget]]) -> float:
    """The time for all locations, which run side by side: that of the slowest one."""
    return max((seconds_needed(count, budget) for count, budget in needs), default=0.0)


class Notice(NamedTuple):
    """Why little or nothing moves, and for how many seconds more, where that is known."""

    text: str
    seconds: float | None = None


class ImportProgress(Struct, frozen=True, kw_only=True):
    """Where an import is. It first reads and stages all, then sends. Counts are this run's.

    Example:
        >>> def show(progress: ImportProgress) -> None:
        ...     print(progress.sent, progress.pending)
        >>> summary = await import_files(api, ["history.csv"], outbox="import.db", on_progress=show)
    """

    sending: bool = False
    """Whether all is staged, and being sent."""
    bytes_read: int = 0
    bytes_total: int | None = None
    """Bytes of all sources; None where one is a pipe."""
    read: int = 0
    """Records read."""
    staged: int = 0
    """Those of ``read`` that were new."""
    sent: int = 0
    failed: int = 0
    """Refused by the rules or by the API."""
    unresolved: int = 0
    pending: int = 0
    """Records without a fate. While reading, the new ones, with those that are to be left out; once
    sending, also what earlier runs left, and no longer those left out."""
    total: int = 0
    """Records that this run has to send; 0 while reading."""
    rate: float | None = None
    """Records a second, over the last half minute; None while nothing is known."""
    seconds_left: float | None = None
    """By the quota and the rate of the slowest location; None while nothing is known, or moves."""
    notice: Notice | None = None
    """Why little or nothing moves."""

    @property
    def done(self) -> int:
        """Those of ``total`` whose fate is known."""
        return self.total - self.pending if self.sending else 0

    @property
    def is_read(self) -> bool:
        """Whether all is read, and nothing is sent yet: it is put in order."""
        whole = self.bytes_total
        return not self.sending and bool(whole) and self.bytes_read >= (whole or 0)


WINDOW: Final = 30.0
"""Seconds to measure over: three windows of the API's quota, so that its bursts even out."""


_MANY: Final = 1_000
"""Locations of which a sample takes 50 kB and more."""


class RateMeter:
    """Samples of how many records each location has left, newest last."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, dict[str, int]]] = deque()

    def note(self, now: float, left: Mapping[str, int]) -> None:
        """Take a sample. Those older than the window go; of many locations, some between too."""
        if len(left) > _MANY and len(self._samples) > 1 and now - self._samples[-2][0] < WINDOW / 4:
            self._samples.pop()
        self._samples.append((now, dict(left)))
        while self._samples[0] is not self._samples[-1] and self._samples[1][0] <= now - WINDOW:
            self._samples.popleft()

    @property
    def span(self) -> float:
        """Seconds between the oldest sample and the newest."""
        return self._samples[-1][0] - self._samples[0][0] if self._samples else 0.0

    def of(self, location: str) -> float:
        """Records a second of one location; 0 while nothing is known."""
        return self._rate(lambda left: left.get(location, 0))

    @property
    def total(self) -> float:
        """Records a second of all locations."""
        return self._rate(lambda left: sum(left.values()))

    def _rate(self, count: Callable[[dict[str, int]], int]) -> float:
        if not self.span:
            return 0.0
        return max(count(self._samples[0][1]) - count(self._samples[-1][1]), 0) / self.span


_SETTLED: Final = 5.0
"""Seconds of sending after which the rate tells more than the quota does."""

_RECENTLY: Final = 10.0
"""Seconds for which an answer 429 is worth a notice: one window of the API."""


class WatchedSender(Protocol):
    """What sends."""

    @property
    def stats(self) -> RunStats:
        """What was done so far."""

    @property
    def locations(self) -> Mapping[str, LocationState]:
        """Those that this process sends for."""


class ProgressMeter:
    """Asked now and then by whoever shows progress. ``now`` is the loop's time, in seconds.

    ``left`` are the records without a fate, by location.
    """

    def __init__(
        self, run: WatchedSender, breaker: Breaker, reader: SourceReader, left: Mapping[str, int]
    ) -> None:
        self._run, self._breaker, self._reader, self._left = run, breaker, reader, left
        self._pace = RateMeter()
        self._throttled = 0
        self._throttled_at = -math.inf

    def snapshot(
        self, now: float, total: int | None, location: str | None, lost: LeadConnectorError | None
    ) -> ImportProgress:
        """What the import does now; ``total`` is None while it reads, perhaps a ``location``.

        ``lost`` says why the outbox is lost, while it is tried again.
        """
        stats, sending = self._run.stats, total is not None
        if sending:
            self._pace.note(now, self._left)
        reading = Notice(f"Reading location {location}.") if location else None
        known = sending and self._pace.span > 0 and lost is None
        return ImportProgress(
            sending=sending,
            bytes_read=self._reader.bytes_read,
            bytes_total=self._reader.size,
            read=stats.read,
            staged=stats.staged,
            sent=stats.sent,
            failed=stats.rejected + stats.refused,
            unresolved=stats.unresolved,
            pending=sum(self._left.values()) if sending else stats.staged - stats.refused,
            total=total or 0,
            rate=self._pace.total if known else None,
            seconds_left=estimated(self._left, self._run, self._pace, now) if known else None,
            notice=self._notice(now, lost) if sending else reading,
        )

    def _notice(self, now: float, lost: LeadConnectorError | None) -> Notice | None:
        """Why little moves: the gravest cause alone."""
        run, stats = self._run, self._run.stats
        if lost is not None:
            return Notice(f"The outbox is tried again and again: {lost}")
        if self._breaker.is_open:
            tried_at = self._breaker.open_until  # infinite while a probe is out
            wait = None if tried_at == math.inf else max(tried_at - now, 0.0)
            return Notice("The API is out of reach: trying again", wait)
        spent = [s for s in run.locations.values() if s.quota.day.spent and s.error is None]
        if spent:
            wait = max(min(state.quota.day.ends for state in spent) - now, 0.0)
            of = "the location" if len(spent) == 1 else _counted(len(spent), "location")
            return Notice(f"The day's quota of {of} is spent: going on", wait)
        if stats.throttled > self._throttled:
            self._throttled, self._throttled_at = stats.throttled, now
        if now - self._throttled_at < _RECENTLY:
            return Notice("The API asks to slow down (429).")
        lanes = [lane for state in run.locations.values() for lane in state.lanes.values()]
        if not self._pace.total and (doubts := sum(len(lane.doubts) for lane in lanes)):
            return Notice(f"Looking for {_counted(doubts, 'record')} whose answer was lost.")
        return None


def estimated(
    left: Mapping[str, int], run: WatchedSender | None, pace: RateMeter, now: float
) -> float | None:
    """How many seconds what is left takes; None where no end is in sight."""
    locations = {} if run is None else run.locations
    settled, needs = pace.span >= _SETTLED, []
    for name, count in left.items():
        state, seen = locations.get(name), pace.of(name) if settled else 0.0
        if not count:
            continue
        if state is None:  # another process sends for it
            needs.append((count, budget_of(Quota(RateLimit(), now=now, wall_ms=0), seen, now)))
        elif state.error is None or isinstance(state.error, DailyQuotaSpentError):
            if settled and not seen and not state.quota.day.spent:
                return None
            needs.append((count, budget_of(state.quota, seen, now)))
    estimate = slowest(needs)
    return estimate if math.isfinite(estimate) else None


def budget_of(quota: Quota, seen: float, now: float) -> Budget:
    """The location's quota, at the rate that was seen (0: none yet) where that is lower."""
    allowed = quota.limit.requests / quota.limit.interval
    day_ends_in = quota.day.ends - now
    return Budget(
        rate=min(seen, allowed) if seen else allowed,
        daily=quota.day.limit,
        left_today=quota.day.left,
        day_ends_in=day_ends_in if 0 <= day_ends_in < DAY else DAY,
    )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


name_public_place(globals())
