"""What several outboxes tell each other: what has stopped, what is left, and who sends what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from outbox_kit import claimed, draft, drafts, fate, published
from postgres_kit import opened

from leadconnector_async import AccessError, DailyQuotaSpentError, Refusal
from leadconnector_async.errors import LeaseLostError
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.durable import Unsettled
from leadconnector_async.outbox.postgres.leases import SHARDS, shard_of
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.outbox.upkeep import give_up

if TYPE_CHECKING:
    from collections.abc import Collection

    from leadconnector_async.outbox.postgres.outbox import PostgresOutbox

REFUSED = AccessError(Refusal(status=401, message="no", trace_id="t1"))


async def test_what_has_stopped_is_told_to_all(postgres_place: str) -> None:
    """With its error as it was, until it goes on, or is retried."""
    async with opened(postgres_place) as (one, two):
        assert await two.stopped() == {}
        lease = (await one.acquire("l1")).lease
        await one.stop(lease, REFUSED)
        async with await two.reader() as reader:
            for found in (await two.stopped(), await reader.stopped()):
                stop = found["l1"]
                assert isinstance(stop.error, AccessError)
                assert str(stop.error) == str(REFUSED)
                assert 0 <= stop.age_s < 60
        spent = DailyQuotaSpentError(Refusal(status=429, message="spent"))
        await one.stop(lease, spent)
        later = (await two.stopped())["l1"]
        assert isinstance(later.error, DailyQuotaSpentError)
        assert later.at >= stop.at
        await one.stop(lease, None)
        assert await two.stopped() == {}
        await one.stop(lease, REFUSED)
        await two.requeue()
        assert await one.stopped() == {}


async def test_a_lost_lease_stops_nothing(postgres_place: str) -> None:
    """Whoever has the location now may do better."""
    async with opened(postgres_place, 1) as (outbox,):
        before = (await outbox.acquire("l1")).lease
        after = (await outbox.acquire("l1")).lease
        for error in (REFUSED, None):
            with pytest.raises(LeaseLostError, match="l1"):
                await outbox.stop(before, error)
        await outbox.stop(after, REFUSED)
        assert (await outbox.stopped()).keys() == {"l1"}


async def test_what_an_import_left_that_is_gone_is_given_up_too(postgres_place: str) -> None:
    """A worker would take it in, and send it after all; what one reads yet stays."""
    async with opened(postgres_place) as (gone, reading):
        await gone.stage([draft("left")], SourcePass())
        await gone.close()
        await reading.stage([draft("read")], SourcePass())
        assert await give_up(postgres_place, "l1") == 1
        await reading.publish()
        assert await reading.unsent() == {"l1": 1}


@pytest.mark.slow
async def test_what_is_left_of_an_import_is_told_by_whom_it_met(postgres_place: str) -> None:
    """Published or not, new or known, whoever settles it; those of others are not counted."""
    async with opened(postgres_place) as (one, two):
        await published(two, drafts(5, location="l2"))
        mine, theirs = SourcePass(), SourcePass()
        await two.stage([draft("known"), draft("theirs")], theirs)
        await one.stage([draft("known"), *drafts(3), draft("refused", problem="no")], mine)
        met = mine.all_met()
        assert await two.unsettled(met) == {"l1": Unsettled(4, 1, 0)}
        await one.publish()
        assert await one.unsettled(met) == {"l1": Unsettled(4, 1, 0)}
        await two.publish()
        states = [State.SENT, State.REJECTED, State.UNRESOLVED]
        claims = [claim for claim in await claimed(one, 9) if claim.key != b"theirs"]
        fates = zip(claims, states, strict=False)
        await one.settle([fate(claim, state) for claim, state in fates], ())
        assert await two.unsettled(met) == {"l1": Unsettled(1, 2, 1)}
        assert await two.unsettled(b"") == {}
        everything = await two.unsettled(None)
        assert everything == {"l1": Unsettled(2, 2, 1), "l2": Unsettled(5, 0, 0)}


async def looks(*parts: tuple[PostgresOutbox, Collection[str] | None], times: int = 6) -> None:
    """Let all share in turns, so often that nothing moves any more."""
    for _ in range(times):
        for outbox, own in parts:
            await outbox.share(own)
            await outbox.hand_over()


def apart(count: int) -> list[str]:
    """Names of locations in shards of their own."""
    by_shard = {shard_of(f"place{n}"): f"place{n}" for n in range(3_000)}
    return [by_shard[shard] for shard in range(count)]


@pytest.mark.slow
async def test_an_import_with_one_token_takes_its_own_locations_alone(postgres_place: str) -> None:
    """It has no share while others have something to send; workers share the rest as before."""
    mine, theirs, *others = apart(4)
    async with opened(postgres_place, 3) as (one, two, worker):
        for name in (mine, theirs, *others):
            await published(one, drafts(1, location=name))
        for outbox in (one, two):
            await outbox.join(10.0)
        await looks((one, {mine}), (two, {theirs}))
        assert [one.owns(name) for name in (mine, theirs, *others)] == [True, False, False, False]
        assert [two.owns(name) for name in (mine, theirs, *others)] == [False, True, False, False]
        await worker.join(10.0)
        await looks((worker, None), (one, {mine}), (two, {theirs}))
        assert all(map(worker.owns, others))
        assert not worker.owns(mine)
        await one.close()
        await looks((worker, None), (two, {theirs}))
        assert worker.owns(mine)


@pytest.mark.slow
async def test_with_nothing_of_others_an_import_with_one_token_shares_as_all_do(
    postgres_place: str,
) -> None:
    """Each a fair part of the same locations."""
    names = apart(SHARDS)
    async with opened(postgres_place) as (one, two):
        await one.stage([draft(name, location=name) for name in names], SourcePass())
        await one.publish()
        await one.join(10.0)
        await looks((one, names), times=1)
        await two.join(10.0)
        await looks((two, names), (one, names))
        shares = [sum(map(outbox.owns, names)) for outbox in (one, two)]
        assert shares == [SHARDS // 2, SHARDS // 2]


@pytest.mark.slow
async def test_a_location_that_is_given_away_is_anothers(postgres_place: str) -> None:
    """Who has given it away takes it back where nobody else does, and at no other time."""
    (name,) = apart(1)
    async with opened(postgres_place) as (one, two):
        await published(one, drafts(1, location=name))
        await one.join(10.0)
        await looks((one, None), times=1)
        one.give_away(name)
        await looks((one, None), times=1)
        assert one.owns(name)
        await two.join(10.0)
        one.give_away(name)
        await looks((two, None), (one, None))
        assert (one.owns(name), two.owns(name)) == (False, True)
        await two.close()
        await looks((one, None), times=2)
        assert not one.owns(name)
        await looks((one, None), times=2)
        assert one.owns(name)


@pytest.mark.slow
async def test_only_what_is_left_by_those_who_are_gone_is_taken_in(postgres_place: str) -> None:
    """A worker publishes that, and nothing of who still reads."""
    async with opened(postgres_place, 3) as (gone, living, worker):
        await gone.stage([draft("a")], SourcePass())
        await living.stage([draft("b", location="l2")], SourcePass())
        await worker.adopt()
        assert await worker.locations() == []
        await gone.close()
        await worker.adopt()
        assert await worker.locations() == ["l1"]
