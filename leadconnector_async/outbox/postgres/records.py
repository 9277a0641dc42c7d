"""The records of an outbox in a database, as staging sees them: within one job's transaction."""

from collections.abc import Container, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from leadconnector_async.outbox.base import State, kept, why
from leadconnector_async.outbox.database import statements
from leadconnector_async.outbox.postgres.connection import Connection
from leadconnector_async.outbox.postgres.counters import NumberBlocks, columns, count
from leadconnector_async.outbox.postgres.queueing import Publisher
from leadconnector_async.outbox.postgres.stored_files import local_files, unuse
from leadconnector_async.outbox.record_store import NewRecord, Origin, QueuePlace, RecordStore
from leadconnector_async.records.deferred import LocalFile
from leadconnector_async.records.draft import Draft

_SQL: Final = statements(__package__, "records")


@dataclass(eq=False, repr=False)
class PostgresRecords(RecordStore):
    """`RecordStore` over one connection. Its blocks number what is new."""

    _queries = _SQL
    _notes = ("record", "copy", "former", "reused", "file_use")

    _connection: Connection
    _part: int
    _blocks: NumberBlocks
    _publisher: Publisher
    _source: int = 0
    files: list[tuple[int, LocalFile]] = field(default_factory=list)
    """The files of the job's records."""

    def begin(self, source: int = 0) -> None:
        """Begin a job for a source; forget what others may have changed since the last one."""
        self._has_former = None
        self._source = source
        self.files.clear()

    async def _count(self, changes: Mapping[tuple[int, int], int]) -> None:
        await count(self._connection, self._part, changes)

    async def _free(self, n: int) -> Sequence[int]:
        return await self._blocks.take(n)

    async def _insert(self, tried: Sequence[NewRecord]) -> AbstractSet[int] | None:
        rows = [_row(record, record.draft.key) for record in tried]
        inserted = await self._connection.fetch(_SQL["record"], self._source, *columns(rows))
        return None if len(inserted) == len(tried) else {seq for (seq,) in inserted}

    async def insert_again(self, record: NewRecord, key: bytes) -> None:
        """See `RecordStore.insert_again`."""
        await self._connection.execute(_SQL["record"], self._source, *columns([_row(record, key)]))

    async def _note_origins(self, created: Sequence[NewRecord], source: int) -> None:  # noqa: ARG002 - see begin
        self.files += [(one.seq, of) for one in created for of in local_files(one.draft.deferred)]

    async def unchanged(self, drafts: Sequence[Draft], kin: Container[int]) -> None:
        """See `RecordStore.unchanged`: many are looked up at once here."""

    async def origin(self, seq: int) -> Origin:
        """See `RecordStore.origin`."""
        row = await self._connection.fetchrow(_SQL["from"], seq)
        return Origin() if row is None else Origin(*row)

    async def _rewrite(self, record: NewRecord, source: int) -> None:
        *_, lane, date, _, payload, late, traits, line, kept = _row(record, b"")
        values = lane, date, payload, late, traits, line or 0, kept
        await self._connection.execute(_SQL["replace"], record.seq, source, *values)
        await unuse(self._connection, [record.seq])
        await self._note_origins([record], source)

    async def _put_back(self, place: QueuePlace) -> None:
        if await self._publisher.is_published(place[-1]):
            await self._publisher.enqueue([place])

    async def publish_ahead(self, created: Sequence[NewRecord]) -> None:
        """See `RecordStore.publish_ahead`. They have numbers that are never noted as staged."""
        sound = [(one, one.draft) for one in created if one.draft.payload is not None]
        places = [(one.location, draft.lane, draft.date, one.seq) for one, draft in sound]
        await self._publisher.enqueue(places)

    async def publish_known(self, seq: int) -> State:
        """See `RecordStore.publish_known`."""
        return await self._publisher.publish_known(seq)


def _row(record: NewRecord, key: bytes) -> tuple[object, ...]:
    draft = record.draft
    if (draft.payload is None) is (why(draft) is None):
        raise ValueError("a draft has either a payload, or a reason for having none")
    line = draft.line if draft.line or draft.raw is not None else None
    lacks = draft.deferred, draft.traits
    place = record.seq, record.location, draft.lane, draft.date
    return *place, key, draft.payload, *lacks, line, kept(draft)
