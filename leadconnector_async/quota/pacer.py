"""Smooths what the slots allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiolimiter import AsyncLimiter

if TYPE_CHECKING:
    from leadconnector_async.quota.limits import RateLimit

LEAD: Final = 1.1
"""How much faster than the limit's mean the pacer lets through. The slots bound, so this is safe,
and it makes up for what a slow network held back."""

LOTS: Final = 500
"""A large limit is drawn in so many lots per interval: finer steps smooth nothing, and each has its
price."""

BURST: Final = 1 / 20
"""The share of an interval's requests that may leave at once; two at least."""


class Pacer:
    """A token bucket. Another limit wants another one: the rate of aiolimiter's is for life.

    It starts full, and lets a burst more than its rate through: what counts is bounded elsewhere.
    """

    __slots__ = ("_burst", "_drawn", "_gap", "_limiter", "_lot")

    def __init__(self, limit: RateLimit) -> None:
        self._burst = max(2.0, limit.requests * BURST)
        self._gap = limit.interval / limit.requests / LEAD
        self._limiter: AsyncLimiter | None = None  # until it is drawn from, it is full
        self._lot = limit.requests // LOTS
        self._drawn = 0.0

    def ready_at(self, now: float, weight: float) -> float:
        """When a request may pass, to within the burst.

        ``weight`` is 1 for the full rate, 2 for half of it.
        """
        if weight <= self._drawn or self._limiter is None:
            return now
        passes = self._limiter.has_capacity(self._amount(weight))
        return now if passes else now + self._gap

    async def draw(self, weight: float) -> None:
        """Pass. Does not suspend where `ready_at` has just said now."""
        if weight > self._drawn:
            amount = self._amount(weight)
            if self._limiter is None:
                self._limiter = AsyncLimiter(self._burst, self._burst * self._gap)
            await self._limiter.acquire(amount)
            self._drawn += amount
        self._drawn = max(0.0, self._drawn - weight)

    def _amount(self, weight: float) -> float:
        return min(max(weight, self._lot), self._burst)
