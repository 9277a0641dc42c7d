"""The tables of an outbox in a database, their format number, and how they are made and upgraded.

What moves is small: a record waits in ``queue`` and ends in ``outcome``, and never changes its own
row. What the owner of a location writes, and what those who stage count, stand in rows of their
own, so that they never wait for each other.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from asyncpg import exceptions as pg

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.outbox.postgres.connection import explained

if TYPE_CHECKING:
    from leadconnector_async.outbox.postgres.connection import Connection
    from leadconnector_async.outbox.postgres.place import PostgresPlace

_log: Final = logging.getLogger(__name__)

FORMAT: Final = 1
"""Raise it with every change of the tables, and say in ``_ADDED`` what changes."""

OLDEST: Final = 1
"""The oldest format that is brought up to date."""

BLOCK: Final = 4096
"""Numbers of records that a process takes at once."""

MAX_INDEXED: Final = 1_000
"""Characters of a text that stand in an index: a page holds three entries at least."""

LOCK_FORMAT, LOCK_STAGING, LOCK_STAGER, LOCK_SHARD, LOCK_MEMBER = range(5)
"""Kinds of advisory locks: of who makes the tables; of who stages, submits or publishes right now;
of each process that stages, as long as it lives; of each shard's owner; of all that share them."""

_TABLES: Final = f"""
CREATE TABLE outbox_format (format int NOT NULL, readable_from int NOT NULL);
CREATE SEQUENCE record_number INCREMENT BY {BLOCK};
CREATE SEQUENCE stager_number;
CREATE TABLE location (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
CREATE UNIQUE INDEX location_name ON location (md5(name));
CREATE TABLE source (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, form bytea NOT NULL);
CREATE UNIQUE INDEX source_name ON source (md5(name), md5(form));
CREATE TABLE reason (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text NOT NULL);
CREATE UNIQUE INDEX reason_text ON reason (md5(text));

-- payload is NULL exactly where validation refused the record, or it is left out.
CREATE TABLE record (
    seq bigint PRIMARY KEY, lane bigint NOT NULL, date bigint NOT NULL, location int NOT NULL,
    traits smallint NOT NULL, key bytea NOT NULL, payload bytea, late text);
CREATE UNIQUE INDEX record_key ON record (location, key);
CREATE INDEX record_traits ON record (seq) WHERE traits <> 0;
CREATE TABLE origin (seq bigint PRIMARY KEY, source int NOT NULL, line int NOT NULL, raw bytea);

-- What was staged and is not published: numbers from "first" to before "end", by who stages.
CREATE TABLE unpublished (
    first bigint PRIMARY KEY, "end" bigint NOT NULL, stager bigint NOT NULL);

-- Every record that is published and not settled, in flight or not.
CREATE TABLE queue (
    lane bigint NOT NULL, date bigint NOT NULL, seq bigint NOT NULL, location int NOT NULL,
    attempts int NOT NULL, PRIMARY KEY (location, lane, date, seq))
    WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.1);

-- Written by the owner of the location alone: its fencing token, what is claimed and not settled,
-- what was settled and put back, and the quota that is used.
CREATE TABLE tenure (
    location int PRIMARY KEY, epoch bigint NOT NULL DEFAULT 0, held bigint[] NOT NULL DEFAULT '{{}}',
    pending bigint NOT NULL DEFAULT 0, sent bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0, unresolved bigint NOT NULL DEFAULT 0,
    first_at bigint, last_at bigint,
    day_used bigint, day_ends bigint, window_used bigint, window_ends bigint, day_limit bigint)
    WITH (fillfactor = 30, autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE outcome (
    lane bigint NOT NULL, seq bigint NOT NULL, at bigint NOT NULL, location int NOT NULL,
    attempts int NOT NULL, reason int, state smallint NOT NULL, message_id text,
    conversation_id text, email_message_id text, detail bytea, PRIMARY KEY (location, lane, seq));
-- 2 is State.SENT: a million sent records are not in here.
CREATE INDEX outcome_failed ON outcome (state, reason, seq) WHERE state > 2;

-- What is counted when records are staged, mended or given up. "part" keeps rehearsals apart.
CREATE TABLE tally (
    location int NOT NULL, state smallint NOT NULL, part int NOT NULL, n bigint NOT NULL,
    PRIMARY KEY (location, state, part)) WITH (fillfactor = 50);
-- How many were sent in each span of ten seconds, by process: nobody waits for another's row.
CREATE TABLE pace (
    span bigint NOT NULL, part int NOT NULL, sent bigint NOT NULL, PRIMARY KEY (span, part))
    WITH (fillfactor = 50);

-- What the API's answers taught: ids of contacts and conversations, URLs of files, threads.
CREATE TABLE lookup (
    location int NOT NULL, name text COLLATE "C" NOT NULL, value text NOT NULL,
    PRIMARY KEY (location, name));

-- How often a source holds a record that it is not the origin of, or more often than once: at most
-- in one pass (n), and in the latest (met in source_pass).
CREATE TABLE copy (
    source int NOT NULL, seq bigint NOT NULL, n int NOT NULL, met int NOT NULL,
    source_pass bigint NOT NULL, line int NOT NULL, PRIMARY KEY (source, seq));
CREATE INDEX copy_seq ON copy (seq);
-- Digests of the lines that a record was before it was mended.
CREATE TABLE former (seq bigint NOT NULL, line bytea NOT NULL, PRIMARY KEY (seq, line));
-- Digests of what records say that were refused since their id is another's.
CREATE TABLE reused (seq bigint PRIMARY KEY, content bytea NOT NULL);

INSERT INTO outbox_format VALUES ({FORMAT}, {OLDEST});
"""

_ADDED: Final[tuple[str, ...]] = ()
"""What each format from the second on has that the one before it has not."""

_FOUND: Final = """SELECT to_regclass(format('%I.outbox_format', $1::text)) IS NOT NULL,
    EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident($1))),
    to_regnamespace(quote_ident($1)) IS NOT NULL"""


async def prepare(place: PostgresPlace, connection: Connection, *, create: bool = True) -> None:
    """See that the schema holds an outbox of this format; make it or bring it up to date.

    Raises:
        OutboxUnusableError: it holds something else, or the outbox of a newer version; or it is
            not there, and ``create`` is False.
    """
    try:
        if await _format(place, connection) == FORMAT:
            return
        if not create and await _format(place, connection) is None:
            raise _missing(place)
        async with connection.transaction():
            key = place.lock_key(LOCK_FORMAT)
            await connection.execute(f"SELECT pg_advisory_xact_lock({key})")
            found = await _format(place, connection)  # by now another process may have made it
            if found is None:
                await _create(place, connection)
            elif found < FORMAT:
                await _upgrade(connection, found)
    except (pg.PostgresError, pg.InterfaceError, OSError) as error:
        raise explained(place, error) from None


async def check_schema(place: PostgresPlace, connection: Connection) -> None:
    """See that the schema holds an outbox that this version can read.

    Raises:
        OutboxUnusableError: it does not.
    """
    try:
        found = await _format(place, connection)
    except (pg.PostgresError, pg.InterfaceError, OSError) as error:
        raise explained(place, error) from None
    if found is None:
        raise _missing(place)
    if found < FORMAT:
        fix = "leadconnector outbox upgrade brings it up to date"
        raise OutboxUnusableError(
            f"{place.shown} has format {found}, and this version reads {FORMAT}: {fix}"
        )


def _missing(place: PostgresPlace) -> OutboxUnusableError:
    return OutboxUnusableError(
        f"{place.shown} does not exist: give the outbox of an earlier import"
    )


async def _format(place: PostgresPlace, connection: Connection) -> int | None:
    """The format of the outbox, or None where it is to be made."""
    row = await connection.fetchrow(_FOUND, place.schema)
    assert row is not None  # noqa: S101 - it has one row
    is_outbox, has_tables, _ = row
    if not is_outbox:
        if has_tables:
            raise OutboxUnusableError(
                f"{place.shown}: the schema {place.schema} holds the tables of something else: "
                "choose another name for ?schema="
            )
        return None
    found = await connection.fetchrow("SELECT format, readable_from FROM outbox_format")
    if found is None:
        raise OutboxUnusableError(f"{place.shown} is damaged: restore it from a copy")
    if found[1] > FORMAT:
        raise OutboxUnusableError(
            f"{place.shown} was written by a newer version (format {found[0]}, this one reads "
            f"{FORMAT}): upgrade leadconnector-async"
        )
    return max(int(found[0]), FORMAT) if found[0] > FORMAT else int(found[0])


async def _create(place: PostgresPlace, connection: Connection) -> None:
    row = await connection.fetchrow(_FOUND, place.schema)
    if row is not None and not row[2]:  # where it is there, no right to make one is needed
        await connection.execute(f'CREATE SCHEMA "{place.schema}"')
    await connection.execute(_TABLES)
    _log.info("outbox made, of format %d", FORMAT)


async def _upgrade(connection: Connection, found: int) -> None:
    for statements in _ADDED[found - OLDEST :]:
        await connection.execute(statements)
    await connection.execute("UPDATE outbox_format SET format = $1, readable_from = $1", FORMAT)
    _log.info("outbox upgraded from format %d to %d", found, FORMAT)
