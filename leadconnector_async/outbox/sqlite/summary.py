"""The figures of an outbox file, as of one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.reader import (
    MAX_PLACES,
    OutboxSummary,
    ReasonGroup,
    RecordCounts,
    SourcePosition,
)
from leadconnector_async.outbox.reasons import grouped
from leadconnector_async.outbox.sqlite.connection import fetch_rows, unpacked
from leadconnector_async.outbox.sqlite.counters import (
    DISMISSED,
    LEFT_OUT,
    PENDING,
    REJECTED,
    SENT,
    SPAN_MS,
    UNRESOLVED,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from sqlite3 import Connection

    from leadconnector_async.outbox.reasons import Group

_TOTALS: Final = """SELECT name, state, n, first_at, last_at
    FROM tally JOIN location ON location.id = tally.location ORDER BY location.id"""

_CLAIMED: Final = """SELECT name FROM record JOIN queue USING (location, lane, date, seq)
    JOIN location ON location.id = record.location WHERE record.seq IN ("""

_REASONS: Final = """SELECT state, outcome.reason, text, count(*) AS n, min(seq)
    FROM outcome LEFT JOIN reason ON reason.id = outcome.reason
    WHERE state > 2 GROUP BY state, outcome.reason ORDER BY n DESC, min(seq)"""

_PLACES: Final = """SELECT seq, coalesce(name, ''), coalesce(line, 0)
    FROM outcome LEFT JOIN origin USING (seq) LEFT JOIN source ON source.id = origin.source
    WHERE state > 2 AND state = ? AND reason IS ? ORDER BY seq LIMIT ?"""

_KEPT: Final = "SELECT count(*), (SELECT coalesce(sum(n), 0) FROM copy) FROM record"

_COPIES: Final = """SELECT name, line FROM copy JOIN source ON source.id = copy.source
    ORDER BY source, line LIMIT ?"""

_SPANS: Final = "SELECT count(*) FROM pace"

_LATELY: Final = "SELECT coalesce(sum(sent), 0) FROM pace WHERE span >= ?"

_LATER: Final = """SELECT name, count(*) FROM queue JOIN location ON id = -location
    WHERE location < 0 GROUP BY id"""

_FIELDS: Final = {
    PENDING: "pending",
    SENT: "sent",
    REJECTED: "rejected",
    UNRESOLVED: "unresolved",
    LEFT_OUT: "left_out",
    DISMISSED: "dismissed",
}


def summary(connection: Connection, now_ms: int, lately_ms: int) -> OutboxSummary:
    """Count everything, within the caller's transaction."""
    execute = connection.execute
    locations, moments = _counts(connection)
    since = (now_ms - lately_ms) // SPAN_MS
    (sent_lately,) = execute(_LATELY, (since,)).fetchone()
    records, copies = execute(_KEPT).fetchone()
    (spans,) = execute(_SPANS).fetchone()
    return OutboxSummary(
        locations,
        [
            ReasonGroup(State(of.state), of.reason, of.count, _first(connection, of))
            for of in grouped(execute(_REASONS), MAX_PLACES)
        ],
        min((first for first, _ in moments), default=None),
        max((last for _, last in moments), default=None),
        sent_lately,
        (now_ms - since * SPAN_MS) / 1000,
        records,
        copies,
        [SourcePosition(*place) for place in execute(_COPIES, (MAX_PLACES,))],
        spans * SPAN_MS,
        dict(execute(_LATER).fetchall()),
    )


def _counts(connection: Connection) -> tuple[dict[str, RecordCounts], list[tuple[int, int]]]:
    locations: dict[str, RecordCounts] = {}
    moments = []
    for name, state, n, first_at, last_at in connection.execute(_TOTALS):
        counts = locations.get(name, RecordCounts())
        locations[name] = counts._replace(**{_FIELDS[state]: n})
        if first_at is not None:
            moments.append((first_at, last_at))
    for name in _claimed(connection):
        counts = locations[name]
        locations[name] = counts._replace(pending=counts.pending - 1, claimed=counts.claimed + 1)
    return locations, moments


def _claimed(connection: Connection) -> Iterator[str]:
    batches = connection.execute("SELECT seqs FROM claimed").fetchall()
    seqs = {(seq,) for (stored,) in batches for seq in unpacked(stored)}
    for (name,) in fetch_rows(connection, _CLAIMED, list(seqs), ")"):
        yield name


def _first(connection: Connection, group: Group) -> list[SourcePosition]:
    """Where the first records of a group stand: they are among the first of each reason."""
    found = [
        row
        for _, reason in group.sources
        for row in connection.execute(_PLACES, (group.state, reason, MAX_PLACES))
    ]
    return [SourcePosition(name, line) for _, name, line in sorted(found)[:MAX_PLACES]]
