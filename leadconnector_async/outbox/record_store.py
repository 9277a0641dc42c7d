"""What staging asks of a store of records: one question or one change each, within a transaction.

The rules are in `leadconnector_async.outbox.staging` and beside it, once for all stores.
"""

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass, field
from typing import ClassVar, Final, NamedTuple, TypeAlias

import msgspec

from leadconnector_async.outbox.base import State, StoredOutcome, end_of, kept, why
from leadconnector_async.outbox.database import Database, Numbers, statements
from leadconnector_async.outbox.source_pass import Readings
from leadconnector_async.records.draft import Draft
from leadconnector_async.records.keys import line_key

LineKey: TypeAlias = tuple[int, bytes]
"""Number of a location, and key of a record in it."""

QueuePlace: TypeAlias = tuple[int, int, int, int]
"""Location, lane, date, seq: the order of the queue."""

_KEYS: Final = "int bytea"

_PENDING: Final = int(State.PENDING)


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


_SQL: Final = statements(__package__, "record_store")


@dataclass(eq=False, repr=False)
class RecordStore(ABC):
    """The records of an outbox, as staging sees them. Locations go by their numbers."""

    _queries: ClassVar[dict[str, str]]
    """What the store asks in its own words, by the names of the methods."""
    _notes: ClassVar[Sequence[str]]
    """The tables that have rows of a record by its number, its own included."""

    _database: Database
    _numbers: Numbers
    _has_former: bool | None = field(default=None, init=False)
    """Whether any record was ever mended: nearly none was, and then none is looked up."""

    async def location(self, name: str) -> int:
        """The number of a location, new if it has none."""
        return await self._numbers.location(name)

    @abstractmethod
    async def _count(self, changes: Mapping[tuple[int, int], int]) -> None:
        """Add to the totals of each (location, state)."""

    async def kin(self, source: int) -> dict[int, str]:
        """The numbers that a source has, read with other options too, and its name."""
        return dict(await self._database.fetch(self._queries["kin"], source))

    async def readings(self, sources: Iterable[int]) -> Readings:
        """What was made of the lines of sources, and is sent or will be."""
        rows = [(source,) for source in sources]
        return Readings(await self._database.fetch_for(self._queries["readings"], "int", rows))

    async def insert(self, drafts: Sequence[Draft]) -> tuple[list[NewRecord], list[NewRecord]]:
        """Insert what has a new key. Returns that, and the rest, for whom numbers are free.

        Of equal keys, the first is inserted.
        """
        names = dict.fromkeys([draft.location for draft in drafts])
        places = {name: await self.location(name) for name in names}
        numbered = zip(await self._free(len(drafts)), drafts, strict=True)
        tried = [NewRecord(seq, places[draft.location], draft) for seq, draft in numbered]
        new = await self._insert(tried) if tried else None
        if new is None:
            return tried, []
        created = [record for record in tried if record.seq in new]
        return created, [record for record in tried if record.seq not in new]

    @abstractmethod
    async def _free(self, n: int) -> Sequence[int]: ...

    @abstractmethod
    async def _insert(self, tried: Sequence[NewRecord]) -> AbstractSet[int] | None:
        """Insert what has a new key. Returns the numbers of that; None for all."""

    @abstractmethod
    async def insert_again(self, record: NewRecord, key: bytes) -> None:
        """Insert a record under another key than its own, which is taken."""

    async def enter(self, created: Sequence[NewRecord], source: int) -> int:
        """Note where new records came from, and which were refused. Returns how many were."""
        await self._note_origins(created, source)
        ended = [record for record in created if record.draft.payload is None]
        staged = Counter([record.location for record in created])
        totals = Counter({(location, _PENDING): n for location, n in staged.items()})
        if ended:
            await self._refuse(ended)
            for record in ended:
                await self._note_unkept(record)
            totals.subtract([(record.location, _PENDING) for record in ended])
            totals.update([(record.location, int(end_of(record.draft))) for record in ended])
        await self._count(totals)
        return sum(record.draft.problem is not None for record in ended)

    @abstractmethod
    async def _note_origins(self, created: Sequence[NewRecord], source: int) -> None:
        """Note where new records came from, as far as they do not say it themselves."""

    async def _refuse(self, refused: Iterable[NewRecord]) -> None:
        """Give records the end that validation gave them, or that they are left out."""
        at, reason = time.time_ns() // 1_000_000, self._numbers.reason
        rows = [
            (one.location, of.lane, one.seq, int(end_of(of)), at, 0, await reason(why(of)))
            for one in refused
            for of in (one.draft,)
        ]
        await self._database.write(_SQL["refuse"], rows)

    @abstractmethod
    async def unchanged(self, drafts: Sequence[Draft], kin: Container[int]) -> Sequence[int] | None:
        """The numbers of the records, from one of ``kin``, that drafts in front equal, in order.

        No list of failed records gives them back. Fewer than there are do no harm; None where the
        first is not known, or no run is looked for.
        """

    async def known(self, keys: Sequence[LineKey]) -> dict[LineKey, ExistingRecord]:
        """The records that have these keys."""
        rows = await self._database.fetch_for(self._queries["known"], _KEYS, keys)
        return {(location, key): ExistingRecord(*known) for location, key, *known in rows}

    @abstractmethod
    async def origin(self, seq: int) -> Origin:
        """Where a record came from last."""

    async def was(self, seq: int, line: bytes) -> bool:
        """Whether a record was this line before it was mended."""
        fetch = self._database.fetch
        if self._has_former is None:
            ((found,),) = await fetch(_SQL["any_former"])
            self._has_former = bool(found)
        return self._has_former and bool(await fetch(_SQL["was"], seq, line_key(line)))

    async def _note_unkept(self, record: NewRecord) -> None:
        if record.draft.raw is not None and kept(record.draft) is None:
            await self._note_former(record.seq, record.draft.raw)

    async def _note_former(self, seq: int, raw: bytes) -> None:
        """Note that a record was a line which is not kept."""
        await self._database.write(_SQL["add_former"], [(seq, line_key(raw))])
        self._has_former = True

    async def reused(self, seq: int) -> bytes | None:
        """The digest of what a record says that was refused since its id is another's."""
        rows = await self._database.fetch(_SQL["reused"], seq)
        return rows[0][0] if rows else None

    async def replace(
        self, record: NewRecord, known: ExistingRecord, before: State, source: int
    ) -> None:
        """Put a draft in the place of a record that was not sent, in the state ``before``."""
        location, draft, seq = record.location, record.draft, known.seq
        await self._database.fetch(_SQL["take_back"], location, known.lane, seq)
        raw = (await self.origin(seq)).raw
        if raw is not None and raw != draft.raw:
            await self._note_former(seq, raw)
        record = NewRecord(seq, location, draft)
        await self._rewrite(record, source)
        await self._note_unkept(record)
        after = end_of(draft)
        if draft.payload is None:
            await self._refuse([record])
        else:
            await self._put_back((location, draft.lane, draft.date, seq))
        if after != before:
            await self._count({(location, int(before)): -1, (location, int(after)): 1})

    @abstractmethod
    async def _rewrite(self, record: NewRecord, source: int) -> None:
        """Write a record over the one that has its number, and where it comes from now."""

    @abstractmethod
    async def _put_back(self, place: QueuePlace) -> None:
        """Put a record into the queue, unless it is not published yet: then it has to wait."""

    async def add_copies(self, copies: Sequence[Copy]) -> None:
        """Count records that are met again."""
        await self._database.write(_SQL["add_copies"], [(*copy, 1, 1) for copy in copies])

    async def add_reused(self, digests: Sequence[tuple[int, bytes]]) -> None:
        """Note the digests of what records say that were refused since their ids are another's."""
        await self._database.write(_SQL["add_reused"], digests)

    async def has_keys(self, location: str, first: bytes, end: bytes) -> bool:
        """Whether a location has records whose keys are from ``first`` to before ``end``."""
        name, query = self._database.text(location), self._queries["has_keys"]
        ((found,),) = await self._database.fetch(query, name, first, end)
        return bool(found)

    async def lines(self, keys: Iterable[LineKey]) -> dict[LineKey, KnownLine]:
        """The records that have these keys."""
        rows = await self._database.fetch_for(_SQL["lines"], _KEYS, list(dict.fromkeys(keys)))
        return {(location, key): KnownLine(location, *found) for location, key, *found in rows}

    async def last_line(self, location: int, first: bytes, end: bytes) -> KnownLine | None:
        """The record with the longest and greatest key from ``first`` to before ``end``."""
        rows = await self._database.fetch(_SQL["last_line"], location, first, end)
        return KnownLine(*rows[0]) if rows else None

    async def faults(self, first: bytes, end: bytes) -> list[KnownLine]:
        """The records of all locations that have ended, and whose keys are in between."""
        return [KnownLine(*row) for row in await self._database.fetch(_SQL["faults"], first, end)]

    async def forget(self, line: KnownLine) -> None:
        """Remove a record that has ended."""
        location, seq, lane, state = line
        await self._database.fetch(_SQL["take_back"], location, lane, seq)
        for table in self._notes:
            await self._database.fetch(f"DELETE FROM {table} WHERE seq = $1", seq)  # noqa: S608 - our own names
        await self._count({(location, state or _PENDING): -1})

    @abstractmethod
    async def publish_ahead(self, created: Sequence[NewRecord]) -> None:
        """Publish new records, ahead of others that are only staged."""

    async def add_traces(self, traces: Sequence[tuple[int, str, str | None]]) -> None:
        """Note of which traces records are: number, parent and state. Until they have an end."""
        await self._database.write(_SQL["add_traces"], traces)

    @abstractmethod
    async def publish_known(self, seq: int) -> State:
        """Publish a record that has no end, if an earlier run did not. Tells whether it is held."""

    async def end_of(self, seq: int) -> StoredOutcome | None:
        """What became of a record."""
        found = (await self.ends_of([seq])).get(seq)
        return None if found is None else found[1]

    async def ends_of(self, seqs: Iterable[int]) -> dict[int, tuple[str, StoredOutcome]]:
        """What became of records, and in which location, of those that have an end."""
        rows = await self._database.fetch_for(_SQL["outcomes"], "bigint", [(seq,) for seq in seqs])
        return {
            seq: (location, StoredOutcome(key, State(state), *rest))
            for seq, location, key, state, *rest in rows
        }
