"""How many requests may start now: where slots, the server's figures and neighbours meet."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from leadconnector_async._quota.neighbours import Neighbours

if TYPE_CHECKING:
    from leadconnector_async._quota.limits import RateLimit
    from leadconnector_async._quota.window import Slot, Window

FRESH: Final = 1 / 10
"""For this share of an interval a figure is ground enough for more than one request."""


class Room:
    """Decides by the slots, and by the newest figure of what remains.

    Alone, there is room where a slot is free **or** the server promises some. Its promise is what
    remained, less all of ours that may have arrived since. No server takes that back, whatever its
    window; so both are safe, and together they are: of the requests that a server counts together,
    the last-sent one had either a slot, and then so had all, or a promise that covers all. The
    promise adds to the slots where a server forgets sooner than they do. A fixed window that has
    begun anew is used to the full, and so is what a bucket refills.

    Beside others, there is room where a slot is free that is not theirs **and** the newest figure,
    less what was sent since, leaves some.
    """

    def __init__(self, limit: RateLimit, window: Window, *, wary: bool = False) -> None:
        self._limit = limit
        self._window = window
        self._neighbours = Neighbours(limit, window.taken, wary=wary)
        self._number = window.taken
        self._remaining = self._used = self._settled = 0
        self._heard_at = self._trusted_from = -inf

    def share(self, now: float) -> float:
        """How many slots are left to others."""
        self._neighbours.turn(now, self._window.taken)
        return self._neighbours.share(now)

    def mark(self, now: float) -> float:
        """What a slot that is taken now has to remember."""
        return self._neighbours.mark(now)

    def left(self, now: float, share: float) -> float:
        """How many requests may start now, with ``share`` slots left to others."""
        window = self._window
        free = self._limit.requests - window.used - share
        if share:
            return min(free, self._left_beside_others(now))
        if now >= self._heard_at + self._limit.interval:
            return free
        spare = 0
        if self._neighbours.may_hide:
            spare = self._limit.spare
            more = window.used + window.in_flight - self._used
            free = min(free, self._remaining - more - spare)
        if now < self._trusted_from:
            return free
        promised = self._remaining - (window.taken - self._settled - 1)
        return max(free, promised - spare)

    def may_grow(self, share: float) -> bool:
        """Whether time alone may make room, without the release of a slot."""
        return share > 0 or self._neighbours.may_hide

    def hear(self, slot: Slot, remaining: int, now: float) -> None:
        """Take a figure in. Those of requests older than the newest one heard say nothing new."""
        if slot.number <= self._number:
            return
        self._neighbours.learn(slot, remaining, now, self._window.taken)
        self._number = slot.number
        self._used = slot.used
        self._settled = slot.settled
        self._remaining = remaining
        self._heard_at = now

    def unanswered(self, now: float) -> None:
        """A request was given up. While it may still arrive, no promise takes it into account."""
        self._trusted_from = max(self._trusted_from, now + self._limit.interval)

    def refused(self, now: float) -> None:
        """A 429: others are there, or the figures are wrong. No promise is trusted again."""
        self._neighbours.refused(now, self._window.used)
        self._trusted_from = inf

    def _left_beside_others(self, now: float) -> float:
        if now > self._heard_at + self._limit.interval * FRESH:
            return 1 - self._window.in_flight
        left = self._remaining - (self._window.taken - self._number)
        return left - self._limit.spare if self._neighbours.forgets_early else left
