"""What more than one process does to one outbox: here, more than one that is open."""

from __future__ import annotations

import asyncio

import pytest
from outbox_kit import AT, claimed, draft, drafts, fate, keys, published
from postgres_kit import cut_off, opened

from leadconnector_async.errors import LeaseLostError, OutboxBusyError, OutboxWriteError
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.postgres.connection import connect
from leadconnector_async.outbox.postgres.leases import SHARDS, shard_of
from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
from leadconnector_async.outbox.postgres.place import read_place
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.quota.limits import QuotaSnapshot


@pytest.mark.slow
async def test_a_location_has_one_owner(postgres_place: str) -> None:
    """Until it closes; what it has claimed is unknown to the next one."""
    async with opened(postgres_place) as (one, two):
        await published(one, drafts(5))
        held = await claimed(one, 3)
        lease = held[0].lease
        assert one.may_send(lease)()
        for call in (two.acquire("l1"), two.requeue()):
            await one.settle([fate(held.pop(), State.UNRESOLVED)], ())
            with pytest.raises(OutboxBusyError, match="another process sends for location l1"):
                await call
        await one.close()
        assert not one.may_send(lease)()
        assert keys((await two.acquire("l1")).unknown) == keys(held)
        assert (await two.requeue()).unknown == 2
        assert len((await two.acquire("l1")).unknown) == 3


@pytest.mark.slow
async def test_a_takeover_ends_the_lease_of_who_was_cut_off(postgres_place: str) -> None:
    """Its claims are the new owner's, and nothing of it is written any more."""
    async with opened(postgres_place) as (one, two):
        await published(one, drafts(4))
        held = await claimed(one, 2)
        await cut_off(postgres_place)
        async with await PostgresOutbox.open(postgres_place) as three:
            acquired = await three.acquire("l1")
            assert keys(acquired.unknown) == keys(held)
            with pytest.raises(OutboxWriteError):
                await one.settle([fate(claim) for claim in held], ())
            with pytest.raises(OutboxWriteError):
                await two.stage(drafts(1), SourcePass())
            await three.settle([fate(claim) for claim in acquired.unknown], ())


async def test_the_token_is_checked_in_the_statement_that_writes(postgres_place: str) -> None:
    """Whatever is known of locks: with another token in the location's row, nothing is written."""
    async with opened(postgres_place, 1) as (outbox,):
        await published(outbox, [*drafts(4), *drafts(4, location="l2")])
        (claim, _), (other, _) = await claimed(outbox, 2), await claimed(outbox, 2, "l2")
        connection = await connect(read_place(postgres_place), {})
        await connection.execute(
            "UPDATE tenure SET epoch = epoch + 1 WHERE location = (SELECT min(id) FROM location)"
        )
        wants = [(other.lease, 1), (claim.lease, 1)]
        quota = QuotaSnapshot(1, AT, 1, AT)
        for call in (
            outbox.claim(wants),
            outbox.settle([fate(other), fate(claim)], ()),
            outbox.settle([fate(other)], [(claim.lease, quota)]),
            outbox.put_lookups(claim.lease, {"name": "value"}),
        ):
            with pytest.raises(LeaseLostError, match="l1"):
                await call
        query = "SELECT sum(cardinality(held)), sum(sent), count(day_used) FROM tenure"
        assert tuple(await connection.fetchrow(query)) == (4, 0, 0)
        assert await connection.fetchval("SELECT count(*) FROM queue") == 8
        await connection.close()
        await outbox.settle([fate(other)], [(other.lease, quota)])


async def test_nobody_publishes_what_another_has_read_half_of(postgres_place: str) -> None:
    """Unless that one is gone: then whoever publishes next takes it in."""
    async with opened(postgres_place) as (one, two):
        await one.stage([draft("a")], SourcePass())
        await two.stage([draft("b", location="l2")], SourcePass())
        await two.publish()
        assert await two.locations() == ["l2"]
        await one.close()
        await two.publish()
        assert await two.locations() == ["l1", "l2"]


@pytest.mark.slow
async def test_two_that_submit_one_record_get_one(postgres_place: str) -> None:
    """At the same moment too, and with many others in between; each gets its own end."""
    async with opened(postgres_place, 3) as outboxes:
        batch = drafts(60, lanes=7)
        given = await asyncio.gather(*(outbox.submit(one) for one in batch for outbox in outboxes))
        seqs = [submission.seq for submission in given]
        assert seqs[::3] == seqs[1::3] == seqs[2::3]
        assert len(set(seqs)) == 60
        claims = await claimed(outboxes[0], 100)
        assert sorted(claim.seq for claim in claims) == sorted(set(seqs))
        await outboxes[0].settle([fate(claim) for claim in claims], ())
        ends = [await outbox.submit(batch[0]) for outbox in outboxes]
        assert {submission.state for submission in ends} == {State.SENT}


@pytest.mark.slow
async def test_two_that_stage_the_same_files_keep_each_record_once(postgres_place: str) -> None:
    """Whatever their order: neither waits for the other for ever."""
    async with opened(postgres_place) as (one, two):
        batch = drafts(900, lanes=9)

        async def read(outbox: PostgresOutbox, order: int) -> int:
            source_pass = SourcePass(await outbox.source("f", b""))
            parts = [batch[at : at + 100] for at in range(0, 900, 100)][::order]
            return sum([(await outbox.stage(part, source_pass)).staged for part in parts])

        assert sum(await asyncio.gather(read(one, 1), read(two, -1))) == 900
        await one.publish()
        await two.publish()
        assert await one.unsent() == {"l1": 900}
        assert len(await claimed(one, 1_000)) == 900


async def test_a_rehearsal_keeps_nobody_waiting(postgres_place: str) -> None:
    """What is staged and settled meanwhile is; what was rehearsed is gone."""
    async with opened(postgres_place, 1) as (outbox,):
        await published(outbox, drafts(9))
        claims = await claimed(outbox, 5)
        async with await PostgresOutbox.open(postgres_place, rehearsing=True) as trial:
            await trial.stage([draft(f"x{n}") for n in range(50)], SourcePass())
            await trial.publish()
            async with await trial.reader() as reader:
                assert (await reader.summary()).counts.pending == 54
            async with asyncio.timeout(60):
                await outbox.stage([draft("y")], SourcePass())
                await outbox.submit(draft("z"))
                await outbox.settle([fate(claim) for claim in claims], ())
        assert await outbox.unsent() == {"l1": 6}


def test_shards_are_even() -> None:
    """So that a few workers get about as many locations each."""
    sizes = [0] * SHARDS
    for number in range(6_400):
        sizes[shard_of(f"location{number}")] += 1
    assert 60 < min(sizes) <= max(sizes) < 150
