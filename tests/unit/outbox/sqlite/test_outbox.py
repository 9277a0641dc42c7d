from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from outbox_kit import (
    ENVIRONMENT,
    OutboxFile,
    claimed,
    draft,
    drafts,
    failing,
    in_outbox,
    of_pages,
    published,
)

from leadconnector_async.errors import (
    OutboxBusyError,
    OutboxError,
    OutboxUnusableError,
    OutboxWriteError,
)
from leadconnector_async.outbox.base import Lease
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox

if TYPE_CHECKING:
    from pathlib import Path


async def test_one_owner_at_a_time(tmp_path: Path) -> None:
    """The second is told so; after the first has closed, it may."""
    path = tmp_path / "o.db"
    first = await SqliteOutbox.open(path)
    with pytest.raises(OutboxBusyError):
        await SqliteOutbox.open(path)
    await first.close()
    await (await SqliteOutbox.open(path)).close()


def test_closing_leaves_one_file(tmp_path: Path) -> None:
    """The log is folded in, and the lock is gone."""
    in_outbox(tmp_path / "o.db", lambda outbox: published(outbox, drafts(10)))
    assert [entry.name for entry in tmp_path.iterdir()] == ["o.db"]


async def test_an_outbox_whose_log_is_lost_is_refused(tmp_path: Path) -> None:
    """After a kill it holds what was sent; told each time, until it is put back."""
    path, away = tmp_path / "o.db", tmp_path / "away"
    away.mkdir()
    async with await SqliteOutbox.open(path) as outbox:
        await published(outbox, drafts(5))
        for suffix in ("", "-wal", ".lock"):  # as a kill leaves them
            shutil.copy(f"{path}{suffix}", away)
    log, killed = away / "o.db-wal", away / "o.db"
    log.rename(away / "log")
    for _ in range(2):
        with pytest.raises(OutboxUnusableError, match=r"put .*o\.db-wal back"):
            await SqliteOutbox.open(killed)
    (away / "log").rename(log)
    async with await SqliteOutbox.open(killed) as found:
        assert await found.unsent() == {"l1": 5}
    assert [file.name for file in away.iterdir()] == ["o.db"]


def test_a_large_file_without_tables_is_no_new_outbox(tmp_path: Path) -> None:
    """It is one that was copied without its log: all would be sent again."""
    path = tmp_path / "o.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE record (a); DROP TABLE record;")
    with pytest.raises(OutboxUnusableError, match=r"lacks its log, .*o\.db-wal"):
        in_outbox(path, lambda outbox: outbox.publish())


async def test_an_outbox_that_no_one_closed_warns_and_lets_go(tmp_path: Path) -> None:
    """As files and sockets do."""
    path = tmp_path / "o.db"

    async def forget() -> None:
        outbox = await SqliteOutbox.open(path)
        assert repr(outbox) == f"<SqliteOutbox {path} open>"

    with pytest.warns(ResourceWarning, match="was not closed"):
        await forget()
    async with asyncio.timeout(120):
        while True:
            try:
                await (await SqliteOutbox.open(path)).close()
            except OutboxBusyError:
                await asyncio.sleep(0.001)  # the thread is a real one, with a clock of its own
            else:
                return


@pytest.mark.slow
def test_a_full_disk_stops_everything(tmp_path: Path) -> None:
    """Nothing is claimed that is not on disk; afterwards the file opens with what was durable."""
    path = tmp_path / "o.db"
    durable = 0

    async def fill(outbox: SqliteOutbox) -> None:
        nonlocal durable
        for n in range(100):
            await published(outbox, drafts(50, location=f"l{n}"))
            durable += 50

    async def main() -> None:
        async with await SqliteOutbox.open(path, connect=of_pages(60)) as outbox:
            with pytest.raises(OutboxWriteError, match=r"o\.db: the disk is full: make room"):
                await fill(outbox)
            lease = Lease("l1", 1, 1)
            for call in (
                outbox.claim([(lease, 5)]),
                outbox.acquire("l1"),
                outbox.submit(draft("x")),
            ):
                with pytest.raises(OutboxWriteError, match="disk is full"):
                    await call

    asyncio.run(main())
    assert durable
    with OutboxFile(path) as reader:
        assert durable <= reader.summary().counts.pending <= durable + 50
    in_outbox(path, lambda outbox: published(outbox, drafts(500, location="more")))


def test_a_claim_that_is_not_on_disk_is_not_given(tmp_path: Path) -> None:
    """A failing sync must not let a request leave; afterwards the record is there to be claimed."""
    path = tmp_path / "o.db"
    in_outbox(path, lambda outbox: published(outbox, drafts(3)))
    fault = sqlite3.OperationalError("disk I/O error")

    async def main() -> None:
        async with await SqliteOutbox.open(
            path, connect=failing(fault, "COMMIT", after=2)
        ) as outbox:
            lease = (await outbox.acquire("l1")).lease
            with pytest.raises(OutboxWriteError, match="disk I/O error"):
                await outbox.claim([(lease, 1)])

    asyncio.run(main())

    async def after(outbox: SqliteOutbox) -> int:
        return len(await claimed(outbox, 9))

    assert in_outbox(path, after) == 3


LIMITED = """
import asyncio, resource, signal, sys
from leadconnector_async.errors import OutboxWriteError
from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox
from outbox_kit import drafts, published

async def main():
    async with await SqliteOutbox.open(sys.argv[1]) as outbox:
        await published(outbox, drafts(100))
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
        try:
            for n in range(1000):
                await published(outbox, drafts(100, location=f"l{n}"))
        except OutboxWriteError as error:
            print(error)

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit to set")
def test_a_write_that_the_system_refuses_is_an_error_with_a_fix(tmp_path: Path) -> None:
    """A limit of the process, as a quota of the drive would be; the file opens afterwards."""
    path = tmp_path / "o.db"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)],
        check=True,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert done.stdout.startswith(str(path))
    assert "run again" in done.stdout
    assert not done.stderr

    async def after(outbox: SqliteOutbox) -> int:
        return len(await claimed(outbox, 200, "l1"))

    assert in_outbox(path, after) == 100


def test_errors_hold_no_text_of_a_message(tmp_path: Path) -> None:
    """Nor do the errors that they come from."""
    secret = draft("a", payload=b"secret")
    path = tmp_path / "o.db"
    in_outbox(path, lambda outbox: published(outbox, drafts(3)))
    fault = sqlite3.OperationalError("disk I/O error")

    async def main() -> None:
        async with await SqliteOutbox.open(
            path, connect=failing(fault, "INSERT OR IGNORE")
        ) as outbox:
            with pytest.raises(OutboxError) as caught:
                await outbox.stage([secret], SourcePass())
        assert "secret" not in repr(caught.value)
        assert "secret" not in repr(caught.value.__cause__)

    asyncio.run(main())
