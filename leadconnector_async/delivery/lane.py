"""A lane: the records of one contact or conversation, and what keeps the first from being sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from leadconnector_async.api.effects import Flow
from leadconnector_async.api.enrichment import EnrichedRequest
from leadconnector_async.records.deferred import Deferred
from leadconnector_async.transport.base import Request

if TYPE_CHECKING:
    from leadconnector_async.api.reconciliation import Search
    from leadconnector_async.outbox.base import Claim


@dataclass(slots=True, eq=False, repr=False)
class Lane:
    """Records of one contact or conversation, in date order, of which only the first moves."""

    id: int
    # Lists where there are many of them: an empty deque takes 760 bytes.
    claims: list[Claim] = field(default_factory=list)
    doubts: dict[int, InDoubt] = field(default_factory=dict)
    search: Search | None = None
    enrichment: Enrichment | None = None
    lookups: dict[str, str] = field(default_factory=dict)
    busy: bool = False
    waiting: bool = False

    def __repr__(self) -> str:
        flags = [name for name in ("busy", "waiting") if getattr(self, name)]
        return f"<Lane {self.id:x} {len(self.claims)} claims {' '.join(flags)}>"


class InDoubt(Struct):
    """A record may be stored. It is looked for before anything else happens in its lane."""

    reason: str
    searches: int = 0
    lookup_failures: int = 0
    retry_after: float = 0.0


class Enrichment(Struct, weakref=True):
    """The completion of a lane's first record: what it waits for, or what it came to."""

    deferred: Deferred
    steps: Flow[EnrichedRequest] | None = None
    request: Request | None = None
    completed: EnrichedRequest | None = None
    failures: int = 0
    learning: str | None = None
    """The lookup that it is about to learn for other lanes too."""
    fetched: str | None = None
    """The file that was fetched for it, which nobody else needs."""

    def start_over(self) -> None:
        """Forget how far it is: what was learned is remembered, and is not asked for again."""
        self.steps = self.request = self.learning = None
        self.drop_file()

    def drop_file(self) -> None:
        """Remove the file that was fetched for it, if there is one."""
        if self.fetched is not None:
            Path(self.fetched).unlink(missing_ok=True)
            self.fetched = None
