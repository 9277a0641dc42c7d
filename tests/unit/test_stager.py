"""Staging: a batch is read while the one before it is written, and nothing of that gets lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from cli_harness import sms, write_jsonl

from leadconnector_async import SourceError
from leadconnector_async.delivery.results import RunStats
from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox
from leadconnector_async.sources import SourceOptions
from leadconnector_async.sources.batch_reader import BATCH, SourceReader
from leadconnector_async.stager import Stager

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from leadconnector_async.outbox.base import Staged
    from leadconnector_async.outbox.source_pass import SourcePass
    from leadconnector_async.records.draft import Draft
    from leadconnector_async.sources import Parsed


class NotingReader(SourceReader):
    """Notes how many batches it was asked for."""

    asked = 0

    def batch(self) -> list[Parsed]:
        """Read on."""
        self.asked += 1
        return super().batch()


class BreakingReader(NotingReader):
    """Breaks off after the first batch."""

    def batch(self) -> list[Parsed]:
        """Read the first one."""
        if self.asked:
            raise SourceError("the rest is missing")
        return super().batch()


def staged(tmp_path: Path, kind: type[NotingReader]) -> tuple[RunStats, list[int]]:
    """Stage a little more than a batch; also how many had been asked for when each was stored."""
    source = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(BATCH + 5)])
    reader, stats = kind([str(source)], SourceOptions()), RunStats()
    asked: list[int] = []

    class NotingOutbox(SqliteOutbox):
        async def stage(self, drafts: Sequence[Draft], source_pass: SourcePass) -> Staged:  # type: ignore[misc]
            result = await super().stage(drafts, source_pass)
            asked.append(reader.asked)
            return result

    async def scenario() -> None:
        async with await NotingOutbox.open(tmp_path / "o.db") as outbox:
            await Stager(outbox, stats, location="l1").read(reader)
            if not reader.interrupted:
                await outbox.publish()

    if kind is BreakingReader:
        with pytest.raises(SourceError, match="the rest is missing"):
            asyncio.run(scenario())
    else:
        asyncio.run(scenario())
    return stats, asked


def test_a_batch_is_read_while_the_one_before_it_is_written(tmp_path: Path) -> None:
    """The disk is waited for in the time that reading takes anyway."""
    stats, asked = staged(tmp_path, NotingReader)
    assert stats.staged == BATCH + 5
    assert asked == [2, 3]


def test_what_was_read_before_a_source_breaks_off_is_staged_and_counted(tmp_path: Path) -> None:
    """Though it was still being written then."""
    stats, _ = staged(tmp_path, BreakingReader)
    assert stats.staged == stats.read == BATCH
