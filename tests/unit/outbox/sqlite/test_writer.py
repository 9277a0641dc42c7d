from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
from outbox_kit import ENVIRONMENT, failing

from leadconnector_async.errors import OutboxError, OutboxUnusableError, OutboxWriteError
from leadconnector_async.outbox.sqlite.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from leadconnector_async.outbox.sqlite.connection import Connect


class Notes:
    """The simplest store: a table of numbers, and their sum in memory."""

    def __init__(self, path: Path, connect: Connect) -> None:
        self.connection = connect(
            str(path), timeout=1.0, isolation_level=None, cached_statements=16, uri=False
        )
        self.connection.execute("CREATE TABLE IF NOT EXISTS note (n INTEGER PRIMARY KEY)")
        self.commits = 0
        self.connection.set_trace_callback(self._count)
        self.is_closed = False
        self.total = 0
        self.reload()

    def _count(self, statement: str) -> None:
        self.commits += statement == "COMMIT"

    def reload(self) -> None:
        """Add up what the table has."""
        (self.total,) = self.connection.execute("SELECT coalesce(sum(n), 0) FROM note").fetchone()

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()
        self.is_closed = True

    def add(self, n: int) -> int:
        """Write a number down; return the new sum."""
        self.connection.execute("INSERT INTO note VALUES (?)", (n,))
        self.total += n
        if n < 0:
            raise ValueError(f"{n} is negative")
        return self.total


def add(n: int) -> Callable[[Notes], int]:
    """Make a job."""
    return lambda notes: notes.add(n)


@asynccontextmanager
async def opened(path: Path, *, connect: Connect = sqlite3.connect) -> AsyncIterator[Writer[Notes]]:
    """A writer, which is closed in the end."""
    writer = Writer(str(path), partial(Notes, path, connect))
    await writer.start()
    try:
        yield writer
    finally:
        await writer.close()


async def stalled(writer: Writer[Notes]) -> Callable[[], None]:
    """Keep the thread in a job until the returned function is called."""
    inside, go_on = threading.Event(), threading.Event()

    def wait(_: Notes) -> None:
        inside.set()
        go_on.wait(10)

    asyncio.ensure_future(writer.run(wait))  # noqa: RUF006 - its future is in the writer's hands
    await asyncio.to_thread(inside.wait, 10)
    return go_on.set


def written(path: Path) -> list[int]:
    """What has become durable."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT n FROM note ORDER BY n").fetchall()
    connection.close()
    return [n for (n,) in rows]


async def test_what_is_asked_together_is_committed_together(tmp_path: Path) -> None:
    """While one commit is under way, all that is asked goes into the next."""
    async with opened(tmp_path / "n.db") as writer:
        go_on = await stalled(writer)
        rest = [asyncio.ensure_future(writer.run(add(n))) for n in range(1, 51)]
        await asyncio.sleep(0)
        go_on()
        assert (await asyncio.gather(*rest))[-1] == sum(range(51))
        assert await writer.run(lambda notes: notes.commits) == 2


@pytest.mark.parametrize("first", [(1, -5), (-5, 1)], ids=["second", "first"])
async def test_a_job_that_fails_is_undone_alone(tmp_path: Path, first: tuple[int, int]) -> None:
    """Its neighbours in the same commit stay, and the store in memory agrees with the file."""
    async with opened(tmp_path / "n.db") as writer:
        go_on = await stalled(writer)
        jobs = [asyncio.ensure_future(writer.run(add(n))) for n in (*first, 2, 1, 4)]
        await asyncio.sleep(0)
        go_on()
        results = await asyncio.gather(*jobs, return_exceptions=True)
        assert isinstance(results.pop(first.index(-5)), ValueError)
        assert isinstance(damage := results.pop(2), OutboxUnusableError)
        assert isinstance(damage.__cause__, sqlite3.IntegrityError)
        assert results == [1, 3, 7]
    assert written(tmp_path / "n.db") == [1, 2, 4]


@pytest.mark.parametrize("statement", ["BEGIN", "INSERT", "COMMIT"])
async def test_a_store_that_failed_fails_for_good(tmp_path: Path, statement: str) -> None:
    """All of the commit's waiters and all later ones are told, though the fault may be gone."""
    fault = sqlite3.OperationalError("disk I/O error")
    path = tmp_path / "n.db"
    async with opened(path, connect=failing(fault, statement, after=1)) as writer:
        assert await writer.run(add(1)) == 1
        jobs = [asyncio.ensure_future(writer.run(add(n))) for n in (2, 3)]
        errors = await asyncio.gather(*jobs, return_exceptions=True)
        with pytest.raises(OutboxWriteError) as later:
            await writer.run(add(4))
        for error in (*errors, later.value):
            assert isinstance(error, OutboxWriteError)
            assert error.__cause__ is fault
            assert str(path) in str(error)
    assert written(path) == [1]
    async with opened(path) as writer:
        await writer.run(Notes.reload)


async def test_a_cancelled_waiter_does_not_cancel_its_job(tmp_path: Path) -> None:
    """What the store was told to do, it does."""
    async with opened(tmp_path / "n.db") as writer:
        job = asyncio.ensure_future(writer.run(add(1)))
        await asyncio.sleep(0)
        job.cancel()
        assert await writer.run(add(2)) == 3
        assert job.cancelled()
    assert written(tmp_path / "n.db") == [1, 2]


async def test_closing_finishes_what_was_asked(tmp_path: Path) -> None:
    """Jobs that are queued are done before the thread ends."""
    async with opened(tmp_path / "n.db") as writer:
        jobs = [asyncio.ensure_future(writer.run(add(n))) for n in (1, 2)]
        await asyncio.sleep(0)
        await writer.close()
        assert [job.result() for job in jobs] == [1, 3]
        with pytest.raises(OutboxError, match="is closed"):
            await writer.run(add(3))


async def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    """One after the other, or both at once."""
    async with opened(tmp_path / "n.db") as writer:
        await asyncio.gather(writer.close(), writer.close())
        await writer.close()


async def test_closing_goes_on_when_it_is_cancelled(tmp_path: Path) -> None:
    """The thread ends, what was asked is durable, and the file is let go of: who owns it knows."""
    kept: list[Notes] = []
    async with opened(tmp_path / "n.db") as writer:
        await writer.run(kept.append)
        go_on = await stalled(writer)
        job = asyncio.ensure_future(writer.run(add(1)))
        closing = asyncio.ensure_future(writer.close())
        await asyncio.sleep(0)
        closing.cancel()
        asyncio.get_running_loop().call_soon(go_on)
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert kept[0].is_closed
        assert await job == 1
    assert written(tmp_path / "n.db") == [1]


def test_a_loop_that_closes_first_leaves_no_thread(tmp_path: Path) -> None:
    """The thread does what it was asked, finds no one to tell, and ends."""
    path = tmp_path / "n.db"

    async def main() -> Writer[Notes]:
        writer = Writer(str(path), partial(Notes, path, sqlite3.connect))
        await writer.start()
        job = asyncio.ensure_future(writer.run(add(1)))
        await asyncio.sleep(0)
        job.cancel()
        return writer

    writer = asyncio.run(main())
    writer.stop()
    for thread in threading.enumerate():
        if str(path) in thread.name:
            thread.join(10)
            assert not thread.is_alive()
    assert written(path) == [1]


def test_a_store_that_does_not_open_raises_where_it_is_awaited(tmp_path: Path) -> None:
    """And leaves no thread."""
    error = OutboxError("no")

    def refuse() -> Notes:
        raise error

    async def main() -> None:
        writer = Writer("n.db", refuse)
        with pytest.raises(OutboxError) as caught:
            await writer.start()
        assert caught.value is error
        await writer.close()

    asyncio.run(main())
    assert not any("n.db" in thread.name for thread in threading.enumerate())
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_opening_that_is_cancelled_leaves_no_thread(tmp_path: Path) -> None:
    """Whether the store opens in the end or not, it is let go of."""
    path = tmp_path / "n.db"

    async def main(*, fails: bool) -> list[Notes]:
        go_on = threading.Event()
        opened: list[Notes] = []

        def slow() -> Notes:
            go_on.wait(10)
            if fails:
                raise OutboxError("no")
            opened.append(Notes(path, sqlite3.connect))
            return opened[0]

        writer = Writer("n.db", slow)
        starting = asyncio.ensure_future(writer.start())
        await asyncio.sleep(0)
        starting.cancel()
        asyncio.get_running_loop().call_soon(go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await starting
        await writer.close()
        return opened

    assert all(notes.is_closed for notes in asyncio.run(main(fails=False)))
    assert asyncio.run(main(fails=True)) == []


UNCLOSED = """
import asyncio, sys
from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox

async def main():
    return await SqliteOutbox.open(sys.argv[1])

kept = asyncio.run(main())
"""


@pytest.mark.slow
def test_an_outbox_that_no_one_closed_does_not_keep_the_program_from_ending(tmp_path: Path) -> None:
    """The thread is no reason for an interpreter to stay."""
    command = [sys.executable, "-c", UNCLOSED, str(tmp_path / "o.db")]
    subprocess.run(command, check=True, timeout=120, env=ENVIRONMENT)
