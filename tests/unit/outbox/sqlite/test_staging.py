from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from outbox_kit import draft, in_outbox

from leadconnector_async.outbox.base import Staged
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.records.deferred import numbered

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox


@pytest.mark.slow
def test_thousands_of_equal_records_take_no_longer_each(tmp_path: Path) -> None:
    """Finding the number of the last takes a dozen looks, and not thousands."""
    looks = 0

    class Counting(sqlite3.Connection):
        def execute(self, statement: str, *args: object) -> sqlite3.Cursor:
            nonlocal looks
            looks += "WHERE location = ? AND key = ?" in statement
            return super().execute(statement, *args)  # type: ignore[arg-type]

    async def work(outbox: SqliteOutbox) -> Staged:
        return await outbox.stage([draft("a", counted=True)] * 1_000, SourcePass())

    result = in_outbox(
        tmp_path / "o.db",
        work,
        connect=lambda database, /, **options: sqlite3.connect(
            database, factory=Counting, **options
        ),
    )
    assert result == Staged(1_000, 0, 0)
    assert looks < 1_000 * 26


@pytest.mark.parametrize(("number", "suffix"), [(2, b"\0\2"), (0x10000, b"\0\1\0\0")])
def test_numbers_never_run_out(number: int, suffix: bytes) -> None:
    """Two bytes for what occurs; four beyond."""
    assert numbered(b"k", number) == b"k" + suffix
