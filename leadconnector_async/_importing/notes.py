"""What sources left out, and what they would have their user know: told once, with counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadconnector_async._importing.reasons import Reasons

if TYPE_CHECKING:
    from leadconnector_async.sources import Parsed


class Notes:
    """Counts, over all sources of a run, the records left out and the notices, by their words.

    ``location`` is the one that the user names, which a record's own goes before.
    """

    def __init__(self, location: str | None = None) -> None:
        self._location = location
        self.left_out = Reasons("left out")
        self.notices = Reasons("notice")

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
