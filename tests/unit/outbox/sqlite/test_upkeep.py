from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sqlite3
import stat
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cli_harness import at, leadconnector, sms, write_jsonl
from msgspec.structs import replace
from outbox_kit import claimed, draft, drafts, fate, in_outbox, published

from leadconnector_async.errors import OutboxBusyError, OutboxUnusableError, OutboxWriteError
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.open import open_outbox, read_outbox, rehearsal
from leadconnector_async.outbox.sqlite import connection as files, upkeep
from leadconnector_async.outbox.upkeep import back_up, empty_files, forget_texts, give_up
from leadconnector_async.records.deferred import Deferred, LocalFile
from leadconnector_async.sandbox import SandboxThread
from leadconnector_async.sources.files.spool import URLS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox
    from leadconnector_async.records.draft import Draft


async def fill(outbox: SqliteOutbox) -> None:
    """Records of all kinds: sent, failed, in flight and waiting."""
    await published(outbox, drafts(6))
    claims = await claimed(outbox, 4)
    await outbox.settle([fate(claims[0]), fate(claims[1], State.REJECTED, reason="no")], ())


BREAKS = {
    "records that neither wait nor have an end": "DELETE FROM queue WHERE seq = 6",
    "records that wait and have an end": "INSERT INTO queue VALUES (1, 0, 0, 1, 0)",
    "places in the queue without their record": "UPDATE queue SET date = 99 WHERE seq = 6",
    "ends without their record": "UPDATE outcome SET seq = 99 WHERE seq = 1",
    "notes on records that are not there": "INSERT INTO former VALUES (99, x'00')",
    "records whose location, source or reason is not there": "DELETE FROM reason",
    "counts of a location that differ from its records": "UPDATE tally SET n = n + 1",
}


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_damaged_is_found(tmp_path: Path, what: str) -> None:
    """Each rule, broken by hand; and nothing where it is sound."""
    path = tmp_path / "o.db"
    in_outbox(path, fill)
    assert asyncio.run(read_outbox(path, lambda reader: reader.broken())) == {}
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(BREAKS[what])
        connection.commit()
    assert what in asyncio.run(read_outbox(path, lambda reader: reader.broken()))


def test_what_may_be_stored_is_not_given_up(tmp_path: Path) -> None:
    """Nor what is another location's: it is looked for by the next owner."""
    path = tmp_path / "o.db"

    async def leave(outbox: SqliteOutbox) -> None:
        await fill(outbox)
        await published(outbox, drafts(2, location="l2"))

    in_outbox(path, leave)
    assert [asyncio.run(give_up(path, name)) for name in ("l1", "l1", "l3")] == [2, 0, 0]

    async def left(outbox: SqliteOutbox) -> tuple[int, dict[str, int]]:
        return len((await outbox.acquire("l1")).unknown), await outbox.unsent()

    assert in_outbox(path, left) == (2, {"l1": 2, "l2": 2})


def test_a_copy_is_made_beside_the_owner(tmp_path: Path) -> None:
    """As it is at that moment, private, with the folder of files; never over another file."""
    path, target = tmp_path / "o.db", tmp_path / "copy.db"
    files = tmp_path / "o.db.files" / "ab"
    files.mkdir(parents=True)
    (files / "a.txt").write_text("attached")

    async def copy(outbox: SqliteOutbox) -> None:
        await fill(outbox)
        await back_up(path, str(target))
        await published(outbox, drafts(3, location="l2"))

    in_outbox(path, copy)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    summary = asyncio.run(read_outbox(target, lambda reader: reader.summary()))
    assert summary.records == 6
    assert asyncio.run(read_outbox(target, lambda reader: reader.broken())) == {}
    assert (tmp_path / "copy.db.files" / "ab" / "a.txt").read_text() == "attached"
    with pytest.raises(OutboxUnusableError, match="exists already"):
        asyncio.run(back_up(path, str(target)))
    with pytest.raises((OutboxUnusableError, OutboxWriteError), match="there is no folder"):
        asyncio.run(back_up(path, str(tmp_path / "no" / "copy.db")))
    assert [item.name for item in tmp_path.glob("*.part")] == []


@pytest.mark.parametrize(
    "name",
    [
        "file:o.db",
        pytest.param(
            b"\xff\xfe.db",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="no such names"),
        ),
    ],
)
def test_an_outbox_of_any_name_is_copied_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | bytes
) -> None:
    """Of one that SQLite takes for a URI the copy was empty; one that is no text ended --json."""
    monkeypatch.chdir(tmp_path)
    path = os.fsdecode(name)
    in_outbox(Path(path), fill)
    asyncio.run(back_up(path, f"{path}.copy"))
    for outbox in (path, f"{path}.copy"):
        run = leadconnector("outbox", "check", "--outbox", outbox, "--json")
        assert (run.exit_code, '"records":6' in run.stdout) == (0, True), run.output


def test_a_name_that_is_too_long_is_told(tmp_path: Path) -> None:
    """For an outbox, and for a copy of one."""
    path, long = tmp_path / "o.db", str(tmp_path / ("x" * 300))
    in_outbox(path, fill)
    with pytest.raises(OutboxWriteError, match="name too long"):
        asyncio.run(open_outbox(long))
    with pytest.raises(OutboxUnusableError, match="does not exist"):
        asyncio.run(read_outbox(long, lambda reader: reader.broken()))
    with pytest.raises(OutboxWriteError, match="name too long"):
        asyncio.run(back_up(path, long))


def test_a_copy_without_all_of_its_files_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It appears once they are there, and the same command copies again; but for what is gone."""
    path, target, files = tmp_path / "o.db", tmp_path / "copy.db", tmp_path / "o.db.files" / "ab"
    in_outbox(path, fill)
    files.mkdir(parents=True)
    (files / "a.txt").write_text("attached")
    (files / "gone.txt").write_text("sent meanwhile")

    is_full = True

    def copied(source: str, copy: str) -> str:
        if "gone" in source:
            Path(source).unlink()
        elif is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return shutil.copy2(source, copy)

    monkeypatch.setattr(upkeep, "copytree", partial(shutil.copytree, copy_function=copied))
    with pytest.raises(OutboxWriteError, match=r"copy\.db\.files lacks files: make room"):
        asyncio.run(back_up(path, str(target)))
    assert not target.exists()
    is_full = False
    (files / "gone.txt").write_text("sent meanwhile")
    asyncio.run(back_up(path, str(target)))
    assert [file.name for file in (tmp_path / "copy.db.files" / "ab").iterdir()] == ["a.txt"]
    assert target.exists()


async def _rehearsed(path: Path) -> None:
    async with rehearsal(path) as outbox:
        await outbox.publish()
        await outbox.unsent()


def test_the_damaged_file_is_named_and_not_its_copy(tmp_path: Path) -> None:
    """A dry run and a backup read a copy, which is gone when somebody looks for it."""
    path = tmp_path / "o.db"
    in_outbox(path, fill)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sound = path.read_bytes()
    path.write_bytes(sound[:4096] + b"\xff" * (len(sound) - 4096))
    for read in (back_up(path, str(tmp_path / "copy.db")), _rehearsed(path)):
        with pytest.raises(OutboxUnusableError, match=rf"{path} is damaged"):
            asyncio.run(read)


def test_what_is_forgotten_is_in_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor in a page that is free. Where a reader keeps the file as it was, that is no success."""
    monkeypatch.setattr(files, "_BUSY_S", 0.0)
    path = tmp_path / "o.db"

    async def send(outbox: SqliteOutbox) -> None:
        await published(outbox, [draft(f"i{n}", payload=b'{"message":"secret"}') for n in range(9)])
        await outbox.settle([fate(claim) for claim in await claimed(outbox, 9)], ())

    in_outbox(path, send)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM record").fetchone()
        with pytest.raises(OutboxBusyError, match="is read by another program"):
            asyncio.run(forget_texts(path))
        assert b"secret" in path.read_bytes()
    asyncio.run(forget_texts(path))
    assert not any(b"secret" in file.read_bytes() for file in tmp_path.glob("o.db*"))


def test_only_files_that_no_record_needs_are_deleted(tmp_path: Path) -> None:
    """Of those that came within sources: what else lies in their folder is not the outbox's."""
    path = tmp_path / "o.db"
    digests = needed, sent, unknown = [f"{n:032x}" for n in range(3)]

    def lacking(key: str, digest: str) -> Draft:
        part = Deferred(attachments=[LocalFile(f"/{key}.png", digest)])
        return replace(draft(key), deferred=part.encoded())

    async def fill(outbox: SqliteOutbox) -> None:
        await published(outbox, [lacking("a", sent)])
        await outbox.settle([fate(claim) for claim in await claimed(outbox, 1)], ())
        await published(outbox, [lacking("b", needed)])

    in_outbox(path, fill)
    for name in (*digests, URLS, "of the user"):
        (tmp_path / "o.db.files" / name).mkdir(parents=True)
    notes = tmp_path / "o.db.files" / URLS
    for name, digest in (("1", needed), ("2", sent), ("3", unknown)):
        (notes / name).write_text(f"{digest}/a.png")
    asyncio.run(empty_files(path))
    left = {entry.name for entry in (tmp_path / "o.db.files").iterdir()}
    assert left == {needed, URLS, "of the user"}
    assert sorted(note.name for note in notes.iterdir()) == ["1", "2"]


def test_a_folder_of_files_that_is_another_users_is_told_where_it_matters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To who has texts forgotten; an import that has sent all is done, and tidies up no more."""
    path, source = tmp_path / "o.db", write_jsonl(tmp_path / "a.jsonl", [sms(1)])
    (tmp_path / "o.db.files").mkdir()

    def refuse(folder: Path, listed: Callable[[Path], Iterator[Path]] = Path.iterdir) -> object:
        if folder.suffix == ".files":
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with SandboxThread() as sandbox:
        assert leadconnector("import", source, *at(sandbox, path)).exit_code == 0
    with pytest.raises(OutboxWriteError, match=r"o\.db\.files cannot be written \(Permission"):
        asyncio.run(forget_texts(path))
