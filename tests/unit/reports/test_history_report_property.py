"""Whatever sources hold, and however often they are read: nothing vanishes, and all adds up."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, cast

import pytest
from hypothesis import given, strategies as st
from outbox_kit import claimed, fate, run_apart

from leadconnector_async.delivery.results import RunStats
from leadconnector_async.models import Problem
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.open import read_outbox
from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox
from leadconnector_async.reports.outbox_status import Tallied, status_of
from leadconnector_async.sources import SourceOptions
from leadconnector_async.sources.base import Identity, Parsed, SourceRow
from leadconnector_async.stager import Stager

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from leadconnector_async.sources.batch_reader import SourceReader

FORM = b'{"format":"jsonl"}'
TEXTS = "pqrs"
LINES = st.tuples(
    st.sampled_from(["1", "2", None]),
    st.sampled_from(TEXTS),
    st.sampled_from(["sound", "sound", "sound", "mail", "refused", "left out"]),
)
SOURCES = st.lists(st.lists(LINES, max_size=8), min_size=1, max_size=3)


class Source(NamedTuple):
    """A source, as far as staging knows it."""

    name: str
    form: bytes
    lines: list[tuple[str | None, str, str]]


def parsed(line: int, of: tuple[str | None, str, str]) -> Parsed:
    """Make a record of a line. ``raw`` is what its owner would miss."""
    id_, text, kind = of
    raw = f"{id_} {text} {kind}".encode()
    identity = Identity(id_, None, None)
    if kind == "refused":
        return Parsed(line, raw, None, (Problem("date", "is wrong", "mend it"),), identity)
    if kind == "left out":
        return Parsed(line, raw, None, (), identity, left_out="drafts")
    is_mail = kind == "mail"
    row = SourceRow(
        type="Email" if is_mail else "SMS",
        id=id_,
        alt_id=id_ if is_mail else None,
        contact_id="c1",
        direction="inbound",
        date=datetime(2024, 1, 1, tzinfo=UTC),
        message=f"{text} {kind}",
    )
    return Parsed(line, raw, row, ())


class Pages:
    """A reader that gives out two records at a time, and is interrupted after so many."""

    def __init__(self, sources: list[Source], most: int) -> None:
        self._sources = sources
        self._left = most
        self.interrupted = False
        self.warnings: list[str] = []
        self.options = SourceOptions()
        self.locations: list[str] = []

    def sources(self) -> Iterator[Source]:
        """Each in turn."""
        for source in self._sources:
            if self.interrupted:
                return
            self._lines = iter([parsed(n, of) for n, of in enumerate(source.lines, 1)])
            yield source

    def batch(self, *_: int) -> list[Parsed]:
        """The next two."""
        self.interrupted = self._left <= 0
        batch = [] if self.interrupted else list(islice(self._lines, 2))
        self._left -= 1
        return batch


async def run(path: Path, sources: list[Source], most: int, ends: list[State]) -> RunStats:
    """Stage what is read, and give some of it an end."""
    stats = RunStats()
    async with await SqliteOutbox.open(path) as outbox:
        reader = cast("SourceReader", Pages(sources, most))
        await Stager(outbox, stats, location="l1").read(reader)
        if not reader.interrupted:
            await outbox.publish()
        claims = await claimed(outbox, len(ends))
        fates = [fate(claim, end) for claim, end in zip(claims, ends, strict=False)]
        await outbox.settle(fates, ())
    return stats


def kept(path: Path) -> list[str]:
    """What the outbox holds of each record: the text of its body, or its line."""
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT coalesce(payload, raw) FROM record LEFT JOIN origin USING (seq)"
        return [bytes(found).decode() for (found,) in connection.execute(query)]


def checked(path: Path, stats: RunStats) -> Tallied:
    """See that all adds up, in this run and in all runs."""
    account = run_apart(read_outbox(path, status_of)).account
    assert account.adds_up
    assert stats.read == stats.staged + stats.skipped
    return account


@pytest.mark.slow
@given(
    lines=SOURCES,
    runs=st.lists(
        st.tuples(st.integers(0, 6), st.lists(st.sampled_from(list(State)[2:5]), max_size=4)),
        max_size=3,
    ),
)
def test_nothing_vanishes_and_all_adds_up(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[list[tuple[str | None, str, str]]],
    runs: list[tuple[int, list[State]]],
) -> None:
    """Runs that are interrupted, then whole ones: each line read is kept, or equals one kept.

    A whole run after a whole run changes nothing: each line is one record, or one copy.
    """
    path = tmp_path_factory.mktemp("o") / "o.db"
    sources = [Source(f"{n}.jsonl", FORM, of) for n, of in enumerate(lines)]
    for most, ends in runs:
        checked(path, asyncio.run(run(path, sources, most, ends)))
    account = checked(path, asyncio.run(run(path, sources, 1_000, [])))
    again = asyncio.run(run(path, sources, 1_000, []))
    assert checked(path, again) == account
    assert again.staged == 0
    assert account.read == again.read == sum(map(len, lines))
    found = kept(path)
    for _, text, kind in {of for source in lines for of in source}:
        assert any(f"{text} {kind}" in each for each in found)
