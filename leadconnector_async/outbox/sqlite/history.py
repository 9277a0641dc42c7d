"""Every record of an outbox file: what it is, where it stands, and the life of single ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.life import LifeQueries, kind_of
from leadconnector_async.outbox.reader import HistoryRecord
from leadconnector_async.outbox.sqlite.counters import PENDING
from leadconnector_async.outbox.sqlite.source_form import restored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from sqlite3 import Connection

    from leadconnector_async.outbox.reader import KindOf

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


QUERIES: Final = LifeQueries(
    by_key="""SELECT seq FROM record
        WHERE location IN (SELECT id FROM location) AND key = ? ORDER BY seq""",
    by_line="""WITH named (name, line) AS (VALUES (?, ?))
        SELECT seq FROM (SELECT source, line, seq FROM origin
                UNION SELECT source, line, seq FROM copy) AS place
            JOIN source ON source.id = place.source JOIN named ON named.line = place.line
        WHERE named.name IN ('', source.name)
            OR substr(source.name, -length(named.name) - 1) = '/' || named.name
        ORDER BY seq""",
    by_answer="""SELECT seq FROM outcome WHERE ? IN (message_id, conversation_id)
        ORDER BY seq""",
    by_text="""SELECT seq FROM record
        WHERE coalesce(CAST(payload AS TEXT), '') || coalesce(late, '') LIKE ? ESCAPE '\\'
        ORDER BY date, seq""",
    records="""SELECT r.seq, key, location.name, r.location, r.date, payload,
            coalesce(source.name, ''), coalesce(line, 0), coalesce(o.state, 0), at,
            coalesce(o.attempts, q.attempts, 0), message_id, conversation_id, email_message_id,
            text, detail
        FROM record r JOIN location ON location.id = r.location
            LEFT JOIN outcome o USING (location, lane, seq)
            LEFT JOIN queue q ON q.location IN (r.location, -r.location)
                AND (q.lane, q.date, q.seq) = (r.lane, r.date, r.seq)
            LEFT JOIN reason ON reason.id = o.reason
            LEFT JOIN origin ON origin.seq = r.seq LEFT JOIN source ON source.id = origin.source
        WHERE r.seq > ? ORDER BY r.seq LIMIT ?""",
    positions="""SELECT name, line FROM (
            SELECT 0 AS place, seq, source, line FROM origin
            UNION ALL SELECT 1, seq, source, line FROM copy)
        JOIN source ON source.id = source WHERE seq = ? ORDER BY place, name, line""",
    trail="SELECT at, what, trace FROM trail WHERE seq = ? ORDER BY rowid",
    owner="SELECT worker FROM owner WHERE ? >= 0 AND at <= ? ORDER BY at DESC LIMIT 1",
)
