"""Every record of an outbox file, as what it is and where it stands: for a final account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.payload_kind import kind_of
from leadconnector_async.outbox.reader import HistoryRecord
from leadconnector_async.outbox.sqlite.counters import PENDING

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

_SAID: Final = """SELECT form, raw FROM origin LEFT JOIN source ON source.id = origin.source
    WHERE seq = ?"""


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
                what = kind_of_refused(*(said or (None, None)))
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
