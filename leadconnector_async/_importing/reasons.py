"""Counting equal reasons, with the first places of each."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

MOST_PLACES: Final = 5
MOST_REASONS: Final = 1_000
OTHERS: Final = "other reasons"
"""Takes what comes after so many different reasons: memory has to stay bounded."""


class Reason(Struct):
    """Why records are not sent, how many, and where the first of them stand (``file:line``)."""

    state: Literal["wrong", "failed", "unresolved"]
    reason: str
    count: int = 0
    lines: list[str] = []


class Reasons:
    """Groups what is wrong, as it is told."""

    def __init__(self) -> None:
        self._groups: dict[str, Reason] = {}

    def add(self, reason: str, place: str) -> None:
        """Count one more."""
        if reason not in self._groups and len(self._groups) >= MOST_REASONS:
            reason = OTHERS
        group = self._groups.setdefault(reason, Reason("wrong", reason))
        group.count += 1
        if len(group.lines) < MOST_PLACES:
            group.lines.append(place)

    def most_frequent(self) -> list[Reason]:
        """All groups, the largest first."""
        return sorted(self._groups.values(), key=lambda group: -group.count)

    def __repr__(self) -> str:
        return f"<Reasons {len(self._groups)} groups>"
