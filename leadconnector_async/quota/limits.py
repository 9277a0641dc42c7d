"""The limit of one app in one location, and what the server's figures make of it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

from leadconnector_async.arguments import AtLeastOne, Checked, Seconds
from leadconnector_async.public_place import name_public_place

if TYPE_CHECKING:
    from leadconnector_async.models import RateLimitHeaders


def part(count: int, share: float) -> int:
    """A share of a limit: rounded down, and at least one."""
    return max(1, int(count * share))


class QuotaSnapshot(NamedTuple):
    """How much of a location's quota is used, kept for the next start. Unix milliseconds."""

    day_used: int
    day_ends: int
    window_used: int
    window_ends: int
    day_limit: int | None = None
    """Requests a day, as the API announced them; None where it did not."""


INTERVALS_MS: Final = range(100, 3_600_001)
"""Announced intervals that are believed: a tenth of a second to an hour."""


class RateLimit(Checked, frozen=True):
    """At most ``requests`` in any ``interval`` seconds, and ``daily`` in a day (None: no limit).

    The defaults are the documented ones. Figures that the server announces replace them.

    Example:
        >>> api = LeadConnector(token, limit=RateLimit(25, 10.0, daily=10_000))
    """

    requests: AtLeastOne = 100
    interval: Seconds = 10.0
    daily: AtLeastOne | None = 200_000

    @property
    def spare(self) -> int:
        """How many requests make a margin: 2 % of a small limit, never more than 2."""
        return min(2, max(1, self.requests // 50))

    def announced(self, seen: RateLimitHeaders) -> RateLimit:
        """Take over what the server announces. Zero and absurd figures are no news."""
        requests = seen.max or self.requests
        interval = self.interval
        if seen.interval_ms is not None and seen.interval_ms in INTERVALS_MS:
            interval = seen.interval_ms / 1000
        if requests == self.requests and interval == self.interval:
            return self
        return _announced(self, requests, interval)

    def shared(self, share: float) -> RateLimit:
        """This part of it; at least one request."""
        if share == 1:
            return self
        daily = None if self.daily is None else part(self.daily, share)
        return replace(self, requests=part(self.requests, share), daily=daily)

    def is_stricter_than(self, other: RateLimit) -> bool:
        """Whether requests that keep to ``other`` may break this one."""
        return self.requests < other.requests or self.interval > other.interval


@lru_cache(maxsize=256)
def _announced(limit: RateLimit, requests: int, interval: float) -> RateLimit:
    """The same for all locations."""
    return replace(limit, requests=requests, interval=interval)


UNLIMITED: Final = RateLimit(requests=10**9, daily=None)
"""Stands for no limit, until the server announces one."""


name_public_place(globals())
