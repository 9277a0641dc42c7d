"""What other programs take of the same budget, as far as the server's figures betray it.

Two sums betray it:

* the *excess*: the server counts more than all of ours that it may still be counting;
* the *fall*: what remains and what has arrived of ours can only grow together, as old requests are
  forgotten, unless somebody else takes something.

Either can be too high by the requests that overtook the one that brought the figures, and by no
more. Above that doubt it is a proof. Without a proof nothing is left to others: alone, we use all.
With one the sums are read for what is likely, and the most that others took within one interval is
left to them in the next.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from leadconnector_async._quota.limits import RateLimit
    from leadconnector_async._quota.window import Slot

UNSEEN: Final = 1 / 3
"""The share of the limit left to others after a refusal, until an interval has shown what they
take: a full server shows what they got, and not what they came for."""

BURST: Final = 1 / 20
"""More than this share of the limit between two answers is a burst, and no trend."""

TREND: Final = 1 / 2
"""The share of the first interval after which a trend shows."""

RESET: Final = 1 / 4
"""A sum that grows by this share of the limit, in half that share of an interval, shows a window
that begins anew: no bucket refills so fast."""


class Neighbours:
    """Says how many slots to leave to others.

    ``taken``: slots taken up to now; those say nothing here. ``wary``: an earlier process used the
    same budget, and what it took may hide what others take.
    """

    def __init__(self, limit: RateLimit, taken: int, *, wary: bool) -> None:
        self._limit = limit
        self._wary = wary
        self._proven_until = -inf
        self._peak = self._peak_before = 0.0
        self._period_ends = -inf
        self._taken_before = taken
        self._mark = self._heard_at = -inf
        self._level = inf
        self._resets = False
        self._watched_from = inf
        self._trend_start = self._estimate = 0.0
        self.forgets_early = False
        """The server does not count all that a sliding window would still count."""

    @property
    def may_hide(self) -> bool:
        """Whether others may go unnoticed: a bucket shows slow ones only when all but empty."""
        return (self._wary or self.forgets_early) and not self._resets

    def share(self, now: float) -> float:
        """How many slots to leave to others; 0 where none are proven."""
        if now >= self._proven_until:
            return 0.0
        most = max(self._peak, self._peak_before) + self._limit.spare
        return min(most, self._limit.requests - 1.0)

    def mark(self, now: float) -> float:
        """The highest certain sum of what remained and what had arrived of ours."""
        return self._mark if now < self._heard_at + self._limit.interval else -inf

    def turn(self, now: float, taken: int) -> None:
        """Forget what others took in the interval before the last."""
        if now < self._period_ends:
            return
        missed_one = now >= self._period_ends + self._limit.interval
        self._peak_before = 0.0 if missed_one else self._peak
        self._peak = 0.0
        self._period_ends = now + self._limit.interval
        self._taken_before = taken

    def learn(self, slot: Slot, remaining: int, now: float, taken: int) -> None:
        """Compare a figure with what is known of ours. Slots come in the order of their numbers."""
        limit, number = self._limit, slot.number
        level = remaining + number
        excess = limit.requests - remaining - slot.used
        fall = slot.mark - level
        doubt = taken - number
        if excess > doubt or fall > doubt:
            self._proven_until = now + 2 * limit.interval
        under_way = number - slot.settled - 1
        likely = self._foresee(max(excess, fall + under_way / 2), slot.taken_at)
        self._peak = max(self._peak, likely)
        self._learn_kind(slot, remaining, now)
        self._mark = max(self.mark(now), level - under_way)
        self._heard_at = now

    def refused(self, now: float, used: int) -> None:
        """A 429. Ours alone cannot have caused it."""
        most = self._limit.requests
        self._proven_until = now + 2 * self._limit.interval
        self._peak = max(self._peak, most * UNSEEN, most - used)

    def _foresee(self, estimate: float, at: float) -> float:
        """In the first interval, take it that others will go on as they began."""
        watched = (at - self._watched_from) / self._limit.interval
        if watched > 1:
            return estimate
        if watched < 0:
            self._watched_from = at
            self._trend_start = max(0.0, estimate)
        elif estimate - self._estimate > max(3.0, self._limit.requests * BURST):
            self._trend_start += estimate - self._estimate
        self._estimate = estimate
        if watched < TREND:
            return estimate
        return max(estimate, (estimate - self._trend_start) / watched)

    def _learn_kind(self, slot: Slot, remaining: int, now: float) -> None:
        """Tell a server that forgets early, and one that forgets all at once."""
        most = self._limit.requests
        self.forgets_early |= most - remaining < slot.settled - self._taken_before
        last, self._level = self._level, remaining + slot.number
        if self._level > last + most * RESET:
            self._resets |= now < self._heard_at + self._limit.interval * RESET / 2
