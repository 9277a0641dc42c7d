"""The tables of an outbox in a database, their format number, and how they are made and upgraded.

What moves is small: a record waits in ``queue`` and ends in ``outcome``, and never changes its own
row. What the owner of a location writes, and what those who stage count, stand in rows of their
own, so that they never wait for each other.
"""

import logging
from typing import Final

from leadconnector_async.errors import OutboxBusyError, OutboxUnusableError
from leadconnector_async.outbox.database import fault, formats, statements
from leadconnector_async.outbox.postgres.connection import Connection
from leadconnector_async.outbox.postgres.place import PostgresPlace

_log: Final = logging.getLogger(__name__)

OLDEST: Final = 1
"""The oldest format that is brought up to date."""

BLOCK: Final = 4096
"""Numbers of records that a process takes at once: what their sequence grows by."""

MAX_INDEXED: Final = 1_000
"""Characters of a text that stand in an index: a page holds three entries at least."""

LOCK_FORMAT, LOCK_STAGING, LOCK_STAGER, LOCK_SHARD, LOCK_MEMBER, LOCK_TOKENS, LOCK_GUEST = range(7)
"""Kinds of advisory locks: of who makes the tables; of who stages, submits or publishes right now;
of each process that stages, as long as it lives; of each shard's owner; of all that share them; of
who refreshes an installation's tokens; of all that send without a share."""

_TABLES: Final = formats(__package__)

FORMAT: Final = len(_TABLES)
"""It grows with every change of the tables."""

_SQL: Final = statements(__package__, "schema")


async def prepare(place: PostgresPlace, connection: Connection, *, create: bool = True) -> None:
    """See that the schema holds an outbox of this format; make it or bring it up to date.

    Raises:
        OutboxBusyError: it is to be upgraded, and others have it open.
        OutboxUnusableError: it holds something else, or the outbox of a newer version; or it is
            not there, and ``create`` is False.
    """
    found = await _format(place, connection)
    if found == FORMAT:
        return
    if not create and found is None:
        await check_unmoved(place, connection)
        raise OutboxUnusableError(fault("missing", place=place.shown))
    async with connection.transaction():
        await _lock(place, connection)
        found = await _format(place, connection)  # by now another process may have made it
        if found is None:
            await _create(place, connection)
        elif found < FORMAT:
            await _check_alone(place, connection, "upgraded")
            await _upgrade(connection, found)


async def _lock(place: PostgresPlace, connection: Connection, *, shared: str = "") -> None:
    await connection.execute(f"SELECT pg_advisory_xact_lock{shared}({place.lock_key(LOCK_FORMAT)})")


async def check_unmoved(place: PostgresPlace, connection: Connection) -> None:
    """See that no new outbox takes the place of one that was moved: it would send all again.

    Raises:
        OutboxUnusableError: it would.
    """
    if await _format(place, connection) is None and await is_kept(place, connection):
        moved = f"{place.schema}_moved"
        raise OutboxUnusableError(fault("schema_moved", place=place.shown, moved=moved))


async def is_kept(place: PostgresPlace, connection: Connection) -> bool:
    """Whether an outbox that was moved from there has its name for that."""
    return bool(await connection.fetchval(_SQL["moved"], f"{place.schema}_moved"))


async def check_in(place: PostgresPlace, connection: Connection) -> None:
    """See that nobody has upgraded the outbox before this process was seen to use it.

    Raises:
        OutboxUnusableError: somebody has, and this version cannot use it any more.
    """
    async with connection.transaction():
        await _lock(place, connection, shared="_shared")
        await _format(place, connection)


async def check_schema(place: PostgresPlace, connection: Connection) -> None:
    """See that the schema holds an outbox that this version can read.

    Raises:
        OutboxUnusableError: it does not.
    """
    found = await _format(place, connection)
    if found is None:
        await check_unmoved(place, connection)
        raise OutboxUnusableError(fault("missing", place=place.shown))
    if found < FORMAT:
        facts = {"place": place.shown, "found": found, "reads": FORMAT}
        fix = "leadconnector outbox upgrade brings it up to date"
        raise OutboxUnusableError(fault("older", **facts, fix=fix))


async def hold_alone(place: PostgresPlace, connection: Connection) -> None:
    """Keep others from opening the outbox until the transaction ends.

    Raises:
        OutboxBusyError: some have it open.
    """
    await _lock(place, connection)
    await _check_alone(place, connection, "moved")


async def _check_alone(place: PostgresPlace, connection: Connection, done: str) -> None:
    key = place.lock_key(LOCK_FORMAT)
    others = await connection.fetchval(_SQL["others"], key >> 32, LOCK_FORMAT)
    if others:
        raise OutboxBusyError(fault("others_there", place=place.shown, done=done, others=others))


async def _format(place: PostgresPlace, connection: Connection) -> int | None:
    """The format of the outbox, or None where it is to be made."""
    is_outbox, has_tables, _ = await connection.fetchrow(_SQL["found"], place.schema)
    if not is_outbox:
        if has_tables:
            wrong = f"the schema {place.schema} holds the tables of something else"
            raise OutboxUnusableError(f"{place.shown}: {wrong}: choose another name for ?schema=")
        return None
    found = await connection.fetchrow("SELECT format, readable_from FROM outbox_format")
    if found is None:
        raise OutboxUnusableError(f"{place.shown} is damaged: restore it from a copy")
    if found[1] > FORMAT:
        facts = {"found": found[0], "reads": FORMAT}
        raise OutboxUnusableError(fault("newer", place=place.shown, **facts))
    return int(found[0])


async def _create(place: PostgresPlace, connection: Connection) -> None:
    *_, has_schema = await connection.fetchrow(_SQL["found"], place.schema)
    if not has_schema:  # where it is there, no right to make one is needed
        await connection.execute(f'CREATE SCHEMA "{place.schema}"')
    await connection.execute("".join(_TABLES))
    await connection.execute("INSERT INTO outbox_format VALUES ($1, $1)", FORMAT)
    _log.info("outbox made, of format %d", FORMAT)


async def _upgrade(connection: Connection, found: int) -> None:
    await connection.execute("".join(_TABLES[found:]))
    await connection.execute("UPDATE outbox_format SET format = $1, readable_from = $1", FORMAT)
    _log.info("outbox upgraded from format %d to %d", found, FORMAT)
