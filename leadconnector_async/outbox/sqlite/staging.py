"""Writing records down: new ones, known ones, mended ones, and equal ones told apart by number."""

from __future__ import annotations

import time
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from leadconnector_async.outbox.base import Staged
from leadconnector_async.outbox.sqlite.connection import fetch_rows, run_rows
from leadconnector_async.outbox.sqlite.counters import DISMISSED, LEFT_OUT, PENDING, REJECTED
from leadconnector_async.outbox.sqlite.deduplicator import Deduplicator, NewRecord
from leadconnector_async.outbox.sqlite.refused_lines import RefusedLineMatcher
from leadconnector_async.outbox.sqlite.sameness import ExistingRecord, Sameness
from leadconnector_async.records.draft import line_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from sqlite3 import Connection

    from leadconnector_async.outbox.base import SourcePass
    from leadconnector_async.outbox.sqlite.counters import Counters
    from leadconnector_async.outbox.sqlite.enqueuer import Enqueuer
    from leadconnector_async.records.draft import Draft

_RECORD: Final = (
    "INSERT OR IGNORE INTO record (seq, location, lane, date, key, payload, late, traits)"
)

_MEND: Final = """UPDATE record SET lane = ?, date = ?, payload = ?, late = ?, traits = ?
    WHERE seq = ?"""

_ORIGIN: Final = "INSERT OR REPLACE INTO origin (seq, source, line, raw)"

_REFUSED: Final = "INSERT INTO outcome (location, lane, seq, state, at, attempts, reason)"

_KNOWN: Final = """SELECT location, key, record.seq, lane, date, payload, late,
        coalesce(source, 0) FROM ("""

_OF_KEYS: Final = """) AS wanted CROSS JOIN record ON location = column1 AND key = column2
    LEFT JOIN origin ON origin.seq = record.seq"""

_FORMER: Final = "INSERT OR IGNORE INTO former (seq, line)"

_KIN: Final = """SELECT kin.id, kin.name FROM source AS it JOIN source AS kin USING (name)
    WHERE it.id = ?"""

_AT_A_TIME: Final = 64

MAX_LEFT_OUT: Final = 4 << 10
"""Bytes of the longest line that is kept of what is left out: nobody has to mend it."""


class Staging:
    """Lives in the writer's thread."""

    def __init__(self, connection: Connection, counters: Counters, enqueuer: Enqueuer) -> None:
        self._connection = connection
        self._counters = counters
        self._enqueuer = enqueuer
        self._refused_lines = RefusedLineMatcher(connection, counters)
        self.sameness = Sameness(connection)
        self.reload()

    def reload(self) -> None:
        """Find the first free number."""
        (last,) = self._connection.execute("SELECT coalesce(max(seq), 0) FROM record").fetchone()
        self._next: int = last + 1
        self.sameness.refresh()

    def stage(self, drafts: Sequence[Draft], source_pass: SourcePass) -> Staged:
        """Write a batch of one reading down."""
        if not source_pass.kin:
            self._introduce(source_pass)
        drafts = self._refused_lines.recognise(drafts, source_pass)
        created, rest = self.insert(drafts)
        if rest:
            for record in created:
                source_pass.meet(record.seq)
        elif created:
            source_pass.meet_new(created[0].seq, created[-1].seq + 1)
        refused = self.enter(created, source_pass.source)
        deduplicator = Deduplicator(self, self.sameness, self._connection, source_pass)
        for at in range(0, len(rest), _AT_A_TIME):
            deduplicator.meet(rest[at : at + _AT_A_TIME])
        deduplicator.finish()
        refused += self.enter(deduplicator.created, source_pass.source)
        return Staged(
            len(created) + len(deduplicator.created) + deduplicator.mended,
            deduplicator.known + deduplicator.copies,
            refused + deduplicator.refused_again,
            deduplicator.copies,
            tuple(deduplicator.reused),
        )

    def _introduce(self, source_pass: SourcePass) -> None:
        """Tell a reading under which numbers its source is known."""
        kin = dict(self._connection.execute(_KIN, (source_pass.source,)).fetchall())
        source_pass.name = kin.get(source_pass.source, "")
        source_pass.kin = frozenset({source_pass.source, *kin})

    def end(self, source_pass: SourcePass, prefix: bytes) -> None:
        """Forget the faults of a source, known by the keys of its own, that were not met again."""
        self._refused_lines.forget_unmet(source_pass, prefix)

    def insert(self, drafts: Sequence[Draft]) -> tuple[list[NewRecord], list[NewRecord]]:
        """Insert what has a new key. Returns that, and the rest, for whom numbers are free."""
        names = dict.fromkeys(draft.location for draft in drafts)
        numbers = {name: self._counters.location(name) for name in names}
        first = self._next
        tried = [
            NewRecord(seq, numbers[draft.location], draft)
            for seq, draft in enumerate(drafts, first)
        ]
        self._next += len(tried)
        before = self._connection.total_changes
        run_rows(self._connection, _RECORD, [_row(record, record.draft.key) for record in tried])
        if self._connection.total_changes - before == len(tried):
            return tried, []
        rows = self._connection.execute("SELECT seq FROM record WHERE seq >= ?", (first,))
        new = set(chain.from_iterable(rows))
        if not new:
            self._next = first
        created = [record for record in tried if record.seq in new]
        return created, [record for record in tried if record.seq not in new]

    def insert_again(self, record: NewRecord, key: bytes) -> None:
        """Insert a record under another key than its own, which is taken."""
        self._next = max(self._next, record.seq + 1)
        run_rows(self._connection, _RECORD, [_row(record, key)])

    def enter(self, created: Sequence[NewRecord], source: int) -> int:
        """Note where new records came from, and which were refused. Returns how many were."""
        origins = [
            (seq, source, draft.line, self._kept(seq, draft))
            for seq, _, draft in created
            if draft.line or draft.raw is not None
        ]
        run_rows(self._connection, _ORIGIN, origins)
        ended = [record for record in created if record.draft.payload is None]
        totals = Counter([(location, PENDING) for _, location, _ in created])
        if ended:
            self.refuse(ended)
            totals.subtract([(location, PENDING) for _, location, _ in ended])
            totals.update([(location, _end_of(draft)) for _, location, draft in ended])
        self._counters.add(totals)
        return sum(record.draft.problem is not None for record in ended)

    def _kept(self, seq: int, draft: Draft) -> bytes | None:
        """What is kept of a record's own form. Of a long one that is left out, only its digest."""
        raw = draft.raw
        if draft.left_out is None or raw is None or len(raw) <= MAX_LEFT_OUT:
            return raw
        self._note_former(seq, raw)
        return None

    def _note_former(self, seq: int, raw: bytes) -> None:
        run_rows(self._connection, _FORMER, [(seq, line_key(raw))])
        self.sameness.refresh()

    def refuse(self, refused: Sequence[NewRecord]) -> None:
        """Give records the end that validation gave them, or that they are left out."""
        at = time.time_ns() // 1_000_000
        reason = self._counters.reason
        rows = [
            (location, draft.lane, seq, _end_of(draft), at, 0, reason(_why(draft)))
            for seq, location, draft in refused
        ]
        run_rows(self._connection, _REFUSED, rows)

    def known(self, records: Sequence[NewRecord]) -> dict[tuple[int, bytes], ExistingRecord]:
        """Find the records that have these keys."""
        keys = [(record.location, record.draft.key) for record in records]
        rows = fetch_rows(self._connection, _KNOWN, keys, _OF_KEYS)
        return {(location, key): ExistingRecord(*known) for location, key, *known in rows}

    def mend(self, record: NewRecord, known: ExistingRecord, source: int) -> bool:
        """Replace a record that was not sent by a draft that differs. False: it is to stay."""
        draft, location = record.draft, record.location
        place = (location, known.lane, known.seq)
        before = self._mendable(place, known, draft)
        if before is None:
            return False
        execute = self._connection.execute
        execute(f"DELETE FROM outcome WHERE {_PLACE}", place)  # noqa: S608 - our own names
        execute(
            _MEND,
            (draft.lane, draft.date, draft.payload, draft.deferred, draft.traits, known.seq),
        )
        raw = self.sameness.origin(known.seq).raw
        if raw is not None and raw != draft.raw:
            self._note_former(known.seq, raw)
        kept = self._kept(known.seq, draft)
        run_rows(self._connection, _ORIGIN, [(known.seq, source, draft.line, kept)])
        after = _end_of(draft)
        if draft.payload is None:
            self.refuse([NewRecord(known.seq, location, draft)])
        else:
            self._enqueuer.put_back((location, draft.lane, draft.date, known.seq))
        if after != before:
            self._counters.add({(location, before): -1, (location, after): 1})
        return True

    def _mendable(self, place: tuple[int, ...], known: ExistingRecord, draft: Draft) -> int | None:
        """The state of a record that a draft may replace."""
        if draft.payload is not None and known.equals(draft):
            return None
        query = f"""SELECT state, text FROM outcome LEFT JOIN reason ON reason.id = outcome.reason
            WHERE {_PLACE}"""  # noqa: S608 - our own names
        state, why = self._connection.execute(query, place).fetchone() or (PENDING, None)
        if state == DISMISSED:
            return DISMISSED if self._is_back(known, draft) else None
        if state not in (REJECTED, LEFT_OUT):
            return None
        is_other = not known.equals(draft) or (_end_of(draft), _why(draft)) != (state, why)
        return int(state) if is_other else None

    def _is_back(self, known: ExistingRecord, draft: Draft) -> bool:
        """Tell whether a record that was given up is mended. What may be stored is not."""
        if known.payload is not None or draft.payload is None:
            return False
        return draft.own is not None or not self.sameness.is_line(draft, known)


_PLACE: Final = "location = ? AND lane = ? AND seq = ?"


def _end_of(draft: Draft) -> int:
    """The state in which a draft is staged."""
    if draft.problem is not None:
        return REJECTED
    return PENDING if draft.left_out is None else LEFT_OUT


def _why(draft: Draft) -> str | None:
    return draft.left_out if draft.problem is None else draft.problem


def _row(record: NewRecord, key: bytes) -> tuple[Any, ...]:
    seq, location, draft = record
    if (draft.payload is None) is (_why(draft) is None):
        raise ValueError("a draft has either a payload, or a reason for having none")
    rest = draft.payload, draft.deferred, draft.traits
    return seq, location, draft.lane, draft.date, key, *rest
