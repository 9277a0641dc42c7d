from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from outbox_kit import claimed, drafts, in_outbox, keys

from leadconnector_async.outbox.lookups import Lookups
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.outbox.sqlite.claims import Claims
from leadconnector_async.outbox.sqlite.connection import FileDatabase, open_to_write
from leadconnector_async.outbox.sqlite.enqueuer import Enqueuer

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox


def test_publishing_goes_on_where_a_crash_ended_it(tmp_path: Path) -> None:
    """A large one takes several transactions; each leaves the file in order."""
    path = tmp_path / "o.db"

    async def stage(outbox: SqliteOutbox) -> None:
        await outbox.stage(drafts(25, lanes=3), SourcePass())

    async def finish(outbox: SqliteOutbox) -> list[str]:
        await outbox.publish()
        return keys(await claimed(outbox, 100))

    in_outbox(path, stage)
    with closing(open_to_write(str(path), sqlite3.connect)) as connection:
        enqueuer = Enqueuer(
            connection, Claims(connection), Lookups(FileDatabase(connection)), at_most=10
        )
        assert not enqueuer.publish()
    assert sorted(in_outbox(path, finish)) == sorted(draft.key.decode() for draft in drafts(25))


def test_a_publish_can_take_several_transactions(tmp_path: Path) -> None:
    """It says when it is done, and then does nothing more."""
    path = tmp_path / "o.db"

    async def stage(outbox: SqliteOutbox) -> None:
        await outbox.stage(drafts(25, lanes=3), SourcePass())

    in_outbox(path, stage)
    with closing(open_to_write(str(path), sqlite3.connect)) as connection:
        enqueuer = Enqueuer(
            connection, Claims(connection), Lookups(FileDatabase(connection)), at_most=10
        )
        assert [enqueuer.publish() for _ in range(4)] == [False, False, True, True]
        (queued,) = connection.execute("SELECT count(*) FROM queue").fetchone()
    assert queued == 25
