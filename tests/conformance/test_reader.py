"""What an outbox tells to whoever only reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from outbox_kit import AT, claimed, draft, drafts, fate, listed, published

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.reader import (
    MAX_REASONS,
    OTHERS,
    HistoryRecord,
    NamedIds,
    OutboxSummary,
    QueuedRecord,
    ReasonGroup,
    RecordCounts,
    SourcePosition,
)
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.outbox.workload import named_ids, workload

if TYPE_CHECKING:
    from collections.abc import Iterable

    from outbox_places import DurablePlace

    from leadconnector_async.outbox.durable import DurableOutbox
    from leadconnector_async.outbox.outbox_reader import OutboxReader


async def refuse(outbox: DurableOutbox, reasons: Iterable[str]) -> None:
    """Stage a refused record for each reason, line by line."""
    batch = [draft(f"k{n}", problem=why, line=n) for n, why in enumerate(reasons, 1)]
    await outbox.stage(batch, SourcePass(await outbox.source("h.csv", b"{}")))


@pytest.mark.usefixtures("durable")
async def test_an_empty_outbox_has_an_empty_report(reader: OutboxReader) -> None:
    """Before anything is staged."""
    summary = await reader.summary(now_ms=AT)
    assert summary == OutboxSummary({}, [], None, None, 0, 60.0, 0, 0, [], 0, {})
    assert (summary.counts, await workload(reader), await reader.quotas()) == (
        RecordCounts(),
        {},
        {},
    )


@pytest.mark.slow
async def test_counts_are_by_location(
    durable: DurableOutbox, reader: OutboxReader, place: DurablePlace
) -> None:
    """Staged and not published counts as pending; claimed ones are told apart."""
    await published(durable, [*drafts(5), draft("no", location="l2", problem="no")])
    await durable.stage(drafts(3, location="l3"), SourcePass())
    claims = await claimed(durable, 4)
    await durable.settle([fate(claims[0])], ())
    now = await reader.summary()
    async with await place.crashed(), await place.reader() as after:
        then = await after.summary()
    for summary in (now, then):
        assert summary.locations == {
            "l1": RecordCounts(pending=1, claimed=3, sent=1),
            "l2": RecordCounts(rejected=1),
            "l3": RecordCounts(pending=3),
        }
        assert summary.counts == RecordCounts(4, 3, 1, 1)
        assert (summary.counts.left, sum(summary.counts), summary.records) == (7, 9, 9)


async def test_reasons_are_counted_with_their_first_places(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """The most frequent first, each state for itself."""
    source = await durable.source("a.csv", b"{}")
    batch = [draft(f"r{n}", problem=f"reason {n % 2}", line=n) for n in range(1, 12)]
    await durable.stage([*batch, draft("u", line=20)], SourcePass(source))
    await durable.publish()
    (claim,) = await claimed(durable, 1)
    await durable.settle([fate(claim, State.UNRESOLVED, reason="reason 0")], ())
    places = [SourcePosition("a.csv", line) for line in range(21)]
    assert (await reader.summary()).reasons == [
        ReasonGroup(State.REJECTED, "reason 1", 6, places[1:10:2]),
        ReasonGroup(State.REJECTED, "reason 0", 5, places[2:11:2]),
        ReasonGroup(State.UNRESOLVED, "reason 0", 1, places[20:]),
    ]


async def test_a_wrong_format_of_a_whole_file_is_one_reason(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """However many values it shows in; the first places are those of all, and the sum is right."""
    dates = [f'date is no ISO 8601 date ("{n}/1/24")' for n in range(1, MAX_REASONS + 2)]
    await refuse(durable, ["direction is missing", *dates, 'date is no ISO 8601 date ("1/1/24")'])
    places = [SourcePosition("h.csv", line) for line in range(7)]
    assert (await reader.summary()).reasons == [
        ReasonGroup(State.REJECTED, "date is no ISO 8601 date", MAX_REASONS + 2, places[2:7]),
        ReasonGroup(State.REJECTED, "direction is missing", 1, places[1:2]),
    ]


@pytest.mark.slow
async def test_reasons_add_up_to_what_failed(durable: DurableOutbox, reader: OutboxReader) -> None:
    """Those beyond the most that are told are counted together."""
    await refuse(durable, (f"reason {n}" for n in range(MAX_REASONS + 50)))
    reasons = (await reader.summary()).reasons
    assert len(reasons) == MAX_REASONS + 1
    assert sum(reason.count for reason in reasons) == MAX_REASONS + 50
    assert (reasons[0].reason, reasons[0].count) == (OTHERS, 50)


@pytest.mark.slow
async def test_a_record_without_a_source_or_a_reason_is_reported_too(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """It came through submit, and its end was settled without a word."""
    await durable.submit(replace(draft("a", line=0), raw=None))
    (claim,) = await claimed(durable, 1)
    await durable.settle([fate(claim, State.UNRESOLVED)], ())
    (reason,) = (await reader.summary()).reasons
    assert (reason.reason, reason.first) == (None, [SourcePosition("", 0)])
    (failed,) = await listed(reader.failed())
    assert (failed.source, failed.form, failed.line, failed.raw) == ("", None, 0, None)
    assert failed.payload == b"{}"
    assert await reader.failed_forms() == {None}


async def test_the_rate_is_of_the_last_while(durable: DurableOutbox, reader: OutboxReader) -> None:
    """Counted in spans of ten seconds, so what it covers is said exactly."""
    await published(durable, drafts(6, lanes=6))
    claims = await claimed(durable, 6)
    for claim, ago in zip(claims, (300, 65, 45, 30, 5, 0), strict=True):
        state = State.REJECTED if ago == 30 else State.SENT
        await durable.settle([fate(claim, state, at=AT - ago * 1000)], ())
    summary = await reader.summary(lately_s=60, now_ms=AT)
    assert (summary.first_at, summary.last_at) == (AT - 300_000, AT)
    assert (summary.sent_lately, summary.lately_s, summary.sending_ms) == (3, 60.0, 50_000)


async def test_failed_records_come_by_source_and_line(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """Whatever the order in which they failed; with the source's form."""
    b = await durable.source("b.csv", b"form b")
    a = await durable.source("a.csv", b"form a")
    assert await durable.source("b.csv", b"form b") == b != await durable.source("b.csv", b"c")
    await durable.stage([draft("3", line=9), draft("4", line=8, problem="no")], SourcePass(b))
    await durable.stage([draft("1", line=2), draft("2", line=1, problem="no")], SourcePass(a))
    await durable.publish()
    claims = await claimed(durable, 9)
    await durable.settle([fate(claim, State.REJECTED) for claim in claims], ())
    found = [(of.source, of.form, of.line) for of in await listed(reader.failed())]
    assert found == [
        ("b.csv", b"form b", 8),
        ("b.csv", b"form b", 9),
        ("a.csv", b"form a", 1),
        ("a.csv", b"form a", 2),
    ]
    assert await reader.failed_forms() == {b"form a", b"form b"}
    assert await reader.sources() == ["b.csv", "a.csv", "b.csv"]


async def test_sent_records_come_lane_by_lane(durable: DurableOutbox, reader: OutboxReader) -> None:
    """Over more pages than one, each once; other locations' and failed ones are left out."""
    await published(durable, [*drafts(700, lanes=3), *drafts(5, location="l2")])
    claims = [*await claimed(durable, 700), *await claimed(durable, 5, "l2")]
    states = [State.REJECTED if claim.date % 7 == 0 else State.SENT for claim in claims]
    await durable.settle([fate(*pair) for pair in zip(claims, states, strict=True)], ())
    sent = await listed(reader.sent("l1"))
    found = [(of.date % 3, of.date, of.message_id) for of in sent]
    assert found == sorted(found)
    assert len({message for *_, message in found}) == len(found) == 600
    assert not await listed(reader.sent("nowhere"))


@pytest.mark.slow
async def test_queued_records_are_those_without_an_end(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """Claimed or not, each once; and the ids that they name."""
    body = b'{"contactId":"c%d","conversationProviderId":"p"}'
    await published(
        durable,
        [
            replace(draft(f"{n}", payload=body % n, date=n), deferred="{}" if n % 2 else None)
            for n in range(600)
        ],
    )
    done, *_ = await claimed(durable, 9)
    await durable.settle([fate(done)], ())
    queued = await listed(reader.queued())
    expected = [QueuedRecord("l1", body % n, "{}" if n % 2 else None) for n in range(1, 600)]
    assert queued == expected
    assert await listed(reader.queued(deferred_only=True)) == expected[::2]
    contacts = {f"c{n}" for n in range(1, 600)}
    assert await named_ids(reader) == NamedIds(contacts, {""}, {"p"}, {"l1"})


async def test_every_record_is_in_the_history(durable: DurableOutbox, reader: OutboxReader) -> None:
    """In the order of staging, with what it is and where it stands."""
    body = b'{"type":"SMS","direction":"inbound"%b}'
    batch = [draft(f"{n}", payload=body % b"", lane=-n, date=n) for n in range(3)]
    dated = draft("3", payload=body % b',"date":"2024"', location="l2", date=7)
    await published(durable, [*batch, draft("no", problem="no"), dated])
    three, two, one = await claimed(durable, 3)
    ends = [fate(one, State.UNRESOLVED), fate(two, reason="found"), fate(three)]
    await durable.settle(ends, ())

    def kind(form: bytes | None, raw: bytes | None) -> tuple[str | None, str | None, int | None]:
        assert (form, raw) == (None, b"no no")
        return "Email", None, 5

    what = "SMS", "inbound"
    assert await listed(reader.records(kind)) == [
        HistoryRecord("l1", *what, None, State.UNRESOLVED, found=False),
        HistoryRecord("l1", *what, None, State.SENT, found=True),
        HistoryRecord("l1", *what, None, State.SENT, found=False),
        HistoryRecord("l1", "Email", None, 5, State.REJECTED, found=False),
        HistoryRecord("l2", *what, 7, State.PENDING, found=False),
    ]


async def test_one_moment_is_one_moment(durable: DurableOutbox, reader: OutboxReader) -> None:
    """What is written meanwhile is seen afterwards."""
    await published(durable, drafts(1))
    async with reader.at_one_moment():
        before = await reader.summary(now_ms=AT)
        await published(durable, drafts(2))
        assert await reader.summary(now_ms=AT) == before
        assert len(await listed(reader.queued())) == 1
    assert (await reader.summary()).records == 2


async def test_reading_goes_on_beside_the_owner_and_after_a_crash(
    durable: DurableOutbox, reader: OutboxReader, place: DurablePlace
) -> None:
    """A report sees all that is durable."""
    await published(durable, drafts(3, lanes=3))
    for n, claim in enumerate(await claimed(durable, 3)):
        assert (await reader.summary()).counts == RecordCounts(0, 3 - n, n)
        await durable.settle([fate(claim)], ())
    async with await place.crashed(), await place.reader() as after:
        assert (await after.summary()).counts == RecordCounts(sent=3)


@pytest.mark.slow
async def test_what_was_put_back_meanwhile_is_left_out_of_a_list(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """A list is read as slowly as a person reads it."""
    await published(durable, drafts(80, lanes=80))
    claims = await claimed(durable, 80)
    await durable.settle([fate(claim, State.REJECTED) for claim in claims], ())
    pages = reader.failed()
    assert await anext(pages)
    await durable.requeue()
    assert not await listed(pages)


async def test_no_text_of_a_message_is_in_a_repr(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """They end up in logs."""
    batch = [draft(f"{n}", lane=n, payload=b"secret", date=n) for n in range(3)]
    await published(durable, batch)
    one, two = await claimed(durable, 2)
    queued = await listed(reader.queued())
    await durable.settle([fate(one), fate(two, State.REJECTED, detail=b"secret")], ())
    records = await listed(reader.sent("l1")), await listed(reader.failed())
    shown = repr((*batch, one, queued, *records, reader, durable))
    assert len(records[0]) == len(records[1]) == 1
    assert "secret" not in shown


async def test_an_outbox_is_for_one_destination(
    durable: DurableOutbox, place: DurablePlace, reader: OutboxReader
) -> None:
    """What was sent to a sandbox would otherwise never be sent to the API."""
    await durable.dedicate("the sandbox", name="o.db")
    await durable.dedicate("the sandbox", name="o.db")
    assert (await reader.summary()).records == 0
    async with await place.crashed() as after:
        await after.dedicate("the sandbox")
        with pytest.raises(
            OutboxUnusableError, match=r"o\.db belongs to an import into the sandbox"
        ):
            await after.dedicate("https://api.example", name="o.db")


async def test_the_life_of_a_record_is_told(durable: DurableOutbox, reader: OutboxReader) -> None:
    """Where it and its equals stand, what happened before its end, and who settled it."""
    source = await durable.source("folder/h.csv", b"{}")
    body = b'{"type":"SMS","direction":"inbound","contactId":"c1","date":"2023-11-14"}'
    record = draft("ione", payload=body, date=5, line=7)
    await durable.stage(
        [record, draft("itwo", line=8), draft("iwrong", problem="no")], SourcePass(source)
    )
    again = await durable.source("copy.csv", b"{}")
    await durable.stage([replace(record, line=3)], SourcePass(again))
    await durable.publish()
    second, first = await claimed(durable, 2)
    first.note("no answer", "t1")
    first.note("no answer", "t2")
    first.note("looked for: found")
    await durable.settle([fate(first, reason="found"), fate(second, State.PENDING)], ())
    (seq,) = await reader.find("one")
    (life,) = [life async for life in reader.lives([seq])]
    assert (life.key, life.location, life.type, life.direction, life.date) == (
        b"ione",
        "l1",
        "SMS",
        "inbound",
        5,
    )
    assert life.places == [SourcePosition("folder/h.csv", 7), SourcePosition("copy.csv", 3)]
    trail = [(event.what, event.trace) for event in life.trail]
    assert trail == [("no answer", "t2"), ("looked for: found", None)]
    assert (life.state, life.at, life.attempts, life.reason) == (State.SENT, AT, 1, "found")
    (waits,) = [life async for life in reader.lives(await reader.find("two"))]
    assert (waits.state, waits.at, waits.worker, waits.attempts) == (State.PENDING, None, None, 1)
    await durable.settle([fate(claim) for claim in await claimed(durable, 1)], ())
    (sent,) = [life async for life in reader.lives(await reader.find("two"))]
    assert (sent.state, sent.attempts) == (State.SENT, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("one", 1),
        ("h.csv:7", 1),
        ("folder/h.csv:7", 1),
        ("../now/here/h.csv:7", 1),
        ("7", 1),
        ("csv:7", 0),
        ("other.csv:7", 0),
        ("m-of-one", 1),
        ("c1", 2),
        ("+14155550101", 1),
        ("14155550101", 1),
        ("4155550101", 1),
        ("c", 0),
        ("", 0),
    ],
)
async def test_records_are_found_by_what_people_know_of_them(
    durable: DurableOutbox, reader: OutboxReader, text: str, named: int
) -> None:
    """Id, place, what the API answered, and whom they are with: always whole."""
    source = await durable.source("folder/h.csv", b"{}")
    late = '{"contact":{"phone":"+14155550101"}}'
    batch = [
        draft("ione", payload=b'{"contactId":"c1"}', line=7),
        draft("itwo", payload=b'{"contactId":"c1"}', line=8),
        replace(draft("ithree", line=9), deferred=late),
    ]
    await durable.stage(batch, SourcePass(source))
    await durable.publish()
    claims = await claimed(durable, 3)
    await durable.settle([fate(c, message_id=f"m-of-{c.key[1:].decode()}") for c in claims], ())
    assert len(await reader.find(text)) == named


async def test_texts_of_settled_records_are_forgotten(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """What failed or waits stays whole; read again, all of them are known, and another is not."""
    text = b'{"type":"SMS","contactId":"c1","message":"secret","direction":"inbound"}'
    source = await durable.source("h.csv", b"{}")
    batch = [
        draft("isent", payload=text, line=1),
        draft("ifailed", payload=text, line=2),
        draft("iwaits", payload=text, line=3, date=9),
        replace(draft("iout", payload=None, line=4), left_out="spam"),
    ]
    await durable.stage(batch, SourcePass(source))
    await durable.publish()
    claims = {claim.key: claim for claim in await claimed(durable, 2)}
    ends = [fate(claims[b"isent"]), fate(claims[b"ifailed"], State.REJECTED, reason="no")]
    await durable.settle(ends, ())
    assert await durable.forget_texts() == 2
    (sent,) = await listed(reader.sent("l1"))
    assert b"secret" not in sent.payload
    assert b'"contactId":"c1"' in sent.payload
    (failed,) = await listed(reader.failed())
    assert (failed.payload, failed.raw) == (text, batch[1].raw)
    assert [record.payload for record in await listed(reader.queued())] == [text]
    again = await durable.stage(batch, SourcePass(source))
    assert (again.staged, again.skipped, again.copies, again.reused) == (0, 4, 0, ())
    other = replace(batch[0], payload=text.replace(b"secret", b"other"), raw=b"other", line=7)
    elsewhere = await durable.source("other.csv", b"{}")
    assert len((await durable.stage([other], SourcePass(elsewhere))).reused) == 1
    assert await reader.broken() == {}


async def test_names_of_persons_whose_contact_is_there_are_forgotten(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """One that is still to be made keeps the name that it will have."""
    await published(durable, [draft("i1")])
    lease = (await durable.acquire("l1")).lease
    person = '{"phone":"+1202555010%d","email":"p%d@example.com","name":"Jane"}'
    known = {"person:+12025550101": person % (1, 1), "person:p2@example.com": person % (2, 2)}
    waits = {"person:+12025550103": person % (3, 3)}
    there = {"contact:p1@example.com": "c1", "contact:+12025550102": "c2"}
    await durable.put_lookups(lease, known | waits | there)
    await durable.forget_texts()
    kept = await reader.lookups("l1", [*known, *waits, *there])
    assert [name for name, value in kept.items() if "Jane" in value] == [*waits]
    assert kept.keys() == {*known, *waits, *there}
    assert all("@example.com" in kept[name] for name in known)


@pytest.mark.slow
async def test_messages_that_overtook_earlier_ones_are_counted(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """One that was read later; in another lane nothing was."""
    await published(durable, [draft("i2", date=2), draft("i9", date=9, lane=2)])
    await durable.settle([fate(claim, at=AT + 5) for claim in await claimed(durable, 2)], ())
    assert await reader.overtaken() == 0
    await published(durable, [draft("i1", date=1), draft("i3", date=3)])
    await durable.settle([fate(claim, at=AT + 6) for claim in await claimed(durable, 2)], ())
    assert await reader.overtaken() == 1
