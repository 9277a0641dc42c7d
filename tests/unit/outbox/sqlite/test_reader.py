from __future__ import annotations

import asyncio
import gc
import sqlite3
import sys
import threading
import tracemalloc
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from outbox_kit import AT, OutboxFile, draft, drafts, in_outbox, listed, published

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.outbox.sqlite.reader import SqliteOutboxReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from leadconnector_async.outbox.reader import FailedRecord, OutboxSummary
    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox


def report(path: Path) -> OutboxSummary:
    """What a status report would be based on."""
    with OutboxFile(path) as reader:
        return reader.summary(now_ms=AT)


def failed_in(path: Path) -> list[FailedRecord]:
    """What a list of failed records would hold."""
    with OutboxFile(path) as reader:
        return list(reader.failed())


def test_a_list_that_is_read_slowly_does_not_hold_the_owner_up(tmp_path: Path) -> None:
    """The log can be cut back between two items."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> tuple[int, int]:
        await outbox.stage([draft(f"{n}", problem="no") for n in range(1_100)], SourcePass())
        async with SqliteOutboxReader(path) as reader:
            pages = reader.failed()
            await anext(pages)
            with sqlite3.connect(path) as connection:
                row = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            connection.close()
            return row[0], len(await listed(pages))

    assert in_outbox(path, work) == (0, 76)


def test_who_is_interrupted_leaves_no_thread_at_the_file(tmp_path: Path) -> None:
    """Closed under it, as at Ctrl-C, SQLite ended the process; what it reads is broken off."""
    path = tmp_path / "o.db"
    began, broken_off = threading.Event(), []
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT count(began(i)) FROM n"
    )

    def read(connection: sqlite3.Connection) -> None:
        connection.create_function("began", 1, lambda _: began.set())  # it is within the statement
        try:
            connection.execute(endless).fetchone()
        except sqlite3.OperationalError as error:
            broken_off.append(str(error))

    async def work(_: SqliteOutbox) -> None:
        async with SqliteOutboxReader(path) as reader, reader.at_one_moment():
            reading = asyncio.create_task(reader._read(read))
            await asyncio.to_thread(began.wait)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            assert broken_off == ["interrupted"]
            assert await reader.quotas() == {}

    in_outbox(path, work)


def test_who_is_interrupted_leaves_no_error_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """That a statement was broken off is nobody's error: the loop would print its traceback."""
    path = tmp_path / "o.db"
    began = threading.Event()
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(i) FROM n"
    )

    def read(connection: sqlite3.Connection) -> None:
        began.set()
        connection.execute(endless).fetchone()

    async def work(_: SqliteOutbox) -> None:
        async with SqliteOutboxReader(path) as reader:
            reading = asyncio.create_task(reader._read(read))
            await asyncio.to_thread(began.wait)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            del reading
            gc.collect()

    in_outbox(path, work)
    assert "never retrieved" not in caplog.text


def test_who_is_interrupted_between_pages_is_told_so_and_reads_on(tmp_path: Path) -> None:
    """What is broken off is that reading alone: neither its end nor the next, whatever is open."""
    path = tmp_path / "o.db"
    began, goes_on, kept = threading.Event(), threading.Event(), []
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"

    def read(connection: sqlite3.Connection) -> None:
        kept.append(connection.execute(many))
        kept[0].fetchone()
        began.set()
        goes_on.wait()

    async def report(reader: SqliteOutboxReader) -> None:
        async with reader.at_one_moment():
            await reader._read(read)

    async def work(_: SqliteOutbox) -> None:
        async with SqliteOutboxReader(path) as reader:
            reading = asyncio.create_task(report(reader))
            await asyncio.to_thread(began.wait)
            reading.cancel()
            for _turn in range(5):  # it waits for the thread then
                await asyncio.sleep(0)
            goes_on.set()
            with pytest.raises(asyncio.CancelledError):
                await reading
            assert await reader.quotas() == {}

    in_outbox(path, work)


@pytest.mark.parametrize("room", [0, 10, 25])
def test_pages_of_a_list_that_are_full_early_are_followed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """Each record is on the list once, in order, however large it is."""
    monkeypatch.setattr("leadconnector_async.outbox.sqlite.reader._FAILED_BYTES", room)
    path = tmp_path / "o.db"
    batch = [draft(f"k{n}", problem="no", line=n) for n in range(9)]
    in_outbox(path, lambda outbox: outbox.stage(batch, SourcePass()))
    assert [failed.raw for failed in failed_in(path)] == [one.raw for one in batch]


@pytest.mark.slow
def test_a_long_list_needs_little_memory(tmp_path: Path) -> None:
    """Eight bytes a record, whatever its size."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> None:
        batch = [
            replace(draft(f"{n}", problem="no", line=n), raw=bytes(5_000)) for n in range(2_000)
        ]
        await outbox.stage(batch, SourcePass())

    async def read() -> int:
        async with SqliteOutboxReader(path) as reader:
            pages = reader.failed()
            tracemalloc.start()
            assert sum([len(page) async for page in pages]) == 2_000
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        return peak

    in_outbox(path, work)
    assert asyncio.run(read()) < 2_000_000  # of ten; a page may be there while the next is read


def test_a_table_that_leads_in_circles_is_not_read_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As swapped pages do: a report would fill the disk."""
    path = tmp_path / "o.db"
    in_outbox(path, lambda outbox: published(outbox, drafts(3)))
    ended = SqliteOutboxReader._ended

    async def read() -> None:
        async with SqliteOutboxReader(path) as reader:
            monkeypatch.setattr(reader, "_ended", lambda _, limit: ended(reader, 0, limit))
            async for _ in reader.ends():
                pass

    with pytest.raises(ValueError, match="out of order"):
        asyncio.run(read())


def test_damage_is_reported_as_such(tmp_path: Path) -> None:
    """An error of the outbox, with its path, and not one of SQLite."""
    path = tmp_path / "o.db"
    in_outbox(path, lambda outbox: published(outbox, drafts(500)))
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * len(content[4096:])
    path.write_bytes(content)
    with (
        pytest.raises(OutboxUnusableError, match=r"o\.db is damaged"),
        OutboxFile(path) as reader,
    ):
        reader.summary()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE location SET name = CAST(x'736563726574ff' AS TEXT)",
        "UPDATE tally SET state = 'ab'",
        "INSERT INTO claimed (seqs) VALUES (7)",
        "INSERT INTO claimed (seqs) VALUES ('12345678')",
    ],
)
def test_damage_that_sqlite_does_not_see_is_reported_too(tmp_path: Path, damage: str) -> None:
    """A text that is none, a value of another type: as a bad disk leaves them."""
    path = tmp_path / "o.db"
    in_outbox(path, lambda outbox: published(outbox, drafts(3)))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(damage)
    with (
        pytest.raises(OutboxUnusableError, match=r"o\.db is damaged.* \(\w+Error\)") as raised,
        OutboxFile(path) as reader,
    ):
        reader.summary()
    assert "secret" not in str(raised.value)


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no modes there")
@pytest.mark.parametrize("look", [report, failed_in])
def test_a_copy_in_a_read_only_folder_can_be_read(
    tmp_path: Path, look: Callable[[Path], object]
) -> None:
    """A backup, for example. Root could write there, and reads it all the same."""
    folder = tmp_path / "backup"
    folder.mkdir()
    in_outbox(folder / "o.db", lambda outbox: published(outbox, drafts(3)))
    folder.chmod(0o500)
    try:
        look(folder / "o.db")
    finally:
        folder.chmod(0o700)
