"""Counting equal reasons, with the first places of each."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from leadconnector_async._outbox.reasons import MOST_REASONS, OTHERS, gist

MOST_PLACES: Final = 5


ReasonState = Literal["wrong", "failed", "unresolved", "left out", "dismissed", "notice"]


class Reason(Struct):
    """Why records are not sent, how many, and where the first of them stand (``file:line``)."""

    state: ReasonState
    reason: str
    count: int = 0
    lines: list[str] = []


class Reasons:
    """Groups what is wrong, as it is told."""

    def __init__(self, state: ReasonState = "wrong") -> None:
        self._state = state
        self._groups: dict[str, Reason] = {}

    def add(self, reason: str, place: str) -> None:
        """Count one more."""
        key = gist(reason)
        if key not in self._groups and len(self._groups) >= MOST_REASONS:
            key = reason = OTHERS
        group = self._groups.setdefault(key, Reason(self._state, reason))
        if group.reason != reason:
            group.reason = key
        group.count += 1
        if len(group.lines) < MOST_PLACES:
            group.lines.append(place)

    def most_frequent(self) -> list[Reason]:
        """All groups, the largest first."""
        return sorted(self._groups.values(), key=lambda group: -group.count)

    def __repr__(self) -> str:
        return f"<Reasons {len(self._groups)} groups>"
