"""The quota as servers count it: fixed window, sliding window, refilling bucket, and the day.

Requests are counted at the moment they arrive. Times are seconds of one clock.
"""

import math
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from leadconnector_async.sandbox.config import Limits
from leadconnector_async.sandbox.replies import RATES

# Of each window, `left` is asked first at a moment: the other two go on from there.


class FixedWindow:
    """So many requests between two ticks of the clock, however they are spread."""

    def __init__(self, size: int, interval: float, phase: float | None) -> None:
        self._size = size
        self._interval = interval
        self._phase = phase
        self._ends = -math.inf
        self._used = 0

    def left(self, now: float) -> int:
        """What this window has not used yet."""
        if now >= self._ends:
            since = 0.0 if self._phase is None else (now - self._phase) % self._interval
            self._ends = now - since + self._interval
            self._used = 0
        return self._size - self._used

    def take(self, _: float) -> None:
        """Count one request."""
        self._used += 1

    def wait(self, now: float) -> float:
        """Seconds to the end of the window."""
        return self._ends - now


class SlidingWindow:
    """So many requests in any stretch of one interval."""

    def __init__(self, size: int, interval: float) -> None:
        self._size = size
        self._interval = interval
        self._arrivals: deque[float] = deque()

    def left(self, now: float) -> int:
        """The size, less what arrived within the last interval."""
        arrivals = self._arrivals
        while arrivals and arrivals[0] + self._interval <= now:
            arrivals.popleft()
        return self._size - len(arrivals)

    def take(self, now: float) -> None:
        """Note one arrival."""
        self._arrivals.append(now)

    def wait(self, now: float) -> float:
        """Seconds until the oldest arrival is an interval old."""
        return self._arrivals[0] + self._interval - now if self._arrivals else 0.0


class Bucket:
    """Holds ``size`` requests, refills evenly at ``size`` per interval."""

    def __init__(self, size: int, interval: float) -> None:
        self._size = size
        self._rate = size / interval
        self._level = float(size)
        self._at: float | None = None

    def left(self, now: float) -> int:
        """Whole requests in the bucket."""
        if self._at is not None:
            self._level = min(self._size, self._level + (now - self._at) * self._rate)
        self._at = now
        # Refilling adds up to a hair less than a whole request: 1e-9 is no request's worth.
        return int(self._level + 1e-9)

    def take(self, _: float) -> None:
        """Take one request out."""
        self._level -= 1.0

    def wait(self, _: float) -> float:
        """Seconds until one whole request is in the bucket."""
        return max(0.0, (1.0 - self._level) / self._rate)


RateWindow: TypeAlias = FixedWindow | SlidingWindow | Bucket


def make_window(limits: Limits) -> RateWindow | None:
    """The window that ``limits`` asks for; None counts nothing."""
    if limits.window == "fixed":
        return FixedWindow(limits.max, limits.interval, limits.phase)
    if limits.window == "off":
        return None
    kind = SlidingWindow if limits.window == "sliding" else Bucket
    return kind(limits.max, limits.interval)


class RateDecision(NamedTuple):
    """Whether a request is let through, and what the answer's headers say of the quota."""

    allowed: bool
    headers: Mapping[str, str]


class RateLimiter:
    """The quota of one app in one location."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._window = make_window(limits)
        counts_days = limits.daily is not None and self._window is not None
        self._day = FixedWindow(limits.daily or 0, limits.day, None) if counts_days else None
        self._constant = self._figures(limits.max, limits.daily or 0, limits.day)

    def allow(self, now: float) -> RateDecision:
        """Count a request that arrived, and rule on it. A refused one costs nothing."""
        window, day = self._window, self._day
        if window is None:
            return RateDecision(allowed=True, headers=self._constant)
        spent = day is not None and day.left(now) <= 0
        admitted = not spent and window.left(now) > 0
        if admitted:
            window.take(now)
            if day is not None:
                day.take(now)
        day_left, day_ends = (0, 0.0) if day is None else (day.left(now), day.wait(now))
        headers = self._figures(window.left(now), day_left, day_ends)
        if not admitted and self._limits.retry_after:
            headers["Retry-After"] = str(math.ceil(day_ends if spent else window.wait(now)))
        return RateDecision(allowed=admitted, headers=headers)

    def _figures(self, left: int, day_left: int, day_ends: float) -> dict[str, str]:
        limits = self._limits
        if not limits.headers:
            return {}
        figures = [limits.max, left, round(limits.interval * 1000)]
        if limits.daily is not None:
            figures += [limits.daily, day_left, round(day_ends * 1000)]
        return dict(zip(RATES, map(str, figures), strict=False))
