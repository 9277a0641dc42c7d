"""Leaving what is not selected for later. Lives in the writer's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.selection import SelectionPass

if TYPE_CHECKING:
    from sqlite3 import Connection

    from leadconnector_async.outbox.selection import Selection
    from leadconnector_async.outbox.sqlite.claims import Claims

_TAKE_ALL: Final = "UPDATE queue SET location = -location WHERE location < 0"

_CANDIDATES: Final = """SELECT record.seq, location, lane, coalesce(source, 0), date,
        iif(?, payload, NULL), iif(?, late, NULL)
    FROM record LEFT JOIN origin ON origin.seq = record.seq
    WHERE payload IS NOT NULL ORDER BY date, record.seq"""

_TAKEN: Final = "CREATE TEMP TABLE taken (seq INTEGER PRIMARY KEY)"

# In the order of the queue, in which it is written too: one by one, each would be another page.
_LEAVE: Final = """UPDATE queue SET location = -location
    WHERE location > 0 AND seq NOT IN (SELECT seq FROM temp.taken)"""

_TAKE: Final = """UPDATE queue SET location = -location
    WHERE location = -? AND lane = ? AND date = ? AND seq = ?"""


def select(connection: Connection, claims: Claims, selection: Selection | None) -> None:
    """See `DurableOutbox.select`."""
    connection.execute(_TAKE_ALL)
    if selection is not None:
        walk = SelectionPass(selection, claims.index.held)
        candidates = connection.execute(_CANDIDATES, (selection.reads,) * 2)
        connection.execute(_TAKEN)
        taken = ((candidate[0],) for candidate in candidates if walk.takes(candidate))
        connection.executemany("INSERT INTO temp.taken VALUES (?)", taken)
        walk.check()
        connection.execute(_LEAVE)
        connection.execute("DROP TABLE temp.taken")
    claims.arrived(None)


def take(connection: Connection, place: tuple[int, int, int, int]) -> bool:
    """Take one record in that was left for later, if it was."""
    return connection.execute(_TAKE, place).rowcount > 0
