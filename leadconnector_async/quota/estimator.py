"""How many requests may start now: where slots, the server's figures and other consumers meet.

What other programs take of the same budget, as far as the server's figures betray it.

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

from dataclasses import KW_ONLY, InitVar, dataclass, field
from math import inf
from typing import TYPE_CHECKING, Final

from leadconnector_async.quota.window import NEVER, Slot, Window

if TYPE_CHECKING:
    from leadconnector_async.quota.limits import RateLimit

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


@dataclass(slots=True, eq=False, repr=False)
class OtherConsumers:
    """Says how many slots to leave to others.

    ``taken_before``: slots taken up to now; those say nothing here. ``wary``: an earlier process
    used the same budget, and what it took may hide what others take.
    """

    limit: RateLimit
    taken_before: int
    _: KW_ONLY
    wary: bool
    _proven_until: float = NEVER
    _peak: float = 0.0
    _peak_before: float = 0.0
    period_ends: float = NEVER
    _mark: float = NEVER
    _observed_at: float = NEVER
    _level: float = inf
    _resets: bool = False
    _watched_from: float = inf
    _trend_start: float = 0.0
    _estimate: float = 0.0
    forgets_early: bool = False
    """The server does not count all that a sliding window would still count."""

    @property
    def may_hide(self) -> bool:
        """Whether others may go unnoticed: a bucket shows slow ones only when all but empty."""
        return (self.wary or self.forgets_early) and not self._resets

    def share(self, now: float) -> float:
        """How many slots to leave to others; 0 where none are proven."""
        if now >= self._proven_until:
            return 0.0
        most = max(self._peak, self._peak_before) + self.limit.spare
        return min(most, self.limit.requests - 1.0)

    def mark(self, now: float) -> float:
        """The highest certain sum of what remained and what had arrived of ours."""
        return self._mark if now < self._observed_at + self.limit.interval else NEVER

    def advance(self, now: float, taken: int) -> None:
        """Forget what others took in the interval before the last. From `period_ends` on."""
        missed_one = now >= self.period_ends + self.limit.interval
        self._peak_before = 0.0 if missed_one else self._peak
        self._peak = 0.0
        self.period_ends = now + self.limit.interval
        self.taken_before = taken

    def learn(self, slot: Slot, remaining: int, now: float, taken: int) -> None:
        """Compare a figure with what is known of ours. Slots come in the order of their numbers."""
        limit, number = self.limit, slot.number
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
        self._observed_at = now

    def refused(self, now: float, used: int) -> None:
        """A 429. Ours alone cannot have caused it."""
        most = self.limit.requests
        self._proven_until = now + 2 * self.limit.interval
        self._peak = max(self._peak, most * UNSEEN, most - used)

    def _foresee(self, estimate: float, at: float) -> float:
        """In the first interval, take it that others will go on as they began."""
        watched = (at - self._watched_from) / self.limit.interval
        if watched > 1:
            return estimate
        if watched < 0:
            self._watched_from = at
            self._trend_start = max(0.0, estimate)
        elif estimate - self._estimate > max(3.0, self.limit.requests * BURST):
            self._trend_start += estimate - self._estimate
        self._estimate = estimate
        if watched < TREND:
            return estimate
        return max(estimate, (estimate - self._trend_start) / watched)

    def _learn_kind(self, slot: Slot, remaining: int, now: float) -> None:
        """Tell a server that forgets early, and one that forgets all at once."""
        most = self.limit.requests
        self.forgets_early |= most - remaining < slot.settled - self.taken_before
        last, self._level = self._level, remaining + slot.number
        if self._level > last + most * RESET:
            self._resets |= now < self._observed_at + self.limit.interval * RESET / 2


FRESH: Final = 1 / 10
"""For this share of an interval a figure is ground enough for more than one request."""


@dataclass(slots=True, eq=False, repr=False)
class Capacity:
    """Decides by the slots, and by the newest figure of what remains.

    Alone, there is room where a slot is free **or** the server promises some. Its promise is what
    remained, less all of ours that may have arrived since. No server takes that back, whatever its
    window; so both are safe, and together they are: of the requests that a server counts together,
    the last-sent one had either a slot, and then so had all, or a promise that covers all. The
    promise adds to the slots where a server forgets sooner than they do. A fixed window that has
    begun anew is used to the full, and so is what a bucket refills.

    Without ``promises`` only slots count: what the server has left is not all ours to use.

    Beside others, there is room where a slot is free that is not theirs **and** the newest figure,
    less what was sent since, leaves some.
    """

    limit: RateLimit
    window: Window
    _: KW_ONLY
    wary: InitVar[bool] = False
    promises: InitVar[bool] = True
    others: OtherConsumers = field(init=False)
    _number: int = field(init=False)
    _spare: int = field(init=False)
    _remaining: int = 0
    _used: int = 0
    _settled: int = 0
    _observed_at: float = NEVER
    _trusted_from: float = NEVER

    def __post_init__(self, wary: bool, promises: bool) -> None:
        self.others = OtherConsumers(self.limit, self.window.taken, wary=wary)
        self._number = self.window.taken
        self._spare = self.limit.spare
        if not promises:
            self._trusted_from = inf

    def share(self, now: float) -> float:
        """How many slots are left to others."""
        others = self.others
        if now >= others.period_ends:
            others.advance(now, self.window.taken)
        return others.share(now)

    def left(self, now: float, share: float) -> float:
        """How many requests may start now, with ``share`` slots left to others."""
        window = self.window
        used = window.used
        free = self.limit.requests - used - share
        if share:
            return min(free, self._left_beside_others(now))
        if now >= self._observed_at + self.limit.interval:
            return free
        spare = 0
        if self.others.may_hide:
            spare = self._spare
            more = used + window.in_flight - self._used
            free = min(free, self._remaining - more - spare)
        if now < self._trusted_from:
            return free
        promised = self._remaining - (window.taken - self._settled - 1)
        return max(free, promised - spare)

    def sure(self, now: float) -> float:
        """How many may start at least, with none left to others, while no figure comes."""
        window, others = self.window, self.others
        free = self.limit.requests - window.used
        if others.may_hide and now < self._observed_at + self.limit.interval:
            more = window.used + window.in_flight - self._used  # each that starts adds two
            free = min(free, (self._remaining - more - self._spare) // 2)
        return free

    def may_grow(self, share: float) -> bool:
        """Whether time alone may make room, without the release of a slot."""
        return share > 0 or self.others.may_hide

    def observe(self, slot: Slot, remaining: int, now: float) -> None:
        """Take a figure in. Those of requests older than the newest one heard say nothing new."""
        if slot.number <= self._number:
            return
        self.others.learn(slot, remaining, now, self.window.taken)
        self._number = slot.number
        self._used = slot.used
        self._settled = slot.settled
        self._remaining = remaining
        self._observed_at = now

    def unanswered(self, now: float) -> None:
        """A request was given up. While it may still arrive, no promise takes it into account."""
        self._trusted_from = max(self._trusted_from, now + self.limit.interval)

    def refused(self, now: float) -> None:
        """A 429: others are there, or the figures are wrong. No promise is trusted again."""
        self.others.refused(now, self.window.used)
        self._trusted_from = inf

    def _left_beside_others(self, now: float) -> float:
        if now > self._observed_at + self.limit.interval * FRESH:
            return 1 - self.window.in_flight
        left = self._remaining - (self.window.taken - self._number)
        return left - self._spare if self.others.forgets_early else left
