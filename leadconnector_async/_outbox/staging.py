"""Writing records down: new ones, known ones, mended ones, and equal ones told apart by number."""

from __future__ import annotations

import time
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from leadconnector_async._outbox.books import PENDING, REJECTED
from leadconnector_async._outbox.interface import Staged
from leadconnector_async._outbox.lines import Lines
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
_SHORT_NUMBERS: Final = 0xFFFF
_AT_A_TIME: Final = 64


class Known(NamedTuple):
    """A record that is in the outbox already."""

    seq: int
    lane: int
    date: int
    payload: bytes | None
    late: str | None

    def equals(self, draft: Draft) -> bool:
        """Tell whether a draft says the same."""
        return draft.payload == self.payload and draft.late == self.late


class Fresh(NamedTuple):
    """A draft that has become a record, under a number that was free."""

    seq: int
    location: int
    draft: Draft


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
        meeting = _Meeting(self, self._connection, reading)
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


class _Meeting:
    """What becomes of the drafts of a batch whose keys are known, in the order of the source."""

    def __init__(self, staging: Staging, connection: Connection, reading: Reading) -> None:
        self._staging = staging
        self._connection = connection
        self._reading = reading
        self.fresh: list[Fresh] = []
        self.mended = self.refused_again = self.conflicts = 0

    def meet(self, records: Sequence[Fresh]) -> None:
        """Tell a record that is known from a second one that equals it, and from a mended one."""
        known_by_key = self._staging.known(records)
        for record in records:
            place = record.location, record.draft.key
            known = known_by_key[place]
            if self._reading.meet(known.seq):
                if self._meet_first(record, known):
                    draft = record.draft
                    known_by_key[place] = known._replace(payload=draft.payload, late=draft.late)
            elif record.draft.counted:
                self._number(record)
            elif not known.equals(record.draft):
                self.conflicts += 1

    def _meet_first(self, record: Fresh, known: Known) -> bool:
        is_mended = self._staging.mend(record, known, self._reading.source)
        if is_mended:
            self.mended += 1
            self.refused_again += record.draft.problem is not None
        return is_mended

    def _number(self, record: Fresh) -> None:
        """Take the first number among equal records that this reading has not met.

        Those it has met are 1, 2, … n without a gap, so doubling and halving finds n + 1.
        """
        met, unmet = 1, 2
        while self._has_met(record, unmet):
            met, unmet = unmet, unmet * 2
        while unmet - met > 1:
            middle = (met + unmet) // 2
            if self._has_met(record, middle):
                met = middle
            else:
                unmet = middle
        known = self._numbered(record, unmet)
        if known is None:
            self._staging.insert_again(record, numbered(record.draft.key, unmet))
            self._reading.meet(record.seq)
            self.fresh.append(record)
        else:
            self._reading.meet(known.seq)
            self._meet_first(record, known)

    def _has_met(self, record: Fresh, number: int) -> bool:
        known = self._numbered(record, number)
        return known is not None and self._reading.has_met(known.seq)

    def _numbered(self, record: Fresh, number: int) -> Known | None:
        row = self._connection.execute(
            "SELECT seq, lane, date, payload, late FROM record WHERE location = ? AND key = ?",
            (record.location, numbered(record.draft.key, number)),
        ).fetchone()
        return None if row is None else Known(*row)


def numbered(key: bytes, number: int) -> bytes:
    """The key of one among equal records: the first has the key itself."""
    if number == 1:
        return key
    return key + number.to_bytes(2 if number <= _SHORT_NUMBERS else 4, "big")


def _row(record: Fresh, key: bytes) -> tuple[Any, ...]:
    seq, location, draft = record
    if (draft.payload is None) is (draft.problem is None):
        raise ValueError("a draft has either a payload or a problem")
    return seq, location, draft.lane, draft.date, key, draft.payload, draft.late
