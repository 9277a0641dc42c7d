"""Publishing and claiming: each record once, each lane in date order, spread over lanes."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace
from outbox_kit import claimed, draft, drafts, fate, keys, published
from outbox_places import Place, in_store

from leadconnector_async.outbox.base import CLAIM_BYTES, State
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.records.deferred import Deferred

if TYPE_CHECKING:
    from outbox_places import DurablePlace

    from leadconnector_async.outbox.base import Claim, Outbox
    from leadconnector_async.outbox.durable import DurableOutbox
    from leadconnector_async.records.draft import Draft


def by_lane(claims: list[Claim]) -> dict[int, list[int]]:
    """The dates of the claims of each lane, as they came."""
    lanes: dict[int, list[int]] = {}
    for claim in claims:
        lanes.setdefault(claim.lane, []).append(claim.date)
    return lanes


@pytest.mark.slow
async def test_nothing_is_claimed_before_it_is_published(durable: DurableOutbox) -> None:
    """A lane's order is known when all of its records are."""
    await durable.stage([draft("a")], SourcePass())
    assert not await claimed(durable, 5)
    await durable.publish()
    assert keys(await claimed(durable, 5)) == ["a"]


async def test_what_is_staged_is_unsent_before_it_is_published(durable: DurableOutbox) -> None:
    """Locations are named once they have something to claim, in the order of their coming."""
    batch = [draft("a", location="z"), draft("b", location="y", problem="no"), draft("c")]
    await durable.stage(batch, SourcePass())
    assert await durable.locations() == []
    assert await durable.unsent() == {"z": 1, "l1": 1}


async def test_only_locations_with_something_to_do_are_named(outbox: Outbox) -> None:
    """To claim or to look for: not those that were refused, nor those that are done."""
    batch = [draft("a", location="z"), draft("b", location="y", problem="no"), draft("c")]
    await published(outbox, batch)
    assert await outbox.locations() == ["z", "l1"]
    claims = await claimed(outbox, 1)
    assert await outbox.locations() == ["z", "l1"]
    await outbox.settle([fate(claim) for claim in claims], ())
    assert await outbox.locations() == ["z"]


async def test_a_mail_that_was_published_ahead_keeps_its_place(durable: DurableOutbox) -> None:
    """It may be on its way; the others are put into the order of their threads."""
    await durable.stage([mail("q", 9), mail("b", 2, "q")], SourcePass())
    await durable.submit(mail("a", 1, "q"))
    await durable.publish()
    assert keys(await claimed(durable, 9)) == ["a", "q", "b"]


async def test_mails_that_a_crashed_staging_left_come_in_the_order_of_their_threads(
    durable: DurableOutbox, place: DurablePlace
) -> None:
    """Whoever publishes them has not seen them come."""
    await durable.stage([mail("q", 9), mail("b", 2, "q")], SourcePass())
    async with await place.crashed() as after:
        await after.publish()
        assert keys(await claimed(after, 9)) == ["q", "b"]


def mail(name: str, date: int, *answers: str) -> Draft:
    """A mail that answers others."""
    deferred = Deferred(mail=name, answers=list(answers))
    sent = draft(name, date=date)
    return replace(sent, deferred=deferred.encoded(), traits=int(deferred.traits))


@pytest.mark.slow
async def test_a_lane_is_claimed_in_date_order(outbox: Outbox) -> None:
    """Whatever the order of the source, within a call and over calls."""
    await published(outbox, [draft(str(n), date=n) for n in (3, 1, 4, 0, 2)])
    lease = (await outbox.acquire("l1")).lease
    got = [key for n in (2, 2, 2) for key in keys(*await outbox.claim([(lease, n)]))]
    assert got == ["0", "1", "2", "3", "4"]


async def test_what_comes_later_takes_its_place_by_date(outbox: Outbox) -> None:
    """An earlier message of a lane is sent before those that are there and not claimed yet."""
    await published(outbox, [draft(str(n), date=n) for n in (1, 3)])
    assert keys(await claimed(outbox, 1)) == ["1"]
    await published(outbox, [draft(str(n), date=n) for n in (2, 0)])
    assert keys(await claimed(outbox, 9)) == ["0", "2", "3"]


async def test_the_order_of_equal_dates_is_that_of_the_source(outbox: Outbox) -> None:
    """Exports are often to the minute."""
    await published(outbox, [draft(str(n)) for n in range(30)])
    assert keys(await claimed(outbox, 30)) == [str(n) for n in range(30)]


async def test_a_claim_has_what_was_staged(outbox: Outbox) -> None:
    """Its place, its body, and what that lacks."""
    deferred = Deferred(outbound_call=True).encoded()
    await published(
        outbox, [replace(draft("a", lane=-7, date=-5, payload=b"[]"), deferred=deferred)]
    )
    lease = (await outbox.acquire("l1")).lease
    ((claim,),) = await outbox.claim([(lease, 1)])
    assert (claim.lease, claim.lane, claim.date, claim.key) == (lease, -7, -5, b"a")
    assert (claim.payload, claim.deferred, claim.attempts) == (b"[]", deferred, 0)


@pytest.mark.slow
async def test_no_record_is_claimed_twice(outbox: Outbox) -> None:
    """What is claimed stays so until it is settled."""
    await published(outbox, drafts(300, lanes=17))
    lease = (await outbox.acquire("l1")).lease
    got: list[str] = []
    while claims := (await outbox.claim([(lease, 7)]))[0]:
        got += keys(claims)
    assert len(got) == len(set(got)) == 300


async def test_a_small_claim_is_one_record_of_each_lane(outbox: Outbox) -> None:
    """A location's requests can only leave side by side if they are of different lanes."""
    await published(outbox, drafts(1_000, lanes=50))
    lanes = Counter(claim.lane for claim in await claimed(outbox, 20))
    assert set(lanes.values()) == {1}


async def test_lanes_with_records_in_flight_come_last(outbox: Outbox) -> None:
    """Claims pass them while there are others."""
    await published(outbox, drafts(120, lanes=40))
    lease = (await outbox.acquire("l1")).lease
    claims = [claim for _ in range(5) for claim in (await outbox.claim([(lease, 8)]))[0]]
    assert len({claim.lane for claim in claims}) == len(claims) == 40


async def test_one_lane_can_fill_a_claim(outbox: Outbox) -> None:
    """Where there is no other, it gives all; also behind what it has in flight."""
    await published(outbox, drafts(30))
    got = keys(await claimed(outbox, 20)), keys(await claimed(outbox, 20))
    expected = [f"l1-{n}" for n in range(30)]
    assert got == (expected[:20], expected[20:])


@pytest.mark.slow
async def test_few_lanes_share_a_large_claim(outbox: Outbox) -> None:
    """Each gives its part, in date order."""
    await published(outbox, drafts(400, lanes=4))
    lanes = by_lane(await claimed(outbox, 100))
    assert {len(dates) for dates in lanes.values()} == {25}
    assert all(dates == sorted(dates) for dates in lanes.values())


async def test_fewer_than_asked_for_is_all_there_is(outbox: Outbox) -> None:
    """The dispatcher takes it to mean that the location has nothing more."""
    batch = drafts(200, lanes=7) + [draft(f"x{n}", lane=n + 9) for n in range(99)]
    await published(outbox, batch)
    lease = (await outbox.acquire("l1")).lease
    got = [len((await outbox.claim([(lease, n)]))[0]) for n in (3, 90, 150, 99, 1)]
    assert got == [3, 90, 150, 56, 0]


async def test_behind_the_last_lane_the_first_ones_are_gone_on_with(outbox: Outbox) -> None:
    """Where many wait in lanes that were passed, and too few in all that come."""
    batch = drafts(600, lanes=10) + [draft(f"x{n}", lane=n + 10) for n in range(70)]
    await published(outbox, batch)
    lease = (await outbox.acquire("l1")).lease
    for _ in range(3):
        (claims,) = await outbox.claim([(lease, 50)])
        assert len(claims) == 50
        await outbox.settle([fate(claim) for claim in claims], ())


async def test_the_first_and_the_last_lane_are_lanes(outbox: Outbox) -> None:
    """Lanes are signed 64 bits, and all of them count."""
    lanes = [(1 << 63) - 1, 0, -(1 << 63)]
    await published(outbox, [draft(f"{lane}", lane=lane) for lane in lanes])
    lease = (await outbox.acquire("l1")).lease
    got = [claim.lane for _ in range(3) for claim in (await outbox.claim([(lease, 1)]))[0]]
    assert sorted(got) == sorted(lanes)


@pytest.mark.slow
async def test_locations_are_claimed_side_by_side(outbox: Outbox) -> None:
    """Each gets its own, in the order in which they were asked for; lanes are of a location."""
    names = [f"l{n}" for n in range(150)]
    for name in names:
        await published(outbox, drafts(5, lanes=2, location=name))
    leases = [(await outbox.acquire(name)).lease for name in names]
    batches = await outbox.claim([(lease, 3) for lease in reversed(leases)])
    got = [Counter(key.split("-")[0] for key in keys(claims)) for claims in batches]
    assert got == [Counter({name: 3}) for name in reversed(names)]


async def test_a_location_is_named_once_in_a_claim(durable: DurableOutbox) -> None:
    """Twice would claim its records twice: it is a bug in the caller."""
    await published(durable, drafts(5))
    lease = (await durable.acquire("l1")).lease
    with pytest.raises(ValueError, match="names each location once"):
        await durable.claim([(lease, 1), (lease, 1)])
    assert len(await claimed(durable, 5)) == 5


async def test_what_is_given_back_comes_first_again(outbox: Outbox) -> None:
    """With its attempts, and before the later records of its lane."""
    await published(outbox, drafts(4))
    claims = await claimed(outbox, 2)
    await outbox.settle([fate(claim, State.PENDING) for claim in claims], ())
    again = [(claim.key.decode(), claim.attempts) for claim in await claimed(outbox, 3)]
    assert again == [("l1-0", 1), ("l1-1", 1), ("l1-2", 0)]


async def test_a_claim_that_no_one_waited_for_is_unknown(outbox: Outbox) -> None:
    """A cancelled call is done all the same: the record is looked for, and not lost."""
    await published(outbox, drafts(2))
    lease = (await outbox.acquire("l1")).lease
    call = asyncio.ensure_future(outbox.claim([(lease, 1)]))
    await asyncio.sleep(0)
    call.cancel()
    assert keys((await outbox.acquire("l1")).unknown) == ["l1-0"]


async def test_a_crash_hands_claims_to_the_next_lease(
    durable: DurableOutbox, place: DurablePlace
) -> None:
    """All that was claimed and not settled is unknown; it is not claimed as if it were new."""
    await published(durable, drafts(20, lanes=3))
    claims = await claimed(durable, 8)
    done = [fate(claims[0]), fate(claims[1], State.PENDING), fate(claims[2], State.REJECTED)]
    await durable.settle(done, ())
    async with await place.crashed() as after:
        lease, unknown, _ = await after.acquire("l1")
        assert sorted(keys(unknown)) == sorted(keys(claims[3:]))
        assert unknown == sorted(unknown, key=lambda claim: (claim.lane, claim.date))
        assert all(claim.payload == b"{}" for claim in unknown)
        (others,) = await after.claim([(lease, 100)])
        assert len(others) == 20 - 2 - 5
        assert not set(keys(others)) & set(keys(unknown))


@pytest.mark.slow
@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=12),
    steps=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 100)), max_size=12),
)
def test_claims_are_complete_and_in_order(
    store: type[Place], sizes: list[int], steps: list[tuple[int, int]]
) -> None:
    """However many are asked for and settled: each record once, as many as there are."""

    async def work(outbox: Outbox) -> None:
        batch = [
            draft(f"{lane}-{n}", lane=lane, date=n)
            for lane, size in enumerate(sizes)
            for n in range(size)
        ]
        await published(outbox, batch)
        lease = (await outbox.acquire("l1")).lease
        left = len(batch)
        held: list[Claim] = []
        seen: dict[int, list[int]] = {}
        for want, settled in [*steps, (10_000, 0)]:
            (claims,) = await outbox.claim([(lease, want)])
            assert len(claims) == min(want, left)
            left -= len(claims)
            for lane, dates in by_lane(claims).items():
                seen.setdefault(lane, []).extend(dates)
            held += claims
            await outbox.settle([fate(claim) for claim in held[:settled]], ())
            del held[:settled]
        assert seen == {lane: list(range(size)) for lane, size in enumerate(sizes)}

    in_store(store, work)


@pytest.mark.parametrize("lanes", [1, 3, 40])
async def test_claims_weigh_no_more_than_there_is_room_for(
    durable: DurableOutbox, lanes: int
) -> None:
    """But for the last of them. What is left comes later, each once and in the order of its lane.

    Locations are served in the order in which they are asked for.
    """
    sizes = [(n * 7919) % 5_000 for n in range(120)]
    batch = [
        replace(one, payload=b"{" + b" " * size + b"}")
        for place in ("l1", "l2")
        for one, size in zip(drafts(60, lanes=lanes, location=place), sizes, strict=False)
    ]
    await published(durable, batch)
    leases = [(await durable.acquire(place)).lease for place in ("l1", "l2")]
    room = 4 * CLAIM_BYTES + 10_000
    seen: dict[str, dict[int, list[int]]] = {"l1": {}, "l2": {}}
    for _ in range(200):
        batches = await durable.claim([(lease, 50) for lease in leases], room)
        claims = [claim for of in batches for claim in of]
        assert sum(claim.weight for claim in claims[:-1]) < room
        if len(batches[0]) < 50 and batches[1]:  # the first had no more, or the second no turn
            assert sum(claim.weight for claim in batches[0]) < room
        for claim in claims:
            seen[claim.lease.location].setdefault(claim.lane, []).append(claim.date)
        if not claims:
            break
        await durable.settle([fate(claim) for claim in claims], ())
    for of in seen.values():
        assert sum(map(len, of.values())) == 60
        assert all(dates == sorted(dates) for dates in of.values())
