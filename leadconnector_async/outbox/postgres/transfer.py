"""An outbox in a database as one end of a move to another store."""

from __future__ import annotations

from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.outbox.postgres.connection import check_server, connect
from leadconnector_async.outbox.postgres.counters import storable
from leadconnector_async.outbox.postgres.faults import FAULTS, explained
from leadconnector_async.outbox.postgres.place import read_place
from leadconnector_async.outbox.postgres.schema import hold_alone, prepare
from leadconnector_async.outbox.postgres.stored_files import keep, local_files
from leadconnector_async.outbox.transfer import BATCH, RELATIONS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from leadconnector_async.outbox.postgres.connection import Connection
    from leadconnector_async.outbox.postgres.place import PostgresPlace
    from leadconnector_async.outbox.transfer import Rows

_READ: Final = {
    "held": "SELECT location, unnest(held) FROM tenure",
    "quota": """SELECT location, day_used, day_ends, window_used, window_ends, day_limit
        FROM tenure WHERE day_used IS NOT NULL""",
    "pace": "SELECT span, sum(sent)::bigint FROM pace GROUP BY span",
    "file": "SELECT digest, n, content FROM file_piece ORDER BY digest, n",
    "trail": "SELECT seq, at, what, trace FROM trail ORDER BY id",
}

# What was refused before it was sent counts for no time in which anything was.
_COUNT: Final = """
INSERT INTO tally (location, state, part, n)
    SELECT r.location, coalesce(state, 0), 0, count(*) FROM record r LEFT JOIN outcome o
        ON (o.location, o.lane, o.seq) = (r.location, r.lane, r.seq) GROUP BY 1, 2;
UPDATE tenure t SET first_at = o.first_at, last_at = o.last_at FROM (
        SELECT location, min(at) AS first_at, max(at) AS last_at
        FROM outcome WHERE attempts > 0 GROUP BY 1) AS o
    WHERE o.location = t.location;
SELECT setval('record_number', greatest((SELECT max(seq) FROM record), 1));
SELECT setval(pg_get_serial_sequence('location', 'id'), max(id)) FROM location;
SELECT setval(pg_get_serial_sequence('source', 'id'), max(id)) FROM source;
SELECT setval(pg_get_serial_sequence('reason', 'id'), max(id)) FROM reason;
"""

_TENURE: Final = """INSERT INTO tenure (location, epoch, held, day_used, day_ends, window_used,
        window_ends, day_limit)
    VALUES ($1, 1, $2, $3, $4, $5, $6, $7)"""


_FILES: Final = """SELECT r.seq, late FROM record r LEFT JOIN outcome o
        ON (o.location, o.lane, o.seq) = (r.location, r.lane, r.seq)
    WHERE late IS NOT NULL AND coalesce(state, 0) IN (0, 3, 4) ORDER BY r.seq"""


class PostgresTransfer:
    """`TransferSource` and `TransferTarget` over a connection, within one transaction."""

    def __init__(self, place: PostgresPlace, connection: Connection) -> None:
        self._place = place
        self._connection = connection
        self._held: dict[int, list[int]] = defaultdict(list)
        self._quotas: dict[int, list[int | None]] = {}
        self._locations: list[int] = []

    async def rows(self, relation: str) -> AsyncIterator[Rows]:
        """See `TransferSource.rows`."""
        names = RELATIONS[relation].replace(" ", ", ")
        order = " ORDER BY seq" if relation == "record" else ""
        query = _READ.get(relation, f"SELECT {names} FROM {relation}{order}")  # noqa: S608 - our own names
        cursor = await self._connection.cursor(query)
        while page := await cursor.fetch(1 if relation == "file" else BATCH):
            yield [tuple(row) for row in page]

    async def retire(self) -> str:
        """See `TransferSource.retire`."""
        schema = self._place.schema
        await self._connection.execute(f'ALTER SCHEMA "{schema}" RENAME TO "{schema}_moved"')
        return f"the schema {schema}_moved"

    async def write(self, relation: str, rows: Rows) -> None:
        """See `TransferTarget.write`."""
        if relation == "held":
            for location, seq in rows:
                self._held[location].append(seq)
            return
        if relation == "quota":
            self._quotas.update((row[0], list(row[1:])) for row in rows)
            return
        names = RELATIONS[relation].split()
        if relation == "location":
            self._locations += [row[0] for row in rows]
        if relation == "pace":
            names, rows = ["span", "part", "sent"], [(span, 0, sent) for span, sent in rows]
        all_ = self._locations  # noqa: F841
        if relation == "owner":  # a file has one owner for all locations
            rows = [
                (of, *row[1:]) for row in rows for of in ([row[0]] if row[0] else self._locations)
            ]
        await self._connection.copy_records_to_table(
            relation,
            records=[tuple(storable(v) if isinstance(v, str) else v for v in row) for row in rows],
            columns=names,
            schema_name=self._place.schema,
        )

    async def finish(self) -> None:
        """See `TransferTarget.finish`."""
        none: list[int | None] = [None] * 5
        tenures = [(of, self._held[of], *self._quotas.get(of, none)) for of in self._locations]
        await self._connection.executemany(_TENURE, tenures)
        await self._connection.execute(_COUNT)
        cursor = await self._connection.cursor(_FILES)
        while page := await cursor.fetch(BATCH):
            uses = [(seq, file) for seq, late in page for file in local_files(late)]
            await keep(self._connection, uses)


@asynccontextmanager
async def moving(place: str, *, new: bool) -> AsyncIterator[PostgresTransfer]:
    """Hold an outbox alone; or make a ``new`` one, which is there when the block ends well.

    Raises:
        OutboxBusyError: others use it.
        OutboxError: there is one already, or none; or the database cannot be used.
    """
    where = read_place(place)
    connection = await connect(where, {})
    try:
        await check_server(where, connection)
        await prepare(where, connection, create=new)
        async with connection.transaction():
            await hold_alone(where, connection)
            if new and await connection.fetchval("SELECT EXISTS (SELECT FROM location)"):
                raise OutboxUnusableError(
                    f"{where.shown} holds records already: give another ?schema= to move to"
                )
            yield PostgresTransfer(where, connection)
    except FAULTS as error:
        raise explained(where, error) from None
    finally:
        await connection.close()
