"""The circuit breaker: when nothing gets through, stop trying with everything."""

import logging
import math
from dataclasses import dataclass
from typing import Final

from leadconnector_async.errors import NotSentError

_log: Final = logging.getLogger(__name__)

FAILURES_TO_OPEN: Final = 8

FIRST_PAUSE: Final = 0.5

MAX_PAUSE: Final = 30.0

QUIET_S: Final = 3_600.0
"""Seconds without a try after which nobody knows whether what failed before has lasted."""


@dataclass(slots=True, eq=False, repr=False)
class Breaker:
    """Counts failures in a row, over all locations.

    Closed, requests flow. After some failures in a row it opens, and one request at a time probes
    at growing intervals; the first that gets through closes it. Times are the loop's seconds.
    ``what`` it counts is for the log.
    """

    what: str = "requests"
    is_open: bool = False
    """Whether requests are held back."""
    since: float = math.inf
    """When the row of failures began."""
    why: str = ""
    """Of the last failure."""
    _failed_at: float = math.inf
    _failures: int = 0
    _pause: float = FIRST_PAUSE
    _probing: bool = False
    _probe_at: float = -math.inf

    @property
    def open_until(self) -> float:
        """When to ask again; infinity while a probe is out, whose end says when."""
        return math.inf if self._probing else self._probe_at

    def allows(self, now: float) -> bool:
        """Whether a request may leave now."""
        return not self.is_open or now >= self.open_until

    def lets_through(self, now: float, patience: float) -> bool:
        """`allows`, for so many seconds of an outage.

        Raises:
            NotSentError: it is longer, and no probe is due, which tells whether it is over.
        """
        is_allowed, outage = self.allows(now), self.outage(now)
        if outage > patience and not is_allowed and not self._probing:
            raise NotSentError(f"the API has been out of reach for {outage:.0f} s ({self.why})")
        return is_allowed

    def began(self) -> None:
        """A request leaves. While open, it is the probe."""
        self._probing = self.is_open

    def succeeded(self) -> None:
        """An answer came."""
        if self._failures:
            was_open, self.is_open = self.is_open, False
            self._failures, self._pause, self.since = 0, FIRST_PAUSE, math.inf
            if was_open:  # last: a log's handler may raise
                _log.warning("circuit closed: the API is within reach again")

    def failed(self, now: float, why: str = "no answer") -> None:
        """No answer came, or only a proxy's."""
        if now - self._failed_at > QUIET_S:
            self._failures, self._pause, self.since = 0, FIRST_PAUSE, math.inf
        self._failed_at = now
        self._failures += 1
        self.why, self._probing = why, False
        self.since = min(self.since, now)
        self.is_open = self._failures >= FAILURES_TO_OPEN
        if self.is_open and now >= self._probe_at:
            self._probe_at = now + self._pause
            self._pause = min(self._pause * 2, MAX_PAUSE)
        if self._failures == FAILURES_TO_OPEN:
            _log.warning("circuit opened: %d %s in a row got no answer", self._failures, self.what)

    def abandoned(self) -> None:
        """A request was cancelled: it proves nothing."""
        self._probing = False

    def outage(self, now: float) -> float:
        """How many seconds the API has been out of reach; 0 while the breaker is closed."""
        return now - self.since if self.is_open else 0.0

    def __repr__(self) -> str:
        return f"<Breaker {'open' if self.is_open else 'closed'}, {self._failures} failures>"
