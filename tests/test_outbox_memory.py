from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from outbox_kit import AT, claimed, draft, drafts, fate, keys

from leadconnector_async._outbox import memory
from leadconnector_async._outbox.interface import Admission, Outbox, Reading, Spend, Staged, State
from leadconnector_async._outbox.memory import MemoryOutbox

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
        assert await outbox.stage(drafts(3, lanes=3), Reading()) == Staged(3, 0, 0)
        assert await outbox.locations() == ["l1"]
        await outbox.seal()
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
        await outbox.stage(batch, Reading())
        assert keys(await claimed(outbox, 3)) == ["10", "20", "11"]
        await outbox.stage([draft("2-", lane=2, date=-1)], Reading())
        assert keys(await claimed(outbox, 9)) == ["2-", "12", "21", "22"]

    in_memory(work)


def test_a_settled_record_is_forgotten() -> None:
    """Memory is flat in what streams through."""

    async def work(outbox: MemoryOutbox) -> None:
        await outbox.stage(drafts(10, lanes=3), Reading())
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
        await outbox.stage(drafts(3), Reading())
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
        assert await outbox.stage(batch, Reading()) == Staged(1, 1, 0, 1)
        other = draft("a", payload=b'{"message":"other"}')
        assert (await outbox.stage([other], Reading()))[:4] == (1, 0, 1, 0)
        assert (await outbox.admit(other)).state is State.REJECTED
        await outbox.settle([fate(claim) for claim in await claimed(outbox, 9)], ())
        assert await outbox.stage(batch, Reading()) == Staged(1, 1, 0, 1)

    in_memory(work)


def test_equal_records_have_keys_of_their_own() -> None:
    """Also when the first is gone: a later one must not be mistaken for it."""

    async def work(outbox: MemoryOutbox) -> None:
        equal = draft("a", counted=True)
        await outbox.stage([equal, equal], Reading())
        claims = await claimed(outbox, 9)
        await outbox.settle([fate(claim) for claim in claims], ())
        await outbox.stage([equal], Reading())
        claims += await claimed(outbox, 9)
        assert keys(claims) == ["a", "a\0\2", "a\0\3"]

    in_memory(work)


def test_the_numbers_of_equal_records_do_not_fill_memory() -> None:
    """Of a long stream the latest are remembered."""
    again = [draft("2-5", counted=True), draft("0-5", counted=True)]

    async def work(outbox: MemoryOutbox) -> None:
        await outbox.stage(again[1:], Reading())  # stays here, and so keeps its key
        for at in range(3):
            many = [draft(f"{at}-{n}", lane=2, counted=True) for n in range(memory.REMEMBERED)]
            await outbox.stage(many, Reading())
            claims = await claimed(outbox, 2 * memory.REMEMBERED)
            await outbox.settle([fate(claim) for claim in claims if claim.lane == 2], ())
        await outbox.stage([*again, draft("1-x", counted=True)], Reading())
        assert keys(await claimed(outbox, 9)) == ["2-5\0\2", "0-5\0\2", "1-x"]

    in_memory(work)


def test_refused_records_are_counted_and_not_kept() -> None:
    """There is no list of failed ones without a file."""

    async def work(outbox: MemoryOutbox) -> None:
        batch = [draft("a", problem="no"), draft("b")]
        assert await outbox.stage(batch, Reading()) == Staged(2, 0, 1)
        assert keys(await claimed(outbox, 9)) == ["b"]
        admission = await outbox.admit(batch[0])
        assert admission.state is State.REJECTED
        assert admission.settlement is not None
        assert admission.settlement.reason == "no"

    in_memory(work)


def test_an_admitted_record_has_a_number_to_wait_for() -> None:
    """The same one again has the same number while it is here."""

    async def work(outbox: MemoryOutbox) -> None:
        first = await outbox.admit(draft("a"))
        assert first == await outbox.admit(draft("a")) == Admission(first.seq, State.PENDING, None)
        (claim,) = await claimed(outbox, 9)
        assert claim.seq == first.seq

    in_memory(work)


def test_each_location_has_its_own() -> None:
    """Keys, lanes, quotas and epochs."""

    async def work(outbox: MemoryOutbox) -> None:
        await outbox.stage([draft("a"), draft("a", location="l2")], Reading())
        one, two = await outbox.begin("l1"), await outbox.begin("l2")
        assert (one.number, one.unknown, one.spend) == (1, [], None)
        batches = await outbox.claim([(two.location, 5), (one.location, 0)])
        assert list(map(len, batches)) == [1, 0]
        spend = Spend(two.location, 1, AT, 1, AT)
        await outbox.settle([], [spend])
        assert (await outbox.begin("l2")).spend == spend
        assert (await outbox.begin("l1")).number == 2

    in_memory(work)


def test_messages_of_other_records_of_the_lane_are_known() -> None:
    """What is found by looking must not be another record's message."""

    async def work(outbox: MemoryOutbox) -> None:
        await outbox.stage([*drafts(3), *drafts(1, location="l2")], Reading())
        claims = [*await claimed(outbox, 3), *await claimed(outbox, 1, "l2")]
        ends = [fate(claim) for claim in (claims[0], claims[1], claims[3])]
        await outbox.settle([*ends, fate(claims[2], State.UNRESOLVED)], ())
        assert await outbox.stored(claims[2]) == {f"m{claims[0].seq}", f"m{claims[1].seq}"}
        assert await outbox.stored(claims[0]) == {f"m{claims[1].seq}"}

    in_memory(work)


def test_facts_do_not_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest are known, those of an end do not replace, and the oldest are forgotten."""
    monkeypatch.setattr(memory, "REMEMBERED", 10)

    async def work(outbox: MemoryOutbox) -> None:
        await outbox.stage([draft("a")], Reading())
        (claim,) = await claimed(outbox, 1)
        here = claim.location
        await outbox.remember(here, {"n0": "old", "n1": "v1"})
        await outbox.settle([fate(claim, facts={"n1": "other", "n2": "v2"})], ())
        assert await outbox.recall(here, ["n1", "n2", "n3"]) == {"n1": "v1", "n2": "v2"}
        assert await outbox.recall(here + 1, ["n1"]) == {}
        for number in range(100):
            await outbox.remember(here, {f"m{number}": "v"})
        assert await outbox.recall(here, ["n0", "m99"]) == {"m99": "v"}
        known = await outbox.recall(here, [f"m{number}" for number in range(100)])
        assert 10 <= len(known) <= 20

    in_memory(work)
