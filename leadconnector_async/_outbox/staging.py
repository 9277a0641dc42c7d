"""Writing records down: new ones, known ones, mended ones, and equal ones told apart by number."""

from __future__ import annotations

import time
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from leadconnector_async._outbox.books import PENDING, REJECTED
from leadconnector_async._outbox.interface import Staged
from leadconnector_async._outbox.lines import Lines
from leadconnector_async._outbox.meeting import Fresh, Known, Meeting
from leadconnector_async._outbox.rows import fetch_rows, run_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from sqlite3 import Connection

    from leadconnector_async._outbox.books import Books
    from leadconnector_async._outbox.interface import Draft, Reading
    from leadconnector_async._outbox.sealing import Sealing

_RECORD: Final = "INSERT OR IGNORE INTO record (seq, location, lane, date, key, payload, late)"
_ORIGIN: Final = "INSERT OR REPLACE INTO origin (seq, source, line, raw)"
_REFUSED: Final = "INSERT INTO outcome (location, lane, seq, state, at, attempts, reason)"
_KNOWN: Final = "SELECT location, key, seq, lane, date, payload, late FROM ("
_OF_KEYS: Final = """) AS wanted CROSS JOIN record ON location = column1 AND key = column2"""
_AT_A_TIME: Final = 64


class Staging:
    """Lives in the writer's thread."""

    def __init__(self, connection: Connection, books: Books, sealing: Sealing) -> None:
        self._connection = connection
        self._books = books
        self._sealing = sealing
        self._lines = Lines(connection, books)
        self.reload()

    def reload(self) -> None:
        """Find the first free number."""
        (last,) = self._connection.execute("SELECT coalesce(max(seq), 0) FROM record").fetchone()
        self._next: int = last + 1

    def stage(self, drafts: Sequence[Draft], reading: Reading) -> Staged:
        """Write a batch of one reading down."""
        drafts = self._lines.recognise(drafts, reading)
        fresh, rest = self.insert(drafts)
        if rest:
            for record in fresh:
                reading.meet(record.seq)
        elif fresh:
            reading.meet_new(fresh[0].seq, fresh[-1].seq + 1)
        meeting = Meeting(self, self._connection, reading)
        for at in range(0, len(rest), _AT_A_TIME):
            meeting.meet(rest[at : at + _AT_A_TIME])
        fresh += meeting.fresh
        refused = self.enter(fresh, reading.source)
        staged = len(fresh) + meeting.mended
        return Staged(
            staged, len(drafts) - staged, refused + meeting.refused_again, meeting.conflicts
        )

    def insert(self, drafts: Sequence[Draft]) -> tuple[list[Fresh], list[Fresh]]:
        """Insert what has a new key. Returns that, and the rest, for whom numbers are free."""
        names = dict.fromkeys(draft.location for draft in drafts)
        numbers = {name: self._books.location(name) for name in names}
        first = self._next
        tried = [
            Fresh(seq, numbers[draft.location], draft) for seq, draft in enumerate(drafts, first)
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
        fresh = [record for record in tried if record.seq in new]
        return fresh, [record for record in tried if record.seq not in new]

    def insert_again(self, record: Fresh, key: bytes) -> None:
        """Insert a record under another key than its own, which is taken."""
        self._next = max(self._next, record.seq + 1)
        run_rows(self._connection, _RECORD, [_row(record, key)])

    def enter(self, fresh: Sequence[Fresh], source: int) -> int:
        """Note where new records came from, and which were refused. Returns how many were."""
        origins = [
            (seq, source, draft.line, draft.raw)
            for seq, _, draft in fresh
            if draft.line or draft.raw is not None
        ]
        run_rows(self._connection, _ORIGIN, origins)
        refused = [record for record in fresh if record.draft.problem is not None]
        totals = Counter([location for _, location, _ in fresh])
        if refused:
            self.refuse(refused)
            turned_down = Counter([record.location for record in refused])
            totals.subtract(turned_down)
            self._books.add({(location, REJECTED): n for location, n in turned_down.items()})
        self._books.add({(location, PENDING): n for location, n in totals.items()})
        return len(refused)

    def refuse(self, refused: Sequence[Fresh]) -> None:
        """Give records the end that validation gave them."""
        at = time.time_ns() // 1_000_000
        reason = self._books.reason
        rows = [
            (location, draft.lane, seq, REJECTED, at, 0, reason(draft.problem))
            for seq, location, draft in refused
        ]
        run_rows(self._connection, _REFUSED, rows)

    def known(self, records: Sequence[Fresh]) -> dict[tuple[int, bytes], Known]:
        """Find the records that have these keys."""
        keys = [(record.location, record.draft.key) for record in records]
        rows = fetch_rows(self._connection, _KNOWN, keys, _OF_KEYS)
        return {(location, key): Known(*known) for location, key, *known in rows}

    def mend(self, record: Fresh, known: Known, source: int) -> bool:
        """Replace a refused record by a draft that differs from it. False: it is to stay."""
        draft, location = record.draft, record.location
        place = (location, known.lane, known.seq)
        if not self._is_mendable(place, known, draft):
            return False
        execute = self._connection.execute
        execute(f"DELETE FROM outcome WHERE {_PLACE}", place)  # noqa: S608 - our own names
        execute(
            "UPDATE record SET lane = ?, date = ?, payload = ?, late = ? WHERE seq = ?",
            (draft.lane, draft.date, draft.payload, draft.late, known.seq),
        )
        run_rows(self._connection, _ORIGIN, [(known.seq, source, draft.line, draft.raw)])
        if draft.problem is not None:
            self.refuse([Fresh(known.seq, location, draft)])
        else:
            self._books.add({(location, REJECTED): -1, (location, PENDING): 1})
            self._sealing.put_back((location, draft.lane, draft.date, known.seq))
        return True

    def _is_mendable(self, place: tuple[int, ...], known: Known, draft: Draft) -> bool:
        if draft.payload is not None and known.equals(draft):
            return False
        query = f"""SELECT state, text FROM outcome LEFT JOIN reason ON reason.id = outcome.reason
            WHERE {_PLACE}"""  # noqa: S608 - our own names
        outcome = self._connection.execute(query, place).fetchone()
        if outcome is None or outcome[0] != REJECTED:
            return False
        return not known.equals(draft) or draft.problem != outcome[1]


_PLACE: Final = "location = ? AND lane = ? AND seq = ?"


def _row(record: Fresh, key: bytes) -> tuple[Any, ...]:
    seq, location, draft = record
    if (draft.payload is None) is (draft.problem is None):
        raise ValueError("a draft has either a payload or a problem")
    return seq, location, draft.lane, draft.date, key, draft.payload, draft.late
