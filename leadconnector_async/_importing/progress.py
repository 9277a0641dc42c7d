"""What an import does at this moment, for those who watch it."""

from __future__ import annotations

from typing import NamedTuple


class Reading(NamedTuple):
    """The sources are being read, checked and staged."""

    bytes_read: int
    size: int | None
    """Bytes of all sources; None where one is a pipe."""
    records: int


class Notice(NamedTuple):
    """Why little or nothing moves, and for how many seconds more, where that is known."""

    text: str
    seconds: float | None = None


class Sending(NamedTuple):
    """Staged records are being sent."""

    done: int
    """Records of this run whose fate is known."""
    total: int
    rate: float | None
    """Records a second, over the last half minute; None while nothing is known."""
    seconds_left: float | None
    """By the quota and the rate of the slowest location; None while nothing is known."""
    notice: Notice | None = None


Progress = Reading | Sending
