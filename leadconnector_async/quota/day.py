"""The budget of one day."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from leadconnector_async.models import RateLimitHeaders

SECONDS: Final = 86_400.0

LATEST_RESET_MS: Final = 90_000_000
"""A reset that is announced for later than in 25 hours is not believed."""

NEW_DAY: Final = 1 / 10
"""A remainder that grows by this share of the limit shows that the server has begun a new day."""


class Day:
    """Counts a day's requests. The day ends when the server says, else 24 h after its first one.

    ``announced`` is the server's limit, where it has told one. ``inherited``: an earlier process
    has counted, and so the day is not spent before an answer of now has confirmed it.
    """

    __slots__ = ("_inherited", "_remaining", "announced", "ends", "limit", "used")

    def __init__(
        self,
        limit: int | None,
        used: int = 0,
        ends: float = inf,
        *,
        announced: int | None = None,
        inherited: bool = False,
    ) -> None:
        self.limit = announced or limit
        self.announced = announced
        self.used: int = used
        self.ends: float = ends
        self._inherited = inherited
        self._remaining: int | None = None

    @property
    def spent(self) -> bool:
        """Whether nothing is left."""
        return self.limit is not None and self.used >= self.limit and not self._inherited

    @property
    def left(self) -> int | None:
        """How many requests the day still has room for; None where it has no limit."""
        return None if self.limit is None else max(0, self.limit - self.used)

    def is_spent(self, now: float) -> bool:
        """Whether to wait for the next day. Begins it when its time has come."""
        if now >= self.ends:
            self.used, self.ends, self._remaining, self._inherited = 0, inf, None, False
        return self.spent

    def count(self, now: float) -> None:
        """Note a request."""
        self.used += 1
        if self.ends == inf:
            self.ends = now + SECONDS

    def uncount(self) -> None:
        """Take back a request that was never sent."""
        self.used = max(0, self.used - 1)

    def learn(self, seen: RateLimitHeaders, later: int, now: float) -> None:
        """Believe the server's limit, its time of the reset, and a smaller remainder than ours.

        A larger one is believed where the count was inherited, and where it grew: then a new day
        has begun. ``later`` is how many requests were sent after the one that brought these
        figures.
        """
        inherited, self._inherited = self._inherited, False
        self.announced = seen.daily_limit or self.announced
        limit = self.limit = self.announced or self.limit
        if seen.daily_reset_ms and seen.daily_reset_ms <= LATEST_RESET_MS:
            self.ends = now + seen.daily_reset_ms / 1000
        remaining = seen.daily_remaining
        if remaining is None or limit is None or remaining > limit:
            return
        used = limit - remaining + later
        last, self._remaining = self._remaining, remaining
        grew = last is not None and remaining > last + limit * NEW_DAY
        if inherited or grew or used > self.used:
            self.used = used
