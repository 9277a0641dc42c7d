"""The records of an outbox in a database, as staging sees them: within one job's transaction."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.base import State, StoredOutcome
from leadconnector_async.outbox.postgres.counters import columns, count, storable
from leadconnector_async.outbox.postgres.stored_files import local_files, unuse
from leadconnector_async.outbox.record_store import (
    MAX_LEFT_OUT,
    ExistingRecord,
    KnownLine,
    NewRecord,
    Origin,
    end_of,
    why,
)
from leadconnector_async.records.draft import Draft, line_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from leadconnector_async.outbox.postgres.connection import Connection
    from leadconnector_async.outbox.postgres.counters import NumberBlocks, Numbers
    from leadconnector_async.outbox.postgres.queueing import Publisher
    from leadconnector_async.outbox.record_store import Copy, LineKey
    from leadconnector_async.records.deferred import LocalFile

_RECORD: Final = """INSERT INTO record
        (source, seq, location, lane, date, key, payload, late, traits, line, raw)
    SELECT CASE WHEN line IS NOT NULL THEN $1::int END, * FROM unnest($2::bigint[], $3::int[],
        $4::bigint[], $5::bigint[], $6::bytea[], $7::bytea[], $8::text[], $9::smallint[],
        $10::int[], $11::bytea[])
        AS r (seq, location, lane, date, key, payload, late, traits, line, raw)
    ON CONFLICT (location, key) DO NOTHING RETURNING seq"""

_REPLACE: Final = """UPDATE record SET source = $2, lane = $3, date = $4, payload = $5, late = $6,
    traits = $7, line = $8, raw = $9 WHERE seq = $1"""

_REFUSED: Final = """INSERT INTO outcome (location, lane, seq, state, at, attempts, reason)
    SELECT location, lane, seq, state, $5, 0, reason
    FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::smallint[], $6::int[])
        AS _ (location, lane, seq, state, reason)"""

_KNOWN: Final = """SELECT w.location, w.key, r.seq, r.lane, r.date, r.payload, r.late,
        coalesce(r.source, 0)
    FROM unnest($1::int[], $2::bytea[]) AS w (location, key)
        JOIN record r ON r.location = w.location AND r.key = w.key"""

_LINES: Final = """SELECT w.location, w.key, r.seq, r.lane, o.state
    FROM unnest($1::int[], $2::bytea[]) AS w (location, key)
        JOIN record r ON r.location = w.location AND r.key = w.key
        LEFT JOIN outcome o ON (o.location, o.lane, o.seq) = (r.location, r.lane, r.seq)"""

_LAST_LINE: Final = """SELECT location, seq, lane, state FROM record
        LEFT JOIN outcome USING (location, lane, seq)
    WHERE location = $1 AND key >= $2 AND key < $3 ORDER BY length(key) DESC, key DESC LIMIT 1"""

_FAULTS: Final = """SELECT r.location, r.seq, r.lane, o.state FROM location
        JOIN record r ON r.location = location.id AND r.key >= $1 AND r.key < $2
        JOIN outcome o ON (o.location, o.lane, o.seq) = (r.location, r.lane, r.seq)"""

_HAS_KEYS: Final = """SELECT EXISTS (
    SELECT FROM location JOIN record ON record.location = id
    WHERE md5(name) = md5($1) AND name = $1 AND key >= $2 AND key < $3)"""

_KIN: Final = """SELECT kin.id, kin.name FROM source AS it
    JOIN source AS kin ON md5(kin.name) = md5(it.name) WHERE it.id = $1"""

_FROM: Final = """SELECT coalesce(name, ''), line, raw
    FROM record LEFT JOIN source ON source.id = source WHERE seq = $1 AND line IS NOT NULL"""

_LEAVE: Final = "DELETE FROM outcome WHERE location = $1 AND lane = $2 AND seq = $3"

_FORMER: Final = "INSERT INTO former VALUES ($1, $2) ON CONFLICT DO NOTHING"

_ANY_FORMER: Final = "SELECT EXISTS (SELECT FROM former)"

_WAS: Final = "SELECT EXISTS (SELECT FROM former WHERE seq = $1 AND line = $2)"

_COPY: Final = """INSERT INTO copy AS c (source, seq, n, met, source_pass, line)
    VALUES ($1, $2, 1, 1, $3, $4) ON CONFLICT (source, seq) DO UPDATE SET
    met = CASE WHEN c.source_pass = excluded.source_pass THEN c.met + 1 ELSE 1 END,
    n = greatest(c.n, CASE WHEN c.source_pass = excluded.source_pass THEN c.met + 1 ELSE 1 END),
    line = CASE WHEN c.source_pass = excluded.source_pass THEN c.line ELSE excluded.line END,
    source_pass = excluded.source_pass"""

_REUSED: Final = """INSERT INTO reused VALUES ($1, $2)
    ON CONFLICT (seq) DO UPDATE SET content = excluded.content"""

_FORGET: Final = tuple(
    f"DELETE FROM {table} WHERE seq = $1"  # noqa: S608 - our own names
    for table in ("record", "copy", "former", "reused", "file_use")
)

_ENDS: Final = """SELECT r.seq, l.name, r.key, o.state, message_id, conversation_id,
        email_message_id, text, detail
    FROM unnest($1::bigint[]) AS w (seq) JOIN record r USING (seq)
        JOIN location l ON l.id = r.location
        JOIN outcome o ON (o.location, o.lane, o.seq) = (r.location, r.lane, r.seq)
        LEFT JOIN reason ON reason.id = o.reason"""

_TRACES: Final = """INSERT INTO trace (seq, parent, state)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])"""

_PENDING: Final = int(State.PENDING)


@dataclass(eq=False, repr=False)
class PostgresRecords:
    """`RecordStore` over one connection. Its blocks number what is new."""

    _connection: Connection
    _numbers: Numbers
    _part: int
    _blocks: NumberBlocks
    _publisher: Publisher
    _has_former: bool | None = None
    _source: int = 0
    files: list[tuple[int, LocalFile]] = field(default_factory=list)
    """The files of the job's records."""

    def begin(self, source: int = 0) -> None:
        """Begin a job for a source; forget what others may have changed since the last one."""
        self._has_former = None
        self._source = source
        self.files.clear()

    async def location(self, name: str) -> int:
        """See `RecordStore.location`."""
        return await self._numbers.location(name)

    async def kin(self, source: int) -> dict[int, str]:
        """See `RecordStore.kin`."""
        return dict(await self._connection.fetch(_KIN, source))

    async def insert(self, drafts: Sequence[Draft]) -> tuple[list[NewRecord], list[NewRecord]]:
        """See `RecordStore.insert`. Of equal keys, the first is inserted."""
        if not drafts:
            return [], []
        names = dict.fromkeys(draft.location for draft in drafts)
        places = {name: await self._numbers.location(name) for name in names}
        seqs = await self._blocks.take(len(drafts))
        tried = [
            NewRecord(seq, places[draft.location], draft)
            for seq, draft in zip(seqs, drafts, strict=True)
        ]
        rows = [_row(record, record.draft.key) for record in tried]
        inserted = await self._connection.fetch(_RECORD, self._source, *columns(rows))
        if len(inserted) == len(tried):
            return tried, []
        new = {seq for (seq,) in inserted}
        created = [record for record in tried if record.seq in new]
        return created, [record for record in tried if record.seq not in new]

    async def insert_again(self, record: NewRecord, key: bytes) -> None:
        """See `RecordStore.insert_again`."""
        await self._connection.execute(_RECORD, self._source, *columns([_row(record, key)]))

    async def enter(self, created: Sequence[NewRecord], source: int) -> int:  # noqa: ARG002 - see begin
        """See `RecordStore.enter`. Where they came from was written with them."""
        self._note_files(created)
        ended = [record for record in created if record.draft.payload is None]
        if ended:
            await self._refuse(ended)
            for record in ended:
                await self._note_unkept(record.seq, record.draft)
        totals = Counter([(record.location, int(end_of(record.draft))) for record in created])
        await count(self._connection, self._part, totals)
        return sum(record.draft.problem is not None for record in ended)

    def _note_files(self, records: Sequence[NewRecord]) -> None:
        self.files += [
            (one.seq, file) for one in records for file in local_files(one.draft.deferred)
        ]

    async def _note_unkept(self, seq: int, draft: Draft) -> None:
        """Note the digest of a line that is not kept."""
        if draft.raw is not None and _kept(draft) is None:
            await self._note_former(seq, draft.raw)

    async def _note_former(self, seq: int, raw: bytes) -> None:
        await self._connection.execute(_FORMER, seq, line_key(raw))
        self._has_former = True

    async def _refuse(self, refused: Sequence[NewRecord]) -> None:
        """Give records the end that validation gave them, or that they are left out."""
        reasons = [await self._numbers.reason(why(one.draft)) for one in refused]
        places = columns(
            [(one.location, one.draft.lane, one.seq, int(end_of(one.draft))) for one in refused]
        )
        at = time.time_ns() // 1_000_000
        await self._connection.execute(_REFUSED, *places, at, reasons)

    async def unchanged(self, _drafts: Sequence[Draft], _kin: object) -> None:
        """See `RecordStore.unchanged`: many are looked up at once here."""

    async def known(self, keys: Sequence[LineKey]) -> dict[LineKey, ExistingRecord]:
        """See `RecordStore.known`."""
        rows = await self._connection.fetch(_KNOWN, *columns(keys))
        return {(location, key): ExistingRecord(*known) for location, key, *known in rows}

    async def origin(self, seq: int) -> Origin:
        """See `RecordStore.origin`."""
        row = await self._connection.fetchrow(_FROM, seq)
        return Origin() if row is None else Origin(*row)

    async def was(self, seq: int, line: bytes) -> bool:
        """See `RecordStore.was`. Nearly no record was ever mended, and then none is looked up."""
        if self._has_former is None:
            self._has_former = bool(await self._connection.fetchval(_ANY_FORMER))
        if not self._has_former:
            return False
        return bool(await self._connection.fetchval(_WAS, seq, line_key(line)))

    async def reused(self, seq: int) -> bytes | None:
        """See `RecordStore.reused`."""
        query = "SELECT content FROM reused WHERE seq = $1"
        digest: bytes | None = await self._connection.fetchval(query, seq)
        return digest

    async def replace(
        self, record: NewRecord, known: ExistingRecord, before: State, source: int
    ) -> None:
        """See `RecordStore.replace`."""
        location, draft = record.location, record.draft
        seq, execute = known.seq, self._connection.execute
        await execute(_LEAVE, location, known.lane, seq)
        raw = (await self.origin(seq)).raw
        if raw is not None and raw != draft.raw:
            await self._note_former(seq, raw)
        *_, lane, date, _, payload, late, traits, line, kept = _row(record, b"")
        values = lane, date, payload, late, traits, line or 0, kept
        await execute(_REPLACE, seq, source, *values)
        await self._note_unkept(seq, draft)
        await unuse(self._connection, [seq])
        self._note_files([NewRecord(seq, location, draft)])
        after = end_of(draft)
        if draft.payload is None:
            await self._refuse([NewRecord(seq, location, draft)])
        elif await self._publisher.is_published(seq):  # else it has to wait
            await self._publisher.enqueue([(location, draft.lane, draft.date, seq)])
        if after != before:
            changes = {(location, int(before)): -1, (location, int(after)): 1}
            await count(self._connection, self._part, changes)

    async def add_copies(self, copies: Sequence[Copy]) -> None:
        """See `RecordStore.add_copies`."""
        if copies:
            await self._connection.executemany(_COPY, copies)

    async def add_reused(self, digests: Sequence[tuple[int, bytes]]) -> None:
        """See `RecordStore.add_reused`."""
        if digests:
            await self._connection.executemany(_REUSED, digests)

    async def has_keys(self, location: str, first: bytes, end: bytes) -> bool:
        """See `RecordStore.has_keys`."""
        return bool(await self._connection.fetchval(_HAS_KEYS, storable(location), first, end))

    async def lines(self, keys: Iterable[LineKey]) -> dict[LineKey, KnownLine]:
        """See `RecordStore.lines`."""
        rows = await self._connection.fetch(_LINES, *columns(list(dict.fromkeys(keys))))
        return {(location, key): KnownLine(location, *found) for location, key, *found in rows}

    async def last_line(self, location: int, first: bytes, end: bytes) -> KnownLine | None:
        """See `RecordStore.last_line`."""
        row = await self._connection.fetchrow(_LAST_LINE, location, first, end)
        return None if row is None else KnownLine(*row)

    async def faults(self, first: bytes, end: bytes) -> list[KnownLine]:
        """See `RecordStore.faults`."""
        return [KnownLine(*row) for row in await self._connection.fetch(_FAULTS, first, end)]

    async def forget(self, line: KnownLine) -> None:
        """See `RecordStore.forget`."""
        location, seq, lane, state = line
        await self._connection.execute(_LEAVE, location, lane, seq)
        for statement in _FORGET:
            await self._connection.execute(statement, seq)
        await count(self._connection, self._part, {(location, state or _PENDING): -1})

    async def publish_ahead(self, created: Sequence[NewRecord]) -> None:
        """See `RecordStore.publish_ahead`. They have numbers that are never noted as staged."""
        sound = [(one, one.draft) for one in created if one.draft.payload is not None]
        await self._publisher.enqueue(
            [(one.location, draft.lane, draft.date, one.seq) for one, draft in sound]
        )

    async def add_traces(self, traces: Sequence[tuple[int, str, str | None]]) -> None:
        """See `RecordStore.add_traces`."""
        await self._connection.execute(_TRACES, *columns(traces))

    async def publish_known(self, seq: int) -> State:
        """See `RecordStore.publish_known`."""
        return await self._publisher.publish_known(seq)

    async def end_of(self, seq: int) -> StoredOutcome | None:
        """See `RecordStore.end_of`."""
        found = (await self.ends_of([seq])).get(seq)
        return None if found is None else found[1]

    async def ends_of(self, seqs: Sequence[int]) -> dict[int, tuple[str, StoredOutcome]]:
        """What became of records, and in which location, of those that have an end."""
        rows = await self._connection.fetch(_ENDS, seqs)
        return {
            seq: (location, StoredOutcome(key, State(state), *rest))
            for seq, location, key, state, *rest in rows
        }


def _kept(draft: Draft) -> bytes | None:
    """What is kept of a record's own form: of a long one that is left out, nothing."""
    is_long = draft.left_out is not None and len(draft.raw or b"") > MAX_LEFT_OUT
    return None if is_long else draft.raw


def _row(record: NewRecord, key: bytes) -> tuple[object, ...]:
    draft = record.draft
    if (draft.payload is None) is (why(draft) is None):
        raise ValueError("a draft has either a payload, or a reason for having none")
    line = draft.line if draft.line or draft.raw is not None else None
    lacks = draft.deferred, draft.traits
    place = record.seq, record.location, draft.lane, draft.date
    return *place, key, draft.payload, *lacks, line, _kept(draft)
