"""One location's budget: all of it, and no more."""

from __future__ import annotations

from dataclasses import KW_ONLY, InitVar, dataclass, field
from math import inf, isfinite
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from leadconnector_async.quota.estimator import Capacity
from leadconnector_async.quota.limits import UNLIMITED, QuotaSnapshot, RateLimit, part
from leadconnector_async.quota.window import DAY_S, GRAINS, NEVER, Day, Pacer, Slot, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from leadconnector_async.models import RateLimitHeaders

MIN_PAUSE: Final = 1 / 10
"""Of an interval, after a 429 that does not say how long to wait. It can be short: slots and the
share of others go on bounding what follows."""

WARY: Final = 1 / 10
"""Of an interval: the longest wait for a slot of an earlier process."""

QUIET_S: Final = 3_600.0
"""Seconds after the end of a pause, without another answer 429, that end the row of them."""

PLENTY: Final = 20
"""Others would have to take ten times the limit to use half of it up between two figures."""

LOOK_AGAIN: Final = 1 / 100
"""Of an interval: how soon to ask again where time alone may make room."""


@dataclass(slots=True, eq=False, repr=False)
class Quota:
    """The budget of one app in one location.

    Ask `ready_at`. Once that is not after now, `take` a slot in the same step of the loop, send,
    and `give_back` the slot with what the answer's headers said. Times are the loop's, in seconds.
    Of a limit above `GRAINS`, figures are heard so many times an interval, or `PLENTY` times while
    more than half remains: more would tell nothing.

    The first request goes alone: its answer tells the limit, and what is left of it. After a
    restart it waits a little for a slot of the earlier process to be released: what that process
    used may have been all that the limit allows. It goes even where the earlier process has used
    the day up, or more of the window than the limit in force: only the server knows whether it
    begins a new day, or allows more.

    ``share`` is the part of each limit that is used, the server's own included.
    """

    assumed: InitVar[RateLimit | None]
    _: KW_ONLY
    snapshot: InitVar[QuotaSnapshot | None] = None
    now: InitVar[float]
    wall_ms: InitVar[int]
    share: float = 1.0
    limit: RateLimit = field(init=False)
    """Requests and interval in force: the server's, once it has announced them."""
    rate: float = field(init=False)
    """Requests per second that it allows."""
    _announced_day: int | None = field(init=False)
    _window: Window = field(init=False)
    day: Day = field(init=False)
    """As it was when `ready_at` was last asked, and an answer has told."""
    _capacity: Capacity = field(init=False)
    _pacer: Pacer = field(init=False)
    _weight: float = 1.0
    _ready: bool = False
    _wanted_at: float = inf
    _waited: float = 0.0
    _answered: bool = False
    _waiting: dict[Hashable, Callable[[], None]] | None = None
    _deaf_until: float = NEVER
    _firm_until: float = NEVER
    _sure: float = 0
    _sure_until: float = NEVER
    """How many more may start by the clock alone, and before when: see `_be_sure`."""
    paused_until: float = NEVER
    """When the pause after a 429 ends."""
    throttled_since: float = inf
    """When the row of answers 429 began that no other answer has ended."""

    def __post_init__(
        self, assumed: RateLimit | None, snapshot: QuotaSnapshot | None, now: float, wall_ms: int
    ) -> None:
        self._announced_day = snapshot.day_limit if snapshot else None
        self.limit = (assumed or UNLIMITED).shared(self.share)
        self.rate = self.limit.requests / self.limit.interval
        self._window = Window(self.limit.interval)
        self.day = Day(self.limit.daily)
        if snapshot is not None:
            self._go_on(snapshot, now, wall_ms)
        wary = self._window.used > 0
        self._capacity = Capacity(self.limit, self._window, wary=wary, promises=self.share == 1)
        self._pacer = Pacer(self.limit)
        if wary:
            self.pause(min(self._window.next_release(), now + self.limit.interval * WARY))

    def __repr__(self) -> str:
        return (
            f"<Quota: {self._window.used} of {self.limit.requests} in {self.limit.interval:g} s, "
            f"{self._window.in_flight} in flight, {self.day.used} of {self.day.limit} today>"
        )

    def ready_at(self, now: float) -> float:
        """When a request may start. Not after ``now``: it may start now.

        Infinity: not until a slot is given back, or `day_ends`. Ask again at the time returned, and
        whenever a slot has been given back.
        """
        was_ready, self._ready = self._ready, False
        if now < self._wanted_at:  # noqa: PLR1730 - half of the time
            self._wanted_at = now
        if self._sure < 1 or now >= self._sure_until:
            at = self._looked_at(now)
            if at > now:
                return at
        if not was_ready:  # else it was asked again before it was taken
            self._waited = now - self._wanted_at
        self._ready, self._wanted_at = True, inf
        return now

    def _looked_at(self, now: float) -> float:
        if now < self.paused_until:
            return self.paused_until
        if self.day.is_spent(now):
            self._answered = False  # the first of the next day goes alone too
            return inf
        self._window.expire(now)
        share = self._capacity.share(now)
        if not self._answered and self._window.in_flight:
            return inf
        if self._capacity.left(now, share) < 1 and (
            # Not where the earlier process was told a greater limit, yet to be heard here.
            self._answered or self._window.used <= self.limit.requests
        ):
            release = self._window.next_release()
            if self._capacity.may_grow(share):
                return min(release, now + self.limit.interval * LOOK_AGAIN)
            return release
        self._weight = self.limit.requests / (self.limit.requests - share)
        at = self._pacer.ready_at(now, self._weight)
        if at <= now and not share and self._answered:
            self._be_sure(now)
        return at

    def _be_sure(self, now: float) -> None:
        """Look no more for as long as nothing but slots that are taken can change the answer.

        That is until one is released, the day or the interval of the estimate ends, which has to
        be noted then, or figures come. One more passes the pacer, as has just been seen.
        """
        left = min(self._capacity.sure(now), max(1.0, self._pacer.drawn))
        self._sure = left if self.day.limit is None else min(left, self.day.limit - self.day.used)
        ends = min(self._capacity.others.period_ends, self.day.ends)
        self._sure_until = min(self._window.next_release(), ends)

    def take(self, now: float) -> Slot:
        """Take the slot that `ready_at` has just found.

        Raises:
            RuntimeError: `ready_at` was not asked, or was not heeded.
        """
        if not self._ready:
            raise RuntimeError(f"{self!r} has no slot to take now: ask ready_at() before each")
        self._ready = False
        self._sure -= 1
        if self._answered:  # the first goes alone, at any pace
            self._pacer.draw(self._weight)
        self.day.count(now)
        return self._window.take(now, self._capacity.others.mark(now), self._waited)

    def listens(self, now: float) -> bool:
        """Whether figures that come now are heard."""
        return now >= self._deaf_until

    def give_back(self, slot: Slot, now: float, seen: RateLimitHeaders | None) -> None:
        """The request was answered, or given up unanswered: then ``seen`` is None."""
        self._window.give_back(slot, now)
        if self._waiting:
            self._tell_waiting()
        if seen is None:
            self._capacity.unanswered(now)
            return
        self._answered = True
        if now < self._deaf_until:
            return
        self._sure = 0
        later = self._window.taken - slot.number
        self._announced_day = seen.daily_limit or self._announced_day
        if self.share < 1:
            seen = self._within_share(seen, later)
        self.day.learn(seen, later, now)
        self._learn_limit(seen, now)
        most = self.limit.requests
        if seen.remaining is not None and seen.remaining <= most and seen.max in (None, most):
            self._capacity.observe(slot, seen.remaining, now)
        if most > GRAINS and seen.max is not None:
            is_full = seen.remaining is not None and seen.remaining > most / 2
            self._deaf_until = now + self.limit.interval / (PLENTY if is_full else GRAINS)

    def unused(self, slot: Slot) -> None:
        """The request provably never left: its slot and its unit of the day are free again."""
        self._window.unused(slot)
        self.day.uncount()
        if self._waiting:
            self._tell_waiting()

    def when_freed(self, who: Hashable, tell: Callable[[], None]) -> None:
        """Call ``tell`` in the step in which the next slot is given back, whoever had it; once."""
        if self._waiting is None:
            self._waiting = {}
        self._waiting[who] = tell

    def _tell_waiting(self) -> None:
        waiting, self._waiting = self._waiting or {}, None
        for tell in waiting.values():
            tell()

    def pause(self, until: float) -> None:
        """Start nothing before ``until``."""
        self._sure = 0
        if isfinite(until):
            self.paused_until = max(self.paused_until, until)

    def throttled(self, now: float, retry_after: float | None = None) -> float:
        """Pause after a 429, once its slot is given back. Returns when it goes on.

        Others are taken to be there, and given room. ``retry_after``: seconds, None where unsaid.
        """
        if self.day.is_spent(now):
            self.throttled_since = inf
            return self.day.ends
        if now - self.paused_until > QUIET_S:
            self.throttled_since = now
        self.throttled_since = min(self.throttled_since, now)
        self._capacity.refused(now)
        wait = self.limit.interval * MIN_PAUSE if retry_after is None else retry_after
        self.pause(now + min(wait, DAY_S))
        return max(now, self.paused_until)

    def state(self, now: float, wall_ms: int) -> QuotaSnapshot:
        """What the next process needs to go on from here, in Unix milliseconds."""
        self.day.is_spent(now)
        self._window.expire(now)
        day_ends = self.day.ends if self.day.used else now
        return QuotaSnapshot(
            day_used=self.day.used,
            day_ends=wall_ms + round((day_ends - now) * 1000),
            window_used=self._window.used,
            window_ends=wall_ms + round((self._window.evenly_free_at(now) - now) * 1000),
            day_limit=self._announced_day,
        )

    def _go_on(self, snapshot: QuotaSnapshot, now: float, wall_ms: int) -> None:
        day_ends = now + min((snapshot.day_ends - wall_ms) / 1000, DAY_S)
        used, day_ends = (snapshot.day_used, day_ends) if day_ends > now else (0, inf)
        self.day = Day(
            self.limit.daily,
            used,
            day_ends,
            announced=snapshot.day_limit and part(snapshot.day_limit, self.share),
            inherited=used > 0,
        )
        free_at = now + (snapshot.window_ends - wall_ms) / 1000
        self._window.inherit(snapshot.window_used, free_at, now)

    def _within_share(self, seen: RateLimitHeaders, later: int) -> RateLimitHeaders:
        """What figures say of our part: no more remains than is left of it.

        They show less where others use more than theirs, which then is missing in ours.
        """
        most = seen.max and part(seen.max, self.share)
        daily = seen.daily_limit and part(seen.daily_limit, self.share)
        of_day = daily or self.day.limit
        left = inf if of_day is None else max(0, of_day - self.day.used + later)
        return replace(
            seen,
            max=most,
            remaining=_at_most(seen.remaining, most or self.limit.requests),
            daily_limit=daily,
            daily_remaining=_at_most(seen.daily_remaining, left),
        )

    def _learn_limit(self, seen: RateLimitHeaders, now: float) -> None:
        """Shrink at once. Grow at once too, but not within an interval of a stricter figure."""
        limit = self.limit.announced(seen)
        if limit is self.limit:
            if now < self._firm_until:
                self._firm_until = now + limit.interval
            return
        if limit.is_stricter_than(self.limit):
            self._firm_until = now + limit.interval
        elif now < self._firm_until:
            return
        self.limit, self.rate = limit, limit.requests / limit.interval
        self._window.interval = limit.interval
        self._pacer = Pacer(limit)
        self._capacity = Capacity(limit, self._window, promises=self.share == 1)


def _at_most(figure: int | None, most: float) -> int | None:
    return None if figure is None else int(min(figure, most))
