"""An outbox file that is opened to be read, beside its owner if it has one.

Reports on an outbox file: beside an import that runs, or after one that ended or crashed.

Nothing here writes, or waits for the owner. No reading transaction outlives a call or an item, so
that the owner can cut its log back.
"""

from __future__ import annotations

import os
import sqlite3
import time
from array import array
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from msgspec import Struct

from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.reasons import grouped
from leadconnector_async.outbox.sqlite import claims
from leadconnector_async.outbox.sqlite.connection import explained, fetch_rows, open_to_read
from leadconnector_async.outbox.sqlite.counters import (
    DISMISSED,
    LEFT_OUT,
    PENDING,
    REJECTED,
    SENT,
    SPAN_MS,
    UNRESOLVED,
)
from leadconnector_async.quota.limits import QuotaSnapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from leadconnector_async.outbox.reasons import Group


class ReadConnection:
    """Nothing here writes, or waits for the owner.

    Raises:
        OutboxUnusableError: there is no such file, or it is no outbox.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._connection = open_to_read(self.path)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explained(self.path, error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}>"


MAX_PLACES: Final = 5

_PAGE: Final = 256

_TOTALS: Final = """SELECT name, state, n, first_at, last_at
    FROM tally JOIN location ON location.id = tally.location ORDER BY location.id"""

_SPENDS: Final = """SELECT name, day_used, day_ends, window_used, window_ends, day_limit
    FROM spend JOIN location ON location.id = location"""

_CLAIMED: Final = """SELECT name FROM record JOIN queue USING (location, lane, date, seq)
    JOIN location ON location.id = record.location WHERE record.seq IN ("""

_PLACES: Final = """SELECT seq, coalesce(name, ''), coalesce(line, 0)
    FROM outcome LEFT JOIN origin USING (seq) LEFT JOIN source ON source.id = origin.source
    WHERE state > 2 AND state = ? AND reason IS ? ORDER BY seq LIMIT ?"""

_FAILED: Final = """SELECT seq FROM outcome LEFT JOIN origin USING (seq)
    WHERE state > 2 AND state < 5 ORDER BY source, line, seq"""

_FAILED_ONE: Final = """SELECT r.key, location.name, o.state, text, o.detail,
        coalesce(source.name, ''), source.form, coalesce(line, 0), raw, payload, late
    FROM record r CROSS JOIN outcome o USING (location, lane, seq)
        JOIN location ON location.id = r.location
        LEFT JOIN reason ON reason.id = o.reason
        LEFT JOIN origin ON origin.seq = r.seq LEFT JOIN source ON source.id = origin.source
    WHERE r.seq = ? AND o.state > 2 AND o.state < 5"""

_FORMS: Final = """SELECT DISTINCT form FROM (
        SELECT DISTINCT source FROM outcome LEFT JOIN origin USING (seq)
        WHERE state > 2 AND state < 5)
    LEFT JOIN source ON source.id = source"""

_SOURCES: Final = "SELECT name FROM source ORDER BY id"

_KEPT: Final = "SELECT count(*), (SELECT coalesce(sum(n), 0) FROM copy) FROM record"

_COPIES: Final = """SELECT name, line FROM copy JOIN source ON source.id = copy.source
    ORDER BY source, line LIMIT ?"""

_SENT: Final = """SELECT o.lane, o.seq, r.key, r.date, r.payload, o.message_id, o.conversation_id
    FROM outcome o CROSS JOIN record r ON r.seq = o.seq
    WHERE o.location = ? AND (o.lane, o.seq) > (?, ?) AND o.state = ?
    ORDER BY o.lane, o.seq LIMIT ?"""


class SourcePosition(NamedTuple):
    """Where a record stands: its source's name and line; '' and 0 for no source."""

    source: str
    line: int


class ReasonGroup(Struct, frozen=True):
    """How many records ended so, and where the first of them stand."""

    state: State
    reason: str | None
    count: int
    first: list[SourcePosition]


class RecordCounts(NamedTuple):
    """How many records stand where. ``pending`` are those that no one has claimed."""

    pending: int = 0
    claimed: int = 0
    sent: int = 0
    rejected: int = 0
    unresolved: int = 0
    left_out: int = 0
    dismissed: int = 0

    @property
    def left(self) -> int:
        """Records without an end."""
        return self.pending + self.claimed

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self)


class OutboxSummary(NamedTuple):
    """What stands in an outbox. Times are Unix milliseconds."""

    locations: dict[str, RecordCounts]
    reasons: list[ReasonGroup]
    """Why records failed, are unresolved, left out or dismissed: the most frequent first, those
    that differ by one record's value as one."""
    first_at: int | None
    """When the first record was settled."""
    last_at: int | None
    sent_lately: int
    lately_s: float
    """``sent_lately`` were sent within so many seconds before now."""
    records: int
    """How many are kept, counted one by one."""
    copies: int
    """How many more were read that equal one of them."""
    first_copies: list[SourcePosition]

    @property
    def counts(self) -> RecordCounts:
        """Over all locations."""
        return RecordCounts(*map(sum, zip(*self.locations.values(), strict=True)))


class FailedRecord(NamedTuple):
    """A record that was rejected or is unresolved. ``form`` and ``raw`` are its source's."""

    key: bytes
    location: str
    state: State
    reason: str | None
    detail: bytes | None
    source: str
    form: bytes | None
    line: int
    raw: bytes | None
    payload: bytes | None
    deferred: str | None = None

    def __repr__(self) -> str:
        return f"FailedRecord(source={self.source!r}, line={self.line}, reason={self.reason!r})"


class SentRecord(NamedTuple):
    """A record that is believed to be stored. ``date`` is in Unix milliseconds."""

    key: bytes
    date: int
    payload: bytes
    message_id: str | None
    conversation_id: str | None

    def __repr__(self) -> str:
        return f"SentRecord(message_id={self.message_id!r})"


class SqliteOutboxReader(ReadConnection):
    """An outbox file, opened to be read. Every method raises `OutboxError` if that fails."""

    def summary(self, *, lately_s: float = 60.0, now_ms: int | None = None) -> OutboxSummary:
        """Count everything. ``lately_s`` is taken to the next ten seconds."""
        now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        with self._reading():
            self._connection.execute("BEGIN")  # so that all figures are of one moment
            locations, moments = self._counts()
            reasons = self._reasons()
            sent_lately, lately = self._lately(now, round(lately_s * 1000))
            records, copies = self._connection.execute(_KEPT).fetchone()
            places = self._connection.execute(_COPIES, (MAX_PLACES,)).fetchall()
            self._connection.execute("COMMIT")
        first_at = min((first for first, _ in moments), default=None)
        last_at = max((last for _, last in moments), default=None)
        return OutboxSummary(
            locations,
            reasons,
            first_at,
            last_at,
            sent_lately,
            lately,
            records,
            copies,
            [SourcePosition(*place) for place in places],
        )

    def _counts(self) -> tuple[dict[str, RecordCounts], list[tuple[int, int]]]:
        fields = {
            PENDING: "pending",
            SENT: "sent",
            REJECTED: "rejected",
            UNRESOLVED: "unresolved",
            LEFT_OUT: "left_out",
            DISMISSED: "dismissed",
        }
        locations: dict[str, RecordCounts] = {}
        moments = []
        for name, state, n, first_at, last_at in self._connection.execute(_TOTALS):
            counts = locations.get(name, RecordCounts())
            locations[name] = counts._replace(**{fields[state]: n})
            if first_at is not None:
                moments.append((first_at, last_at))
        for name in self._claimed():
            counts = locations[name]
            locations[name] = counts._replace(
                pending=counts.pending - 1, claimed=counts.claimed + 1
            )
        return locations, moments

    def _claimed(self) -> Iterator[str]:
        batches = self._connection.execute("SELECT seqs FROM claimed").fetchall()
        seqs = {(seq,) for (stored,) in batches for seq in claims.unpacked(stored)}
        for (name,) in fetch_rows(self._connection, _CLAIMED, list(seqs), ")"):
            yield name

    def _reasons(self) -> list[ReasonGroup]:
        return [
            ReasonGroup(State(of.state), of.reason, of.count, self._first(of))
            for of in grouped(self._connection, MAX_PLACES)
        ]

    def _first(self, group: Group) -> list[SourcePosition]:
        """Where the first records of a group stand: they are among the first of each reason."""
        execute = self._connection.execute
        found = [
            row
            for _, reason in group.sources
            for row in execute(_PLACES, (group.state, reason, MAX_PLACES))
        ]
        return [SourcePosition(name, line) for _, name, line in sorted(found)[:MAX_PLACES]]

    def _lately(self, now: int, length: int) -> tuple[int, float]:
        since = (now - length) // SPAN_MS
        query = "SELECT coalesce(sum(sent), 0) FROM pace WHERE span >= ?"
        (sent,) = self._connection.execute(query, (since,)).fetchone()
        return sent, (now - since * SPAN_MS) / 1000

    def snapshots(self) -> dict[str, QuotaSnapshot]:
        """Return how much of each location's quota was used, where anything was."""
        with self._reading():
            return {name: QuotaSnapshot(*of) for name, *of in self._connection.execute(_SPENDS)}

    def failed(self) -> Iterator[FailedRecord]:
        """Yield the records that failed, by source and line. Needs 8 bytes of memory for each."""
        with self._reading():
            seqs = array("q", chain.from_iterable(self._connection.execute(_FAILED)))
        for seq in seqs:
            with self._reading():
                row = self._connection.execute(_FAILED_ONE, (seq,)).fetchone()
            if row is not None:  # else it was put back meanwhile
                key, location, state, *rest = row
                yield FailedRecord(key, location, State(state), *rest)

    def failed_forms(self) -> set[bytes | None]:
        """Return the forms of the sources that have failed records; None is for no source."""
        with self._reading():
            return {form for (form,) in self._connection.execute(_FORMS)}

    def sources(self) -> list[str]:
        """Return the names of all sources that records came from."""
        with self._reading():
            return [name for (name,) in self._connection.execute(_SOURCES)]

    def sent(self, location: str) -> Iterator[SentRecord]:
        """Yield what was sent to a location, one lane after the other."""
        with self._reading():
            query = "SELECT id FROM location WHERE name = ?"
            found = self._connection.execute(query, (location,)).fetchone()
        lane = seq = -(1 << 63)
        while found is not None:
            with self._reading():
                page = self._connection.execute(_SENT, (*found, lane, seq, SENT, _PAGE)).fetchall()
            for lane, seq, *record in page:  # noqa: B007 - the last ones begin the next page
                yield SentRecord(*record)
            if len(page) < _PAGE:
                break
