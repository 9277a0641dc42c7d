from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outbox_kit import Reading, claimed, crashed, draft, drafts, fate, in_outbox, keys, published

from leadconnector_async.outbox.base import SourcePass, Staged, State
from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox
from leadconnector_async.records.sameness import numbered

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from leadconnector_async.records.draft import Draft


def said(text: object) -> bytes:
    """A body with a text."""
    return b'{"message":"%b"}' % str(text).encode()


def staged(path: Path, *readings: Sequence[Draft]) -> list[Staged]:
    """Stage each reading in one batch."""

    async def work(outbox: SqliteOutbox) -> list[Staged]:
        return [await outbox.stage(batch, SourcePass(1)) for batch in readings]

    return in_outbox(path, work)


async def sent_bodies(outbox: SqliteOutbox) -> list[bytes]:
    """Claim and send all that can be claimed; return what was sent."""
    claims = await claimed(outbox, 100)
    await outbox.settle([fate(claim) for claim in claims], ())
    return [claim.payload for claim in claims]


def test_a_record_is_staged_once(tmp_path: Path) -> None:
    """The same reading again skips everything; new lines of a grown file are added."""
    batch = drafts(100)
    assert staged(tmp_path / "o.db", batch[:60], batch) == [Staged(60, 0, 0), Staged(40, 60, 0)]
    assert staged(tmp_path / "o.db", batch) == [Staged(0, 100, 0)]


def test_a_key_belongs_to_its_location(tmp_path: Path) -> None:
    """The same id in two locations is two records."""
    batch = [draft("a"), draft("a", location="l2")]
    assert staged(tmp_path / "o.db", batch) == [Staged(2, 0, 0)]


def test_equal_records_of_one_reading_are_told_apart(tmp_path: Path) -> None:
    """Two equal messages are two records, in this reading and in the next."""
    twice = [draft("a", counted=True)] * 2
    results = staged(tmp_path / "o.db", twice, twice, twice * 2)
    assert results == [Staged(2, 0, 0), Staged(0, 2, 0), Staged(2, 2, 0)]


def test_equal_records_are_told_apart_over_batches(tmp_path: Path) -> None:
    """A reading is one pass, in however many batches."""

    async def work(outbox: SqliteOutbox) -> list[Staged]:
        source_pass, again = SourcePass(), SourcePass()
        equal = draft("a", counted=True)
        return [
            await outbox.stage([equal], each) for each in (source_pass, source_pass, again, again)
        ]

    assert in_outbox(tmp_path / "o.db", work) == [
        Staged(1, 0, 0),
        Staged(1, 0, 0),
        Staged(0, 1, 0),
        Staged(0, 1, 0),
    ]


def test_equal_records_have_numbered_keys_in_their_order(tmp_path: Path) -> None:
    """Number one has the key itself; they are sent as they stood in the source."""

    async def work(outbox: SqliteOutbox) -> list[bytes]:
        equal = draft("a", counted=True)
        await published(outbox, [equal, equal, draft("b"), equal])
        return [claim.key for claim in await claimed(outbox, 10)]

    key = b"a"
    expected = [key, numbered(key, 2), b"b", numbered(key, 3)]
    assert in_outbox(tmp_path / "o.db", work) == expected


def test_thousands_of_equal_records_take_no_longer_each(tmp_path: Path) -> None:
    """Finding the number of the last takes a dozen looks, and not thousands."""
    looks = 0

    class Counting(sqlite3.Connection):
        def execute(self, statement: str, *args: object) -> sqlite3.Cursor:
            nonlocal looks
            looks += "WHERE location = ? AND key = ?" in statement
            return super().execute(statement, *args)  # type: ignore[arg-type]

    async def work(outbox: SqliteOutbox) -> Staged:
        return await outbox.stage([draft("a", counted=True)] * 3_000, SourcePass())

    result = in_outbox(
        tmp_path / "o.db",
        work,
        connect=lambda database, /, **options: sqlite3.connect(
            database, factory=Counting, **options
        ),
    )
    assert result == Staged(3_000, 0, 0)
    assert looks < 3_000 * 26


@pytest.mark.parametrize(("number", "suffix"), [(2, b"\0\2"), (0x10000, b"\0\1\0\0")])
def test_numbers_never_run_out(number: int, suffix: bytes) -> None:
    """Two bytes for what occurs; four beyond."""
    assert numbered(b"k", number) == b"k" + suffix


def test_one_id_given_to_two_records_refuses_the_second(tmp_path: Path) -> None:
    """It is kept as one that failed, also when it is read again; an equal one is a copy."""
    one, other = draft("a", payload=said(1)), draft("a", payload=said(2), line=2)
    first, again = staged(tmp_path / "o.db", [one, other, one], [one, other, one])
    assert (first[:4], again[:4]) == ((2, 1, 1, 1), (0, 3, 0, 1))
    assert [of.line for of in (*first.reused, *again.reused)] == [2, 2]
    with Reading(tmp_path / "o.db") as reader:
        (failed,) = reader.failed()
        assert reader.summary().copies == 1
    assert (failed.reason or "").startswith("id is that of another record with other content")
    assert (failed.line, failed.raw) == (2, other.raw)
    assert in_outbox(tmp_path / "o.db", seal_and_send) == [said(1)]


async def seal_and_send(outbox: SqliteOutbox) -> list[bytes]:
    """Publish what is staged, and send it."""
    await outbox.publish()
    return await sent_bodies(outbox)


def test_a_changed_record_of_a_later_reading_is_known(tmp_path: Path) -> None:
    """What is pending or sent is never changed, nor is it sent again: what differs is refused."""

    async def work(outbox: SqliteOutbox) -> list[object]:
        await published(outbox, [draft("a", payload=said(1))])
        pending = await outbox.stage([draft("a", payload=said(2))], SourcePass())
        bodies = await sent_bodies(outbox)
        sent = await outbox.stage([draft("a", payload=said(3))], SourcePass())
        await outbox.publish()
        return [pending[:4], bodies, sent[:4], await sent_bodies(outbox)]

    refused = (1, 0, 1, 0)
    assert in_outbox(tmp_path / "o.db", work) == [refused, [said(1)], refused, []]


def test_a_refused_record_is_kept_with_its_reason(tmp_path: Path) -> None:
    """It is counted, is never claimed, and is skipped when it is read again unmended."""
    refused = draft("a", problem="type is missing", line=7)
    path = tmp_path / "o.db"
    assert staged(path, [refused, draft("b")], [refused]) == [Staged(2, 0, 1), Staged(0, 1, 0)]
    with Reading(path) as reader:
        (failed,) = reader.failed()
    assert (failed.state, failed.reason, failed.line, failed.raw, failed.payload) == (
        State.REJECTED,
        "type is missing",
        7,
        refused.raw,
        None,
    )


@pytest.mark.parametrize("is_sealed", [True, False])
def test_a_mended_record_takes_the_refused_ones_place(tmp_path: Path, *, is_sealed: bool) -> None:
    """With its new lane, date and body; published already or not."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> tuple[Staged, list[bytes]]:
        await outbox.stage([draft("a", lane=0, problem="no"), draft("b", date=5)], SourcePass())
        if is_sealed:
            await outbox.publish()
        mended = await outbox.stage([draft("a", lane=1, date=3, payload=said("new"))], SourcePass())
        await outbox.publish()
        return mended, await sent_bodies(outbox)

    assert in_outbox(path, work) == (Staged(1, 0, 0), [said("new"), b"{}"])
    with Reading(path) as reader:
        assert reader.summary().counts == (0, 0, 2, 0, 0, 0, 0)
        assert not list(reader.failed())


def test_a_record_mended_badly_has_a_new_reason(tmp_path: Path) -> None:
    """It counts as staged and as refused, and the list shows its latest form."""
    path = tmp_path / "o.db"
    results = staged(path, [draft("a", problem="no", line=1)], [draft("a", problem="nor", line=2)])
    assert results == [Staged(1, 0, 1), Staged(1, 0, 1)]
    with Reading(path) as reader:
        assert [(failed.reason, failed.line) for failed in reader.failed()] == [("nor", 2)]
        assert reader.summary().counts == (0, 0, 0, 1, 0, 0, 0)


def test_what_the_api_rejected_is_mended_by_another_body_only(tmp_path: Path) -> None:
    """Reading the same source again must not send it again."""

    async def work(outbox: SqliteOutbox) -> list[object]:
        await published(outbox, [draft("a", payload=said(1))])
        (claim,) = await claimed(outbox, 1)
        await outbox.settle([fate(claim, State.REJECTED, reason="422")], ())
        same = await outbox.stage([draft("a", payload=said(1))], SourcePass())
        other = await outbox.stage([draft("a", payload=said(2))], SourcePass())
        return [same, other, await sent_bodies(outbox)]

    expected = [Staged(0, 1, 0), Staged(1, 0, 0), [said(2)]]
    assert in_outbox(tmp_path / "o.db", work) == expected


def test_what_may_be_stored_is_not_mended(tmp_path: Path) -> None:
    """An unresolved record may have been stored as it was: another body is refused."""

    async def work(outbox: SqliteOutbox) -> Staged:
        await published(outbox, [draft("a", payload=said(1))])
        (claim,) = await claimed(outbox, 1)
        await outbox.settle([fate(claim, State.UNRESOLVED, reason="time-out")], ())
        return await outbox.stage([draft("a", payload=said(2))], SourcePass())

    assert in_outbox(tmp_path / "o.db", work)[:4] == (1, 0, 1, 0)


def test_the_second_of_two_in_one_reading_mends_nothing(tmp_path: Path) -> None:
    """Also where the first was refused: they are two records, and both are on the list."""
    batch = [draft("a", problem="no"), draft("a", payload=said(1))]
    assert staged(tmp_path / "o.db", batch)[0][:4] == (2, 0, 2, 0)


def test_a_mended_record_is_what_later_ones_of_the_reading_differ_from(tmp_path: Path) -> None:
    """Within one batch: the first mends, and what it was before is not another record."""
    refused = draft("a", problem="no")
    results = staged(tmp_path / "o.db", [refused], [draft("a", payload=said(1)), refused])
    assert results[1][:4] == (1, 1, 0, 1)


def test_a_mended_record_is_not_taken_for_one_in_flight(tmp_path: Path) -> None:
    """It was claimed once, together with another that still is, and a crash comes."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> Path:
        await published(outbox, [draft("a"), draft("b", lane=2)])
        one, _ = await claimed(outbox, 2)
        await outbox.settle([fate(one, State.REJECTED)], ())
        await outbox.stage([draft("a", payload=said("new"))], SourcePass())
        return crashed(path)

    async def after(outbox: SqliteOutbox) -> list[list[str]]:
        return [keys((await outbox.acquire("l1")).unknown), keys(await claimed(outbox, 9))]

    assert in_outbox(in_outbox(path, work), after) == [["b"], ["a"]]


def test_a_draft_that_makes_no_sense_fails_alone(tmp_path: Path) -> None:
    """A bug in the caller stops its call, and not the store."""
    neither = draft("a", payload=None)
    too_late = draft("b", date=1 << 63)

    async def work(outbox: SqliteOutbox) -> Staged:
        for wrong, error in ((neither, ValueError), (too_late, OverflowError)):
            with pytest.raises(error):
                await outbox.stage([draft("c"), wrong], SourcePass())
        return await outbox.stage([draft("c")], SourcePass())

    assert in_outbox(tmp_path / "o.db", work) == Staged(1, 0, 0)


@given(
    readings=st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40), max_size=4
    ),
    size=st.integers(1, 15),
)
@settings(max_examples=60, deadline=None)
def test_every_reading_has_as_many_records_as_its_largest(
    tmp_path_factory: pytest.TempPathFactory, readings: list[list[tuple[str, bool]]], size: int
) -> None:
    """Of a digest: as many as one reading had at most. Of an id: one, for all are equal."""

    async def work(outbox: SqliteOutbox) -> int:
        total = 0
        for reading in readings:
            batch = [draft(f"{counted}{key}", counted=counted) for key, counted in reading]
            met = SourcePass()
            for at in range(0, len(batch), size):
                total += (await outbox.stage(batch[at : at + size], met)).staged
        return total

    async def main() -> int:
        async with await SqliteOutbox.open(tmp_path_factory.mktemp("o") / "o.db") as outbox:
            return await work(outbox)

    kinds = {kind for reading in readings for kind in reading}
    expected = sum(
        max(reading.count(kind) for reading in readings) if kind[1] else 1 for kind in kinds
    )
    assert asyncio.run(main()) == expected


def test_the_order_of_equal_dates_is_that_of_the_source(tmp_path: Path) -> None:
    """Exports are often to the minute."""

    async def work(outbox: SqliteOutbox) -> list[str]:
        await published(outbox, [draft(str(n)) for n in range(30)])
        return keys(await claimed(outbox, 30))

    assert in_outbox(tmp_path / "o.db", work) == [str(n) for n in range(30)]
