"""What processes tell each other through the database: that there is work, and what has ended.

All of it is a hint. It is lost with a connection, and where two commit at the same moment; so who
waits looks by itself too, now and then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from leadconnector_async.outbox.postgres.connection import Connection
    from leadconnector_async.outbox.postgres.place import PostgresPlace

WORK, ENDS = "work", "ends"
"""Channels: of locations that have something to send, and of records that are settled."""

_MAX_SAID: Final = 1_000
"""Characters. The server takes 8,000 bytes less one."""

_AWAIT: Final = """WITH noted AS (
        INSERT INTO awaited SELECT unnest($1::bigint[]) ON CONFLICT DO NOTHING)
    SELECT pg_notify($2, said) FROM unnest($3::text[]) AS of (said)"""

_AWAIT_OPEN: Final = """WITH open AS (
        SELECT r.seq, l.name FROM unnest($1::bigint[]) AS w (seq) JOIN record r USING (seq)
            JOIN location l ON l.id = r.location
            LEFT JOIN outcome o ON (o.location, o.lane, o.seq) = (r.location, r.lane, r.seq)
            LEFT JOIN queue later ON later.location = -r.location
                AND (later.lane, later.date, later.seq) = (r.lane, r.date, r.seq)
        WHERE o.seq IS NULL AND later.seq IS NULL AND r.payload IS NOT NULL),
    noted AS (INSERT INTO awaited SELECT seq FROM open ON CONFLICT DO NOTHING)
    SELECT seq, name FROM open"""


async def announce(
    place: PostgresPlace,
    connection: Connection,
    locations: Iterable[str],
    awaited: Sequence[int] = (),
) -> None:
    """Tell that locations have something to send, and note whose ends are waited for.

    An empty name stands for any location.
    """
    said = {name if len(name) <= _MAX_SAID else "" for name in locations}
    await connection.execute(_AWAIT, sorted(awaited), place.channel(WORK), list(said))


async def await_open(connection: Connection, seqs: Sequence[int]) -> dict[int, str]:
    """Note whose ends are waited for: of those without one, which are returned with locations."""
    return dict(await connection.fetch(_AWAIT_OPEN, seqs))


async def listen(
    place: PostgresPlace, connection: Connection, of: str, told: Callable[[str], None]
) -> None:
    """Have ``told`` called with what is said in a channel, as long as the connection is there."""
    await connection.add_listener(place.channel(of), lambda *given: told(given[-1]))
