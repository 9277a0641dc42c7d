"""What the API's answers taught of a location, by name: ids, URLs, threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.durable import read_mark
from leadconnector_async.outbox.postgres.counters import columns, indexed, storable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from leadconnector_async.outbox.durable import ReadMark
    from leadconnector_async.outbox.postgres.connection import Connection

_KNOWN: Final = """SELECT lookup.name, value FROM unnest($2::text[]) AS wanted (name)
    JOIN lookup ON lookup.location = $1 AND lookup.name = wanted.name COLLATE "C\""""

_ADD: Final = """INSERT INTO lookup
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[]) ON CONFLICT DO NOTHING"""

_PUT: Final = """INSERT INTO lookup SELECT * FROM unnest($1::int[], $2::text[], $3::text[])
    ON CONFLICT (location, name) DO UPDATE SET value = excluded.value"""

_FORGET: Final = 'DELETE FROM lookup WHERE location = $1 AND name = ANY ($2::text[] COLLATE "C")'

# A mark's name goes on with its lane, and then the conversation.
_FINISHED: Final = """SELECT name, value, (SELECT conversation_id FROM outcome o
        WHERE o.location = l.location AND o.lane = split_part(name, ':', 2)::bigint
            AND state = 2 AND conversation_id IS NOT NULL LIMIT 1)
    FROM lookup l WHERE location = $1 AND name >= 'mark:' AND name < 'mark;' AND NOT EXISTS (
        SELECT FROM queue q WHERE q.location = l.location
            AND q.lane = split_part(name, ':', 2)::bigint)"""

MARKING: Final = """SELECT name FROM location WHERE EXISTS (SELECT FROM lookup l
    WHERE l.location = id AND l.name >= 'mark:' AND l.name < 'mark;') ORDER BY id"""

if TYPE_CHECKING:
    Lookup = tuple[int, str, str]
    """Number of a location, name and value."""


async def known(connection: Connection, location: int, names: Sequence[str]) -> dict[str, str]:
    """Return those of the lookups that are known."""
    kept = {indexed(name): name for name in names}
    rows = await connection.fetch(_KNOWN, location, list(kept))
    return {kept[name]: value for name, value in rows}


async def add(connection: Connection, lookups: Iterable[Lookup]) -> None:
    """Note lookups, unless they are known."""
    await _write(connection, _ADD, lookups)


async def put(connection: Connection, lookups: Iterable[Lookup]) -> None:
    """Note lookups, over what was known."""
    await _write(connection, _PUT, lookups)


async def _write(connection: Connection, statement: str, lookups: Iterable[Lookup]) -> None:
    # In one order in all processes, so that none waits for another that waits for it.
    rows = sorted((place, indexed(name), storable(value)) for place, name, value in lookups)
    if rows:
        await connection.execute(statement, *columns(rows))


async def finished(connection: Connection, location: int) -> list[ReadMark]:
    """See `DurableOutbox.finished`."""
    return [read_mark(*row) for row in await connection.fetch(_FINISHED, location)]


async def forget(connection: Connection, location: int, names: Collection[str]) -> None:
    """Let lookups be asked for again."""
    await connection.execute(_FORGET, location, [indexed(name) for name in names])
