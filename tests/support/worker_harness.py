"""Real worker processes over one database: started, disturbed, and what came of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest
from cli_harness import wait_until
from outbox_kit import ENVIRONMENT

from leadconnector_async import InboundMessage
from leadconnector_async.outbox.postgres.connection import READING, connect
from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
from leadconnector_async.outbox.postgres.place import read_place
from leadconnector_async.outbox.postgres.schema import LOCK_MEMBER
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.records.draft import draft

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from leadconnector_async.records.draft import Draft
    from leadconnector_async.sandbox import Sandbox, SandboxThread

LEASE_S: Final = 3.0

PATIENCE_S: Final = 120.0

LANES: Final = 5

STARTED: Final[list[subprocess.Popen[bytes]]] = []

NEVER_ASKED: Final = """
import asyncio, sys
from leadconnector_async import cancellation, worker
from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
from leadconnector_async.transport.aiohttp_session import AiohttpTransport
PostgresOutbox.may_send = lambda self, lease: None
AiohttpTransport.abort = lambda self: None
async def cut_off(*tasks):
    await asyncio.sleep(0.2)
    await cancellation.cut_off(*tasks)
worker.cut_off = cut_off
from leadconnector_async.cli import main
sys.exit(main())
"""
"""The command without the check of the lease right before a request leaves, without an end of its
connections when that is over, and whose work goes on for a moment then."""


def contact(location: int, lane: int) -> str:
    """An id as the API gives them out."""
    return f"c{location:03}l{lane}".ljust(20, "x")


async def stage(url: str, locations: int, each: int, begin: int = 0) -> None:
    """Stage records, numbered from ``begin`` in the order of their dates within each lane."""
    async with await PostgresOutbox.open(url) as outbox:
        for location in range(locations):
            await outbox.stage(records_of(location, each, begin), SourcePass())
        await outbox.publish()


def records_of(location: int, each: int, begin: int = 0) -> list[Draft]:
    """Return the records of one location."""
    first = datetime(2024, 1, 1, tzinfo=UTC)
    return [
        draft(
            InboundMessage(
                type="SMS",
                direction="inbound",
                contact_id=contact(location, n % LANES),
                date=first + timedelta(minutes=n),
                message=f"{location}.{n % LANES}.{n:05}",
            ),
            location=f"location{location:03}",
            id=f"{location}-{n}",
            now_ms=0,
        )
        for n in range(begin, begin + each)
    ]


def start(
    sandbox: SandboxThread, url: str, *, checked: bool = True, drain: bool = True, token: str = ""
) -> subprocess.Popen[bytes]:
    """Start a worker, which drains."""
    command = ["-m", "leadconnector_async.cli"] if checked else ["-c", NEVER_ASKED]
    words = [
        *("worker", "--outbox", url, "--lease", str(LEASE_S), "--quiet"),
        *(["--drain"] if drain else []),
        *("--base-url", sandbox.url, "--quota", "off", "--concurrency", "8"),
        *("--timeout", "2", "--look-after", "2"),
    ]
    environment = ENVIRONMENT | {"LEADCONNECTOR_TOKEN": token or sandbox.token}
    worker = subprocess.Popen([sys.executable, *command, *words], env=environment)
    STARTED.append(worker)
    return worker


@pytest.fixture(autouse=True)
def _no_worker_is_left() -> Iterator[None]:
    """End the workers that a failed test has left, the stopped ones too."""
    yield
    while STARTED:
        worker = STARTED.pop()
        worker.kill()
        worker.wait()


def wait_for(sandbox: SandboxThread, count: int) -> None:
    """Wait until so many messages are stored."""
    wait_until(lambda: len(sandbox.messages) >= count)


def drained(workers: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait until all workers have ended by themselves."""
    for worker in workers:
        assert worker.wait(PATIENCE_S) == 0


def left(url: str) -> dict[str, int]:
    """What is not sent."""

    async def unsent() -> dict[str, int]:
        async with await PostgresOutbox.open(url) as outbox:
            return await outbox.unsent()

    return asyncio.run(unsent())


async def asked(url: str, query: str, *values: object) -> int:
    """Return the number that a query gives."""
    connection = await connect(read_place(url), READING)
    try:
        return int(await connection.fetchval(query, *values))
    finally:
        await connection.close()


async def takeovers(url: str) -> int:
    """How often a location went from one lease to another."""
    return await asked(url, "SELECT sum(epoch - 1) FROM tenure")


async def members(url: str) -> int:
    """How many share the locations."""
    key = read_place(url).lock_key(LOCK_MEMBER)
    query = "SELECT count(*) FROM pg_locks WHERE classid::bigint = $1 AND objid::bigint = $2"
    return await asked(url, query, key >> 32 & 0xFFFFFFFF, key & 0xFFFFFFFF)


def how_often(sandbox: SandboxThread | Sandbox) -> Counter[str]:
    """Each text, and how often it was stored."""
    return Counter(str(message.fields["message"]) for message in sandbox.messages)


def out_of_order(sandbox: SandboxThread) -> list[str]:
    """The texts that were stored behind a later one of their conversation."""
    latest: defaultdict[str, str] = defaultdict(str)
    found = []
    for message in sandbox.messages:
        text = str(message.fields["message"])
        lane, _, number = text.rpartition(".")
        if number < latest[lane]:
            found.append(text)
        latest[lane] = max(latest[lane], number)
    return found
