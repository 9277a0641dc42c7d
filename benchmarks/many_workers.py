"""How many locations does a database carry: two workers beside one, and 20,000 of one worker?

Each of 400 locations is paced by its quota, and a worker by what it may have in flight, which the
answers' latency bounds: twice the workers have twice of it, on the same database and server.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from leadconnector_async import InboundMessage
from leadconnector_async.outbox.postgres.connection import READING, connect
from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
from leadconnector_async.outbox.postgres.place import read_place
from leadconnector_async.outbox.postgres.schema import LOCK_MEMBER, LOCK_SHARD
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.records.draft import draft
from leadconnector_async.sandbox import Latency, SandboxConfig, SandboxThread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async.records.draft import Draft

PACED: Final = 400
EACH: Final = 5
IN_FLIGHT: Final = 8
SLOW: Final = SandboxConfig(latency=Latency(up=0.1, down=0.1), trusting=True)
MANY: Final = 20_000
BATCH: Final = 5_000

_LOCKS: Final = """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted
    AND classid::bigint = $1 & 4294967295 AND objid::bigint >> 24 = $2"""


def _drafts(locations: int, each: int) -> Iterator[Draft]:
    for number in range(each):
        for location in range(locations):
            message = InboundMessage(
                type="SMS",
                direction="inbound",
                contact_id=f"c{location}".ljust(20, "x"),
                message="text",
            )
            where = f"location{location}"
            yield draft(message, location=where, id=f"{location}-{number}", now_ms=number)


async def _staged(place: str, locations: int, each: int) -> None:
    async with await PostgresOutbox.open(place) as outbox:
        batch: list[Draft] = []
        for one in _drafts(locations, each):
            batch.append(one)
            if len(batch) == BATCH:
                await outbox.stage(batch, SourcePass())
                batch = []
        if batch:
            await outbox.stage(batch, SourcePass())
        await outbox.publish()


def _worker(sandbox: SandboxThread, place: str, *more: str) -> subprocess.Popen[bytes]:
    words = ["worker", "--outbox", place, "--quiet", "--base-url", sandbox.url, *more]
    return subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "leadconnector_async.cli", *words, "--concurrency", str(IN_FLIGHT)],
        env=os.environ | {"LEADCONNECTOR_TOKEN": sandbox.token},
    )


def paced(place: str, workers: int) -> dict[str, float]:
    """Let so many workers, which are there, send what is paced: from the first to the last."""
    asyncio.run(_staged(place, 0, 0))
    with SandboxThread(SLOW) as sandbox:
        processes = [_worker(sandbox, place) for _ in range(workers)]
        while asyncio.run(_locks(place, LOCK_MEMBER)) < workers:
            time.sleep(0.1)
        asyncio.run(_staged(place, PACED, EACH))
        while len(sandbox.messages) < PACED * EACH:
            time.sleep(0.1)
        for process in processes:
            process.terminate()
            assert process.wait() == 0
        stored = sandbox.messages
        took = stored[-1].stored_at - stored[0].stored_at
    return {"seconds": round(took, 2), "per_s": round(len(stored) / took, 1)}


async def _locks(place: str, kind: int) -> int:
    where = read_place(place)
    connection = await connect(where, READING)
    try:
        return int(await connection.fetchval(_LOCKS, where.lock_key(0) >> 32, kind))
    finally:
        await connection.close()


def many(place: str) -> dict[str, Any]:
    """Let one worker own 20,000 locations, with a record each."""
    asyncio.run(_staged(place, MANY, 1))
    config = SandboxConfig(trusting=True)
    with SandboxThread(config) as sandbox:
        began = time.perf_counter()
        process = _worker(sandbox, place, "--drain")
        while not sandbox.messages:
            time.sleep(0.01)
        first = time.perf_counter() - began
        locks = asyncio.run(_locks(place, LOCK_SHARD))
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        assert len(sandbox.messages) == MANY
    return {
        "locks": locks,
        "first_sent_s": round(first, 2),
        "all_sent_s": round(time.perf_counter() - began, 2),
        "cpu_us": round((usage.ru_utime + usage.ru_stime) / MANY * 1e6, 2),
        "peak_mib": round(usage.ru_maxrss / 1024, 1),
    }
