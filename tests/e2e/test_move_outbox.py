"""An outbox that moves from a file to a database, and back, with all that it knows."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from cli_harness import at, leadconnector, result_of, sms, write_jsonl
from msgspec.structs import replace
from outbox_kit import claimed, draft, drafts, fate, in_outbox, listed, said

from leadconnector_async.errors import OutboxBusyError, OutboxUnusableError
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.open import open_outbox, read_outbox
from leadconnector_async.outbox.selection import Selection
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.outbox.sqlite.transfer import moving_from, moving_to
from leadconnector_async.outbox.transfer import transfer
from leadconnector_async.outbox.upkeep import move_outbox
from leadconnector_async.quota.limits import QuotaSnapshot
from leadconnector_async.records.draft import TraceContext
from leadconnector_async.sandbox import Fault, SandboxThread

if TYPE_CHECKING:
    from pathlib import Path

    from postgres_server import PostgresServer

    from leadconnector_async.outbox.outbox_reader import OutboxReader
    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox

SPENT = QuotaSnapshot(7, 9, 3, 4, 200)


async def fill(outbox: SqliteOutbox) -> None:
    """Records of all kinds, of which some are in flight, copies, lookups, trails and quota."""
    source = await outbox.source("h.csv", b"{}")
    batch = [draft(f"i{n}", payload=said(n), date=n, lane=n % 3, line=n + 1) for n in range(20)]
    wrong = draft("iwrong", problem="no", line=30)
    await outbox.stage([*batch, wrong, *drafts(2, location="l2")], SourcePass(source))
    await outbox.publish()
    other = await outbox.source("other.csv", b"{}")
    await outbox.stage(batch[:2], SourcePass(other))
    claims = await claimed(outbox, 8)
    claims[0].note("no answer", "t1")
    ends = [
        fate(claims[0], lookups={"contact:+1": "c1"}, conversation_id="v1"),
        fate(claims[1], State.REJECTED, reason="no"),
        fate(claims[2], State.UNRESOLVED, reason="may be"),
        fate(claims[3], State.PENDING),
    ]
    await outbox.settle(ends, [(claims[0].lease, SPENT)])
    await outbox.select(Selection(limit=12))


async def seen(reader: OutboxReader) -> dict[str, Any]:
    """All that an outbox tells, but for who owns it."""
    summary = await reader.summary(now_ms=0)
    seqs = [
        seq for name in ("i0", "i1", "i2", "i3", "iwrong") for seq in await reader.find(name[1:])
    ]
    return {
        "summary": summary._replace(owners=()),
        "failed": await listed(reader.failed()),
        "sent": await listed(reader.sent("l1")),
        "queued": await listed(reader.queued()),
        "quotas": await reader.quotas(),
        "lookups": await reader.lookups("l1", ["contact:+1"]),
        "lives": [life._replace(worker=None) async for life in reader.lives(seqs)],
        "broken": await reader.broken(),
    }


async def in_doubt(place: str) -> set[bytes]:
    """What the next owner is handed."""
    async with await open_outbox(place) as outbox:
        return {claim.key for claim in (await outbox.acquire("l1")).unknown}


def test_a_file_gives_and_takes_all_that_an_outbox_holds(tmp_path: Path) -> None:
    """As one end of a move is, and then the other; a move that fails leaves both as they were.

    What one has left that was killed is in nobody's way.
    """
    path, target = str(tmp_path / "o.db"), str(tmp_path / "new.db")
    in_outbox(tmp_path / "o.db", fill)
    before = asyncio.run(read_outbox(path, seen))

    async def move(*, fails: bool) -> int:
        with moving_from(path) as source, moving_to(target) as new:
            count = await transfer(source, new)
            assert await source.retire() == f"{path}.moved"
            if fails:
                raise OutboxUnusableError("the other end is gone")
            return count

    with pytest.raises(OutboxUnusableError, match="is gone"):
        asyncio.run(move(fails=True))
    assert [item.name for item in tmp_path.glob("new.db*")] == []
    in_outbox(tmp_path / "new.db.part", fill)
    assert asyncio.run(move(fails=False)) == 23
    assert not (tmp_path / "o.db").exists()
    with pytest.raises(OutboxUnusableError, match="was moved, and"):
        asyncio.run(read_outbox(path, seen))
    assert asyncio.run(read_outbox(target, seen)) == before
    assert len(asyncio.run(in_doubt(target))) == 4
    for ended in (moving_from(path), moving_to(target)):
        with pytest.raises(OutboxUnusableError, match="exists already"), ended:
            pass


@pytest.mark.slow
def test_all_that_is_known_moves_to_a_database_and_back(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    """The old one is kept under another name; each store counts as it should."""
    path, url = str(tmp_path / "o.db"), postgres.outbox()
    in_outbox(tmp_path / "o.db", fill)
    before = asyncio.run(read_outbox(path, seen))
    assert before["broken"] == {}
    assert asyncio.run(move_outbox(path, url)) == (23, f"{path}.moved")
    assert not (tmp_path / "o.db").exists()
    assert asyncio.run(read_outbox(url, seen)) == before
    records, kept = asyncio.run(move_outbox(url, path))
    assert (records, kept.startswith("the schema ")) == (23, True)
    assert asyncio.run(read_outbox(path, seen)) == before
    assert len(asyncio.run(in_doubt(path))) == 4
    with pytest.raises(OutboxUnusableError, match="was moved, and the schema"):
        asyncio.run(read_outbox(url, seen))


@pytest.mark.slow
def test_the_longest_name_moves_there_and_back_more_than_once(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    """What is kept of the time before is told before anything is moved, and what to do."""
    path, url = str(tmp_path / "o.db"), postgres.outbox()
    url += "x" * (57 - len(url.rpartition("=")[2]))
    in_outbox(tmp_path / "o.db", fill)
    asyncio.run(move_outbox(path, url))
    asyncio.run(move_outbox(url, path))
    (tmp_path / "o.db.moved").unlink()
    asyncio.run(move_outbox(path, url))
    with pytest.raises(OutboxUnusableError, match="_moved is there already: rename or drop it"):
        asyncio.run(move_outbox(url, path))
    assert asyncio.run(read_outbox(url, seen))["summary"].records == 23


@pytest.mark.slow
def test_the_file_behind_a_link_is_moved(tmp_path: Path, postgres: PostgresServer) -> None:
    """Not its link alone: both would be gone on with. The link begins nothing anew."""
    (tmp_path / "links").mkdir()
    path, link = tmp_path / "o.db", tmp_path / "links" / "o.db"
    in_outbox(path, fill)
    link.symlink_to(path)
    assert asyncio.run(move_outbox(str(link), postgres.outbox())) == (23, f"{path}.moved")
    for old in (path, link):
        with pytest.raises(OutboxUnusableError, match="was moved, and"):
            asyncio.run(open_outbox(old))


@pytest.mark.slow
def test_what_is_in_flight_is_handed_over_in_the_database(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    """It is in doubt there as it was in the file."""
    path, url = str(tmp_path / "o.db"), postgres.outbox()
    in_outbox(tmp_path / "o.db", fill)
    asyncio.run(move_outbox(path, url))
    assert len(asyncio.run(in_doubt(url))) == 4
    assert asyncio.run(read_outbox(url, lambda reader: reader.broken())) == {}


@pytest.mark.slow
def test_traces_move_with_their_records(tmp_path: Path, postgres: PostgresServer) -> None:
    """There and back."""
    path, url = str(tmp_path / "o.db"), postgres.outbox()
    trace = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=b")

    async def submit(outbox: SqliteOutbox) -> None:
        await outbox.submit(replace(draft("a"), trace=trace))

    async def told() -> list[TraceContext | None]:
        async with await open_outbox(path) as outbox:
            return [claim.trace for claim in await claimed(outbox, 9)]

    in_outbox(tmp_path / "o.db", submit)
    asyncio.run(move_outbox(path, url))
    asyncio.run(move_outbox(url, path))
    assert asyncio.run(told()) == [trace]


@pytest.mark.slow
def test_what_cannot_be_moved_stays_as_it_was(tmp_path: Path, postgres: PostgresServer) -> None:
    """Two files; a target that has records; an outbox that is in use."""
    path, url = str(tmp_path / "o.db"), postgres.outbox()
    in_outbox(tmp_path / "o.db", fill)
    with pytest.raises(OutboxUnusableError, match="a file and a URL"):
        asyncio.run(move_outbox(path, str(tmp_path / "p.db")))

    async def busy() -> None:
        async with await open_outbox(path):
            with pytest.raises(OutboxBusyError):
                await move_outbox(path, url)
        async with await open_outbox(url) as there:
            await there.submit(draft("other", payload=b"{}"))
            with pytest.raises(OutboxBusyError, match="end workers, imports and programs"):
                await move_outbox(path, url)
        with pytest.raises(OutboxUnusableError, match="holds records already"):
            await move_outbox(path, url)

    asyncio.run(busy())
    assert sorted(item.name for item in tmp_path.glob("o.db*")) == ["o.db"]
    assert asyncio.run(read_outbox(path, seen))["summary"].records == 23


@pytest.mark.slow
def test_an_import_goes_on_where_it_moved_to(tmp_path: Path, postgres: PostgresServer) -> None:
    """The same command with the new place knows what was sent, and sends what was not."""
    first = write_jsonl(tmp_path / "a.jsonl", [sms(n) for n in range(5)])
    url = postgres.outbox()
    with SandboxThread() as sandbox:
        leadconnector("import", first, *at(sandbox, tmp_path / "o.db"))
        run = leadconnector("outbox", "move", "--outbox", tmp_path / "o.db", "--to", url)
        assert run.exit_code == 0
        assert "5 records moved" in run.stdout
        more = write_jsonl(tmp_path / "a.jsonl", [sms(n) for n in range(7)])
        result = result_of(leadconnector("import", more, *at(sandbox, url), "--json").stdout)
        assert (result["sent"], result["skipped"], result["failed"]) == (2, 5, 0)
        assert len(sandbox.messages) == 7
    checked = leadconnector("outbox", "check", "--outbox", url)
    assert (checked.exit_code, "7 records: each is accounted for" in checked.stdout) == (0, True)


@pytest.mark.slow
def test_the_old_command_does_not_begin_anew(tmp_path: Path, postgres: PostgresServer) -> None:
    """A line of cron that names the old place would send all once more; both ways."""
    history = write_jsonl(tmp_path / "a.jsonl", [sms(n) for n in range(5)])
    path, url = tmp_path / "o.db", postgres.outbox()
    with SandboxThread() as sandbox:
        leadconnector("import", history, *at(sandbox, path))
        for old, new in ((path, url), (url, tmp_path / "back.db")):
            leadconnector("outbox", "move", "--outbox", old, "--to", new)
            for words in ((), ("--dry-run",)):
                run = leadconnector("import", history, *at(sandbox, old), *words)
                assert (run.exit_code, "was moved, and" in run.stderr) == (1, True), run.output
            assert leadconnector("import", history, *at(sandbox, new)).exit_code == 0
        assert len(sandbox.messages) == 5
    assert not path.exists()


@pytest.mark.slow
def test_a_file_that_is_read_is_not_moved(tmp_path: Path, postgres: PostgresServer) -> None:
    """What its log holds would stay under the old name."""
    path = tmp_path / "o.db"
    in_outbox(path, fill)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE location SET epoch = epoch + 1")
        other.execute("BEGIN")
        other.execute("SELECT * FROM record").fetchone()
        with closing(sqlite3.connect(path, isolation_level=None)) as writer:
            writer.execute("UPDATE location SET epoch = epoch + 1")
        with pytest.raises(OutboxBusyError, match="is read by another program"):
            asyncio.run(move_outbox(str(path), postgres.outbox()))
    assert asyncio.run(read_outbox(path, seen))["summary"].records == 23


@pytest.mark.slow
def test_files_move_with_the_records_that_need_them(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    """Into the database and back, though the ones that were staged are gone."""
    (tmp_path / "a.png").write_bytes(b"picture")
    source = write_jsonl(tmp_path / "h.jsonl", [sms(1, attachments=["a.png"])])
    url, back = postgres.outbox(), tmp_path / "back" / "o.db"
    back.parent.mkdir()
    with SandboxThread() as sandbox:
        options = at(sandbox, tmp_path / "o.db")
        sandbox.set_faults(Fault("422", endpoint="inbound", nth=(1,)))
        leadconnector("import", source, *options)
        leadconnector("retry", "--outbox", tmp_path / "o.db")
        asyncio.run(move_outbox(str(tmp_path / "o.db"), url))
        (tmp_path / "a.png").unlink()
        asyncio.run(move_outbox(url, str(back)))
        (kept,) = (back.parent / "o.db.files").iterdir()
        assert (kept / "a.png").read_bytes() == b"picture"
        sandbox.set_faults()
        run = leadconnector("import", *at(sandbox, back), "--json")
        assert result_of(run.stdout)["sent"] == 1
        (stored,) = sandbox.messages
        assert stored.fields["attachments"] == [sandbox.uploads[-1].url]
