"""A lease that was followed by another one of its location writes nothing any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from outbox_kit import AT, claimed, draft, drafts, fate, keys, published

from leadconnector_async.errors import LeaseLostError
from leadconnector_async.outbox.base import State
from leadconnector_async.quota.limits import QuotaSnapshot

if TYPE_CHECKING:
    from outbox_places import DurablePlace

    from leadconnector_async.outbox.base import Claim, Outbox
    from leadconnector_async.outbox.durable import DurableOutbox

QUOTA = QuotaSnapshot(7, AT, 7, AT)


async def two_locations(outbox: Outbox) -> tuple[list[Claim], list[Claim]]:
    """Claim two of the five records that each of two locations has."""
    await published(outbox, [*drafts(5), *drafts(5, location="l2")])
    return await claimed(outbox, 2), await claimed(outbox, 2, "l2")


async def test_what_the_earlier_holder_had_is_unknown_to_the_next(outbox: Outbox) -> None:
    """With its attempts and in lane order, under the new lease; nothing else is, nor twice."""
    batch = [draft(f"{lane}{n}", lane=lane, date=-n) for n in range(3) for lane in (2, -1)]
    await published(outbox, batch)
    await outbox.settle([fate(claim, State.PENDING) for claim in await claimed(outbox, 6)], ())
    held = await claimed(outbox, 5)
    for _ in range(2):
        acquired = await outbox.acquire("l1")
        in_order = sorted(acquired.unknown, key=lambda claim: (claim.lane, claim.date))
        assert acquired.unknown == in_order
        assert sorted(keys(acquired.unknown)) == sorted(keys(held))
        assert {claim.attempts for claim in acquired.unknown} == {1}
        assert {claim.lease for claim in acquired.unknown} == {acquired.lease}
        assert {claim.lease for claim in held} != {acquired.lease}
    await outbox.settle([fate(claim) for claim in acquired.unknown], ())
    assert not (await outbox.acquire("l1")).unknown
    assert len(await claimed(outbox, 9)) == 1


async def test_tokens_grow_by_location(outbox: Outbox) -> None:
    """Each lease of a location has a greater token than those before; locations are apart."""
    tokens = [(await outbox.acquire(name)).lease.token for name in ("l1", "l1", "l2", "l1", "l2")]
    assert tokens[0] < tokens[1] < tokens[3]
    assert tokens[2] < tokens[4]


async def test_a_lost_lease_claims_nothing(outbox: Outbox) -> None:
    """Nor does the other lease of the call; what there is goes to who holds it."""
    (claim, _), (other, _) = await two_locations(outbox)
    lease, unknown, _ = await outbox.acquire("l1")
    for wants in ([(claim.lease, 9)], [(other.lease, 9), (claim.lease, 9)], [(claim.lease, 0)]):
        with pytest.raises(LeaseLostError, match="l1"):
            await outbox.claim(wants)
    assert list(map(len, await outbox.claim([(lease, 9), (other.lease, 9)]))) == [3, 3]
    assert len(unknown) == 2


async def test_a_lost_lease_settles_nothing(outbox: Outbox) -> None:
    """Whatever end it gives; the next holder finds its records as they were, and settles them."""
    (one, two), _ = await two_locations(outbox)
    lease, unknown, _ = await outbox.acquire("l1")
    for state in (State.SENT, State.REJECTED, State.UNRESOLVED, State.PENDING):
        with pytest.raises(LeaseLostError, match="l1"):
            await outbox.settle([fate(one, state, lookups={"n": "v"})], ())
    assert await outbox.get_lookups(lease, ["n"]) == {}
    assert await outbox.stored(two) == set()
    await outbox.settle([fate(claim, State.PENDING) for claim in unknown], ())
    assert keys((await outbox.claim([(lease, 9)]))[0]) == [f"l1-{n}" for n in range(5)]


@pytest.mark.slow
async def test_a_record_that_both_holders_claimed_is_the_later_ones(outbox: Outbox) -> None:
    """The earlier one gave it back before it lost its lease: it settles it no more."""
    await published(outbox, drafts(1))
    (early,) = await claimed(outbox, 1)
    await outbox.settle([fate(early, State.PENDING)], ())
    (late,) = await claimed(outbox, 1)
    assert (early.seq, early.lease.token < late.lease.token) == (late.seq, True)
    with pytest.raises(LeaseLostError):
        await outbox.settle([fate(early)], ())
    await outbox.settle([fate(late)], ())


async def test_a_lost_lease_puts_no_lookups(outbox: Outbox) -> None:
    """What is known of the location is the work of who holds it."""
    lost, lease = [(await outbox.acquire("l1")).lease for _ in range(2)]
    await outbox.put_lookups(lease, {"n": "v"})
    with pytest.raises(LeaseLostError, match="l1"):
        await outbox.put_lookups(lost, {"n": "lost", "m": "lost"})
    assert await outbox.get_lookups(lease, ["n", "m"]) == {"n": "v"}


async def test_a_lost_lease_forgets_no_lookups(durable: DurableOutbox) -> None:
    """Nor what is to be marked as read, which whoever holds it has yet to do."""
    lost, lease = [(await durable.acquire("l1")).lease for _ in range(2)]
    await durable.put_lookups(lease, {"mark:1:c": "v"})
    with pytest.raises(LeaseLostError, match="l1"):
        await durable.forget_lookups(lost, ["mark:1:c"])
    assert await durable.get_lookups(lease, ["mark:1:c"]) == {"mark:1:c": "v"}


async def test_a_lost_lease_writes_no_quota(outbox: Outbox) -> None:
    """Nor do those that are settled beside it."""
    lost, lease = [(await outbox.acquire("l1")).lease for _ in range(2)]
    other = (await outbox.acquire("l2")).lease
    with pytest.raises(LeaseLostError, match="l1"):
        await outbox.settle([], [(other, QUOTA), (lost, QUOTA)])
    assert [(await outbox.acquire(name)).snapshot for name in ("l1", "l2")] == [None, None]
    lease = (await outbox.acquire("l1")).lease
    await outbox.settle([], [(lease, QUOTA)])
    assert (await outbox.acquire("l1")).snapshot == QUOTA


async def test_a_batch_in_which_one_lease_is_lost_writes_nothing(outbox: Outbox) -> None:
    """Neither the ends and lookups of the other location, nor its quota."""
    (lost, _), (held, given) = await two_locations(outbox)
    await outbox.acquire("l1")
    ends = [fate(held, lookups={"n": "v"}), fate(given, State.PENDING)]
    for batch, quotas in (
        ([*ends, fate(lost)], [(held.lease, QUOTA)]),
        (ends, [(held.lease, QUOTA), (lost.lease, QUOTA)]),
    ):
        with pytest.raises(LeaseLostError, match="l1"):
            await outbox.settle(batch, quotas)
    assert await outbox.get_lookups(held.lease, ["n"]) == {}
    _, unknown, snapshot = await outbox.acquire("l2")
    assert (keys(unknown), snapshot) == (["l2-0", "l2-1"], None)
    assert {claim.attempts for claim in unknown} == {0}


@pytest.mark.slow
async def test_leases_of_other_locations_are_untouched(outbox: Outbox) -> None:
    """They claim, settle and put lookups as before."""
    _, (claim, _) = await two_locations(outbox)
    await outbox.acquire("l1")
    await outbox.acquire("l3")
    await outbox.put_lookups(claim.lease, {"n": "v"})
    await outbox.settle([fate(claim)], [(claim.lease, QUOTA)])
    (claims,) = await outbox.claim([(claim.lease, 9)])
    assert keys(claims) == ["l2-2", "l2-3", "l2-4"]


async def test_leases_end_with_the_process(durable: DurableOutbox, place: DurablePlace) -> None:
    """Tokens grow over a crash too: what was held before it is fenced once there is a new lease."""
    (claim, _), _ = await two_locations(durable)
    async with await place.crashed() as after:
        lease, unknown, _ = await after.acquire("l1")
        assert lease.token > claim.lease.token
        with pytest.raises(LeaseLostError):
            await after.settle([fate(claim)], ())
        assert keys(unknown) == ["l1-0", "l1-1"]
