"""What an import does at this moment, for those who watch it.

How fast records go out, measured over the last half minute.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class ReadingProgress(NamedTuple):
    """The sources are being read, checked and staged."""

    bytes_read: int
    size: int | None
    """Bytes of all sources; None where one is a pipe."""
    records: int


class Notice(NamedTuple):
    """Why little or nothing moves, and for how many seconds more, where that is known."""

    text: str
    seconds: float | None = None


class SendingProgress(NamedTuple):
    """Staged records are being sent."""

    done: int
    """Records of this run whose fate is known."""
    total: int
    rate: float | None
    """Records a second, over the last half minute; None while nothing is known."""
    seconds_left: float | None
    """By the quota and the rate of the slowest location; None while nothing is known."""
    notice: Notice | None = None


Progress = ReadingProgress | SendingProgress

WINDOW: Final = 30.0
"""Seconds to measure over: three windows of the API's quota, so that its bursts even out."""


class RateMeter:
    """Samples of how many records each location has left, newest last."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, dict[int, int]]] = deque()

    def note(self, now: float, left: Mapping[int, int]) -> None:
        """Take a sample. Those older than the window go."""
        self._samples.append((now, dict(left)))
        while self._samples[0] is not self._samples[-1] and self._samples[1][0] <= now - WINDOW:
            self._samples.popleft()

    @property
    def span(self) -> float:
        """Seconds between the oldest sample and the newest."""
        return self._samples[-1][0] - self._samples[0][0] if self._samples else 0.0

    def of(self, location: int) -> float:
        """Records a second of one location; 0 while nothing is known."""
        if not self.span:
            return 0.0
        first, last = self._samples[0][1], self._samples[-1][1]
        return max(first.get(location, 0) - last.get(location, 0), 0) / self.span

    @property
    def total(self) -> float:
        """Records a second of all locations."""
        if not self.span:
            return 0.0
        first, last = self._samples[0][1], self._samples[-1][1]
        return max(sum(first.values()) - sum(last.values()), 0) / self.span

    def __repr__(self) -> str:
        return f"<RateMeter {self.total:.1f}/s over {self.span:.0f} s>"
