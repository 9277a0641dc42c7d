from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outbox_kit import claimed, crashed, draft, drafts, fate, in_outbox, keys, published

from leadconnector_async.outbox.base import SourcePass, State
from leadconnector_async.outbox.sqlite.claims import DEPTH, HIGHEST, LANES, LOWEST, STRETCH

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.outbox.base import Acquired, Claim
    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox


def by_lane(claims: list[Claim]) -> dict[int, list[int]]:
    """The dates of the claims of each lane, as they came."""
    lanes: dict[int, list[int]] = {}
    for claim in claims:
        lanes.setdefault(claim.lane, []).append(claim.date)
    return lanes


def test_nothing_is_claimed_before_it_is_published(tmp_path: Path) -> None:
    """A lane's order is known when all of its records are."""

    async def work(outbox: SqliteOutbox) -> list[list[str]]:
        await outbox.stage([draft("a")], SourcePass())
        before = keys(await claimed(outbox, 5))
        await outbox.publish()
        return [before, keys(await claimed(outbox, 5))]

    assert in_outbox(tmp_path / "o.db", work) == [[], ["a"]]


def test_a_lane_is_claimed_in_date_order(tmp_path: Path) -> None:
    """Whatever the order of the source, within a call and over calls."""

    async def work(outbox: SqliteOutbox) -> list[str]:
        await published(outbox, [draft(str(n), date=n) for n in (3, 1, 4, 0, 2)])
        lease = (await outbox.acquire("l1")).lease
        return [key for n in (2, 2, 2) for key in keys(*await outbox.claim([(lease, n)]))]

    assert in_outbox(tmp_path / "o.db", work) == ["0", "1", "2", "3", "4"]


def test_no_record_is_claimed_twice(tmp_path: Path) -> None:
    """What is claimed stays so until it is settled."""

    async def work(outbox: SqliteOutbox) -> list[str]:
        await published(outbox, drafts(300, lanes=17))
        lease = (await outbox.acquire("l1")).lease
        got: list[str] = []
        while claims := (await outbox.claim([(lease, 7)]))[0]:
            got += keys(claims)
        return got

    got = in_outbox(tmp_path / "o.db", work)
    assert len(got) == len(set(got)) == 300


def test_a_small_claim_is_one_record_of_each_lane(tmp_path: Path) -> None:
    """A location's requests can only leave side by side if they are of different lanes."""

    async def work(outbox: SqliteOutbox) -> Counter[int]:
        await published(outbox, drafts(1_000, lanes=50))
        return Counter(claim.lane for claim in await claimed(outbox, 20))

    assert set(in_outbox(tmp_path / "o.db", work).values()) == {1}


def test_a_large_claim_takes_several_records_of_a_lane(tmp_path: Path) -> None:
    """So that it touches few pages; but of enough lanes to keep all requests busy."""

    async def work(outbox: SqliteOutbox) -> Counter[int]:
        await published(outbox, drafts(40_000, lanes=400))
        return Counter(claim.lane for claim in await claimed(outbox, DEPTH * LANES))

    taken = in_outbox(tmp_path / "o.db", work)
    assert len(taken) == LANES
    assert set(taken.values()) == {DEPTH}


def test_one_lane_can_fill_a_claim(tmp_path: Path) -> None:
    """Where there is no other, it gives all; also behind what it has in flight."""

    async def work(outbox: SqliteOutbox) -> list[list[str]]:
        await published(outbox, drafts(30))
        return [keys(await claimed(outbox, 20)), keys(await claimed(outbox, 20))]

    expected = [f"l1-{n}" for n in range(30)]
    assert in_outbox(tmp_path / "o.db", work) == [expected[:20], expected[20:]]


def test_few_lanes_share_a_large_claim(tmp_path: Path) -> None:
    """Each gives its part, in date order."""

    async def work(outbox: SqliteOutbox) -> dict[int, list[int]]:
        await published(outbox, drafts(400, lanes=4))
        return by_lane(await claimed(outbox, 100))

    lanes = in_outbox(tmp_path / "o.db", work)
    assert {len(dates) for dates in lanes.values()} == {25}
    assert all(dates == sorted(dates) for dates in lanes.values())


def test_fewer_than_asked_for_is_all_there_is(tmp_path: Path) -> None:
    """The dispatcher takes it to mean that the location has nothing more."""

    async def work(outbox: SqliteOutbox) -> list[int]:
        await published(
            outbox, drafts(200, lanes=7) + [draft(f"x{n}", lane=n + 9) for n in range(99)]
        )
        lease = (await outbox.acquire("l1")).lease
        return [len((await outbox.claim([(lease, n)]))[0]) for n in (3, 90, 150, 99, 1)]

    assert in_outbox(tmp_path / "o.db", work) == [3, 90, 150, 56, 0]


def test_the_walk_comes_back_to_the_lanes_it_began_with(tmp_path: Path) -> None:
    """Lanes are finished before all others are begun: their pages are written once."""

    async def work(outbox: SqliteOutbox) -> set[int]:
        await published(outbox, drafts(8 * STRETCH * 4, lanes=STRETCH * 4))
        lease = (await outbox.acquire("l1")).lease
        lanes: set[int] = set()
        for _ in range(40):
            (claims,) = await outbox.claim([(lease, 10)])
            lanes |= {claim.lane for claim in claims}
            await outbox.settle([fate(claim) for claim in claims], ())
        return lanes

    lanes = in_outbox(tmp_path / "o.db", work)
    assert STRETCH <= len(lanes) <= STRETCH + 10


def test_lanes_with_records_in_flight_come_last(tmp_path: Path) -> None:
    """The walk passes them while there are others, from wherever it starts."""

    async def work(outbox: SqliteOutbox) -> Counter[int]:
        await published(outbox, drafts(STRETCH * 6, lanes=STRETCH * 2))
        lease = (await outbox.acquire("l1")).lease
        lanes: Counter[int] = Counter()
        while lanes.total() < STRETCH * 2:
            (claims,) = await outbox.claim([(lease, 8)])
            lanes.update(claim.lane for claim in claims)
        return lanes

    assert set(in_outbox(tmp_path / "o.db", work).values()) == {1}


def test_the_first_and_the_last_lane_are_lanes(tmp_path: Path) -> None:
    """Lanes are signed 64 bits, and all of them count."""

    async def work(outbox: SqliteOutbox) -> list[str]:
        await published(outbox, [draft(f"{lane}", lane=lane) for lane in (HIGHEST, 0, LOWEST)])
        lease = (await outbox.acquire("l1")).lease
        return [key for _ in range(3) for key in keys(*await outbox.claim([(lease, 1)]))]

    assert in_outbox(tmp_path / "o.db", work) == [str(LOWEST), "0", str(HIGHEST)]


def test_locations_are_claimed_side_by_side(tmp_path: Path) -> None:
    """Each gets its own, in the order in which they were asked for."""

    async def work(outbox: SqliteOutbox) -> list[Counter[str]]:
        names = [f"l{n}" for n in range(150)]
        for name in names:
            await published(outbox, drafts(5, lanes=2, location=name))
        leases = [(await outbox.acquire(name)).lease for name in names]
        batches = await outbox.claim([(lease, 3) for lease in reversed(leases)])
        return [Counter(key.split("-")[0] for key in keys(claims)) for claims in batches]

    got = in_outbox(tmp_path / "o.db", work)
    assert got == [Counter({f"l{n}": 3}) for n in reversed(range(150))]


def test_a_location_is_named_once_in_a_claim(tmp_path: Path) -> None:
    """Twice would claim its records twice: it is a bug in the caller."""

    async def work(outbox: SqliteOutbox) -> list[str]:
        await published(outbox, drafts(5))
        lease = (await outbox.acquire("l1")).lease
        with pytest.raises(ValueError, match="names each location once"):
            await outbox.claim([(lease, 1), (lease, 1)])
        return keys(await claimed(outbox, 5))

    assert len(in_outbox(tmp_path / "o.db", work)) == 5


def test_a_claim_of_nothing_writes_nothing(tmp_path: Path) -> None:
    """An engine that asks in vain costs no commit."""

    async def work(outbox: SqliteOutbox) -> bool:
        await published(outbox, drafts(1))
        (claim,) = await claimed(outbox, 1)
        log = tmp_path / "o.db-wal"
        before = log.read_bytes()
        assert await outbox.claim([(claim.lease, 5)]) == [[]]
        return log.read_bytes() == before

    assert in_outbox(tmp_path / "o.db", work)


def test_what_is_given_back_comes_first_again(tmp_path: Path) -> None:
    """With its attempts, and before the later records of its lane."""

    async def work(outbox: SqliteOutbox) -> list[tuple[str, int]]:
        await published(outbox, drafts(4))
        claims = await claimed(outbox, 2)
        await outbox.settle([fate(claim, State.PENDING) for claim in claims], ())
        return [(claim.key.decode(), claim.attempts) for claim in await claimed(outbox, 3)]

    expected = [("l1-0", 1), ("l1-1", 1), ("l1-2", 0)]
    assert in_outbox(tmp_path / "o.db", work) == expected


def test_a_crash_hands_claims_to_the_next_epoch(tmp_path: Path) -> None:
    """All that was claimed and not settled is unknown; it is not claimed as if it were new."""
    path = tmp_path / "o.db"

    async def work(outbox: SqliteOutbox) -> Path:
        await published(outbox, drafts(20, lanes=3))
        claims = await claimed(outbox, 8)
        done = [fate(claims[0]), fate(claims[1], State.PENDING), fate(claims[2], State.REJECTED)]
        await outbox.settle(done, ())
        expected.update(keys(claims[3:]))
        return crashed(path)

    async def after(outbox: SqliteOutbox) -> tuple[Acquired, list[Claim]]:
        acquired = await outbox.acquire("l1")
        (claims,) = await outbox.claim([(acquired.lease, 100)])
        return acquired, claims

    expected: set[str] = set()
    acquired, claims = in_outbox(in_outbox(path, work), after)
    assert set(keys(acquired.unknown)) == expected
    assert [c.date for c in acquired.unknown] == [
        c.date for c in sorted(acquired.unknown, key=place)
    ]
    assert all(claim.payload == b"{}" for claim in acquired.unknown)
    assert len(claims) == 20 - 2 - 5
    assert not expected & set(keys(claims))


def place(claim: Claim) -> tuple[int, int]:
    """The order of a location's records."""
    return claim.lane, claim.date


def test_each_epoch_has_a_new_number(tmp_path: Path) -> None:
    """A store with several owners tells an old owner by it."""

    async def work(outbox: SqliteOutbox) -> list[int]:
        return [(await outbox.acquire(name)).lease.token for name in ("l1", "l1", "l2")]

    assert in_outbox(tmp_path / "o.db", work) == [1, 2, 1]
    assert in_outbox(tmp_path / "o.db", work) == [3, 4, 2]


def test_a_claim_that_no_one_waited_for_is_unknown(tmp_path: Path) -> None:
    """A cancelled call is done all the same: the record is looked for, and not lost."""

    async def work(outbox: SqliteOutbox) -> list[str]:
        await published(outbox, drafts(2))
        lease = (await outbox.acquire("l1")).lease
        call = asyncio.ensure_future(outbox.claim([(lease, 1)]))
        await asyncio.sleep(0)
        call.cancel()
        return keys((await outbox.acquire("l1")).unknown)

    assert in_outbox(tmp_path / "o.db", work) == ["l1-0"]


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=12),
    steps=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 100)), max_size=12),
)
@settings(max_examples=60, deadline=None)
def test_claims_are_complete_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], steps: list[tuple[int, int]]
) -> None:
    """However many are asked for and settled: each record once, as many as there are."""

    async def work(outbox: SqliteOutbox) -> None:
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

    in_outbox(tmp_path_factory.mktemp("o") / "o.db", work)
