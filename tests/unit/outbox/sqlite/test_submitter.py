from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from outbox_kit import OutboxFile, claimed, draft, drafts, fate, in_outbox, keys, published

from leadconnector_async.outbox.base import State

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox


def test_single_records_leave_nothing_behind_to_publish(tmp_path: Path) -> None:
    """A worker that admits without end must not collect exceptions to the publish."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> None:
        await published(outbox, [draft("s"), draft("s")])
        for n in range(20):
            batch = draft(f"{n}"), draft(f"{n}"), draft(f"x{n}")
            await asyncio.gather(*map(outbox.submit, batch))

    in_outbox(path, work)
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT count(*) FROM early").fetchone()
    assert rows == (0,)


def test_what_a_call_that_fails_has_done_is_undone_in_memory_too(tmp_path: Path) -> None:
    """Else the same records would be lost: those of a known location, and of a new one."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> None:
        lease, *_ = await outbox.acquire("l1")
        batch = [*drafts(3), *drafts(3, location="l2")]
        with pytest.raises(ValueError, match="names each location once"):
            await outbox.take_in(batch, [(lease, 1)] * 2)
        (none,) = await outbox.claim([(lease, 9)])
        assert not none
        await published(outbox, batch)
        for location in ("l1", "l2"):
            claims = await claimed(outbox, 9, location)
            assert keys(claims) == [f"{location}-{n}" for n in range(3)]
            await outbox.settle([fate(claim, State.REJECTED) for claim in claims], [])

    in_outbox(path, work)
    with OutboxFile(path) as reader:
        lines = sorted(record.raw or b"" for record in reader.failed())
    assert lines == [b"l%d-%d {}" % (at, n) for at in (1, 2) for n in range(3)]


def test_nothing_is_claimed_of_a_call_that_failed(tmp_path: Path) -> None:
    """Though as many others wait: what was undone would be sent, and be in no outbox."""

    async def work(outbox: SqliteOutbox) -> list[str]:
        await published(outbox, drafts(3))
        lease, *_ = await outbox.acquire("l1")
        with pytest.raises(ValueError, match="names each location once"):
            await outbox.take_in([draft(f"undone-{n}") for n in range(3)], [(lease, 1)] * 2)
        return keys(await claimed(outbox, 9))

    assert in_outbox(tmp_path / "o.db", work) == [f"l1-{n}" for n in range(3)]
