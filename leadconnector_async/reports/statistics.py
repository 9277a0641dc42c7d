"""What a process sends, and how fast, at one moment: figures for whoever watches it.

The docstring of each field is its unit and its meaning. "In all" is since the ingestor, import or
worker was opened, in this process. ``docs/metrics.md`` has the same table. Latencies are of
histograms, which are bounded. A callback is told all of it now and then.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from inspect import isawaitable, iscoroutine
from math import log2
from threading import Thread
from typing import Final

from msgspec import Struct

from leadconnector_async.errors import OutboxError
from leadconnector_async.public_place import name_public_place


class Latency(Struct, frozen=True, kw_only=True):
    """How long something takes. Quantiles are of the last one to two minutes, to within 4 %.

    They are None where there was nothing in that time. With uvloop, whose clock has no finer ones,
    whole milliseconds are measured.

    Example:
        >>> print(ingestor.snapshot().request_latency.p99)
    """

    count: int = 0
    """number: measured in all."""
    total: float = 0.0
    """seconds: the sum of all that were measured."""
    p50: float | None = None
    """seconds: half of them took no longer."""
    p90: float | None = None
    """seconds: nine of ten took no longer."""
    p99: float | None = None
    """seconds: 99 of 100 took no longer."""
    max: float | None = None
    """seconds: none took longer."""


class LocationStatistics(Struct, frozen=True, kw_only=True):
    """One location, as this process sees it.

    Example:
        >>> for name, location in ingestor.snapshot().locations.items():
        ...     print(name, location.pending)
    """

    pending: int = 0
    """records: without an end, those in flight and in doubt included. In a database that several
    processes send from: of an ingestor those that it waits for, of a worker those of the locations
    that it owns."""
    claimed: int = 0
    """records: those of them that this process holds to send them next."""
    in_flight: int = 0
    """records: those of them for which a request is under way."""
    in_doubt: int = 0
    """records: those of them whose answer was lost, and which are looked for."""
    lanes: int = 0
    """lanes: conversations that those held belong to."""
    lane_depth: int = 0
    """records: held of the longest lane; one at a time is sent of each."""
    sent: int = 0
    """records: stored by the API in all, those found there included."""
    rejected: int = 0
    """records: refused by the API in all, for good."""
    unresolved: int = 0
    """records: given up in all, of which nobody knows whether they are stored."""
    requests: int = 0
    """requests: that left in all, whatever for."""
    throttled: int = 0
    """requests: those of them that were answered 429."""
    quota_limit: int | None = None
    """requests: that the window allows this process; None where no limit is known."""
    quota_interval: float = 0.0
    """seconds: the length of the window."""
    quota_used: int = 0
    """requests: of the window that this process uses, by its own count."""
    quota_left: int | None = None
    """requests: of the window that are left; None where no limit is known."""
    day_limit: int | None = None
    """requests: that the day allows this process; None where it has no limit."""
    day_used: int = 0
    """requests: made on this day, those of earlier processes included."""
    day_left: int | None = None
    """requests: of the day that are left; None where it has no limit."""
    day_ends_in: float | None = None
    """seconds: until the day ends; None before its first request."""
    quota_wait: float = 0.0
    """seconds: that requests which were to be made waited for the quota, in all."""
    paused: str | None = None
    """reason: why nothing is sent now: `throttled` (429), `day_spent`, `out_of_reach` (no answer
    from the API, or no token yet), or, until it is tried again, `no_access` (its token),
    `given_up` (429 for longer than the policy's patience) or `taken_over` (by another process).
    None where it goes on."""
    paused_for: float | None = None
    """seconds: until it goes on; None where it does, or where that is not known."""
    pauses: dict[str, int] = {}
    """number: pauses in all, by reason, but `out_of_reach`."""


class Statistics(Struct, frozen=True, kw_only=True):
    """One process at one moment; the sums over its locations, and what these share.

    Example:
        >>> print(ingestor.snapshot().time)
    """

    time: float
    """seconds: of the Unix epoch."""
    age: float
    """seconds: since the ingestor, import or worker was opened."""
    read: int = 0
    """records: taken in, in all."""
    staged: int = 0
    """records: those of them that were new, those refused by the rules included."""
    sent: int = 0
    """records: stored by the API in all, those found there included."""
    failed: int = 0
    """records: refused in all, by the rules or the API."""
    unresolved: int = 0
    """records: given up in all, of which nobody knows whether they are stored."""
    pending: int = 0
    """records: without an end. While files are read, what the outbox held before."""
    in_flight: int = 0
    """records: those of them for which a request is under way."""
    in_doubt: int = 0
    """records: those of them whose answer was lost, and which are looked for."""
    requests: int = 0
    """requests: that left in all, whatever for."""
    throttled: int = 0
    """requests: those of them that were answered 429."""
    rate: float | None = None
    """records a second: that came to an end, over the last half minute; None where nothing is
    known yet."""
    request_rate: float | None = None
    """requests a second: that ended, over the last half minute; None where nothing is known yet."""
    seconds_left: float | None = None
    """seconds: until all is sent, by the quota and the rate of the slowest location; None where
    nothing is known yet, or nothing of a location moves."""
    out_of_reach: float = 0.0
    """seconds: since the API has answered nothing; 0 while it is within reach."""
    reconciliations: dict[str, int] = {}
    """number: looks for records in doubt in all, by result: `found`, `not_found`, `inconclusive`,
    `failed`."""
    request_latency: Latency
    """latency: from the slot of a request to its answer, or to the end without one."""
    settle_latency: Latency
    """latency: from when this process staged a record to its durable end."""
    commit_latency: Latency
    """latency: of writing a group of ends into the outbox."""
    locations: dict[str, LocationStatistics] = {}
    """statistics: of each location that this process has to do with."""


_log: Final = logging.getLogger(__name__)


_STEPS: Final = 16
"""Buckets for each doubling: the middle of one is at most 3 % away from what is in it."""

_SMALLEST: Final = 2.0**-20
"""Seconds that all shorter times count as."""

_OFFSET: Final = 20 * _STEPS

_BUCKETS: Final = 42 * _STEPS
"""Up to 2**22 seconds."""

_TURN_S: Final = 60.0


class LatencyHistogram:
    """Times in buckets that grow by powers: bounded, and as exact for the short as for the long."""

    def __init__(self, now: float) -> None:
        self._count = 0
        self._total = 0.0
        self._turned_at = now
        self._now = [0] * _BUCKETS
        self._before = [0] * _BUCKETS
        self._max = self._max_before = 0.0

    def add(self, seconds: float, now: float) -> None:
        """Count one."""
        if now - self._turned_at >= _TURN_S:
            self._turn(now)
        self._count += 1
        self._total += seconds
        self._max = max(self._max, seconds)
        index = int(log2(seconds) * _STEPS) + _OFFSET if seconds > _SMALLEST else 0
        self._now[index if index < _BUCKETS else -1] += 1

    def _turn(self, now: float) -> None:
        lately = now - self._turned_at < 2 * _TURN_S
        self._before = self._now if lately else [0] * _BUCKETS
        self._max_before = self._max if lately else 0.0
        self._now, self._max, self._turned_at = [0] * _BUCKETS, 0.0, now

    def latency(self, now: float) -> Latency:
        """Sum up."""
        if now - self._turned_at >= _TURN_S:
            self._turn(now)
        counts = [a + b for a, b in zip(self._now, self._before, strict=True)]
        if not (measured := sum(counts)):
            return Latency(count=self._count, total=self._total)
        most = max(self._max, self._max_before)
        found, passed, at = [], 0, -1
        for share in (0.5, 0.9, 0.99):
            while passed < share * measured:
                at += 1
                passed += counts[at]
            found.append(min(2.0 ** ((at - _OFFSET + 0.5) / _STEPS), most))
        p50, p90, p99 = found
        return Latency(count=self._count, total=self._total, p50=p50, p90=p90, p99=p99, max=most)


_LAST_S: Final = 1.0
"""Seconds that a call under way is given at the end, and the last one."""


@dataclass(eq=False, repr=False)
class StatisticsReporter:
    """Calls back with the figures every few seconds, and once more at the end.

    It is called in a thread of its own, so that one that is slow holds nothing up; what it returns
    is awaited in the loop if it can be, as of a coroutine function. While one is under way, none is
    begun. The first that fails is logged.
    """

    _snapshot: Callable[[], Statistics]
    _callback: Callable[[Statistics], object]
    _every: float
    _refresh: Callable[[], Awaitable[object]] | None = None
    _failed: bool = False
    _call: asyncio.Task[None] | None = None
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._report())

    async def close(self) -> None:
        """End, with a last call, for which little time is given."""
        if self._task is None:
            return
        self._task.cancel()
        try:
            await asyncio.wait([self._task])
            if self._call is not None:
                await asyncio.wait([self._call], timeout=_LAST_S)
            await self._tell()
            if self._call is not None:
                await asyncio.wait([self._call], timeout=_LAST_S)
        finally:
            if self._call is not None:
                self._call.cancel()

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self._tell()

    async def _tell(self) -> None:
        if self._call is not None and not self._call.done():
            return
        if self._refresh is not None:
            with suppress(OutboxError):  # the run itself says so
                await self._refresh()
        self._call = asyncio.create_task(self._called(self._snapshot()))

    async def _called(self, statistics: Statistics) -> None:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[object] = loop.create_future()

        def run() -> None:
            answer = None
            try:
                answer = self._callback(statistics)
            except BaseException:  # noqa: BLE001 - the callback's own, which has its thread alone
                self._note_failure()
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(_end, answered, answer)

        Thread(target=run, name="statistics", daemon=True).start()
        if isawaitable(answer := await answered):
            try:
                await answer
            except Exception:  # noqa: BLE001 - it is the callback's own
                self._note_failure()

    def _note_failure(self) -> None:
        if not self._failed:
            self._failed = True
            _log.exception("on_stats failed, and is called all the same: later failures are quiet")


def _end(answered: asyncio.Future[object], answer: object) -> None:
    if not answered.done():
        answered.set_result(answer)
    elif iscoroutine(answer):  # the report has ended meanwhile
        answer.close()


name_public_place(globals())
