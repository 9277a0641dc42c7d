"""The records of an outbox file, as staging sees them. Lives in the writer's thread."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from leadconnector_async.outbox.base import State, kept
from leadconnector_async.outbox.database import statements
from leadconnector_async.outbox.record_store import NewRecord, Origin, RecordStore
from leadconnector_async.outbox.sqlite.connection import run_rows
from leadconnector_async.outbox.sqlite.source_form import FORM, WITH_SHAPE, SourceForms, restored

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence, Set as AbstractSet
    from sqlite3 import Connection

    from leadconnector_async.outbox.record_store import QueuePlace
    from leadconnector_async.outbox.sqlite.claim_index import ClaimIndex
    from leadconnector_async.outbox.sqlite.counters import Counters
    from leadconnector_async.outbox.sqlite.enqueuer import Enqueuer
    from leadconnector_async.outbox.sqlite.source_form import Stored
    from leadconnector_async.records.draft import Draft

_SQL: Final = statements(__package__, "records", form=FORM, shape=WITH_SHAPE)


@dataclass(eq=False, repr=False)
class SqliteRecords(RecordStore):
    """`RecordStore` over a file: it answers at once. Lives in the writer's thread."""

    _queries = _SQL
    _notes = ("origin", "record", "copy", "former", "reused")

    _connection: Connection
    _counters: Counters
    _enqueuer: Enqueuer
    _claim_index: ClaimIndex

    def __post_init__(self) -> None:
        self._forms = SourceForms(self._connection)
        self.reload()

    def reload(self) -> None:
        """Find the first free number, and forget what may have been rolled back."""
        (last,) = self._connection.execute("SELECT coalesce(max(seq), 0) FROM record").fetchone()
        self._next: int = last + 1
        self._forms.reload()
        self._has_former = None

    async def _count(self, changes: Mapping[tuple[int, int], int]) -> None:
        self._counters.add(changes)

    async def _free(self, n: int) -> Sequence[int]:
        self._next += n
        return range(self._next - n, self._next)

    async def _insert(self, tried: Sequence[NewRecord]) -> AbstractSet[int] | None:
        before = self._connection.total_changes
        if any(record.draft.deferred for record in tried):
            self._enqueuer.traits_staged = True  # whatever becomes of them
            run_rows(self._connection, _SQL["record"], [_row(one, one.draft.key) for one in tried])
        else:
            run_rows(self._connection, _SQL["plain"], [_plain(one, one.draft.key) for one in tried])
        if self._connection.total_changes - before == len(tried):
            return None
        first = tried[0].seq
        found = self._connection.execute("SELECT seq FROM record WHERE seq >= ?", (first,))
        new = set(chain.from_iterable(found))
        if not new:
            self._next = first
        return new

    async def insert_again(self, record: NewRecord, key: bytes) -> None:
        """See `RecordStore.insert_again`."""
        self._next = max(self._next, record.seq + 1)
        run_rows(self._connection, _SQL["record"], [_row(record, key)])

    async def _note_origins(self, created: Sequence[NewRecord], source: int) -> None:
        origins = [
            (one.seq, source, draft.line, self._form(draft))
            for one in created
            if (draft := one.draft).raw is not None or draft.line
        ]
        run_rows(self._connection, _SQL["add_origins"], origins)

    def _form(self, draft: Draft) -> Stored:
        raw = draft.raw if draft.left_out is None else kept(draft)  # nearly none is left out
        return self._forms.stored(raw, draft.payload, draft.key, draft.location)

    async def unchanged(self, drafts: Sequence[Draft], kin: Container[int]) -> Sequence[int] | None:
        """See `RecordStore.unchanged`. A source is staged, and so numbered, in its order."""
        place = await self.location(drafts[0].location), drafts[0].key
        first = (await self.known([place])).get(place)
        if first is None:
            return None
        rows = self._connection.execute(_SQL["following"], (first.seq, len(drafts)))
        seqs = []
        for draft, (seq, source, *record) in zip(drafts, rows, strict=False):
            said = [draft.location, draft.key, draft.payload, draft.deferred]
            if said != record or draft.own is not None or source not in kin:
                break
            seqs.append(seq)
        return seqs

    async def origin(self, seq: int) -> Origin:
        """See `RecordStore.origin`."""
        row = self._connection.execute(_SQL["from"], (seq,)).fetchone()
        return Origin() if row is None else Origin(row[0], row[1], restored(*row[2:]))

    async def _rewrite(self, record: NewRecord, source: int) -> None:
        seq, draft = record.seq, record.draft
        said = draft.lane, draft.date, draft.payload, draft.deferred, draft.traits
        self._connection.execute(_SQL["replace"], (*said, seq))
        origin = seq, source, draft.line, self._form(draft)
        run_rows(self._connection, _SQL["add_origins"], [origin])

    async def _put_back(self, place: QueuePlace) -> None:
        self._enqueuer.put_back(place)

    async def publish_ahead(self, created: Sequence[NewRecord]) -> None:
        """See `RecordStore.publish_ahead`."""
        self._enqueuer.publish_ahead(created)

    async def publish_known(self, seq: int) -> State:
        """See `RecordStore.publish_known`."""
        place = self._connection.execute(_SQL["queue_place"], (seq,)).fetchone()
        self._enqueuer.publish_known(place)
        return State.CLAIMED if seq in self._claim_index.held else State.PENDING


def _plain(record: NewRecord, key: bytes) -> tuple[Any, ...]:
    draft = record.draft
    payload = draft.payload
    if (payload is None) is (draft.problem is None and draft.left_out is None):
        raise ValueError("a draft has either a payload, or a reason for having none")
    # What is neither a number, a text nor a bytearray would be looked up in tables of adapters.
    body = None if payload is None else bytearray(payload)
    return record.seq, record.location, draft.lane, draft.date, bytearray(key), body


def _row(record: NewRecord, key: bytes) -> tuple[Any, ...]:
    return *_plain(record, key), record.draft.deferred, record.draft.traits
