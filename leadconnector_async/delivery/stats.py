"""What one run did, in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from leadconnector_async.outbox.base import Staged


class RunStats(Struct):
    """Counts of one run. ``copies`` are those of ``skipped`` that stand elsewhere too.

    ``found`` are those of ``sent`` whose answer was lost; ``looks`` and ``enrichments`` those of
    ``requests`` that looked for a record, or completed one before it was sent; ``marked`` the
    conversations that were marked as read.
    """

    read: int = 0
    staged: int = 0
    skipped: int = 0
    copies: int = 0
    refused: int = 0
    sent: int = 0
    found: int = 0
    rejected: int = 0
    unresolved: int = 0
    requests: int = 0
    searches: int = 0
    enrichments: int = 0
    throttled: int = 0
    marked: int = 0

    def include(self, other: RunStats) -> None:
        """Add the counts of another run."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def add(self, staged: Staged) -> None:
        """Count a batch that the outbox has taken in."""
        self.staged += staged.staged
        self.skipped += staged.skipped
        self.copies += staged.copies
        self.refused += staged.refused
