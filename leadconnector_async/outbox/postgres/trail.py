"""What happened to records on their way, and who owned their locations: for the life of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.life import LifeQueries
from leadconnector_async.outbox.postgres.counters import columns, storable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadconnector_async.outbox.base import Settlement
    from leadconnector_async.outbox.postgres.connection import Connection

_ADD: Final = """INSERT INTO trail (seq, at, what, trace)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[])"""

QUERIES: Final = LifeQueries(
    by_key="""SELECT seq FROM record
        WHERE location IN (SELECT id FROM location) AND key = $1 ORDER BY seq""",
    by_line="""SELECT DISTINCT seq FROM (SELECT source, line, seq FROM record
                UNION ALL SELECT source, line, seq FROM copy) AS place
            JOIN source ON source.id = place.source
        WHERE line = $2 AND ($1 IN ('', name) OR right(name, length($1) + 1) = '/' || $1)
        ORDER BY seq""",
    by_answer="""SELECT seq FROM outcome WHERE $1 IN (message_id, conversation_id)
        ORDER BY seq""",
    by_text="""SELECT seq FROM record
        WHERE convert_from(payload, 'UTF8') ILIKE $1 OR late ILIKE $1 ORDER BY date, seq""",
    records="""SELECT r.seq, key, location.name, r.location, r.date, payload,
            coalesce(source.name, ''), coalesce(line, 0), coalesce(o.state, 0), at,
            coalesce(o.attempts, q.attempts, 0), message_id, conversation_id, email_message_id,
            text, detail
        FROM record r JOIN location ON location.id = r.location
            LEFT JOIN outcome o ON (o.location, o.lane, o.seq) = (r.location, r.lane, r.seq)
            LEFT JOIN queue q ON q.location IN (r.location, -r.location)
                AND (q.lane, q.date, q.seq) = (r.lane, r.date, r.seq)
            LEFT JOIN reason ON reason.id = o.reason
            LEFT JOIN source ON source.id = r.source
        WHERE r.seq > $1 ORDER BY r.seq LIMIT $2""",
    positions="""SELECT name, line FROM (
            SELECT 0 AS place, source, line FROM record WHERE seq = $1
            UNION ALL SELECT 1, source, line FROM copy WHERE seq = $1) AS found
        JOIN source ON source.id = source ORDER BY place, name, line""",
    trail="SELECT at, what, trace FROM trail WHERE seq = $1 ORDER BY id",
    owner="""SELECT worker FROM owner WHERE location = $1 AND at <= $2
        ORDER BY at DESC LIMIT 1""",
)


async def add(connection: Connection, settlements: Sequence[Settlement]) -> None:
    """Write the trails of claims down, in the transaction that settles them."""
    rows = [
        (fate.claim.seq, event.at, storable(event.what), event.trace and storable(event.trace))
        for fate in settlements
        for event in fate.claim.trail or ()
    ]
    if rows:
        await connection.execute(_ADD, *columns(rows))
