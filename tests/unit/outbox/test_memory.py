from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from outbox_kit import AT, claimed, draft, drafts, fate, keys

from leadconnector_async.outbox import memory
from leadconnector_async.outbox.base import Outbox, SourcePass, Staged, State, Submission
from leadconnector_async.outbox.memory import MemoryOutbox
from leadconnector_async.quota.limits import QuotaSnapshot

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pytest


def in_memory(work: Callable[[MemoryOutbox], Awaitable[None]]) -> None:
    """Work with an outbox in an event loop of its own."""

    async def main() -> None:
        outbox: Outbox = MemoryOutbox()
        assert isinstance(outbox, MemoryOutbox)
        await work(outbox)
        await outbox.close()

    asyncio.run(main())


def test_what_is_staged_can_be_claimed_at_once() -> None:
    """A stream has no end to wait for; sealing does nothing."""

    async def work(outbox: MemoryOutbox) -> None:
        assert await outbox.stage(drafts(3, lanes=3), SourcePass()) == Staged(3, 0, 0)
        assert await outbox.locations() == ["l1"]
        await outbox.publish()
        assert keys(await claimed(outbox, 2)) == ["l1-0", "l1-1"]
        assert keys(await claimed(outbox, 2)) == ["l1-2"]
        assert await outbox.locations() == ["l1"]

    in_memory(work)


def test_claims_are_spread_over_lanes_and_in_date_order() -> None:
    """One of each lane in turn; of what is there, the earliest first."""

    async def work(outbox: MemoryOutbox) -> None:
        batch = [
            draft(f"{lane}{date}", lane=lane, date=date) for date in (2, 0, 1) for lane in (1, 2)
        ]
        await outbox.stage(batch, SourcePass())
        assert keys(await claimed(outbox, 3)) == ["10", "20", "11"]
        await outbox.stage([draft("2-", lane=2, date=-1)], SourcePass())
        assert keys(await claimed(outbox, 9)) == ["2-", "12", "21", "22"]

    in_memory(work)


def test_a_settled_record_is_forgotten() -> None:
    """Memory is flat in what streams through."""

    async def work(outbox: MemoryOutbox) -> None:
        await outbox.stage(drafts(10, lanes=3), SourcePass())
        claims = await claimed(outbox, 10)
        await outbox.settle([fate(claim) for claim in claims[:9]], ())
        assert repr(outbox) == "<MemoryOutbox 1 records>"
        await outbox.settle([fate(claims[9], State.REJECTED)], ())
        assert repr(outbox) == "<MemoryOutbox 0 records>"
        assert await outbox.locations() == []

    in_memory(work)


def test_what_is_given_back_comes_first_again() -> None:
    """With its attempts."""

    async def work(outbox: MemoryOutbox) -> None:
        await outbox.stage(drafts(3), SourcePass())
        claims = await claimed(outbox, 2)
        await outbox.settle([fate(claim, State.PENDING) for claim in claims], ())
        again = await claimed(outbox, 9)
        assert keys(again) == ["l1-0", "l1-1", "l1-2"]
        assert [claim.attempts for claim in again] == [1, 1, 0]

    in_memory(work)


def test_an_id_is_one_record_while_it_is_here() -> None:
    """Another one of its id is refused. Afterwards it is not known any more."""

    async def work(outbox: MemoryOutbox) -> None:
        batch = [draft("a"), draft("a")]
        assert await outbox.stage(batch, SourcePass()) == Staged(1, 1, 0, 1)
        other = draft("a", payload=b'{"message":"other"}')
        assert (await outbox.stage([other], SourcePass()))[:4] == (1, 0, 1, 0)
        assert (await outbox.submit(other)).state is State.REJECTED
        await outbox.settle([fate(claim) for claim in await claimed(outbox, 9)], ())
        assert await outbox.stage(batch, SourcePass()) == Staged(1, 1, 0, 1)

    in_memory(work)


def test_equal_records_have_keys_of_their_own() -> None:
    """Also when the first is gone: a later one must not be mistaken for it."""

    async def work(outbox: MemoryOutbox) -> None:
        equal = draft("a", counted=True)
        await outbox.stage([equal, equal], SourcePass())
        claims = await claimed(outbox, 9)
        await outbox.settle([fate(claim) for claim in claims], ())
        await outbox.stage([equal], SourcePass())
        claims += await claimed(outbox, 9)
        assert keys(claims) == ["a", "a\0\2", "a\0\3"]

    in_memory(work)


def test_the_numbers_of_equal_records_do_not_fill_memory() -> None:
    """Of a long stream the latest are remembered."""
    again = [draft("2-5", counted=True), draft("0-5", counted=True)]

    async def work(outbox: MemoryOutbox) -> None:
        await outbox.stage(again[1:], SourcePass())  # stays here, and so keeps its key
        for at in range(3):
            many = [draft(f"{at}-{n}", lane=2, counted=True) for n in range(memory.MAX_LOOKUPS)]
            await outbox.stage(many, SourcePass())
            claims = await claimed(outbox, 2 * memory.MAX_LOOKUPS)
            await outbox.settle([fate(claim) for claim in claims if claim.lane == 2], ())
        await outbox.stage([*again, draft("1-x", counted=True)], SourcePass())
        assert keys(await claimed(outbox, 9)) == ["2-5\0\2", "0-5\0\2", "1-x"]

    in_memory(work)


def test_refused_records_are_counted_and_not_kept() -> None:
    """There is no list of failed ones without a file."""

    async def work(outbox: MemoryOutbox) -> None:
        batch = [draft("a", problem="no"), draft("b")]
        assert await outbox.stage(batch, SourcePass()) == Staged(2, 0, 1)
        assert keys(await claimed(outbox, 9)) == ["b"]
        submission = await outbox.submit(batch[0])
        assert submission.state is State.REJECTED
        assert submission.end is not None
        assert submission.end.reason == "no"

    in_memory(work)


def test_an_submitted_record_has_a_number_to_wait_for() -> None:
    """The same one again has the same number while it is here."""

    async def work(outbox: MemoryOutbox) -> None:
        first = await outbox.submit(draft("a"))
        assert (
            first == await outbox.submit(draft("a")) == Submission(first.seq, State.PENDING, None)
        )
        (claim,) = await claimed(outbox, 9)
        assert claim.seq == first.seq

    in_memory(work)


def test_each_location_has_its_own() -> None:
    """Keys, lanes, quotas and epochs."""

    async def work(outbox: MemoryOutbox) -> None:
        await outbox.stage([draft("a"), draft("a", location="l2")], SourcePass())
        (one, *rest), (two, *_) = await outbox.acquire("l1"), await outbox.acquire("l2")
        assert (one.token, *rest) == (1, [], None)
        batches = await outbox.claim([(two, 5), (one, 0)])
        assert list(map(len, batches)) == [1, 0]
        snapshot = QuotaSnapshot(1, AT, 1, AT)
        await outbox.settle([], [(two, snapshot)])
        assert (await outbox.acquire("l2")).snapshot == snapshot
        assert (await outbox.acquire("l1")).lease.token == 2

    in_memory(work)


def test_messages_of_other_records_of_the_lane_are_known() -> None:
    """What is found by looking must not be another record's message."""

    async def work(outbox: MemoryOutbox) -> None:
        await outbox.stage([*drafts(3), *drafts(1, location="l2")], SourcePass())
        claims = [*await claimed(outbox, 3), *await claimed(outbox, 1, "l2")]
        ends = [fate(claim) for claim in (claims[0], claims[1], claims[3])]
        await outbox.settle([*ends, fate(claims[2], State.UNRESOLVED)], ())
        assert await outbox.stored(claims[2]) == {f"m{claims[0].seq}", f"m{claims[1].seq}"}
        assert await outbox.stored(claims[0]) == {f"m{claims[1].seq}"}

    in_memory(work)


def test_facts_do_not_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest are known, those of an end do not replace, and the oldest are forgotten."""
    monkeypatch.setattr(memory, "MAX_LOOKUPS", 10)

    async def work(outbox: MemoryOutbox) -> None:
        await outbox.stage([draft("a")], SourcePass())
        (claim,) = await claimed(outbox, 1)
        here = claim.lease
        await outbox.put_lookups(here, {"n0": "old", "n1": "v1"})
        await outbox.settle([fate(claim, lookups={"n1": "other", "n2": "v2"})], ())
        assert await outbox.get_lookups(here, ["n1", "n2", "n3"]) == {"n1": "v1", "n2": "v2"}
        assert await outbox.get_lookups(here._replace(number=9), ["n1"]) == {}
        for number in range(100):
            await outbox.put_lookups(here, {f"m{number}": "v"})
        assert await outbox.get_lookups(here, ["n0", "m99"]) == {"m99": "v"}
        known = await outbox.get_lookups(here, [f"m{number}" for number in range(100)])
        assert 10 <= len(known) <= 20

    in_memory(work)
