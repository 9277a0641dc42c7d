from __future__ import annotations

import asyncio
import errno
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from outbox_kit import claimed, drafts, failing, fate, in_outbox, published

from leadconnector_async.auth.store import TokenStore
from leadconnector_async.errors import (
    OutboxBusyError,
    OutboxError,
    OutboxUnusableError,
    OutboxWriteError,
)
from leadconnector_async.locking import OwnerLock
from leadconnector_async.outbox.sqlite.connection import (
    copy_of,
    explained,
    open_to_read,
    open_to_write,
)
from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox


def refusal(path: Path) -> OutboxError:
    """Open a path that cannot be an outbox."""

    async def main() -> OutboxError:
        with pytest.raises(OutboxError) as caught:
            await SqliteOutbox.open(path)
        return caught.value

    return asyncio.run(main())


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """The message names the file, the folder, and the fix."""
    error = refusal(tmp_path / "no" / "o.db")
    assert isinstance(error, OutboxUnusableError)
    assert f"there is no folder {tmp_path / 'no'}: make it" in str(error)


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    """The message names the file, the folder, and the fix."""
    (tmp_path / "file").touch()
    assert isinstance(refusal(tmp_path / "file" / "o.db"), OutboxUnusableError)


def test_a_folder_is_no_outbox(tmp_path: Path) -> None:
    """It is refused, and the lock beside it goes again."""
    (tmp_path / "folder").mkdir()
    assert "is a folder: give the name of a file" in str(refusal(tmp_path / "folder"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


@pytest.mark.skipif(sys.platform != "linux", reason="a folder that refuses even root")
def test_a_folder_that_takes_no_files_is_named() -> None:
    """Root ignores modes, but not the kernel's own folders."""
    error = refusal(Path("/proc/self/o.db"))
    assert isinstance(error, OutboxUnusableError | OutboxWriteError)
    assert str(error).startswith("/proc/self/o.db")


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no modes there")
def test_a_read_only_folder_is_named(bound_by_modes: Path) -> None:
    """The message names the file and the fix."""
    bound_by_modes.chmod(0o500)
    error = refusal(bound_by_modes / "o.db")
    assert isinstance(error, OutboxWriteError)
    assert "choose a folder where files can be made" in str(error)


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no modes there")
async def test_a_folder_that_became_read_only_lets_go(bound_by_modes: Path) -> None:
    """Closing ends, and leaves the lock's file, which bars nobody."""
    outbox = await SqliteOutbox.open(bound_by_modes / "o.db")
    await published(outbox, drafts(5))
    await asyncio.to_thread(bound_by_modes.chmod, 0o500)
    async with asyncio.timeout(120):
        await outbox.close()
    await asyncio.to_thread(bound_by_modes.chmod, 0o700)
    async with await SqliteOutbox.open(bound_by_modes / "o.db") as found:
        assert await found.unsent() == {"l1": 5}


async def test_a_lock_that_cannot_be_written_at_the_end_lets_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full, say: closing ends, and the next owner gets in."""
    path = tmp_path / "o.db"
    outbox = await SqliteOutbox.open(path)
    with monkeypatch.context() as patched:
        patched.setattr(OwnerLock, "note", Mock(side_effect=OSError(28, "No space left")))
        async with asyncio.timeout(120):
            await outbox.close()
    await (await SqliteOutbox.open(path)).close()


def test_a_machine_without_a_folder_for_copies_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container that can write its volume alone, say: a dry run ended in a traceback."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "no"))
    with pytest.raises(OutboxWriteError, match="set TMPDIR to one with room"), copy_of(None):
        pass


def test_garbage_is_refused(tmp_path: Path) -> None:
    """A file that is no database at all stays as it is."""
    path = tmp_path / "o.db"
    path.write_bytes(b"type,message\n" * 1000)
    error = refusal(path)
    assert isinstance(error, OutboxUnusableError)
    assert "damaged, or is no outbox" in str(error)
    assert path.read_bytes() == b"type,message\n" * 1000


@pytest.mark.slow
def test_a_cut_off_file_is_refused(tmp_path: Path) -> None:
    """Half of an outbox is not taken for one."""
    path = tmp_path / "o.db"
    in_outbox(path, lambda outbox: published(outbox, drafts(5_000)))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert isinstance(refusal(path), OutboxUnusableError)


def test_damage_inside_is_found_when_it_is_met(tmp_path: Path) -> None:
    """A page that makes no sense stops the run as unusable, and not as a full disk."""
    path = tmp_path / "o.db"
    in_outbox(path, lambda outbox: published(outbox, drafts(5_000)))
    content = bytearray(path.read_bytes())
    content[8192:-4096] = b"\xff" * len(content[8192:-4096])
    path.write_bytes(content)

    async def main() -> None:
        with pytest.raises(OutboxUnusableError):
            async with await SqliteOutbox.open(path) as outbox:
                await published(outbox, drafts(10_000))

    asyncio.run(main())


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM record WHERE seq = 7",
        """INSERT INTO outcome (location, lane, seq, state, at, attempts)
            SELECT location, lane, seq, 2, 0, 1 FROM queue""",
        "INSERT INTO claimed VALUES (1, 'a text where numbers are')",
    ],
)
def test_damage_that_sqlite_does_not_see_is_told_as_such(tmp_path: Path, damage: str) -> None:
    """Rows that another page's have taken the place of end a run as unusable: it never hangs."""
    path = tmp_path / "o.db"
    in_outbox(path, lambda outbox: published(outbox, drafts(50)))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(damage)
    with pytest.raises(OutboxUnusableError, match=r"o\.db is damaged"):
        in_outbox(path, sends)


def test_a_text_of_other_bytes_is_told_as_damage_by_what_claims_it(tmp_path: Path) -> None:
    """Where a function is called with what SQLite reads, its error says nothing of the value."""
    path = tmp_path / "o.db"
    in_outbox(path, lambda outbox: published(outbox, drafts(50)))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE record SET late = CAST(x'ff' AS TEXT) WHERE seq = 7")
    with pytest.raises(OutboxUnusableError, match=r"o\.db is damaged"):
        in_outbox(path, lambda outbox: claimed(outbox, 50))


async def sends(outbox: SqliteOutbox) -> None:
    """Stage more, claim all, and settle them."""
    await published(outbox, drafts(60))
    await outbox.settle([fate(claim) for claim in await claimed(outbox, 100)], [])


async def test_a_connection_that_fails_leaves_no_lock(tmp_path: Path) -> None:
    """The file can be opened once the fault is gone."""
    path = tmp_path / "o.db"
    fault = sqlite3.OperationalError("disk I/O error")
    for statement in ("PRAGMA journal_mode", "CREATE TABLE record", "SELECT seq FROM sealed"):
        with pytest.raises(OutboxWriteError, match="disk I/O error"):
            await SqliteOutbox.open(path, connect=failing(fault, statement))
        locks = await asyncio.to_thread(lambda: list(tmp_path.glob("*.lock")))
        assert not locks
    await (await SqliteOutbox.open(path)).close()


def test_a_reader_needs_a_file(tmp_path: Path) -> None:
    """Reading makes no file, and says which one is missing."""
    with pytest.raises(OutboxUnusableError, match=r"o\.db does not exist"):
        open_to_read(str(tmp_path / "o.db"))
    assert not list(tmp_path.iterdir())


def test_a_reader_refuses_foreign_files(tmp_path: Path) -> None:
    """As the owner does."""
    with closing(sqlite3.connect(tmp_path / "o.db")) as connection:
        connection.execute("CREATE TABLE precious (text)")
    with pytest.raises(OutboxUnusableError, match="not an outbox"):
        open_to_read(str(tmp_path / "o.db"))


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    """Nor does it keep the owner from writing."""
    path = str(tmp_path / "o.db")
    with (
        closing(open_to_write(path, sqlite3.connect)) as owner,
        closing(open_to_read(path)) as reader,
    ):
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("INSERT INTO early VALUES (1)")
        owner.execute("INSERT INTO early VALUES (1)")
        assert reader.execute("SELECT seq FROM early").fetchall() == [(1,)]


def test_names_that_mean_something_in_a_uri_are_only_names(tmp_path: Path) -> None:
    """A path with a question mark, a percent sign or a space is opened as it is."""
    path = str(tmp_path / "a b?mode=rw%20#1.db")
    open_to_write(path, sqlite3.connect).close()
    open_to_read(path).close()
    assert Path(path).exists()


def test_a_name_that_begins_as_a_uri_is_only_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where SQLite is built so, it takes ``file:x`` for the file ``x``, which everyone may read."""
    monkeypatch.chdir(tmp_path)
    open_to_write("file:o.db", sqlite3.connect).close()
    open_to_read("file:o.db").close()
    asyncio.run(TokenStore("file:t.db").read("an installation"))
    names = {path.name for path in tmp_path.iterdir()}
    assert {"file:o.db", "file:t.db"} <= names
    assert not {"o.db", "t.db"} & names


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        (sqlite3.SQLITE_FULL, OutboxWriteError, "disk is full: make room"),
        (sqlite3.SQLITE_CORRUPT, OutboxUnusableError, "damaged"),
        (sqlite3.SQLITE_CORRUPT | (1 << 8), OutboxUnusableError, "damaged"),  # an extended code
        (sqlite3.SQLITE_NOTADB, OutboxUnusableError, "no outbox"),
        (sqlite3.SQLITE_BUSY, OutboxBusyError, "locked by another program"),
        (sqlite3.SQLITE_READONLY, OutboxWriteError, "may write it"),
        (sqlite3.SQLITE_IOERR, OutboxWriteError, "disk is in order"),
    ],
)
def test_codes_are_put_in_words(code: int, kind: type[OutboxError], says: str) -> None:
    """Each names the file and what to do about it."""
    error = sqlite3.DatabaseError("why")
    error.sqlite_errorcode = code
    told = explained("o.db", error)
    assert type(told) is kind
    assert str(told).startswith("o.db")
    assert says in str(told)


def test_a_full_disk_is_told_whoever_meets_it_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system says so of a new file; SQLite, of its log's index, only that writing failed."""
    told = [explained("o.db", OSError(errno.ENOSPC, "no space left"))]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    told.append(explained("o.db", error))
    assert {str(one) for one in told} == {"o.db: the disk is full: make room, and run again"}
