from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from outbox_kit import drafts, fate, in_outbox, published

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox


def test_a_batch_that_is_done_leaves_no_trace(tmp_path: Path) -> None:
    """What lists claims for after a crash does not grow with the import."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> None:
        await published(outbox, drafts(60, lanes=60))
        lease = (await outbox.acquire("l1")).lease
        for _ in range(6):
            (claims,) = await outbox.claim([(lease, 10)])
            await outbox.settle([fate(claim) for claim in claims[:5]], ())
            await outbox.settle([fate(claim) for claim in claims[5:]], ())

    in_outbox(path, work)
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT count(*) FROM claimed").fetchone()
    assert rows == (0,)
