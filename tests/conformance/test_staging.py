"""Staging: one record of each, within a reading of a source and over its readings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace
from outbox_kit import claimed, draft, drafts, fate, keys, listed, published, said
from outbox_places import DurablePlace, Place, in_store

from leadconnector_async.outbox.base import Outbox, Staged, State
from leadconnector_async.outbox.reader import RecordCounts, SourcePosition
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.records.keys import fault_key, line_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadconnector_async.outbox.base import Claim
    from leadconnector_async.outbox.durable import DurableOutbox
    from leadconnector_async.outbox.outbox_reader import OutboxReader
    from leadconnector_async.records.draft import Draft

ONE, TWO = said(1), said(2)


async def staged(outbox: DurableOutbox, *readings: Sequence[Draft]) -> list[Staged]:
    """Stage each reading of one source in one batch."""
    source = await outbox.source("h.csv", b"{}")
    return [await outbox.stage(batch, SourcePass(source)) for batch in readings]


async def sent_bodies(outbox: Outbox) -> list[bytes]:
    """Publish what is staged, and send it; what was sent."""
    await outbox.publish()
    claims = await claimed(outbox, 100)
    await outbox.settle([fate(claim) for claim in claims], ())
    return [claim.payload for claim in claims]


async def ended(outbox: DurableOutbox, state: State) -> None:
    """Stage a record of body one, and give it this end."""
    await staged(outbox, [draft("a", payload=ONE)])
    await outbox.publish()
    (claim,) = await claimed(outbox, 1)
    await outbox.settle([fate(claim, state, reason="why")], ())


@pytest.mark.slow
async def test_a_record_is_staged_once(durable: DurableOutbox, place: DurablePlace) -> None:
    """The same reading again skips everything; new lines of a grown file are added."""
    batch = drafts(100)
    first = await staged(durable, batch[:60], batch)
    assert first == [Staged(60, 0, 0), Staged(40, 60, 0)]
    async with await place.crashed() as after:
        assert await staged(after, batch) == [Staged(0, 100, 0)]


async def test_what_changed_is_met_among_what_did_not(durable: DurableOutbox) -> None:
    """Wherever it stands in the file: a record with another text, one more equal, a new one."""
    batch = [*drafts(100), draft("c", counted=True), draft("d", counted=True)]
    await staged(durable, batch)
    other = replace(batch[50], payload=TWO, raw=TWO)
    changed = [*batch[:30], draft("c", counted=True), *batch[30:50], other, *batch[51:], batch[7]]
    (found,) = await staged(durable, [*changed, draft("new")])
    assert found[:4] == (3, 102, 1, 1)
    assert [of.key for of in found.reused] == [line_key(other.raw or b"")]
    assert await staged(durable, batch) == [Staged(0, 102, 0)]


async def test_a_key_belongs_to_its_location(outbox: Outbox) -> None:
    """The same id in two locations is two records."""
    batch = [draft("a"), draft("a", location="l2")]
    assert await outbox.stage(batch, SourcePass()) == Staged(2, 0, 0)


async def test_equal_records_of_one_reading_are_told_apart(durable: DurableOutbox) -> None:
    """Two equal messages are two records, in this reading and in the next."""
    twice = [draft("a", counted=True)] * 2
    results = await staged(durable, twice, twice, twice * 2)
    assert results == [Staged(2, 0, 0), Staged(0, 2, 0), Staged(2, 2, 0)]


async def test_equal_records_are_told_apart_over_batches(durable: DurableOutbox) -> None:
    """A reading is one pass, in however many batches."""
    source_pass, again = SourcePass(), SourcePass()
    results = [
        await durable.stage([draft("a", counted=True)], each)
        for each in (source_pass, source_pass, again, again)
    ]
    assert results == [Staged(1, 0, 0)] * 2 + [Staged(0, 1, 0)] * 2


async def test_a_batch_can_be_staged_again_where_nobody_knows_whether_it_was(
    durable: DurableOutbox, place: DurablePlace
) -> None:
    """As after a connection that was lost amid a commit: equal ones stay as many as they were."""
    batch = [draft("a", counted=True)] * 3
    source_pass = SourcePass()
    await durable.stage(batch, source_pass)
    met = source_pass.met()
    assert await durable.stage(batch, source_pass) == Staged(3, 0, 0)
    async with await place.crashed() as after:
        source_pass.restore(met)
        assert await after.stage(batch, source_pass) == Staged(0, 3, 0)
        assert sorted(source_pass.numbers()) == sorted(claim.seq for claim in await all_of(after))


async def all_of(outbox: Outbox) -> list[Claim]:
    """All that is staged, claimed."""
    await outbox.publish()
    return await claimed(outbox, 100)


async def test_equal_records_have_numbered_keys_in_their_order(outbox: Outbox) -> None:
    """Number one has the key itself; they are sent as they stood in the source."""
    equal = draft("a", counted=True)
    await published(outbox, [equal, equal, draft("b"), equal])
    assert keys(await claimed(outbox, 10)) == ["a", "a\0\2", "b", "a\0\3"]


async def test_one_id_given_to_two_records_refuses_the_second(outbox: Outbox) -> None:
    """The one with other content is refused; an equal one is a copy, and is not sent twice."""
    one, other = draft("a", payload=ONE), draft("a", payload=TWO, line=2)
    found = await outbox.stage([one, other, one], SourcePass())
    assert found[:4] == (2, 1, 1, 1)
    assert [of.line for of in found.reused] == [2]
    assert (await outbox.submit(other)).state is State.REJECTED
    assert await sent_bodies(outbox) == [ONE]


async def test_a_reused_id_is_kept_among_those_that_failed(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """Also when it is read again; the copy is counted once, and told with its line."""
    one, other = draft("a", payload=ONE), draft("a", payload=TWO, line=2)
    batch = [one, other, replace(one, line=3)]
    first, again = await staged(durable, batch, batch)
    assert (first[:4], again[:4]) == ((2, 1, 1, 1), (0, 3, 0, 1))
    assert [of.line for of in (*first.reused, *again.reused)] == [2, 2]
    (failed,) = await listed(reader.failed())
    assert (failed.reason or "").startswith("id is that of another record")
    assert (failed.line, failed.raw) == (2, other.raw)
    summary = await reader.summary()
    assert (summary.copies, summary.first_copies) == (1, [SourcePosition("h.csv", 3)])
    assert await sent_bodies(durable) == [ONE]


async def test_the_list_of_reused_ids_sends_them_mended_alone(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """As it was refused, a record stays so: it would be sent by importing the list unread."""
    await staged(durable, [draft("a", payload=ONE), draft("a", payload=TWO, line=2)])
    assert await sent_bodies(durable) == [ONE]
    (failed,) = await listed(reader.failed())
    own = replace(draft("b", payload=TWO), key=failed.key, own=b"a")
    listing = await durable.source("failed.csv", b"{}")
    assert await durable.stage([own], SourcePass(listing)) == Staged(0, 1, 0)
    assert not await sent_bodies(durable)
    mended = said(3)
    await durable.stage([replace(own, raw=mended, payload=mended)], SourcePass(listing))
    assert await sent_bodies(durable) == [mended]


async def test_what_says_the_same_under_an_id_is_that_record_however_it_is_written(
    durable: DurableOutbox,
) -> None:
    """As another file, or another program, writes the ends of its lines."""
    await staged(durable, [draft("a", payload=said(r"1\r\n2"))])
    other = await durable.source("other.csv", b"{}")
    again = draft("a", payload=said(r"1\n2"))
    assert await durable.stage([again], SourcePass(other)) == Staged(0, 1, 0, 1)


async def test_a_line_that_was_mended_is_known_as_it_was_before(durable: DurableOutbox) -> None:
    """An older copy of its file does not put it among those that failed."""
    refused, sound = draft("a", problem="no"), draft("a", payload=ONE)
    results = await staged(durable, [refused], [sound], [refused], [sound])
    assert results == [Staged(1, 0, 1), Staged(1, 0, 0), Staged(0, 1, 0), Staged(0, 1, 0)]
    assert await sent_bodies(durable) == [ONE]


async def test_a_record_of_another_source_is_a_copy(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """However often it is read there; of its own source it is known, in whatever form."""
    sources = [("a.csv", b"1"), ("a.csv", b"2"), ("b.csv", b"1"), ("b.csv", b"1")]
    results = [
        await durable.stage([draft("a")], SourcePass(await durable.source(*source)))
        for source in sources
    ]
    assert results == [(1, 0, 0, 0, ()), (0, 1, 0, 0, ()), (0, 1, 0, 1, ()), (0, 1, 0, 1, ())]
    summary = await reader.summary()
    assert (summary.records, summary.copies) == (1, 1)
    assert summary.first_copies == [SourcePosition("b.csv", 1)]


@pytest.mark.slow
@pytest.mark.parametrize("state", [State.PENDING, State.SENT, State.UNRESOLVED])
async def test_what_is_or_may_be_stored_is_not_mended(durable: DurableOutbox, state: State) -> None:
    """Nor is it sent again: what differs is refused."""
    await ended(durable, state)
    found = await durable.stage([draft("a", payload=TWO)], SourcePass())
    assert found[:4] == (1, 0, 1, 0)
    assert await sent_bodies(durable) == ([ONE] if state is State.PENDING else [])


async def test_refused_records_are_counted_and_never_claimed(outbox: Outbox) -> None:
    """Those that are left out are no refused ones: nothing is wrong with them."""
    left_out = replace(draft("c", payload=None), left_out="drafts")
    batch = [draft("a", problem="no"), draft("b"), left_out]
    assert await outbox.stage(batch, SourcePass()) == Staged(3, 0, 1)
    await outbox.publish()
    assert keys(await claimed(outbox, 9)) == ["b"]


async def test_a_refused_record_is_kept_with_its_reason(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """It is skipped when it is read again unmended."""
    refused = draft("a", problem="type is missing", line=7)
    results = await staged(durable, [refused, draft("b")], [refused])
    assert results == [Staged(2, 0, 1), Staged(0, 1, 0)]
    (failed,) = await listed(reader.failed())
    found = failed.state, failed.reason, failed.line, failed.raw, failed.payload
    assert found == (State.REJECTED, "type is missing", 7, refused.raw, None)


async def test_what_is_left_out_is_counted_with_its_reason(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """It did not fail; read with another choice, it is sent."""
    left_out = replace(draft("a", payload=None), left_out="drafts")
    results = await staged(durable, [left_out], [left_out])
    assert results == [Staged(1, 0, 0), Staged(0, 1, 0)]
    summary = await reader.summary()
    assert summary.counts == RecordCounts(left_out=1)
    assert [(of.state, of.reason) for of in summary.reasons] == [(State.LEFT_OUT, "drafts")]
    assert not await listed(reader.failed())
    assert await staged(durable, [draft("a", payload=ONE)]) == [Staged(1, 0, 0)]
    assert await sent_bodies(durable) == [ONE]


@pytest.mark.slow
@pytest.mark.parametrize("is_published", [True, False])
async def test_a_mended_record_takes_the_refused_ones_place(
    durable: DurableOutbox,
    reader: OutboxReader,
    *,
    is_published: bool,
) -> None:
    """With its new lane, date and body; published already or not."""
    await staged(durable, [draft("a", lane=0, problem="no"), draft("b", date=5)])
    if is_published:
        await durable.publish()
    mended = draft("a", lane=1, date=3, payload=ONE)
    assert await staged(durable, [mended]) == [Staged(1, 0, 0)]
    assert await sent_bodies(durable) == [ONE, b"{}"]
    assert (await reader.summary()).counts == RecordCounts(sent=2)
    assert not await listed(reader.failed())


async def test_a_record_mended_badly_has_a_new_reason(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """It counts as staged and as refused, and the list shows its latest form."""
    versions = [[draft("a", problem="no", line=1)], [draft("a", problem="nor", line=2)]]
    assert await staged(durable, *versions) == [Staged(1, 0, 1)] * 2
    (failed,) = await listed(reader.failed())
    assert (failed.reason, failed.line) == ("nor", 2)
    assert (await reader.summary()).counts == RecordCounts(rejected=1)


async def test_what_the_api_rejected_is_mended_by_another_body_only(
    durable: DurableOutbox,
) -> None:
    """Reading the same source again must not send it again."""
    await ended(durable, State.REJECTED)
    results = await staged(durable, [draft("a", payload=ONE)], [draft("a", payload=TWO)])
    assert results == [Staged(0, 1, 0), Staged(1, 0, 0)]
    assert await sent_bodies(durable) == [TWO]


async def test_what_is_given_up_stays_so(durable: DurableOutbox) -> None:
    """But for a record that could not be sent as it was, once it is mended."""
    await ended(durable, State.REJECTED)
    await staged(durable, [draft("b", problem="no")])
    assert await durable.dismiss(keys=[(b"a", "l1"), (b"b", "")]) == 2
    found = await staged(durable, [draft("a", payload=TWO), draft("b", payload=ONE)])
    assert found[0][:3] == (1, 1, 0)
    assert await sent_bodies(durable) == [ONE]


async def test_the_second_of_two_in_one_reading_mends_nothing(durable: DurableOutbox) -> None:
    """Also where the first was refused: they are two records, and both are on the list."""
    (found,) = await staged(durable, [draft("a", problem="no"), draft("a", payload=ONE)])
    assert found[:4] == (2, 0, 2, 0)


async def test_a_mended_record_is_what_later_ones_of_the_reading_differ_from(
    durable: DurableOutbox,
) -> None:
    """Within one batch: the first mends, and what it was before is not another record."""
    refused = draft("a", problem="no")
    _, found = await staged(durable, [refused], [draft("a", payload=ONE), refused])
    assert found[:4] == (1, 1, 0, 1)


async def test_a_mended_record_is_not_taken_for_one_in_flight(
    durable: DurableOutbox, place: DurablePlace
) -> None:
    """It was claimed once, together with another that still is, and a crash comes."""
    await published(durable, [draft("a"), draft("b", lane=2)])
    one, _ = await claimed(durable, 2)
    await durable.settle([fate(one, State.REJECTED)], ())
    await durable.stage([draft("a", payload=ONE)], SourcePass())
    async with await place.crashed() as after:
        assert keys((await after.acquire("l1")).unknown) == ["b"]
        assert keys(await claimed(after, 9)) == ["a"]


async def test_a_refused_line_that_is_sound_now_is_the_same_record(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """It had no id, and so the key of its line, or no location either; then it has its own key."""
    raw = [b"line 1", b"line 2"]
    refused = [
        replace(draft("", location=where, counted=True, problem="no"), key=line_key(of), raw=of)
        for where, of in zip(("l1", ""), raw, strict=True)
    ]
    sound = [replace(draft(f"c{n}", counted=True, lane=n), raw=of) for n, of in enumerate(raw)]
    results = await staged(durable, refused, sound, sound)
    assert [of[:3] for of in results] == [(2, 0, 2), (2, 0, 0), (0, 2, 0)]
    assert (await reader.summary()).locations == {"l1": RecordCounts(pending=2)}
    assert len(await sent_bodies(durable)) == 2


def refused_of(line: bytes) -> Draft:
    """A line that was refused: it had no id, and so the key of its line."""
    return replace(draft("", counted=True, problem="no"), key=line_key(line), raw=line)


@pytest.mark.parametrize("where", ["l1", ""])
async def test_a_line_that_an_earlier_version_refused_is_the_same_record(
    durable: DurableOutbox, reader: OutboxReader, where: str
) -> None:
    """Its key was that of all that options make of it; now it is that of what its source says."""
    said = b', "sourceLine": "' + b"0a" * 15 + b'"}'
    before = [replace(refused_of(b'{"message": "hi"}'), location=where)] * 2
    after = [replace(refused_of(b'{"message": "hi"' + said), location=where)] * 2
    sound = [replace(draft(f"c{n}", counted=True, lane=n), raw=after[0].raw) for n in range(2)]
    results = await staged(durable, before, after, after, sound, sound)
    assert [of[:3] for of in results] == [(2, 0, 2), (0, 2, 0), (0, 2, 0), (2, 0, 0), (0, 2, 0)]
    assert (await reader.summary()).locations == {"l1": RecordCounts(pending=2)}


async def test_a_refused_line_that_another_source_has_brought_meanwhile_is_that_record(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """It is not sent a second time, and is no more among those that failed."""
    line = b"line 1"
    sound = replace(draft("c", counted=True, payload=ONE), raw=line)
    await staged(durable, [refused_of(line)])
    other = await durable.source("other.csv", b"{}")
    await durable.stage([replace(sound, raw=b"another's")], SourcePass(other))
    assert (await staged(durable, [sound]))[0][:4] == (0, 1, 0, 1)
    assert (await reader.summary()).locations == {"l1": RecordCounts(pending=1)}
    assert await sent_bodies(durable) == [ONE]


async def test_a_mended_line_stays_what_it_is_though_another_source_brings_an_equal_record(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """What was sent of it is not forgotten."""
    line = b"line 1"
    sound = replace(draft("c", counted=True, payload=ONE), raw=line)
    await staged(durable, [refused_of(line)], [sound])
    other = await durable.source("other.csv", b"{}")
    await durable.stage([replace(sound, raw=b"another's")], SourcePass(other))
    assert len(await sent_bodies(durable)) == 2
    assert (await staged(durable, [sound]))[0][:4] == (0, 1, 0, 0)
    assert (await reader.summary()).counts == RecordCounts(sent=2)


async def test_equal_lines_of_which_one_was_refused_are_as_many_records(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """The second of them is the refused one, in the same batch or in the next."""
    lines = [b"line 1", b"line 2"]
    one, two = (replace(draft("c", counted=True, payload=ONE), raw=line) for line in lines)
    for batches in ([[one, two]], [[one], [two]]):
        await staged(durable, [one, refused_of(lines[1])])
        source = SourcePass(await durable.source("h.csv", b"{}"))
        for batch in batches:
            await durable.stage(batch, source)
    assert (await reader.summary()).locations == {"l1": RecordCounts(pending=2)}
    assert await sent_bodies(durable) == [ONE, ONE]


async def test_faults_of_a_source_are_forgotten_at_its_end(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """Those that were not met again, of this source alone; what is a record stays."""
    prefix, other = fault_key("h.csv"), fault_key("i.csv")
    faults = [
        replace(draft("", location="", problem=f"fault {n}"), key=key)
        for n, key in enumerate((prefix + b"1", prefix + b"2", other + b"1"))
    ]
    source = await durable.source("h.csv", b"{}")
    await durable.stage([*faults, draft("a", problem="no")], SourcePass(source))
    again = SourcePass(source)
    await durable.stage(faults[:1], again)
    await durable.end(again, prefix)
    reasons = {of.reason for of in (await reader.summary()).reasons}
    assert reasons == {"fault 0", "fault 2", "no"}


async def test_a_draft_that_makes_no_sense_fails_alone(durable: DurableOutbox) -> None:
    """A bug in the caller stops its call, and not the store."""
    wrong = (draft("a", payload=None), ValueError), (draft("b", date=1 << 63), OverflowError)
    for one, error in wrong:
        with pytest.raises(error):
            await durable.stage([draft("c"), one], SourcePass())
    assert await durable.stage([draft("c")], SourcePass()) == Staged(1, 0, 0)


@pytest.mark.slow
@given(
    readings=st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40), max_size=4
    ),
    size=st.integers(1, 15),
)
def test_every_reading_has_as_many_records_as_its_largest(
    store: type[Place], readings: list[list[tuple[str, bool]]], size: int
) -> None:
    """Of a digest: as many as one reading had at most. Of an id: one, for all are equal.

    A stream has one reading.
    """
    if not issubclass(store, DurablePlace):
        readings = readings[:1]
    kinds = {kind for reading in readings for kind in reading}
    expected = sum(
        max(reading.count(kind) for reading in readings) if kind[1] else 1 for kind in kinds
    )

    async def work(outbox: Outbox) -> None:
        total = 0
        for reading in readings:
            batch = [draft(f"{counted}{key}", counted=counted) for key, counted in reading]
            met = SourcePass()
            for at in range(0, len(batch), size):
                total += (await outbox.stage(batch[at : at + size], met)).staged
        assert total == expected

    in_store(store, work)


HOUR = 3_600_000


def line_of(key: str, line: int, date: int, raw: str, payload: bytes = b"{}") -> Draft:
    """What a line is made of."""
    return replace(draft(key, line=line, date=date, payload=payload), raw=raw.encode())


@pytest.mark.parametrize(
    ("line", "date", "raw", "refused"),
    [
        (3, 7, "1,a,hi", 1),
        (3, 7, "1,a,hi,more", 1),
        (3, 7 + HOUR, "1,a,hi", 1),
        (3, 7, "1,b,ho", 0),
        (3, 8, "1,a,hi", 1),
        (3, 7 + HOUR, '{"message":"hi","date":"2"}', 1),
        (3, 8, '{"message":"hi","date":"2"}', 0),
        (4, 7, "1,a,hi", 0),
        (9, 7, "1,b,hi", 1),
        (9, 8, "1,b,hi", 0),
        (9, 7 + HOUR, "1,b,hi", 0),
    ],
)
async def test_a_line_that_other_options_read_otherwise_is_not_sent_again(  # noqa: PLR0913, PLR0917 - cases
    durable: DurableOutbox, reader: OutboxReader, line: int, date: int, raw: str, refused: int
) -> None:
    """It says the same; or its text does in another zone, where it depends on how it is read."""
    before, now = [await durable.source("h.csv", form) for form in (b"{}", b'{"region":"US"}')]
    last = line_of("c", 9, 6, "1,c,hi")
    first = '{"message":"hi","date":"1"}' if raw.startswith("{") else "1,a,hi"
    batch = [line_of("a", 3, 7, first), line_of("b", 9, 7, "1,b,hi"), last]
    await durable.stage(batch, SourcePass(before))
    assert len(await sent_bodies(durable)) == 3
    read = [line_of("d", line, date, raw, ONE), last]
    for again in range(2):
        found = await durable.stage(read, SourcePass(now))
        assert [one.problem is not None for one in found.reused] == [True] * refused
        assert found[:3] == (0 if again else 1, 1 + again, 0 if again else refused)
    assert await sent_bodies(durable) == [ONE] * (1 - refused)
    await durable.stage(batch, SourcePass(before))
    assert (await reader.summary()).counts == RecordCounts(sent=4 - refused, rejected=refused)


async def test_the_list_of_lines_that_were_read_otherwise_sends_them_mended_alone(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """As it was written they are in the outbox; also where another file holds the line again."""
    now = await durable.source("h.csv", b'{"region":"US"}')
    for name in ("h.csv", "copy.csv"):
        source = await durable.source(name, b"{}")
        await durable.stage([line_of("a", 3, 7, "1,a,hi")], SourcePass(source))
    assert len(await sent_bodies(durable)) == 1
    copy = await durable.source("copy.csv", b'{"region":"US"}')
    for source in (now, copy):
        await durable.stage([line_of("d", 3, 7 + HOUR, "1,a,hi", ONE)], SourcePass(source))
    (failed,) = await listed(reader.failed())
    own = replace(line_of("e", 2, 7, "1,a,hi", ONE), key=failed.key, own=b"")
    listing = await durable.source("failed.csv", b"{}")
    await durable.stage([own], SourcePass(listing))
    assert not await sent_bodies(durable)
    await durable.stage([replace(own, raw=b"1,a,mended", payload=TWO)], SourcePass(listing))
    assert await sent_bodies(durable) == [TWO]


async def test_a_line_that_was_read_otherwise_stays_refused_where_it_has_moved(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """As in a file that grows at its beginning. Equal lines are told as it is."""
    before, now = [await durable.source("h.csv", form) for form in (b"{}", b'{"region":"US"}')]
    await durable.stage([line_of("a", 3, 7, "1,a,hi")], SourcePass(before))
    assert len(await sent_bodies(durable)) == 1
    for line in (3, 4):
        grown = [line_of("n", 3, 1, "1,n,hi")] * (line - 3)
        read = [*grown, line_of("d", line, 7 + HOUR, "1,a,hi", ONE)]
        await durable.stage(read, SourcePass(now))
    assert await sent_bodies(durable) == [b"{}"]
    assert (await reader.summary()).counts == RecordCounts(sent=2, rejected=1)


async def test_what_was_refused_of_a_line_is_sent_when_other_options_read_it(
    durable: DurableOutbox,
) -> None:
    """Also beside others of its line that were sent: those are none of it."""
    before, now = [await durable.source("h.csv", form) for form in (b"{}", b'{"region":"US"}')]
    refused = replace(draft("b", line=3, date=7, problem="no region"), raw=b"1,b")
    await durable.stage([line_of("a", 3, 7, "1,a"), refused], SourcePass(before))
    assert len(await sent_bodies(durable)) == 1
    read = [line_of("a", 3, 7, "1,a"), line_of("b", 3, 7, "1,b", ONE)]
    await durable.stage(read, SourcePass(now))
    assert await sent_bodies(durable) == [ONE]
