from __future__ import annotations

from typing import TYPE_CHECKING

from outbox_kit import Reading, draft, in_outbox

from leadconnector_async.outbox.base import SourcePass
from leadconnector_async.outbox.reader import SourcePosition
from leadconnector_async.outbox.reasons import MAX_REASONS, OTHERS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox


def refused(path: Path, reasons: Iterable[str]) -> None:
    """Stage a refused record for each reason, line by line."""

    async def work(outbox: SqliteOutbox) -> None:
        batch = [draft(f"k{n}", problem=why, line=n) for n, why in enumerate(reasons, 1)]
        await outbox.stage(batch, SourcePass(await outbox.source("h.csv", b"{}")))

    in_outbox(path, work)


def test_a_wrong_format_of_a_whole_file_is_one_reason(tmp_path: Path) -> None:
    """However many values it shows in; the first places are those of all, and the sum is right."""
    path = tmp_path / "o.db"
    dates = [f'date is no ISO 8601 date ("{n}/1/24")' for n in range(1, 2_001)]
    refused(path, ["direction is missing", *dates, 'date is no ISO 8601 date ("1/1/24")'])
    with Reading(path) as reader:
        first, second = reader.summary().reasons
    assert (first.reason, first.count) == ("date is no ISO 8601 date", 2_001)
    assert first.first == [SourcePosition("h.csv", line) for line in range(2, 7)]
    assert (second.reason, second.count) == ("direction is missing", 1)


def test_reasons_add_up_to_what_failed(tmp_path: Path) -> None:
    """Those beyond the most that are told are counted together."""
    path = tmp_path / "o.db"
    refused(path, (f"reason {n}" for n in range(MAX_REASONS + 50)))
    with Reading(path) as reader:
        reasons = reader.summary().reasons
    assert len(reasons) == MAX_REASONS + 1
    assert sum(reason.count for reason in reasons) == MAX_REASONS + 50
    assert (reasons[0].reason, reasons[0].count) == (OTHERS, 50)
