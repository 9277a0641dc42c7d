"""Counts what `Statistics` tells."""

import asyncio
import math
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from itertools import islice
from threading import get_ident
from typing import Any, Final

from msgspec import Struct, structs

from leadconnector_async.delivery.outcomes import REASONS, TAKEN_OVER
from leadconnector_async.delivery.results import RunStats
from leadconnector_async.delivery.scheduler import LocationState
from leadconnector_async.observer import Exchange, Observer, Watched
from leadconnector_async.outbox.base import Settlement, State
from leadconnector_async.quota.limits import UNLIMITED
from leadconnector_async.records.draft import TraceContext
from leadconnector_async.reports.progress import WINDOW, RateMeter, WatchedSender, estimated
from leadconnector_async.reports.statistics import LatencyHistogram, LocationStatistics, Statistics
from leadconnector_async.session import ApiSession

TOO_MANY: Final = 429

READ_S: Final = 2.0
"""Seconds that another thread waits for figures of now; then it has the last ones."""

_SAMPLE_S: Final = 1.0
"""Seconds between two samples for a rate."""

_MAX_RANGES: Final = 2048
"""Times of staging that are kept: the first of two neighbours goes where there are more."""

_MAX_ALONE: Final = 100_000
"""The same of records that were staged alone."""

_MAX_EARLY: Final = 2_048
"""Records that are remembered since they ended before their staging was told."""


class _Counts(Struct):
    """Those of `LocationStatistics` that are counted here."""

    requests: int = 0
    throttled: int = 0
    sent: int = 0
    rejected: int = 0
    unresolved: int = 0
    quota_wait: float = 0.0
    pauses: dict[str, int] = {}


class StagingTimes:
    """When records were staged, by their numbers: those of one lot together."""

    def __init__(self) -> None:
        self._alone: dict[int, float] = {}
        self._begins: list[int] = []
        self._lots: list[tuple[int, float]] = []
        """Of each lot the number behind its last record, and when it was staged."""
        self._early: dict[int, None] = {}
        """Those whose time was asked for and not known, oldest first."""

    def note(self, seqs: range, now: float) -> int:
        """Remember a lot; one record until its time is taken. Says how many have ended already."""
        early = self._early.keys() & seqs
        for seq in early:
            del self._early[seq]
        if len(seqs) == 1 and not early:
            self._alone[seqs.start] = now
            if len(self._alone) > _MAX_ALONE:
                self._alone = dict(islice(self._alone.items(), _MAX_ALONE // 2, None))
        elif len(seqs) > 1 and not (self._begins and self._begins[-1] >= seqs.start):
            self._begins.append(seqs.start)
            self._lots.append((seqs.stop, now))
            if len(self._begins) > _MAX_RANGES:
                del self._begins[:-2:2], self._lots[:-2:2]
        return len(early)

    def take(self, seq: int) -> float | None:
        """When a record was staged; None where that is not known, or not yet."""
        if self._alone and (alone := self._alone.pop(seq, None)) is not None:
            return alone
        at = bisect_right(self._begins, seq) - 1
        if at >= 0 and seq < self._lots[at][0]:
            return self._lots[at][1]
        self._early[seq] = None
        if len(self._early) > _MAX_EARLY:
            self._early = dict(islice(self._early.items(), _MAX_EARLY // 2, None))
        return None


class StatisticsMeter(Observer):
    """An `Observer` that counts, and passes on what it hears to the one that was there before.

    What is to be watched uses `session` in place of the ``session`` that is given.
    """

    def __init__(self, session: ApiSession) -> None:
        self._next: Observer = session.observer or Observer()
        self.session: ApiSession = session.under(observer=self)
        self._run: WatchedSender | None = None
        self.is_open: bool = True
        self._own: Callable[[], dict[str, Any]] = dict
        self.left: dict[str, int] = {}
        """Records without an end, by location, where `watch` was told no better."""
        self._left: Callable[[], Mapping[str, int]] = lambda: self.left
        self._loop, self._thread = asyncio.get_running_loop(), get_ident()
        self._last: Statistics | None = None
        self._now = now = self._loop.time
        self._began = self._sampled_at = began = now()
        self._requests, self._settles, self._commits = (LatencyHistogram(began) for _ in range(3))
        self._staged = StagingTimes()
        self._counts: defaultdict[str, _Counts] = defaultdict(_Counts)
        self._pace, self._request_pace = RateMeter(), RateMeter()
        self._results: Counter[str] = Counter()
        self.received: int = 0
        """Records that were submitted alone: in all, the new ones, and the refused ones."""
        self.submitted: int = 0
        self.refused: int = 0

    def watch(
        self,
        run: WatchedSender,
        left: Callable[[], Mapping[str, int]] | None = None,
        own: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        """Take from what sends what it does, and from ``left`` what is pending, by location.

        ``own`` are figures that it knows better.
        """
        self._run, self._left, self._own = run, left or self._left, own
        self._next.attach(self)

    def read(self) -> Statistics:
        """See `Watched.read`: `snapshot`, made in the loop, whose things change meanwhile."""
        if self._loop.is_running() and get_ident() != self._thread:
            made: Future[Statistics] = Future()
            with suppress(RuntimeError, TimeoutError):  # it has just been closed, or is held up
                self._loop.call_soon_threadsafe(lambda: made.set_result(self.snapshot()))
                self._last = made.result(READ_S)
            if self._last is not None:
                return self._last
        return self.snapshot()

    # `Observer`.

    def attach(self, source: Watched) -> None:
        """See `Observer.attach`."""
        self._next.attach(source)

    def trace(self) -> TraceContext | None:
        """See `Observer.trace`."""
        return self._next.trace()

    def requested(self, exchange: Exchange) -> None:
        """See `Observer.requested`."""
        counts, slot = self._counts[exchange.location], exchange.slot
        counts.requests += 1
        counts.quota_wait += slot.waited
        if exchange.response is not None and exchange.response.status == TOO_MANY:
            counts.throttled += 1
        self._requests.add(exchange.ended_at - slot.taken_at, exchange.ended_at)
        self._next.requested(exchange)

    def committed(self, settlements: Sequence[Settlement], seconds: float) -> None:
        """See `Observer.committed`."""
        now = self._now()
        if now - self._sampled_at > WINDOW:  # a rate is of now, and not of a quiet night
            self._sample(now - WINDOW)
        self._commits.add(seconds, now)
        take, add, name, counts = self._staged.take, self._settles.add, None, _Counts()
        for settlement in settlements:
            claim, state = settlement[0], settlement[1]
            if claim.lease.location != name:
                name = claim.lease.location
                counts = self._counts[name]
            if state is State.SENT:
                counts.sent += 1
            elif state is State.REJECTED:
                counts.rejected += 1
            elif state is State.UNRESOLVED:
                counts.unresolved += 1
            else:
                continue
            self.left[name] = self.left.get(name, 0) - 1
            began = take(claim.seq)
            if began is not None:
                add(now - began, now)
        if now - self._sampled_at >= _SAMPLE_S:
            self._sample(now)
        self._next.committed(settlements, seconds)

    def reconciled(self, result: str) -> None:
        """See `Observer.reconciled`."""
        self._results[result] += 1
        self._next.reconciled(result)

    def paused(self, location: str, reason: str) -> None:
        """See `Observer.paused`."""
        pauses = self._counts[location].pauses
        pauses[reason] = pauses.get(reason, 0) + 1
        self._next.paused(location, reason)

    def staged(self, seqs: range, location: str | None = None) -> None:
        """See `Observer.staged`."""
        now = self._now()
        for _ in range(self._staged.note(seqs, now)):
            self._settles.add(0.0, now)
        if location is not None:
            self.submitted += 1
            self.left[location] = self.left.get(location, 0) + 1
        self._next.staged(seqs, location)

    def ended(self, seq: int) -> None:
        """See `Observer.ended`."""
        began, now = self._staged.take(seq), self._now()
        if began is not None:
            self._settles.add(now - began, now)
        self._next.ended(seq)

    def _sample(self, now: float) -> None:
        counts = self._counts
        ended = {name: -(of.sent + of.rejected + of.unresolved) for name, of in counts.items()}
        self._pace.note(now, ended)
        self._request_pace.note(now, {"": -sum(of.requests for of in counts.values())})
        self._sampled_at = now

    def snapshot(self) -> Statistics:
        """All of it, as it is now."""
        now, run, left = self._now(), self._run, self._left()
        self._sample(now)
        states = {} if run is None else run.locations
        locations = {
            name: _location(states.get(name), self._counts[name], left.get(name), self.session, now)
            for name in dict.fromkeys((*left, *states, *self._counts))
        }
        stats = RunStats() if run is None else run.stats
        span = self._pace.span
        known = span >= _SAMPLE_S  # of milliseconds it would be that of a moment
        total = {name: sum(getattr(of, name) for of in locations.values()) for name in _SUMS}
        return Statistics(
            time=time.time(),
            age=now - self._began,
            locations=locations,
            request_latency=self._requests.latency(now),
            settle_latency=self._settles.latency(now),
            commit_latency=self._commits.latency(now),
            **{
                "read": self.received + stats.read,
                "staged": self.submitted + self.refused + stats.staged,
                "failed": self.refused + stats.refused + total.pop("rejected"),
                "rate": self._pace.total if known else None,
                "request_rate": self._request_pace.total if known else None,
                "seconds_left": estimated(left, run, self._pace, now) if span else None,
                "out_of_reach": self.session.breaker.outage(now),
                "reconciliations": dict(self._results),
                **total,
                **self._own(),
            },
        )


_SUMS: Final = {*LocationStatistics.__struct_fields__} & {"rejected", *Statistics.__struct_fields__}
"""Figures of locations that a process has the sums of."""


def _location(
    state: LocationState | None, counts: _Counts, left: int | None, session: ApiSession, now: float
) -> LocationStatistics:
    counted = structs.asdict(counts) | {"pauses": dict(counts.pauses)}
    if state is None:
        return LocationStatistics(pending=max(left or 0, 0), **counted)
    quota, lanes = state.quota, state.lanes.values()
    seen, limit = quota.state(now, 0), quota.limit
    is_known = limit.requests < UNLIMITED.requests
    ends_in = quota.day.ends - now
    reason, until = _pause_of(state, session, now)
    return LocationStatistics(
        pending=max(state.claimed if left is None else left, 0),
        claimed=state.claimed,
        in_flight=sum(lane.busy for lane in lanes),
        in_doubt=sum(len(lane.doubts) for lane in lanes),
        lanes=len(lanes),
        lane_depth=max((len(lane.claims) for lane in lanes), default=0),
        quota_limit=limit.requests if is_known else None,
        quota_interval=limit.interval,
        quota_used=seen.window_used,
        quota_left=max(limit.requests - seen.window_used, 0) if is_known else None,
        day_limit=quota.day.limit,
        day_used=seen.day_used,
        day_left=quota.day.left,
        day_ends_in=ends_in if ends_in < math.inf else None,
        paused=reason,
        paused_for=max(until - now, 0.0) if until < math.inf else None,
        **counted,
    )


def _pause_of(state: LocationState, session: ApiSession, now: float) -> tuple[str | None, float]:
    """Why a location sends nothing, and until when, in the loop's seconds."""
    quota = state.quota
    if state.error is not None:
        reason = REASONS.get(type(state.error), TAKEN_OVER)
        return reason, quota.day.ends if reason == "day_spent" else math.inf
    if quota.day.spent:
        return "day_spent", quota.day.ends
    if session.breaker.is_open:
        return "out_of_reach", session.breaker.open_until
    if (token_due := session.token_due(state.name)) > now:
        return "out_of_reach", token_due
    if quota.paused_until > now:
        return "throttled", quota.paused_until
    return None, math.inf
