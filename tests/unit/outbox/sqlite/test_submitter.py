from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from outbox_kit import draft, in_outbox, published

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
