"""What an outbox file holds: figures as of one moment, every record, the life of single ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.outbox_reader import StoreQueries
from leadconnector_async.outbox.reader import HistoryRecord, RecordCounts, kind_of
from leadconnector_async.outbox.sqlite.connection import fetch_rows, unpacked
from leadconnector_async.outbox.sqlite.counters import PENDING
from leadconnector_async.outbox.sqlite.source_form import restored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from sqlite3 import Connection

    from leadconnector_async.outbox.reader import KindOf

_TOTALS: Final = """SELECT name, state, n
    FROM tally JOIN location ON location.id = tally.location ORDER BY location.id"""

_CLAIMED: Final = """SELECT name FROM record JOIN queue USING (location, lane, date, seq)
    JOIN location ON location.id = record.location WHERE record.seq IN ("""

REASONS: Final = """SELECT state, outcome.reason, text, count(*) AS n, min(seq)
    FROM outcome LEFT JOIN reason ON reason.id = outcome.reason
    WHERE state > 2 GROUP BY state, outcome.reason ORDER BY n DESC, min(seq)"""


def counts_of(connection: Connection) -> dict[str, RecordCounts]:
    """How many records of each location stand where."""
    found: dict[str, list[int]] = {}
    for name, state, n in connection.execute(_TOTALS):
        found.setdefault(name, [0] * len(State))[state] = n
    for name in _claimed(connection):
        found[name][State.PENDING] -= 1
        found[name][State.CLAIMED] += 1
    return {name: RecordCounts(*counts) for name, counts in found.items()}


def _claimed(connection: Connection) -> Iterator[str]:
    batches = connection.execute("SELECT seqs FROM claimed").fetchall()
    seqs = {(seq,) for (stored,) in batches for seq in unpacked(stored)}
    for (name,) in fetch_rows(connection, _CLAIMED, list(seqs), ")"):
        yield name


_PAGE: Final = 1_000

_FOUND: Final = 8
"""A bit beside the state's. A record that was found by looking is sent, with a reason."""

_LOCATIONS: Final = "SELECT id, name FROM location"

_LAST: Final = "SELECT coalesce(max(seq), 0) FROM record"

_ENDS: Final = "SELECT seq, state, state = 2 AND reason IS NOT NULL FROM outcome"

_RECORDS: Final = "SELECT seq, location, date, payload FROM record ORDER BY seq"

_SAID: Final = """SELECT form, raw, NULL, NULL, x'', '' FROM origin
    LEFT JOIN source ON source.id = origin.source WHERE seq = ?"""


def history_pages(connection: Connection, kind_of_refused: KindOf) -> Iterator[list[HistoryRecord]]:
    """Yield pages of records, and at the end empty ones."""
    names = dict(connection.execute(_LOCATIONS))
    states = _states(connection)
    rows = connection.execute(_RECORDS)
    while True:
        page = []
        for seq, location, date, payload in rows.fetchmany(_PAGE):
            if payload is None:
                said = connection.execute(_SAID, (seq,)).fetchone()
                what = kind_of_refused(said[0], restored(*said[1:])) if said else (None,) * 3
            else:
                what = kind_of(payload, date)
            state = states[seq]
            page.append(HistoryRecord(names[location], *what, state & ~_FOUND, state >= _FOUND))
        yield page


def _states(connection: Connection) -> bytearray:
    """The state of each record by its number: joining the tables takes twice as long."""
    (last,) = connection.execute(_LAST).fetchone()
    states = bytearray([PENDING]) * (int(last) + 1)
    for seq, state, found in connection.execute(_ENDS):
        states[seq] = state | _FOUND if found else state
    return states


QUERIES: Final = StoreQueries(
    location="SELECT id FROM location WHERE name = ?",
    moments="SELECT min(first_at), max(last_at) FROM tally",
    places="""SELECT seq, coalesce(name, ''), coalesce(line, 0)
        FROM outcome LEFT JOIN origin USING (seq) LEFT JOIN source ON source.id = origin.source
        WHERE state > 2 AND state = ? AND reason IS ? ORDER BY seq LIMIT ?""",
    quotas="""SELECT name, day_used, day_ends, window_used, window_ends, day_limit
        FROM spend JOIN location ON location.id = location""",
    contacts="""SELECT count(*) FILTER (WHERE name >= 'contact:' AND name < 'contact;'),
        count(*) FILTER (WHERE name >= 'made:' AND name < 'made;') FROM fact""",
    forms="""SELECT DISTINCT form FROM (
            SELECT DISTINCT source FROM outcome LEFT JOIN origin USING (seq)
            WHERE state > 2 AND state < 5)
        LEFT JOIN source ON source.id = source""",
    by_line="""WITH named (name, line) AS (VALUES (?, ?))
        SELECT seq FROM (SELECT source, line, seq FROM origin
                UNION SELECT source, line, seq FROM copy) AS place
            JOIN source ON source.id = place.source JOIN named ON named.line = place.line
        WHERE named.name IN ('', source.name)
            OR substr(source.name, -length(named.name) - 1) = '/' || named.name
        ORDER BY seq""",
    by_text="""SELECT seq FROM record
        WHERE coalesce(CAST(payload AS TEXT), '') || coalesce(late, '') LIKE ? ESCAPE '\\'
        ORDER BY date, seq""",
    origin="""LEFT JOIN origin ON origin.seq = r.seq
        LEFT JOIN source ON source.id = origin.source""",
    positions="""SELECT name, line FROM (
            SELECT 0 AS place, seq, source, line FROM origin
            UNION ALL SELECT 1, seq, source, line FROM copy)
        JOIN source ON source.id = source WHERE seq = ? ORDER BY place, name, line""",
    trail="SELECT at, what, trace FROM trail WHERE seq = ? ORDER BY rowid",
    owner="SELECT worker FROM owner WHERE ? >= 0 AND at <= ? ORDER BY at DESC LIMIT 1",
)
