"""The records of an outbox file, as staging sees them. Lives in the writer's thread."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from leadconnector_async.outbox.base import State, StoredOutcome
from leadconnector_async.outbox.record_store import (
    MAX_LEFT_OUT,
    ExistingRecord,
    KnownLine,
    NewRecord,
    Origin,
    end_of,
    why,
)
from leadconnector_async.outbox.sqlite.connection import fetch_rows, run_rows
from leadconnector_async.outbox.sqlite.counters import PENDING
from leadconnector_async.outbox.sqlite.source_form import FORM, WITH_SHAPE, SourceForms, restored
from leadconnector_async.records.draft import line_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet
    from sqlite3 import Connection

    from leadconnector_async.outbox.record_store import Copy, LineKey
    from leadconnector_async.outbox.sqlite.claims import ClaimIndex
    from leadconnector_async.outbox.sqlite.counters import Counters
    from leadconnector_async.outbox.sqlite.enqueuer import Enqueuer, QueuePlace
    from leadconnector_async.outbox.sqlite.source_form import Stored
    from leadconnector_async.records.draft import Draft

# Nearly all lack nothing, and what is None takes as long as what is not.
_PLAIN: Final = "INSERT OR IGNORE INTO record (seq, location, lane, date, key, payload)"

_RECORD: Final = f"{_PLAIN[:-1]}, late, traits)"

_REPLACE: Final = """UPDATE record SET lane = ?, date = ?, payload = ?, late = ?, traits = ?
    WHERE seq = ?"""

_ORIGIN: Final = "INSERT OR REPLACE INTO origin (seq, source, line, raw)"

_REFUSED: Final = "INSERT INTO outcome (location, lane, seq, state, at, attempts, reason)"

_KNOWN: Final = """SELECT location, key, record.seq, lane, date, payload, late,
        coalesce(source, 0) FROM ("""

_OF_KEYS: Final = """) AS wanted CROSS JOIN record ON location = column1 AND key = column2
    LEFT JOIN origin ON origin.seq = record.seq"""

_FOLLOWING: Final = """SELECT record.seq, source, name, key, payload, late FROM record
    JOIN location ON location.id = location LEFT JOIN origin ON origin.seq = record.seq
    WHERE record.seq >= ? AND payload IS NOT NULL ORDER BY record.seq LIMIT ?"""

_LINES: Final = "SELECT location, key, seq, lane, state FROM ("

_LINES_OF_KEYS: Final = """) AS wanted CROSS JOIN record ON location = column1 AND key = column2
    LEFT JOIN outcome USING (location, lane, seq)"""

_LAST_LINE: Final = """SELECT location, seq, lane, state FROM record
    LEFT JOIN outcome USING (location, lane, seq) WHERE location = ? AND key >= ? AND key < ?
    ORDER BY length(key) DESC, key DESC LIMIT 1"""

_FAULTS: Final = """SELECT location, seq, lane, state FROM record
    JOIN outcome USING (location, lane, seq)
    WHERE location IN (SELECT id FROM location) AND key >= ? AND key < ?"""

_HAS_KEYS: Final = """SELECT EXISTS (SELECT 1 FROM record
    JOIN location ON location.id = record.location WHERE name = ? AND key >= ? AND key < ?)"""

_KIN: Final = """SELECT kin.id, kin.name FROM source AS it JOIN source AS kin USING (name)
    WHERE it.id = ?"""

_FROM: Final = f"""SELECT coalesce(source.name, ''), line, {FORM}
    FROM origin JOIN record USING (seq) JOIN location ON location.id = location
        LEFT JOIN source ON source.id = source {WITH_SHAPE} WHERE seq = ?"""  # noqa: S608 - our own names

_PLACE: Final = "location = ? AND lane = ? AND seq = ?"

_FORMER: Final = "INSERT OR IGNORE INTO former (seq, line)"

_WAS: Final = "SELECT 1 FROM former WHERE seq = ? AND line = ?"

_COPY: Final = "INSERT INTO copy (source, seq, n, met, source_pass, line)"

_TO_COPIES: Final = """ ON CONFLICT (source, seq) DO UPDATE SET
    met = iif(source_pass = excluded.source_pass, met + 1, 1),
    n = max(n, iif(source_pass = excluded.source_pass, met + 1, 1)),
    line = iif(source_pass = excluded.source_pass, line, excluded.line), source_pass = excluded.source_pass"""

_QUEUE_PLACE: Final = "SELECT location, lane, date, seq FROM record WHERE seq = ?"

_END: Final = """SELECT key, state, message_id, conversation_id, email_message_id, text, detail
    FROM record JOIN outcome USING (location, lane, seq)
        LEFT JOIN reason ON reason.id = outcome.reason
    WHERE record.seq = ?"""


@dataclass(eq=False, repr=False)
class SqliteRecords:
    """`RecordStore` over a file: it answers at once."""

    _connection: Connection
    _counters: Counters
    _enqueuer: Enqueuer
    _claim_index: ClaimIndex

    def __post_init__(self) -> None:
        self._forms = SourceForms(self._connection)
        self.reload()

    def reload(self) -> None:
        """Find the first free number, and whether any record was ever mended: nearly none was."""
        (last,) = self._connection.execute("SELECT coalesce(max(seq), 0) FROM record").fetchone()
        self._next: int = last + 1
        self._forms.reload()
        (found,) = self._connection.execute("SELECT EXISTS (SELECT 1 FROM former)").fetchone()
        self._has_former = bool(found)

    async def location(self, name: str) -> int:
        """See `RecordStore.location`."""
        return self._counters.location(name)

    async def kin(self, source: int) -> dict[int, str]:
        """See `RecordStore.kin`."""
        return dict(self._connection.execute(_KIN, (source,)).fetchall())

    async def insert(self, drafts: Sequence[Draft]) -> tuple[list[NewRecord], list[NewRecord]]:
        """See `RecordStore.insert`."""
        names = dict.fromkeys([draft.location for draft in drafts])
        numbers = {name: self._counters.location(name) for name in names}
        first = self._next
        tried = [
            NewRecord(seq, numbers[draft.location], draft)
            for seq, draft in enumerate(drafts, first)
        ]
        self._next += len(tried)
        before = self._connection.total_changes
        if any(draft.deferred for draft in drafts):
            run_rows(self._connection, _RECORD, [_row(one, one.draft.key) for one in tried])
        else:
            run_rows(self._connection, _PLAIN, [_plain(one, one.draft.key) for one in tried])
        if self._connection.total_changes - before == len(tried):
            return tried, []
        found = self._connection.execute("SELECT seq FROM record WHERE seq >= ?", (first,))
        new = set(chain.from_iterable(found))
        if not new:
            self._next = first
        created = [record for record in tried if record.seq in new]
        return created, [record for record in tried if record.seq not in new]

    async def insert_again(self, record: NewRecord, key: bytes) -> None:
        """See `RecordStore.insert_again`."""
        self._next = max(self._next, record.seq + 1)
        run_rows(self._connection, _RECORD, [_row(record, key)])

    async def enter(self, created: Sequence[NewRecord], source: int) -> int:
        """See `RecordStore.enter`."""
        origins = [
            (one.seq, source, draft.line, self._kept(one.seq, draft))
            for one in created
            if (draft := one.draft).raw is not None or draft.line
        ]
        run_rows(self._connection, _ORIGIN, origins)
        ended = [record for record in created if record.draft.payload is None]
        totals = Counter([(record.location, PENDING) for record in created])
        if ended:
            self._refuse(ended)
            totals.subtract([(record.location, PENDING) for record in ended])
            totals.update([(record.location, int(end_of(record.draft))) for record in ended])
        self._counters.add(totals)
        return sum(record.draft.problem is not None for record in ended)

    def _kept(self, seq: int, draft: Draft) -> Stored:
        """What is kept of a record's own form. Of a long one that is left out, only its digest."""
        raw = draft.raw
        if draft.left_out is None or raw is None or len(raw) <= MAX_LEFT_OUT:
            return self._forms.stored(raw, draft.payload, draft.key, draft.location)
        self._note_former(seq, raw)
        return None

    def _note_former(self, seq: int, raw: bytes) -> None:
        run_rows(self._connection, _FORMER, [(seq, line_key(raw))])
        self._has_former = True

    def _refuse(self, refused: Sequence[NewRecord]) -> None:
        """Give records the end that validation gave them, or that they are left out."""
        at = time.time_ns() // 1_000_000
        reason = self._counters.reason
        rows = [
            (one.location, draft.lane, one.seq, int(end_of(draft)), at, 0, reason(why(draft)))
            for one in refused
            for draft in (one.draft,)
        ]
        run_rows(self._connection, _REFUSED, rows)

    async def unchanged(
        self, drafts: Sequence[Draft], kin: AbstractSet[int]
    ) -> Sequence[int] | None:
        """See `RecordStore.unchanged`. A source is staged, and so numbered, in its order."""
        place = self._counters.location(drafts[0].location), drafts[0].key
        first = (await self.known([place])).get(place)
        if first is None:
            return None
        rows = self._connection.execute(_FOLLOWING, (first.seq, len(drafts)))
        seqs = []
        for draft, (seq, source, *record) in zip(drafts, rows, strict=False):
            said = [draft.location, draft.key, draft.payload, draft.deferred]
            if said != record or draft.own is not None or source not in kin:
                break
            seqs.append(seq)
        return seqs

    async def known(self, keys: Sequence[LineKey]) -> dict[LineKey, ExistingRecord]:
        """See `RecordStore.known`."""
        rows = fetch_rows(self._connection, _KNOWN, keys, _OF_KEYS)
        return {(location, key): ExistingRecord(*known) for location, key, *known in rows}

    async def origin(self, seq: int) -> Origin:
        """See `RecordStore.origin`."""
        row = self._connection.execute(_FROM, (seq,)).fetchone()
        return Origin() if row is None else Origin(row[0], row[1], restored(*row[2:]))

    async def was(self, seq: int, line: bytes) -> bool:
        """See `RecordStore.was`."""
        if not self._has_former:
            return False
        return self._connection.execute(_WAS, (seq, line_key(line))).fetchone() is not None

    async def reused(self, seq: int) -> bytes | None:
        """See `RecordStore.reused`."""
        query = "SELECT content FROM reused WHERE seq = ?"
        row = self._connection.execute(query, (seq,)).fetchone()
        return None if row is None else row[0]

    async def replace(
        self, record: NewRecord, known: ExistingRecord, before: State, source: int
    ) -> None:
        """See `RecordStore.replace`."""
        location, draft = record.location, record.draft
        seq, execute = known.seq, self._connection.execute
        raw = (await self.origin(seq)).raw
        execute(f"DELETE FROM outcome WHERE {_PLACE}", (location, known.lane, seq))  # noqa: S608 - our own names
        lacks = draft.deferred, draft.traits
        execute(_REPLACE, (draft.lane, draft.date, draft.payload, *lacks, seq))
        if raw is not None and raw != draft.raw:
            self._note_former(seq, raw)
        run_rows(self._connection, _ORIGIN, [(seq, source, draft.line, self._kept(seq, draft))])
        after = end_of(draft)
        if draft.payload is None:
            self._refuse([NewRecord(seq, location, draft)])
        else:
            self._enqueuer.put_back((location, draft.lane, draft.date, seq))
        if after != before:
            self._counters.add({(location, int(before)): -1, (location, int(after)): 1})

    async def add_copies(self, copies: Sequence[Copy]) -> None:
        """See `RecordStore.add_copies`."""
        rows = [(source, seq, 1, 1, number, line) for source, seq, number, line in copies]
        run_rows(self._connection, _COPY, rows, _TO_COPIES)

    async def add_reused(self, digests: Sequence[tuple[int, bytes]]) -> None:
        """See `RecordStore.add_reused`."""
        run_rows(self._connection, "INSERT OR REPLACE INTO reused (seq, content)", digests)

    async def has_keys(self, location: str, first: bytes, end: bytes) -> bool:
        """See `RecordStore.has_keys`."""
        bounds = bytearray(first), bytearray(end)  # as in `_plain`
        (has,) = self._connection.execute(_HAS_KEYS, (location, *bounds)).fetchone()
        return bool(has)

    async def lines(self, keys: Iterable[LineKey]) -> dict[LineKey, KnownLine]:
        """See `RecordStore.lines`."""
        rows = fetch_rows(self._connection, _LINES, list(dict.fromkeys(keys)), _LINES_OF_KEYS)
        return {(location, key): KnownLine(location, *found) for location, key, *found in rows}

    async def last_line(self, location: int, first: bytes, end: bytes) -> KnownLine | None:
        """See `RecordStore.last_line`."""
        row = self._connection.execute(_LAST_LINE, (location, first, end)).fetchone()
        return None if row is None else KnownLine(*row)

    async def faults(self, first: bytes, end: bytes) -> list[KnownLine]:
        """See `RecordStore.faults`."""
        rows = self._connection.execute(_FAULTS, (first, end))
        return [KnownLine(*row) for row in rows.fetchall()]

    async def forget(self, line: KnownLine) -> None:
        """See `RecordStore.forget`."""
        location, seq, lane, state = line
        execute = self._connection.execute
        execute(f"DELETE FROM outcome WHERE {_PLACE}", (location, lane, seq))  # noqa: S608 - our own names
        for table in ("origin", "record", "copy", "former", "reused"):
            execute(f"DELETE FROM {table} WHERE seq = ?", (seq,))  # noqa: S608 - our own names
        self._counters.add({(location, state or 0): -1})
        execute("DELETE FROM tally WHERE location = ? AND n = 0", (location,))

    async def publish_ahead(self, created: Sequence[NewRecord]) -> None:
        """See `RecordStore.publish_ahead`."""
        places: list[QueuePlace] = [
            (one.location, one.draft.lane, one.draft.date, one.seq)
            for one in created
            if one.draft.payload is not None
        ]
        self._enqueuer.publish_ahead([record.seq for record in created], places)

    async def add_traces(self, traces: Sequence[tuple[int, str, str | None]]) -> None:
        """See `RecordStore.add_traces`."""
        run_rows(self._connection, "INSERT INTO trace (seq, parent, state)", traces)

    async def publish_known(self, seq: int) -> State:
        """See `RecordStore.publish_known`."""
        self._enqueuer.publish_known(self._connection.execute(_QUEUE_PLACE, (seq,)).fetchone())
        return State.CLAIMED if seq in self._claim_index.held else State.PENDING

    async def end_of(self, seq: int) -> StoredOutcome | None:
        """See `RecordStore.end_of`."""
        row = self._connection.execute(_END, (seq,)).fetchone()
        return None if row is None else StoredOutcome(row[0], State(row[1]), *row[2:])


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
