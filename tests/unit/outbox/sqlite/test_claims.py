from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from outbox_kit import claimed, draft, drafts, fate, in_outbox, keys, published

from leadconnector_async.outbox.base import DEPTH, LANES, STRETCH
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.outbox.sqlite.claims import MODEST, Claims
from leadconnector_async.outbox.sqlite.connection import open_to_write
from leadconnector_async.outbox.sqlite.jobs import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.outbox.base import Lease
    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox


def test_a_large_claim_takes_several_records_of_a_lane(tmp_path: Path) -> None:
    """So that it touches few pages; but of enough lanes to keep all requests busy."""

    async def work(outbox: SqliteOutbox) -> Counter[int]:
        await published(outbox, drafts(8 * DEPTH * LANES, lanes=2 * LANES))
        return Counter(claim.lane for claim in await claimed(outbox, DEPTH * LANES))

    taken = in_outbox(tmp_path / "o.db", work)
    assert len(taken) == LANES
    assert set(taken.values()) == {DEPTH}


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


def test_what_came_in_front_of_what_is_in_hand_is_claimed_as_asked(tmp_path: Path) -> None:
    """Records of an earlier date arrive while all lanes have later ones in flight."""

    async def work(outbox: SqliteOutbox) -> list[list[str]]:
        await published(outbox, [draft("a", lane=1, date=5), draft("b", lane=2, date=5)])
        assert len(await claimed(outbox, 2)) == 2
        lease = (await outbox.acquire("l1")).lease
        again = [draft("c", lane=1, date=6), *(draft(f"{n}", lane=2, date=n) for n in range(3))]
        await published(outbox, again)
        return [keys(claims) for _ in range(5) for claims in await outbox.claim([(lease, 1)])]

    taken = in_outbox(tmp_path / "o.db", work)
    assert sorted(map(tuple, taken)) == [(), ("0",), ("1",), ("2",), ("c",)]


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


def test_what_is_claimed_as_it_is_taken_in_is_not_read(tmp_path: Path) -> None:
    """As long as nothing else of its location waits: of that is chosen, too."""
    statements: list[str] = []
    with closing(open_store(str(tmp_path / "o.db"), sqlite3.connect)) as store:
        lease = store.acquire(["l1"])[0].lease
        store.take_in([draft("a")], [(lease, 9)])
        store.connection.set_trace_callback(statements.append)
        _, (first,) = store.take_in([draft("b", lane=1), draft("c", lane=2)], [(lease, 1)])
        assert not [asked for asked in statements if " queue" in asked and "SELECT" in asked]
        _, (rest,) = store.take_in([draft("d", lane=3)], [(lease, 9)])
        assert sorted(keys(first + rest)) == ["b", "c", "d"]


@pytest.mark.slow
def test_many_small_locations_are_claimed_for_with_few_statements(tmp_path: Path) -> None:
    """Not with some for each: of ten thousand these cost more than their records did."""
    path, count = tmp_path / "o.db", 192

    async def fill(outbox: SqliteOutbox) -> list[Lease]:
        for number in range(count):
            await published(outbox, drafts(5, lanes=2, location=f"l{number}"))
        return [(await outbox.acquire(f"l{number}")).lease for number in range(count)]

    leases = in_outbox(path, fill)
    statements: list[str] = []
    with closing(open_to_write(str(path), sqlite3.connect)) as connection:
        claims = Claims(connection)
        connection.set_trace_callback(statements.append)
        batches = claims.claim([(lease, 4) for lease in leases])
    assert [len(batch) for batch in batches] == [4] * count
    assert len(statements) < count / 4


def test_a_location_that_becomes_small_keeps_the_order_of_its_lanes(tmp_path: Path) -> None:
    """Whole queues are read from some number of records on, with others of a lane in hand."""

    async def work(outbox: SqliteOutbox) -> list[list[str]]:
        await published(outbox, drafts(MODEST + 20, lanes=3))
        lease = (await outbox.acquire("l1")).lease
        taken: list[list[str]] = []
        while claims := (await outbox.claim([(lease, 7)]))[0]:
            taken.append(keys(claims))
            await outbox.settle([fate(claim) for claim in claims[::2]], ())
        return taken

    taken = [
        int(key.removeprefix("l1-")) for of in in_outbox(tmp_path / "o.db", work) for key in of
    ]
    assert sorted(taken) == list(range(MODEST + 20))
    for lane in range(3):
        of_lane = [number for number in taken if number % 3 == lane]
        assert of_lane == sorted(of_lane)


def test_long_bodies_are_read_one_by_one_while_there_is_room(tmp_path: Path) -> None:
    """So that a claim takes no more memory than its room, and one body."""
    bodies = [b"%05d" % n + b" " * 100_000 for n in range(50)]
    batch = [replace(one, payload=body) for one, body in zip(drafts(50), bodies, strict=True)]
    with closing(open_store(str(tmp_path / "o.db"), sqlite3.connect)) as store:
        store.stage(batch, SourcePass())
        store.enqueuer.publish()
        lease = store.acquire(["l1"])[0].lease
        asked: list[str] = []
        store.connection.set_trace_callback(asked.append)
        (claims,) = store.claim([(lease, 50)], 250_000)
    assert [claim.payload for claim in claims] == bodies[:3]
    assert sum(query.startswith("SELECT payload FROM record") for query in asked) == 3
