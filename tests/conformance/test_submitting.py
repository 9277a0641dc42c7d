"""Single records, each with someone who waits for its fate."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from msgspec import structs
from msgspec.structs import replace
from outbox_kit import claimed, draft, drafts, fate, keys, said

from leadconnector_async.outbox.base import Outbox, Staged, State, Submission
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.records.draft import TraceContext

if TYPE_CHECKING:
    from outbox_places import DurablePlace

    from leadconnector_async.outbox.durable import DurableOutbox
    from leadconnector_async.records.draft import Draft


async def submit_all(outbox: Outbox, batch: list[Draft]) -> list[Submission]:
    """Submit all at the same moment."""
    if outbox.is_shared:
        return list(await asyncio.gather(*map(outbox.submit, batch)))
    submissions, _ = await outbox.take_in(batch)
    return submissions


async def test_what_is_taken_in_can_be_claimed_with_it(outbox: Outbox) -> None:
    """Behind what is there already, and no more than is asked for."""
    await outbox.submit(draft("a", lane=1, date=1))
    lease, *_ = await outbox.acquire("l1")
    batch = [draft("b", lane=1, date=2), draft("c", lane=1, date=3)]
    submissions, (claims,) = await outbox.take_in(batch, [(lease, 2)])
    assert keys(claims) == ["a", "b"]
    assert claims[1].seq == submissions[0].seq
    await outbox.settle([fate(claim) for claim in claims], ())
    (rest,) = await outbox.claim([(lease, 9)])
    assert [claim.seq for claim in rest] == [submissions[1].seq]


async def test_each_has_its_own_body_where_what_is_taken_in_comes_before_what_is_there(
    outbox: Outbox,
) -> None:
    """Else one record would be sent as another: that one twice, and itself never."""
    for n in (1, 3, 5):
        await outbox.submit(draft(f"{n}", lane=n // 4, date=n, payload=said(n)))
    lease, *_ = await outbox.acquire("l1")
    batch = [draft(f"{n}", lane=n // 4, date=n, payload=said(n)) for n in (0, 2, 4)]
    _, (claims,) = await outbox.take_in(batch, [(lease, 9)])
    assert sorted(keys(claims)) == [f"{n}" for n in range(6)]
    assert [claim.payload for claim in claims] == [said(key) for key in keys(claims)]


async def test_what_was_taken_in_and_claimed_is_unknown_after_a_crash(
    durable: DurableOutbox, place: DurablePlace
) -> None:
    """Its request may have left."""
    await durable.submit(draft("a"))
    lease, *_ = await durable.acquire("l1")
    _, (claims,) = await durable.take_in([draft("b")], [(lease, 9)])
    async with await place.crashed() as after:
        _, unknown, _ = await after.acquire("l1")
        assert sorted(keys(unknown)) == sorted(keys(claims)) == ["a", "b"]


async def test_a_claim_of_what_is_taken_in_is_as_one_that_is_read(
    durable: DurableOutbox, place: DurablePlace
) -> None:
    """In the order of lanes and dates, of each location, with all that a record has."""
    dated = [draft(f"{n}", lane=n % 2, date=-n) for n in range(5)]
    batch = [*dated, replace(draft("e", location="l2"), deferred='{"mail":1}')]
    leases = [(await durable.acquire(location)).lease for location in ("l1", "l2")]
    _, claims = await durable.take_in(batch, [(lease, 3) for lease in leases])
    assert sorted(keys(claims[0])) == ["2", "3", "4"]
    async with await place.crashed() as after:
        for location, taken in zip(("l1", "l2"), claims, strict=True):
            lease, unknown, _ = await after.acquire(location)
            expected = [structs.asdict(claim) | {"lease": lease} for claim in taken]
            expected.sort(key=lambda of: (of["lane"], of["date"]))
            assert [structs.asdict(claim) for claim in unknown] == expected
            (rest,) = await after.claim([(lease, 9)])
            assert sorted(keys(rest)) == (["0", "1"] if location == "l1" else [])


@pytest.mark.slow
async def test_what_is_submitted_can_be_claimed_at_once(outbox: Outbox) -> None:
    """Unpublished, in date order; callers get the numbers of their own records."""
    submissions = await submit_all(outbox, [draft(str(n), date=-n) for n in range(5)])
    assert {submission.state for submission in submissions} == {State.PENDING}
    claims = await claimed(outbox, 9)
    assert keys(claims) == ["4", "3", "2", "1", "0"]
    assert [claim.seq for claim in reversed(claims)] == [of.seq for of in submissions]


async def test_submitted_records_survive_a_crash(
    durable: DurableOutbox, place: DurablePlace
) -> None:
    """A caller that was told the number can rely on it."""
    submissions = await submit_all(durable, drafts(3))
    async with await place.crashed() as after:
        claims = await claimed(after, 9)
        assert [claim.seq for claim in claims] == [of.seq for of in submissions]


async def test_the_same_record_again_has_the_same_number(outbox: Outbox) -> None:
    """By id or by content, in the same moment or later, whether it is in hand or not."""
    for one in (draft("a", counted=True), draft("b")):
        first, same = await submit_all(outbox, [one, one])
        assert first == Submission(first.seq, State.PENDING, None, is_new=True)
        assert same == Submission(first.seq, State.PENDING, None)
        (claim,) = await claimed(outbox, 1)
        assert claim.seq == first.seq
        assert await outbox.submit(one) == Submission(first.seq, State.CLAIMED, None)


async def test_a_record_that_was_sent_has_its_end(durable: DurableOutbox) -> None:
    """All of it, and it is not sent again."""
    await durable.submit(draft("a"))
    (claim,) = await claimed(durable, 1)
    sent = fate(claim, conversation_id="c")
    await durable.settle([sent], ())
    assert await durable.submit(draft("a")) == Submission(claim.seq, State.SENT, sent.end)
    assert not await claimed(durable, 1)


@pytest.mark.slow
async def test_a_record_that_is_not_to_be_sent_has_its_reason(outbox: Outbox) -> None:
    """Whether validation refused it, or it is left out."""
    left_out = replace(draft("b", payload=None), left_out="drafts")
    refused = draft("a", problem="no")
    for one, state, why in ((refused, State.REJECTED, "no"), (left_out, State.LEFT_OUT, "drafts")):
        submission = await outbox.submit(one)
        assert submission.end is not None
        assert (submission.state, submission.end.state) == (state, state)
        assert (submission.end.key, submission.end.reason) == (one.key, why)
    assert not await claimed(outbox, 9)


async def test_an_id_of_another_record_is_refused(outbox: Outbox) -> None:
    """Its caller is told so; the other one is sent as it was."""
    await outbox.submit(draft("a", payload=said(1)))
    refused = await outbox.submit(draft("a", payload=said(2)))
    assert refused.state is State.REJECTED
    assert refused.end is not None
    assert (refused.end.reason or "").startswith("id is that of another record with other content")
    assert [claim.payload for claim in await claimed(outbox, 9)] == [said(1)]


async def test_a_record_that_the_api_rejected_has_its_reason(durable: DurableOutbox) -> None:
    """And what differs per record."""
    await durable.submit(draft("b"))
    (claim,) = await claimed(durable, 1)
    rejected = fate(claim, State.REJECTED, reason="422", detail=b"{}")
    await durable.settle([rejected], ())
    assert (await durable.submit(draft("b"))).end == rejected.end


async def test_a_refused_record_can_be_mended(durable: DurableOutbox) -> None:
    """Then it is claimed like a new one, under its number."""
    refused = await durable.submit(draft("a", problem="no"))
    mended = await durable.submit(draft("a"))
    assert mended == Submission(refused.seq, State.PENDING, None, is_new=True)
    assert [claim.seq for claim in await claimed(durable, 9)] == [refused.seq]


@pytest.mark.slow
async def test_submitting_beside_staging_publishes_only_what_is_submitted(
    durable: DurableOutbox,
) -> None:
    """What is being staged waits for its publish, and is then in the queue once."""
    source_pass = SourcePass()
    await durable.stage([draft("s1")], source_pass)
    await durable.submit(draft("a1", date=1))
    await durable.stage([draft("s2")], source_pass)
    early = await claimed(durable, 9)
    assert keys(early) == ["a1"]
    await durable.settle([fate(claim) for claim in early], ())
    await durable.publish()
    assert keys(await claimed(durable, 9)) == ["s1", "s2"]


async def test_submitting_what_a_crashed_staging_left_makes_it_claimable(
    durable: DurableOutbox, place: DurablePlace
) -> None:
    """Its caller waits for it, and no one may ever publish the rest."""
    await durable.stage([draft("s1"), draft("s2", problem="no")], SourcePass())
    async with await place.crashed() as after:
        await submit_all(after, [draft("s1"), draft("s2")])
        assert keys(await claimed(after, 9)) == ["s1", "s2"]
        await after.publish()
        assert not await claimed(after, 9)


async def test_a_draft_that_makes_no_sense_fails_its_caller_alone(durable: DurableOutbox) -> None:
    """Those who asked in the same moment get their answers."""
    calls = [draft("a"), draft("b", payload=None), draft("c")]
    results = await asyncio.gather(*map(durable.submit, calls), return_exceptions=True)
    assert [type(result) for result in results] == [Submission, ValueError, Submission]


async def test_a_cancelled_caller_does_not_take_its_record_back(outbox: Outbox) -> None:
    """Nor does it take those of the others with it."""
    calls = [asyncio.ensure_future(outbox.submit(draft(key))) for key in "ab"]
    await asyncio.sleep(0)
    calls[0].cancel()
    await asyncio.wait(calls)
    assert calls[1].result().state is State.PENDING
    assert keys(await claimed(outbox, 9)) == ["a", "b"]


async def test_a_submitted_record_is_known_to_a_later_reading(durable: DurableOutbox) -> None:
    """There is one outbox for both ways in."""
    await durable.submit(draft("a"))
    batch = [draft("a"), draft("b")]
    assert await durable.stage(batch, SourcePass()) == Staged(1, 1, 0)


TRACE = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=b")


async def test_a_trace_goes_with_its_record_until_that_has_an_end(outbox: Outbox) -> None:
    """Through a lease that ends and a claim that is given back; and no other record gets it."""
    one, other = replace(draft("a", date=1), trace=TRACE), draft("b", date=2)
    await submit_all(outbox, [one, other])
    assert [claim.trace for claim in await claimed(outbox, 9)] == [TRACE, None]
    lease, unknown, _ = await outbox.acquire("l1")
    assert [claim.trace for claim in unknown] == [TRACE, None]
    await outbox.settle([fate(claim, State.PENDING) for claim in unknown], ())
    (claims,) = await outbox.claim([(lease, 9)])
    assert [claim.trace for claim in claims] == [TRACE, None]
    await outbox.settle([fate(claim) for claim in claims], ())
    await outbox.submit(draft("c"))
    assert [claim.trace for claim in await claimed(outbox, 9)] == [None]


async def test_a_trace_survives_a_crash(durable: DurableOutbox, place: DurablePlace) -> None:
    """Without a state, too; that of a record that is submitted again is the first one."""
    bare = TraceContext(TRACE.parent)
    for trace in (bare, TRACE):
        await durable.submit(replace(draft("a"), trace=trace))
    async with await place.crashed() as after:
        assert [claim.trace for claim in await claimed(after, 9)] == [bare]
