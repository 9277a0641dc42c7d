"""What failed: tried again, or given up for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from outbox_kit import claimed, draft, drafts, fate, keys, listed, published

from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.durable import Requeued
from leadconnector_async.outbox.reader import RecordCounts

if TYPE_CHECKING:
    from outbox_places import DurablePlace

    from leadconnector_async.outbox.durable import DurableOutbox
    from leadconnector_async.outbox.outbox_reader import OutboxReader


async def fail(outbox: DurableOutbox) -> None:
    """Stage six records, of which one is sent, two rejected, one unresolved and one refused."""
    await published(outbox, [*drafts(5, lanes=5), draft("refused", problem="no")])
    states = [State.SENT, State.REJECTED, State.REJECTED, State.UNRESOLVED]
    fates = zip(await claimed(outbox, 4), states, ["200", "422", '422 ("5")', "lost"], strict=True)
    await outbox.settle([fate(claim, state, reason=why) for claim, state, why in fates], ())


async def test_rejected_records_are_sent_again(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """With fresh attempts; what validation refused stays on the list."""
    await fail(durable)
    assert await durable.requeue() == Requeued(pending=2, unknown=1, refused=1)
    claims = [(claim.key, claim.attempts) for claim in await claimed(durable, 9)]
    assert sorted(claims) == [(b"l1-1", 0), (b"l1-2", 0), (b"l1-4", 0)]
    assert (await reader.summary()).counts == RecordCounts(claimed=4, sent=1, rejected=1)
    assert [failed.key for failed in await listed(reader.failed())] == [b"refused"]


async def test_unresolved_records_are_looked_for(
    durable: DurableOutbox, place: DurablePlace
) -> None:
    """They may be stored: the next lease hands them over as unknown, in this process or another."""
    await fail(durable)
    await durable.requeue()
    assert keys((await durable.acquire("l1")).unknown) == ["l1-3"]
    async with await place.crashed() as after:
        assert keys((await after.acquire("l1")).unknown) == ["l1-3"]


async def test_a_requeued_record_is_not_taken_for_one_in_flight(
    durable: DurableOutbox, place: DurablePlace
) -> None:
    """Its old claim is forgotten for good, though others of the same call are still held."""
    await published(durable, drafts(3, lanes=3))
    claims = await claimed(durable, 2)
    await durable.settle([fate(claims[0], State.REJECTED)], ())
    await durable.requeue()
    async with await place.crashed() as after:
        assert keys((await after.acquire("l1")).unknown) == ["l1-1"]
        assert keys(await claimed(after, 9)) == ["l1-0", "l1-2"]


@pytest.mark.slow
async def test_there_may_be_nothing_to_requeue(durable: DurableOutbox) -> None:
    """Twice in a row does no more than once."""
    assert await durable.requeue() == Requeued()
    await fail(durable)
    await durable.requeue()
    assert await durable.requeue() == Requeued(refused=1)


@pytest.mark.slow
async def test_many_are_requeued(durable: DurableOutbox) -> None:
    """However many there are."""
    await published(durable, drafts(3_000, lanes=60))
    claims = await claimed(durable, 3_000)
    await durable.settle([fate(claim, State.REJECTED) for claim in claims], ())
    assert await durable.requeue() == Requeued(pending=3_000)


async def test_what_is_dismissed_is_chosen_by_key_or_by_reason(
    durable: DurableOutbox, reader: OutboxReader
) -> None:
    """Only what failed can be, once; reasons that differ by one record's value are one."""
    await fail(durable)
    chosen = [(f"l1-{n}".encode(), "l1") for n in range(5)]
    assert await durable.dismiss(keys=[*chosen[:2], (b"l1-3", "l2"), *chosen[4:]]) == 1
    assert await durable.dismiss(gists=["422", "200", ""]) == 1
    assert await durable.dismiss(keys=[(b"refused", "")], gists=["lost"]) == 2
    assert await durable.dismiss(keys=chosen, gists=["422", "lost", "no"]) == 0
    assert (await reader.summary()).counts == RecordCounts(pending=1, sent=1, dismissed=4)
    assert not await listed(reader.failed())


async def test_what_is_dismissed_stays_so(durable: DurableOutbox, place: DurablePlace) -> None:
    """It is neither put back, nor claimed, nor looked for; the reason is still told."""
    await fail(durable)
    await durable.dismiss(gists=["422", "lost"])
    async with await place.crashed() as after, await place.reader() as reader:
        assert await after.requeue() == Requeued(refused=1)
        assert not (await after.acquire("l1")).unknown
        assert keys(await claimed(after, 9)) == ["l1-4"]
        reasons = [(of.state, of.reason, of.count) for of in (await reader.summary()).reasons]
        assert (State.DISMISSED, "422", 2) in reasons
