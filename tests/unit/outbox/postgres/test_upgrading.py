"""Two versions of the program and one outbox: who may use it, and when it is upgraded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from cli_harness import leadconnector
from outbox_kit import drafts, published

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.outbox.postgres.connection import connect
from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
from leadconnector_async.outbox.postgres.place import read_place
from leadconnector_async.outbox.postgres.schema import FORMAT, LOCK_MEMBER, OLDEST, check_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async.outbox.postgres.connection import Connection


FIRST = (
    *("outbox_format", "location", "source", "reason", "record", "unpublished", "queue", "tenure"),
    *("outcome", "tally", "pace", "lookup", "copy", "former", "reused"),
)
"""The tables of the first version."""

ADDED_SINCE = "SELECT tablename FROM pg_tables WHERE schemaname = $1 AND tablename <> ALL ($2)"


@pytest.fixture
def of_first_format(postgres_place: str, runner: asyncio.Runner) -> Iterator[Connection]:
    """A connection to an outbox as the first version made it."""
    place = read_place(postgres_place)

    async def made() -> Connection:
        async with await PostgresOutbox.open(postgres_place):
            connection = await connect(place, {})
        for (name,) in await connection.fetch(ADDED_SINCE, place.schema, FIRST):
            await connection.execute(f"DROP TABLE {name} CASCADE")
        await connection.execute("UPDATE outbox_format SET (format, readable_from) = (1, 1)")
        return connection

    connection = runner.run(made())
    yield connection
    runner.run(connection.close())


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """The loop of the connection."""
    with asyncio.Runner() as runner:
        yield runner


def format_of(runner: asyncio.Runner, connection: Connection) -> int:
    """Of which format the tables are."""
    return int(runner.run(connection.fetchval("SELECT format FROM outbox_format")))


@pytest.mark.slow
def test_an_upgrade_waits_until_nobody_of_the_older_version_is_left(
    postgres_place: str, of_first_format: Connection, runner: asyncio.Runner
) -> None:
    """It changes tables that they use. A lock that ends with its holder tells who is there."""
    upgrade = "outbox", "upgrade", postgres_place
    member = read_place(postgres_place).lock_key(LOCK_MEMBER)
    runner.run(of_first_format.execute(f"SELECT pg_advisory_lock_shared({member})"))
    refused = leadconnector(*upgrade)
    assert refused.exit_code == 1
    assert "end workers, imports and programs first" in refused.stderr
    assert format_of(runner, of_first_format) == OLDEST
    runner.run(of_first_format.execute(f"SELECT pg_advisory_unlock_shared({member})"))
    assert leadconnector(*upgrade).exit_code == 0
    assert format_of(runner, of_first_format) == FORMAT
    assert leadconnector(*upgrade).exit_code == 0


@pytest.mark.slow
async def test_versions_work_side_by_side_where_the_table_of_formats_says_so(
    postgres_place: str,
) -> None:
    """A newer format names the oldest one whose programs may go on; others are refused."""
    async with await PostgresOutbox.open(postgres_place) as one:
        connection = await connect(read_place(postgres_place), {})
        await connection.execute("UPDATE outbox_format SET format = format + 1")
        async with await PostgresOutbox.open(postgres_place) as two:
            await published(two, drafts(3))
            assert (await one.unsent()) == {"l1": 3}
        await connection.execute("UPDATE outbox_format SET readable_from = format")
        with pytest.raises(OutboxUnusableError, match="written by a newer version"):
            await PostgresOutbox.open(postgres_place)
        await connection.close()


def test_who_comes_in_sees_an_upgrade_that_came_between(
    postgres_place: str, of_first_format: Connection, runner: asyncio.Runner
) -> None:
    """Either an upgrade sees the newcomer, or the newcomer waits for it and sees the new format."""

    async def main() -> None:
        place = read_place(postgres_place)
        upgrading = of_first_format.transaction()
        await upgrading.start()
        await of_first_format.execute(f"SELECT pg_advisory_xact_lock({place.lock_key(0)})")
        newcomer = await connect(place, {})
        coming = asyncio.create_task(check_in(place, newcomer))
        await of_first_format.execute(
            "UPDATE outbox_format SET format = $1, readable_from = $1", FORMAT + 1
        )
        await upgrading.commit()
        with pytest.raises(OutboxUnusableError, match="written by a newer version"):
            await coming
        await newcomer.close()

    runner.run(main())
