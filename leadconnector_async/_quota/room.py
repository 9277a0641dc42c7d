"""How many requests may start now: the one place where slots, figures and neighbours meet."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from leadconnector_async._quota.neighbours import Neighbours

if TYPE_CHECKING:
    from leadconnector_async._quota.limits import RateLimit
    from leadconnector_async._quota.window import Slot, Window

FRESH: Final = 1 / 10
"""For this share of an interval, a figure is ground enough to send more than one request on."""


class Room:
    """Decides by the newest ``Remaining`` and by the slots.

    Alone, there is room where a slot is free **or** the server promises some. Its promise is what
    remained, less all of ours that may have arrived since. No kind of window takes that back; it
    adds to the slots where the server forgets sooner than they do: a fixed window that has begun
    anew is used to the full, and so is a bucket's refill.

    Beside others, there is room where a slot is free that is not theirs **and** the last figure,
    less what was sent since, leaves some.
    """

    def __init__(self, limit: RateLimit, window: Window, *, wary: bool = False) -> None:
        self._limit = limit
        self._window = window
        self._neighbours = Neighbours(limit, window.taken)
        self._wary = wary
        """Slots of an earlier process are in use: they would hide neighbours."""
        self._number = window.taken
        self._remaining = self._used = self._settled = 0
        self._heard_at = -inf
        self._trusted_from = -inf

    @property
    def may_change(self) -> bool:
        """Whether time alone may make room, without a slot's release."""
        return self._wary or self._neighbours.forgets_early

    def share(self, now: float) -> float:
        """How many slots are left to others."""
        self._neighbours.turn(now, self._window.taken)
        return self._neighbours.share(now)

    def mark(self, now: float) -> float:
        """What a slot that is taken now has to remember, see `Neighbours.mark`."""
        return self._neighbours.mark(now)

    def left(self, now: float, share: float) -> float:
        """How many requests may start now, leaving ``share`` to others."""
        window = self._window
        free = self._limit.requests - window.used - share
        if share:
            return min(free, self._left_beside_others(now))
        if now >= self._heard_at + self._limit.interval:
            return free
        resets = self._neighbours.resets
        if not resets and (self._wary or self._neighbours.forgets_early):
            # A bucket that others drain slowly shows it only when it is all but empty.
            more = window.used - self._used + window.in_flight
            free = min(free, self._remaining - more - self._limit.spare)
        if now < self._trusted_from:
            return free
        promised = self._remaining - (window.taken - self._settled - 1)
        return max(free, promised - (0 if resets else self._limit.spare))

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
