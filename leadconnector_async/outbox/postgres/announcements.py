"""What processes tell each other through the database: work, ends, and why locations cannot go on.

What is announced is a hint. It is lost with a connection, and where two commit at the same moment;
so who waits looks by itself too, now and then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from leadconnector_async.errors import AccessError, DailyQuotaSpentError, ThrottledError
from leadconnector_async.models import Refusal
from leadconnector_async.outbox.base import StoppedLocation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from leadconnector_async.errors import RefusedError
    from leadconnector_async.outbox.postgres.connection import Connection
    from leadconnector_async.outbox.postgres.place import PostgresPlace

WORK, ENDS = "work", "ends"
"""Channels: of locations that have something to send, and of records that are settled."""

_MAX_SAID: Final = 1_000
"""Characters. The server takes 8,000 bytes less one."""

_AWAIT: Final = """WITH noted AS (
        INSERT INTO awaited SELECT unnest($1::bigint[]) ON CONFLICT DO NOTHING)
    SELECT pg_notify($2, said) FROM unnest($3::text[]) AS of (said)"""

AWAIT_OPEN: Final = """WITH open AS (
        SELECT r.seq, l.name FROM unnest($1::bigint[]) AS w (seq) JOIN record r USING (seq)
            JOIN location l ON l.id = r.location
            LEFT JOIN outcome o ON (o.location, o.lane, o.seq) = (r.location, r.lane, r.seq)
            LEFT JOIN queue later ON later.location = -r.location
                AND (later.lane, later.date, later.seq) = (r.lane, r.date, r.seq)
        WHERE o.seq IS NULL AND later.seq IS NULL AND r.payload IS NOT NULL),
    noted AS (INSERT INTO awaited SELECT seq FROM open ON CONFLICT DO NOTHING)
    SELECT seq, name FROM open"""
"""Notes whose ends are waited for, of records that have none, and tells their locations."""


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


async def listen(
    place: PostgresPlace, connection: Connection, of: str, told: Callable[[str], None]
) -> None:
    """Have ``told`` called with what is said in a channel, as long as the connection is there."""
    await connection.add_listener(place.channel(of), lambda *given: told(given[-1]))


_NOW: Final = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

_STOPPED: Final = f"""SELECT name, kind, refusal, at, {_NOW} - at
    FROM stopped JOIN location ON id = location ORDER BY id"""  # noqa: S608 - our own words

_STOP: Final = f"""INSERT INTO stopped VALUES ($1, {_NOW}, $2, $3)
    ON CONFLICT (location) DO UPDATE
    SET at = excluded.at, kind = excluded.kind, refusal = excluded.refusal"""  # noqa: S608 - the same

_KINDS: Final = {
    kind.__name__: kind for kind in (AccessError, DailyQuotaSpentError, ThrottledError)
}


async def stopped(connection: Connection) -> dict[str, StoppedLocation]:
    """Return all that cannot go on."""
    return {
        name: StoppedLocation(
            _KINDS[kind](msgspec.json.decode(refusal, type=Refusal)), at, max(age_ms, 0) / 1000
        )
        for name, kind, refusal, at, age_ms in await connection.fetch(_STOPPED)
    }


async def stop(connection: Connection, location: int, error: RefusedError | None) -> None:
    """Write down why a location cannot go on; with None, that it does."""
    if error is None:
        await connection.execute("DELETE FROM stopped WHERE location = $1", location)
    else:
        kind, refusal = type(error).__name__, msgspec.json.encode(error.refusal)
        await connection.execute(_STOP, location, kind, refusal)
