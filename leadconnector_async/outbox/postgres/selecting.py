"""Leaving what is not selected for later, over the connection that owns all shards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.postgres.counters import columns
from leadconnector_async.outbox.selection import SelectionPass

if TYPE_CHECKING:
    from leadconnector_async.outbox.postgres.connection import Connection
    from leadconnector_async.outbox.selection import Selection

_AT_A_TIME: Final = 5_000

TAKE_ALL: Final = "UPDATE queue SET location = -location WHERE location < 0"

TAKE: Final = """UPDATE queue q SET location = -q.location FROM record r
    WHERE r.seq = $1 AND (q.location, q.lane, q.date, q.seq) = (-r.location, r.lane, r.date, r.seq)
    """

_HELD: Final = "SELECT unnest(held) FROM tenure"

_CANDIDATES: Final = """SELECT seq, location, lane, coalesce(source, 0), date,
        CASE WHEN $1 THEN payload END, CASE WHEN $1 THEN late END
    FROM record WHERE payload IS NOT NULL ORDER BY date, seq"""

_LEAVE: Final = """UPDATE queue q SET location = -q.location
    FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[])
        AS p (location, lane, date, seq)
    WHERE (q.location, q.lane, q.date, q.seq) = (p.location, p.lane, p.date, p.seq)"""


async def select(connection: Connection, selection: Selection) -> None:
    """See `DurableOutbox.select`."""
    await connection.execute(TAKE_ALL)
    held = {seq for (seq,) in await connection.fetch(_HELD)}
    walk = SelectionPass(selection, held)
    candidates = await connection.cursor(_CANDIDATES, selection.reads)
    while page := await candidates.fetch(_AT_A_TIME):
        rows = [tuple(row) for row in page]
        left = [(location, lane, date, seq) for seq, location, lane, _, date, *_ in rows]
        left = [place for row, place in zip(rows, left, strict=True) if not walk.takes(row)]
        if left:
            await connection.execute(_LEAVE, *columns(left))
    walk.check()
