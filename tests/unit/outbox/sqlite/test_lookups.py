from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from outbox_kit import claimed, drafts, fate, in_outbox, published

from leadconnector_async.models import Contact
from leadconnector_async.outbox.base import State
from leadconnector_async.records.deferred import Deferred

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox

KIM = Deferred(contact=Contact(phone="+1")).encoded()


def test_a_retry_asks_once_for_each_lane_whether_a_record_of_it_may_be_stored(
    tmp_path: Path,
) -> None:
    """That looks through all ends of the lane: for each record it would take for ever."""
    asked: list[str] = []

    class Noting(sqlite3.Connection):
        def execute(self, statement: str, *args: Any) -> sqlite3.Cursor:  # noqa: ANN401 - passed on
            asked.extend([statement] if statement.startswith("SELECT 1 FROM outcome") else ())
            return super().execute(statement, *args)

    async def work(outbox: SqliteOutbox) -> None:
        await published(outbox, [replace(one, deferred=KIM) for one in drafts(60, lanes=3)])
        claims = await claimed(outbox, 60)
        await outbox.settle([fate(claim, State.REJECTED) for claim in claims], ())
        assert (await outbox.requeue()).pending == 60

    def connect(database: str, /, **options: Any) -> sqlite3.Connection:  # noqa: ANN401 - passed on
        return sqlite3.connect(database, factory=Noting, **options)

    in_outbox(tmp_path / "o.db", work, connect=connect)
    assert len(asked) == 3
