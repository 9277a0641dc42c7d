from __future__ import annotations

import asyncio
import sqlite3
import sys
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from outbox_kit import AT, Reading, claimed, crashed, draft, drafts, fate, in_outbox, published

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.outbox.base import SourcePass, State
from leadconnector_async.outbox.reader import (
    FailedRecord,
    OutboxSummary,
    RecordCounts,
    SourcePosition,
)
from leadconnector_async.outbox.sqlite.reader import SqliteOutboxReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox


def report(path: Path) -> OutboxSummary:
    """What a status report would be based on."""
    with Reading(path) as reader:
        return reader.summary(now_ms=AT)


def failed_in(path: Path) -> list[FailedRecord]:
    """What a list of failed records would hold."""
    with Reading(path) as reader:
        return list(reader.failed())


def test_an_empty_outbox_has_an_empty_report(tmp_path: Path) -> None:
    """Before anything is staged."""

    async def work(_: SqliteOutbox) -> None: ...

    in_outbox(tmp_path / "o.db", work)
    summary = report(tmp_path / "o.db")
    assert summary.counts == RecordCounts()
    assert (summary.locations, summary.reasons, summary.first_at, summary.last_at) == (
        {},
        [],
        None,
        None,
    )


def test_counts_are_by_location(tmp_path: Path) -> None:
    """Staged and not published counts as pending; claimed ones are told apart."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> None:
        await published(outbox, [*drafts(5), draft("no", location="l2", problem="no")])
        await outbox.stage(drafts(3, location="l3"), SourcePass())
        claims = await claimed(outbox, 4)
        await outbox.settle([fate(claims[0])], ())
        seen.append(report(path))

    seen: list[OutboxSummary] = []
    in_outbox(path, work)
    for summary in (seen[0], report(path)):
        assert summary.locations == {
            "l1": RecordCounts(pending=1, claimed=3, sent=1),
            "l2": RecordCounts(rejected=1),
            "l3": RecordCounts(pending=3),
        }
        assert summary.counts == RecordCounts(4, 3, 1, 1)
        assert (summary.counts.left, summary.counts.total) == (7, 9)


def test_reasons_are_counted_with_their_first_places(tmp_path: Path) -> None:
    """The most frequent first, each state for itself."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> None:
        source = await outbox.source("a.csv", b"{}")
        batch = [draft(f"r{n}", problem=f"reason {n % 2 and 1}", line=n) for n in range(1, 12)]
        await outbox.stage([*batch, draft("u", line=20)], SourcePass(source))
        await outbox.publish()
        (claim,) = await claimed(outbox, 1)
        await outbox.settle([fate(claim, State.UNRESOLVED, reason="time-out")], ())

    in_outbox(path, work)
    one, two, three = report(path).reasons
    assert (one.state, one.reason, one.count) == (State.REJECTED, "reason 1", 6)
    assert one.first == [SourcePosition("a.csv", line) for line in (1, 3, 5, 7, 9)]
    assert (two.reason, two.count) == ("reason 0", 5)
    assert (three.state, three.reason, three.count) == (State.UNRESOLVED, "time-out", 1)
    assert three.first == [SourcePosition("a.csv", 20)]


def test_a_record_without_a_source_or_a_reason_is_reported_too(tmp_path: Path) -> None:
    """It came through submit, and its end was settled without a word."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> None:
        await outbox.submit(draft("a", line=0)._replace(raw=None))
        (claim,) = await claimed(outbox, 1)
        await outbox.settle([fate(claim, State.UNRESOLVED)], ())

    in_outbox(path, work)
    (reason,) = report(path).reasons
    assert (reason.reason, reason.first) == (None, [SourcePosition("", 0)])
    with Reading(path) as reader:
        (failed,) = reader.failed()
        assert (failed.source, failed.form, failed.line, failed.raw) == ("", None, 0, None)
        assert failed.payload == b"{}"
        assert reader.failed_forms() == {None}


def test_the_rate_is_of_the_last_while(tmp_path: Path) -> None:
    """Counted in spans of ten seconds, so what it covers is said exactly."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> None:
        await published(outbox, drafts(6, lanes=6))
        claims = await claimed(outbox, 6)
        for claim, ago in zip(claims, (300, 65, 45, 30, 5, 0), strict=True):
            state = State.REJECTED if ago == 30 else State.SENT
            await outbox.settle([fate(claim, state, at=AT - ago * 1000)], ())

    in_outbox(path, work)
    with Reading(path) as reader:
        summary = reader.summary(lately_s=60, now_ms=AT)
    assert (summary.first_at, summary.last_at) == (AT - 300_000, AT)
    assert (summary.sent_lately, summary.lately_s) == (3, 60.0)


def test_failed_records_come_by_source_and_line(tmp_path: Path) -> None:
    """Whatever the order in which they failed; with the source's form."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> None:
        b = await outbox.source("b.csv", b"form b")
        a = await outbox.source("a.csv", b"form a")
        assert await outbox.source("b.csv", b"form b") == b
        await outbox.stage([draft("3", line=9), draft("4", line=8, problem="no")], SourcePass(b))
        await outbox.stage([draft("1", line=2), draft("2", line=1, problem="no")], SourcePass(a))
        await outbox.publish()
        claims = await claimed(outbox, 9)
        await outbox.settle([fate(claim, State.REJECTED) for claim in claims], ())

    in_outbox(path, work)
    with Reading(path) as reader:
        found = [(failed.source, failed.form, failed.line) for failed in reader.failed()]
        assert reader.failed_forms() == {b"form a", b"form b"}
    assert found == [
        ("b.csv", b"form b", 8),
        ("b.csv", b"form b", 9),
        ("a.csv", b"form a", 1),
        ("a.csv", b"form a", 2),
    ]


def test_sent_records_come_lane_by_lane(tmp_path: Path) -> None:
    """Over more pages than one, each once; other locations' and failed ones are left out."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> None:
        await published(outbox, [*drafts(700, lanes=3), *drafts(5, location="l2")])
        claims = [*await claimed(outbox, 700), *await claimed(outbox, 5, "l2")]
        states = [State.REJECTED if claim.seq % 7 == 0 else State.SENT for claim in claims]
        await outbox.settle([fate(*pair) for pair in zip(claims, states, strict=True)], ())

    in_outbox(path, work)
    with Reading(path) as reader:
        found = [(sent.date % 3, sent.date, sent.message_id) for sent in reader.sent("l1")]
        assert not list(reader.sent("nowhere"))
    assert found == sorted(found)
    assert len({message for *_, message in found}) == len(found) == 600


def test_reading_goes_on_beside_the_owner_and_after_a_crash(tmp_path: Path) -> None:
    """A report sees all that is durable, from a copy that a crash left as well."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> Path:
        with Reading(path) as reader:
            await published(outbox, drafts(3, lanes=3))
            for n, claim in enumerate(await claimed(outbox, 3)):
                assert reader.summary().counts == RecordCounts(0, 3 - n, n)
                await outbox.settle([fate(claim)], ())
        return crashed(path)

    assert report(in_outbox(path, work)).counts == RecordCounts(sent=3)


def test_a_list_that_is_read_slowly_does_not_hold_the_owner_up(tmp_path: Path) -> None:
    """The log can be cut back between two items, and what was put back meanwhile is left out."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> tuple[int, int]:
        await published(outbox, drafts(80, lanes=80))
        claims = await claimed(outbox, 80)
        await outbox.settle([fate(claim, State.REJECTED) for claim in claims], ())
        async with SqliteOutboxReader(path) as reader:
            pages = reader.failed()
            await anext(pages)
            await outbox.requeue()
            with sqlite3.connect(path) as connection:
                row = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            connection.close()
            return row[0], sum([len(page) async for page in pages])

    assert in_outbox(path, work) == (0, 0)


def test_a_long_list_needs_little_memory(tmp_path: Path) -> None:
    """Eight bytes a record, whatever its size."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> None:
        batch = [
            draft(f"{n}", problem="no", line=n)._replace(raw=bytes(5_000)) for n in range(2_000)
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
    assert asyncio.run(read()) < 600_000


def test_damage_is_reported_as_such(tmp_path: Path) -> None:
    """An error of the outbox, with its path, and not one of SQLite."""
    path = tmp_path / "o.db"
    in_outbox(path, lambda outbox: published(outbox, drafts(500)))
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * len(content[4096:])
    path.write_bytes(content)
    with (
        pytest.raises(OutboxUnusableError, match=r"o\.db is damaged"),
        Reading(path) as reader,
    ):
        reader.summary()


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


def test_no_text_of_a_message_is_in_a_repr(tmp_path: Path) -> None:
    """They end up in logs."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> None:
        await published(
            outbox, [draft("a", payload=b"secret"), draft("b", lane=2, payload=b"secret")]
        )
        one, two = await claimed(outbox, 2)
        await outbox.settle([fate(one), fate(two, State.REJECTED, detail=b"secret")], ())

    in_outbox(path, work)
    with Reading(path) as reader:
        for value in (*reader.sent("l1"), *reader.failed(), reader):
            assert "secret" not in repr(value)
