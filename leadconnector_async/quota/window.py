"""What bounds the requests of one location: the slots of a window, the pace within it, and its day.

A slot is in use from the moment it is taken until one interval after its request was *answered*.
So all that a server counts together was in use together, and it never counts more than the limit:

    Of the requests that it counts together at some arrival, let the last-sent one leave at time t.
    The others left before t. They arrived after t - interval, else they would be forgotten, and
    were answered later still. So at t none of them had been released.

That holds whatever the jitter, for fixed windows and for sliding ones, and so for a bucket, which
holds the limit and refills in an interval. It costs a round trip per interval: the rate is
limit / (interval + round trip).
"""

from __future__ import annotations

from array import array
from dataclasses import KW_ONLY, dataclass, field
from math import inf
from typing import TYPE_CHECKING, Final

from aiolimiter import AsyncLimiter
from msgspec import Struct

if TYPE_CHECKING:
    from leadconnector_async.models import RateLimitHeaders
    from leadconnector_async.quota.limits import RateLimit

NEVER: Final = -inf
"""One number for all that has not been yet: each location has many."""

GRAINS: Final = 500
"""Slots given back within 1/500 of an interval are released together, with the last of them: memory
and work stay flat however large the limit is, for at most 0.2 % of it."""

_SAMPLES: Final = 20
"""How many points of the release curve `Window.evenly_free_at` looks at."""


class Slot(Struct, gc=False):
    """The right to send one request, with what was known when it was taken.

    An answer's figures are those of some moment between ``taken_at`` and the answer. So whatever
    was settled at ``taken_at`` was settled for the server too.
    """

    number: int
    """How many slots had been taken, this one included."""
    used: int
    """How many slots were in use, this one included."""
    settled: int
    """How many requests could no longer arrive: answered, given up, or never sent."""
    mark: float
    """See `OtherConsumers.mark`."""
    taken_at: float
    waited: float = 0.0
    """Seconds from when a request was first to be made until there was this slot for it."""
    open: bool = True


@dataclass(slots=True, eq=False, repr=False)
class Window:
    """Which slots are in use: in flight, or held for ``interval`` seconds after the answer."""

    interval: float
    taken: int = 0
    in_flight: int = 0
    used: int = 0
    """How many slots are in use."""
    _returned: int = 0
    _released: int = 0
    _opened: float = NEVER
    _held: array[float] = field(default_factory=lambda: array("d"))
    """When slots were given back, and how many had been by then, in turn; oldest first.

    So a pair takes 16 bytes, and not a hundred.
    """

    def take(self, now: float, mark: float, waited: float = 0.0) -> Slot:
        """Use one more slot. Whether there is one is for the caller to know."""
        self.taken += 1
        self.in_flight += 1
        self.used += 1
        return Slot(self.taken, self.used, self.taken - self.in_flight, mark, now, waited)

    def give_back(self, slot: Slot, now: float) -> None:
        """Hold a slot whose request was answered, or given up."""
        self.unused(slot)
        self._hold(now, 1)

    def unused(self, slot: Slot) -> None:
        """Free a slot whose request was never sent."""
        if not slot.open:
            raise RuntimeError(f"slot {slot.number} was given back before")
        slot.open = False
        self.in_flight -= 1
        self.used -= 1

    def expire(self, now: float) -> None:
        """Release what was given back an interval ago."""
        held, interval = self._held, self.interval
        while held and held[0] + interval <= now:
            released = int(held[1])
            self.used -= released - self._released
            self._released = released
            del held[:2]

    def next_release(self) -> float:
        """When the next held slot is released; infinity where none is held."""
        return self._held[0] + self.interval if self._held else inf

    def evenly_free_at(self, now: float) -> float:
        """When all slots would be free, if they were released evenly over one interval.

        As late as it takes for none to be released early. So this and `used` are all that another
        process needs to go on. Those in flight count as answered now.
        """
        used = self.used
        if not used:
            return now
        held, each = self._held, self.interval / used
        before: float = self._released
        latest = NEVER
        step = 2 * (len(held) // 2 // _SAMPLES + 1)
        for at in range(step - 2, len(held), step):
            if (due := held[at] - each * before) > latest:  # `max` would take half of the time
                latest = due
            before = held[at + 1]
        if before < used + self._released:  # of those that go on, some are in flight
            latest = max(latest, now - each * before)
        return max(now, latest + each * (used + used + self._released))

    def inherit(self, used: int, free_at: float, now: float) -> None:
        """Go on from another window's `used` and `evenly_free_at`.

        Whatever that says, all is free an interval from now: it was given back before now.
        """
        steps = min(used, GRAINS)
        done = 0
        for step in range(1, steps + 1):
            upto = used * step // steps
            release = free_at - (used - upto) * self.interval / used
            if release > now:
                self._hold(min(release - self.interval, now), upto - done)
            done = upto

    def _hold(self, at: float, count: int) -> None:
        self.used += count
        self._returned += count
        held = self._held
        if held and at < self._opened + self.interval / GRAINS:
            if at > held[-2]:  # noqa: PLR1730 - half of the time
                held[-2] = at
            held[-1] = self._returned
        else:
            self._opened = at
            held.extend((at, self._returned))


_LEAD: Final = 1.1
"""How much faster than the limit's mean the pacer lets through. The slots bound, so this is safe,
and it makes up for what a slow network held back."""

_LOTS: Final = 500
"""A large limit is drawn in so many lots per interval: finer steps smooth nothing, and each has its
price."""

_BURST: Final = 1 / 20
"""The share of an interval's requests that may leave at once; two at least."""


class Pacer:
    """A token bucket. Another limit wants another one: the rate of aiolimiter's is for life.

    It starts full, with a lot drawn, and lets a burst more than its rate through: what counts is
    bounded elsewhere.
    """

    __slots__ = ("_burst", "_gap", "_limiter", "_lot", "drawn")

    def __init__(self, limit: RateLimit) -> None:
        self._burst = max(2.0, limit.requests * _BURST)
        self._gap = limit.interval / limit.requests / _LEAD
        self._limiter: AsyncLimiter | None = None  # until it is drawn from, it is full
        self._lot = limit.requests // _LOTS
        self.drawn: float = float(self._lot)
        """What may pass without a further look."""

    def ready_at(self, now: float, weight: float) -> float:
        """When a request may pass, to within the burst.

        ``weight`` is 1 for the full rate, 2 for half of it.
        """
        if weight <= self.drawn or self._limiter is None:
            return now
        return now if self._limiter.has_capacity(self._amount(weight)) else now + self._gap

    def draw(self, weight: float) -> None:
        """Pass, where `ready_at` has just said now."""
        if weight > self.drawn:
            amount = self._amount(weight)
            if self._limiter is None:
                self._limiter = AsyncLimiter(self._burst, self._burst * self._gap)
            next(self._limiter.acquire(amount).__await__(), None)  # there is room: one step
            weight = min(weight, self.drawn + amount)
            self.drawn += amount
        self.drawn -= weight

    def _amount(self, weight: float) -> float:
        return min(max(weight, self._lot), self._burst)


DAY_S: Final = 86_400.0

_LATEST_RESET_MS: Final = 90_000_000
"""A reset that is announced for later than in 25 hours is not believed."""

_ASK_AGAIN_S: Final = 900.0
"""Seconds after which a day is tried again that the server says is spent, and not until when, where
fewer requests were counted here: it began earlier, or has not ended yet by the server's clock."""

_NEW_DAY: Final = 1 / 10
"""A remainder that grows by this share of the limit shows that the server has begun a new day."""


@dataclass(slots=True, eq=False, repr=False)
class Day:
    """Counts a day's requests. It ``ends`` when the server says, else 24 h after the first one.

    ``limit`` is the one in force, None for none: the server's (``announced``) once it has told one.
    ``inherited``: an earlier process has counted, and so the day is not spent before an answer of
    now has confirmed it.
    """

    limit: int | None
    used: int = 0
    ends: float = inf
    _: KW_ONLY
    announced: int | None = None
    inherited: bool = False
    _remaining: int | None = None

    def __post_init__(self) -> None:
        self.limit = self.announced or self.limit

    @property
    def spent(self) -> bool:
        """Whether nothing is left."""
        return self.limit is not None and self.used >= self.limit and not self.inherited

    @property
    def left(self) -> int | None:
        """How many requests the day still has room for; None where it has no limit."""
        return None if self.limit is None else max(0, self.limit - self.used)

    def is_spent(self, now: float) -> bool:
        """Whether to wait for the next day. Begins it when its time has come."""
        if now >= self.ends:
            self.used, self.ends, self._remaining, self.inherited = 0, inf, None, False
        return self.spent

    def count(self, now: float) -> None:
        """Note a request."""
        self.used += 1
        if self.ends == inf:
            self.ends = now + DAY_S

    def uncount(self) -> None:
        """Take back a request that was never sent."""
        self.used = max(0, self.used - 1)

    def learn(self, seen: RateLimitHeaders, later: int, now: float) -> None:
        """Believe the server's limit, its time of the reset, and a smaller remainder than ours.

        A larger one is believed where the count was inherited, and where it grew: then a new day
        has begun. ``later`` is how many requests were sent after the one that brought these
        figures.
        """
        inherited, self.inherited = self.inherited, False
        self.announced = seen.daily_limit or self.announced
        limit = self.limit = self.announced or self.limit
        reset_ms = seen.daily_reset_ms or 0
        is_told = 0 < reset_ms <= _LATEST_RESET_MS
        if is_told:
            self.ends = now + reset_ms / 1000
        elif self.ends == inf:  # it ended while this request was under way
            self.ends = now + DAY_S
        remaining = seen.daily_remaining
        if remaining is None or limit is None or remaining > limit:
            return
        used = limit - remaining + later
        last, self._remaining = self._remaining, remaining
        grew = last is not None and remaining > last + limit * _NEW_DAY
        if grew and not is_told:
            self.ends = now + DAY_S
        elif used > self.used and used >= limit and not is_told:
            self.ends = min(self.ends, now + _ASK_AGAIN_S)
        if inherited or grew or used > self.used:
            self.used = used
