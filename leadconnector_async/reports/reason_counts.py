"""Counting equal reasons, with the first places of each.

What sources left out, and what they would have their user know: told once, with counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from leadconnector_async.outbox.reasons import MAX_REASONS, OTHERS, gist

if TYPE_CHECKING:
    from leadconnector_async.sources import Parsed

MAX_PLACES: Final = 5

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
        if key not in self._groups and len(self._groups) >= MAX_REASONS:
            key = reason = OTHERS
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Reason(self._state, reason)
        if group.reason != reason:
            group.reason = key
        group.count += 1
        if len(group.lines) < MAX_PLACES:
            group.lines.append(place)

    def most_frequent(self) -> list[Reason]:
        """All groups, the largest first."""
        return sorted(self._groups.values(), key=lambda group: -group.count)

    def __repr__(self) -> str:
        return f"<Reasons {len(self._groups)} groups>"


class Notes:
    """Counts, over all sources of a run, the records left out and the notices, by their words.

    ``location`` is the one that the user names, which a record's own goes before.
    """

    def __init__(self, location: str | None = None) -> None:
        self._location = location
        self.left_out: Reasons = Reasons("left out")
        self.notices: Reasons = Reasons("notice")

    def add(self, parsed: Parsed, source: str) -> None:
        """Note what a record says of itself."""
        if parsed.left_out is not None:
            self.left_out.add(parsed.left_out, parsed.place(source))
        for notice in parsed.notices:
            self.notices.add(notice, parsed.place(source))
        own = None if parsed.row is None else parsed.row.location_id
        if own and self._location and own != self._location:
            self.notices.add(
                f"goes to {own}, which its locationId names, not to --location {self._location}",
                parsed.place(source),
            )
