from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from outbox_kit import claimed, draft, drafts, fate, in_outbox, published

from leadconnector_async.models import Contact
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.outbox.sqlite.connection import fetch_rows, run_rows
from leadconnector_async.records.deferred import Deferred

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox


@pytest.mark.parametrize("number", [0, 1, 7, 8, 63, 64, 65, 137, 200])
def test_every_row_arrives(number: int) -> None:
    """In order, whatever the size of the statements."""
    rows = [(n, f"{n}".encode()) for n in range(number)]
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (n, b)")
        run_rows(connection, "INSERT INTO t (n, b) {rows}", rows)
        assert connection.execute("SELECT n, b FROM t ORDER BY rowid").fetchall() == rows
        wanted = [(n,) for n, _ in rows[::2]]
        found = list(fetch_rows(connection, "SELECT n, b FROM t WHERE n IN ({rows})", wanted))
        assert sorted(found) == rows[::2]


def test_no_statement_looks_through_a_large_table(tmp_path: Path) -> None:
    """What it costs to go on must not grow with what is done: each statement is by an index."""
    statements: dict[str, tuple[Any, ...]] = {}

    class Noting(sqlite3.Connection):
        def execute(self, statement: str, *args: Any) -> sqlite3.Cursor:  # noqa: ANN401 - passed on
            statements[statement] = args
            return super().execute(statement, *args)

    async def work(outbox: SqliteOutbox) -> None:
        await outbox.source("a.csv", b"{}")
        deferred = replace(draft("late"), deferred=Deferred(contact=Contact(phone="+1")).encoded())
        await published(outbox, [*drafts(200, lanes=3), draft("no", problem="no"), deferred])
        await outbox.stage([*drafts(200), *[draft("a", counted=True)] * 3], SourcePass())
        await outbox.submit(draft("b"))
        claims = sorted(await claimed(outbox, 203), key=lambda claim: claim.deferred is None)
        await outbox.put_lookups(claims[0].lease, {"contact:+1": "c"})
        await outbox.get_lookups(claims[0].lease, ["contact:+1", "conversation:c"])
        states = [State.REJECTED, *(State(2 + n % 3) for n in range(98))]
        ends = [
            fate(claim, state, lookups={"mail:c:m": "e"})
            for claim, state in zip(claims, states, strict=False)
        ]
        await outbox.settle([*ends, fate(claims[99], State.PENDING)], ())
        await outbox.stored(claims[0])
        await outbox.submit(draft("l1-1"))
        await outbox.requeue()
        await outbox.acquire("l1")

    def connect(database: str, /, **options: Any) -> sqlite3.Connection:  # noqa: ANN401 - passed on
        return sqlite3.connect(database, factory=Noting, **options)

    in_outbox(tmp_path / "o.db", work, connect=connect)
    looked_through = (
        *("SCAN record", "SCAN r", "SCAN queue", "SCAN q", "SCAN outcome", "SCAN o", "SCAN lookup"),
        "SEARCH lookup USING PRIMARY KEY (location=?)",
    )
    checked = 0
    with closing(sqlite3.connect(tmp_path / "o.db")) as connection:
        connection.create_function("collect", -1, max)
        for statement, args in statements.items():
            if statement.split(maxsplit=1)[0] in {"SELECT", "WITH", "INSERT", "UPDATE", "DELETE"}:
                plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", *args).fetchall()
                steps = [step for *_, step in plan]
                assert not set(looked_through) & set(steps), (statement, steps)
                checked += 1
    assert checked > 30
