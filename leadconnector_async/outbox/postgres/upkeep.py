"""What an owner does with an outbox in a database besides importing: checking, forgetting, moving.

Copies are the server's own.
"""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.outbox.database import Rows, fault, statements
from leadconnector_async.outbox.postgres.connection import Connection, check_server, opened
from leadconnector_async.outbox.postgres.counters import columns, storable
from leadconnector_async.outbox.postgres.place import PostgresPlace, read_place
from leadconnector_async.outbox.postgres.schema import hold_alone, is_kept, prepare
from leadconnector_async.outbox.postgres.stored_files import keep, local_files
from leadconnector_async.outbox.requeueing import RETRIES
from leadconnector_async.outbox.transfer import BATCH, RELATIONS, reading
from leadconnector_async.records.deferred import forgotten
from leadconnector_async.records.keys import line_key

_SQL: Final = statements(__package__, "upkeep")


async def forget_texts(connection: Connection, after: int) -> tuple[int, int]:
    """Forget what some settled records say. Returns how many, and the number of the last."""
    rows = await connection.fetch(_SQL["settled"], after, RETRIES)
    if not rows:
        await connection.execute(_SQL["forget_names"])
        return 0, after
    less, done = [], 0
    for seq, payload, deferred, raw in rows:
        said = None if payload is None else forgotten(payload, deferred)
        less.append((seq, said))
        done += raw is not None or said != payload
    await connection.execute(_SQL["forget"], *columns(less))
    lines = [(seq, line_key(raw)) for seq, _, _, raw in rows if raw is not None]
    if lines:
        await connection.execute(_SQL["former"], *columns(lines))
    return done, rows[-1][0]


async def compact(place: str) -> None:
    """Free what dead rows hold, for the table's own use; `VACUUM FULL` gives it back.

    Raises:
        OutboxError: it cannot be done.
    """
    async with opened(read_place(place), {}) as connection:
        await connection.execute("VACUUM record, lookup")


class PostgresTransfer:
    """`StoreTransfer` over a connection, within one transaction."""

    def __init__(self, place: PostgresPlace, connection: Connection) -> None:
        self._place = place
        self._connection = connection
        self._held: dict[int, list[int]] = defaultdict(list)
        self._quotas: dict[int, list[int | None]] = {}
        self._locations: list[int] = []

    async def rows(self, relation: str) -> AsyncIterator[Rows]:
        """See `StoreTransfer.rows`."""
        cursor = await self._connection.cursor(reading(relation, _SQL))
        while page := await cursor.fetch(1 if relation == "file" else BATCH):
            yield [tuple(row) for row in page]

    async def retire(self) -> str:
        """See `StoreTransfer.retire`."""
        schema = self._place.schema
        await self._connection.execute(f'ALTER SCHEMA "{schema}" RENAME TO "{schema}_moved"')
        return f"the schema {schema}_moved"

    async def write(self, relation: str, rows: Rows) -> None:
        """See `StoreTransfer.write`."""
        if relation == "held":
            for location, seq in rows:
                self._held[location].append(seq)
            return
        if relation == "quota":
            self._quotas.update((row[0], list(row[1:])) for row in rows)
            return
        names = RELATIONS[relation]
        if relation == "location":
            self._locations += [row[0] for row in rows]
        if relation == "pace":
            names, rows = ["span", "part", "sent"], [(span, 0, sent) for span, sent in rows]
        if relation == "owner":  # a file has one owner for all locations
            rows = [(of, *own) for at, *own in rows for of in ([at] if at else self._locations)]
        await self._connection.copy_records_to_table(
            relation,
            records=[tuple(storable(v) if isinstance(v, str) else v for v in row) for row in rows],
            columns=names,
            schema_name=self._place.schema,
        )

    async def finish(self) -> None:
        """See `StoreTransfer.finish`."""
        none: list[int | None] = [None] * 5
        tenures = [(of, self._held[of], *self._quotas.get(of, none)) for of in self._locations]
        await self._connection.executemany(_SQL["tenure"], tenures)
        await self._connection.execute(_SQL["count"])
        cursor = await self._connection.cursor(_SQL["files"])
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
    async with opened(where, {"synchronous_commit": "on"}) as connection:
        await check_server(where, connection)
        await prepare(where, connection, create=new)
        async with connection.transaction():
            await hold_alone(where, connection)
            if new and await connection.fetchval("SELECT EXISTS (SELECT FROM location)"):
                raise OutboxUnusableError(fault("has_records", place=where.shown))
            if not new and await is_kept(where, connection):
                raise OutboxUnusableError(fault("kept_already", schema=where.schema))
            yield PostgresTransfer(where, connection)
