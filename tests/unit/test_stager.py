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
from leadconnector_async.sources.batch_reader import BATCH, BATCH_BYTES, PIECE, SourceReader
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

    def batch(self, most: int = BATCH, most_bytes: int = BATCH_BYTES) -> list[Parsed]:
        """Read on."""
        self.asked += 1
        return super().batch(most, most_bytes)


class BreakingReader(NotingReader):
    """Breaks off after the first batch."""

    def batch(self, most: int = BATCH, most_bytes: int = BATCH_BYTES) -> list[Parsed]:
        """Read the first one."""
        if self.asked:
            raise SourceError("the rest is missing")
        return super().batch(most, most_bytes)


def staged(
    tmp_path: Path, kind: type[NotingReader], records: int = BATCH + 5
) -> tuple[RunStats, list[tuple[int, int]]]:
    """Stage more than a batch; also how many each commit had, and had been asked for by then."""
    source = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(records)])
    reader, stats = kind([str(source)], SourceOptions()), RunStats()
    commits: list[tuple[int, int]] = []

    class NotingOutbox(SqliteOutbox):
        async def stage(self, drafts: Sequence[Draft], source_pass: SourcePass) -> Staged:  # type: ignore[misc]
            result = await super().stage(drafts, source_pass)
            commits.append((len(drafts), reader.asked))
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
    return stats, commits


def test_a_batch_is_read_while_the_one_before_it_is_written(tmp_path: Path) -> None:
    """The disk is waited for in the time that reading takes anyway."""
    stats, commits = staged(tmp_path, NotingReader)
    assert stats.staged == BATCH + 5
    assert [asked > at for at, (_, asked) in enumerate(commits, 1)] == [True, True]


def test_pieces_that_are_read_are_staged_together(tmp_path: Path) -> None:
    """A commit costs the same for few as for many, and drafting is done piece by piece."""
    _, commits = staged(tmp_path, NotingReader, 3 * BATCH + 5)
    assert [count for count, _ in commits] == [BATCH, BATCH, BATCH, 5]
    assert commits[-1][1] > 2 * BATCH // PIECE


def test_what_was_read_before_a_source_breaks_off_is_staged_and_counted(tmp_path: Path) -> None:
    """Though it was still being written then."""
    stats, _ = staged(tmp_path, BreakingReader)
    assert stats.staged == stats.read == BATCH
