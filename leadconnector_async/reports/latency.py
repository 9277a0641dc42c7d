"""How long things take: histograms that are bounded, and the times at which records were staged."""

from __future__ import annotations

from bisect import bisect_right
from itertools import islice
from math import log2
from typing import Final

from leadconnector_async.reports.statistics import Latency

_STEPS: Final = 16
"""Buckets for each doubling: the middle of one is at most 3 % away from what is in it."""

_SMALLEST: Final = 2.0**-20
"""Seconds that all shorter times count as."""

_OFFSET: Final = 20 * _STEPS

_BUCKETS: Final = 42 * _STEPS
"""Up to 2**22 seconds."""

_TURN_S: Final = 60.0

_MOST_RANGES: Final = 2048
"""Times of staging that are kept: the first of two neighbours goes where there are more."""

_MOST_ALONE: Final = 100_000
"""The same of records that were staged alone."""


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


class StagingTimes:
    """When records were staged, by their numbers: those of one lot together."""

    def __init__(self) -> None:
        self._alone: dict[int, float] = {}
        self._begins: list[int] = []
        self._lots: list[tuple[int, float]] = []
        """Of each lot the number behind its last record, and when it was staged."""

    def note(self, seqs: range, now: float) -> None:
        """Remember a lot; one record until its time is taken."""
        if len(seqs) == 1:
            self._alone[seqs.start] = now
            if len(self._alone) > _MOST_ALONE:
                self._alone = dict(islice(self._alone.items(), _MOST_ALONE // 2, None))
        elif seqs and not (self._begins and self._begins[-1] >= seqs.start):
            self._begins.append(seqs.start)
            self._lots.append((seqs.stop, now))
            if len(self._begins) > _MOST_RANGES:
                del self._begins[:-2:2], self._lots[:-2:2]

    def take(self, seq: int) -> float | None:
        """When a record was staged; None where that is not known."""
        if self._alone and (alone := self._alone.pop(seq, None)) is not None:
            return alone
        at = bisect_right(self._begins, seq) - 1
        if at < 0 or seq >= self._lots[at][0]:
            return None
        return self._lots[at][1]
