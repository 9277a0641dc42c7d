"""What staging asks of a store of records: one question or one change each, within a transaction.

The rules are in `leadconnector_async.outbox.staging` and beside it, once for all stores. They are
coroutines, so that a store on a server can answer later. One that answers at once never suspends
them, and `at_once` runs them to their end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

import msgspec

from leadconnector_async.outbox.base import State, StoredOutcome
from leadconnector_async.records.draft import Draft

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence
    from collections.abc import Set as AbstractSet

    LineKey = tuple[int, bytes]
    """Number of a location, and key of a record in it."""

T = TypeVar("T")


class NewRecord(msgspec.Struct, frozen=True, gc=False):
    """A draft that has become a record, under a number that was free."""

    seq: int
    location: int
    draft: Draft


class ExistingRecord(NamedTuple):
    """A record that is in the outbox already."""

    seq: int
    lane: int
    date: int
    payload: bytes | None
    deferred: str | None
    source: int = 0

    def equals(self, draft: Draft) -> bool:
        """Tell whether a draft says the same."""
        return draft.payload == self.payload and draft.deferred == self.deferred


class Origin(NamedTuple):
    """Where a record came from."""

    source: str = ""
    line: int = 0
    raw: bytes | None = None


class KnownLine(NamedTuple):
    """A record that is known by its line."""

    location: int
    seq: int
    lane: int
    state: int | None


class Copy(NamedTuple):
    """A record that a source holds again, or beside another source."""

    source: int
    seq: int
    source_pass: int
    line: int


class RecordStore(Protocol):
    """The records of an outbox, as staging sees them. Locations go by their numbers."""

    async def location(self, name: str) -> int:
        """The number of a location, new if it has none."""

    async def kin(self, source: int) -> dict[int, str]:
        """The numbers that a source has, read with other options too, and its name."""

    async def insert(self, drafts: Sequence[Draft]) -> tuple[list[NewRecord], list[NewRecord]]:
        """Insert what has a new key. Returns that, and the rest, for whom numbers are free."""

    async def insert_again(self, record: NewRecord, key: bytes) -> None:
        """Insert a record under another key than its own, which is taken."""

    async def enter(self, created: Sequence[NewRecord], source: int) -> int:
        """Note where new records came from, and which were refused. Returns how many were."""

    async def unchanged(
        self, drafts: Sequence[Draft], kin: AbstractSet[int]
    ) -> Sequence[int] | None:
        """The numbers of the records, from one of ``kin``, that drafts in front equal, in order.

        No list of failed records gives them back. Fewer than there are do no harm; None where the
        first is not known, or no run is looked for.
        """

    async def known(self, keys: Sequence[LineKey]) -> dict[LineKey, ExistingRecord]:
        """The records that have these keys."""

    async def origin(self, seq: int) -> Origin:
        """Where a record came from last."""

    async def was(self, seq: int, line: bytes) -> bool:
        """Whether a record was this line before it was mended."""

    async def reused(self, seq: int) -> bytes | None:
        """The digest of what a record says that was refused since its id is another's."""

    async def replace(
        self, record: NewRecord, known: ExistingRecord, before: State, source: int
    ) -> None:
        """Put a draft in the place of a record that was not sent, in the state ``before``."""

    async def add_copies(self, copies: Sequence[Copy]) -> None:
        """Count records that are met again."""

    async def add_reused(self, digests: Sequence[tuple[int, bytes]]) -> None:
        """Note the digests of what records say that were refused since their ids are another's."""

    async def has_keys(self, location: str, first: bytes, end: bytes) -> bool:
        """Whether a location has records whose keys are from ``first`` to before ``end``."""

    async def lines(self, keys: Iterable[LineKey]) -> dict[LineKey, KnownLine]:
        """The records that have these keys."""

    async def last_line(self, location: int, first: bytes, end: bytes) -> KnownLine | None:
        """The record with the longest and greatest key from ``first`` to before ``end``."""

    async def faults(self, first: bytes, end: bytes) -> list[KnownLine]:
        """The records of all locations that have ended, and whose keys are in between."""

    async def forget(self, line: KnownLine) -> None:
        """Remove a record that has ended."""

    async def publish_ahead(self, created: Sequence[NewRecord]) -> None:
        """Publish new records, ahead of others that are only staged."""

    async def add_traces(self, traces: Sequence[tuple[int, str, str | None]]) -> None:
        """Note of which traces records are: number, parent and state. Until they have an end."""

    async def publish_known(self, seq: int) -> State:
        """Publish a record that has no end, if an earlier run did not. Tells whether it is held."""

    async def end_of(self, seq: int) -> StoredOutcome | None:
        """What became of a record."""


MAX_LEFT_OUT: Final = 4 << 10
"""Bytes of the longest line that is kept of what is left out: nobody has to mend it."""


def end_of(draft: Draft) -> State:
    """The state in which a draft is staged."""
    if draft.problem is not None:
        return State.REJECTED
    return State.PENDING if draft.left_out is None else State.LEFT_OUT


def why(draft: Draft) -> str | None:
    """Why a draft is not to be sent."""
    return draft.left_out if draft.problem is None else draft.problem


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine over a store that answers at once."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError("a store that answers at once was waited for")
