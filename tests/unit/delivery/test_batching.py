"""When the batcher commits: gathered over time, within bounds; at once where somebody waits."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, cast

import pytest
from outbox_kit import draft

from leadconnector_async.delivery.batching import GATHER_S, GATHERED, WAITED_S, OutboxBatcher
from leadconnector_async.delivery.scheduler import LocationState
from leadconnector_async.errors import OutboxWriteError
from leadconnector_async.outbox.base import NO_BOUND, Claim, Lease, Settlement, State
from leadconnector_async.outbox.memory import MemoryOutbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from leadconnector_async.outbox.base import Submission
    from leadconnector_async.quota.limits import QuotaSnapshot
    from leadconnector_async.quota.quota import Quota
    from leadconnector_async.records.draft import Draft

LEASE = Lease("l1", 1, 1)


class Noting(MemoryOutbox):
    """A store that notes when it is asked for a commit, and for how many fates and claims."""

    def __init__(self) -> None:
        super().__init__()
        self.settled: list[tuple[float, int]] = []
        self.claimed: list[float] = []
        self.claim_s = 0.0

    async def settle(
        self,
        settlements: Sequence[Settlement],
        quotas: Sequence[tuple[Lease, QuotaSnapshot]],  # noqa: ARG002 - the protocol's
    ) -> None:
        """Note them."""
        self.settled.append((asyncio.get_running_loop().time(), len(settlements)))

    async def claim(
        self,
        wants: Sequence[tuple[Lease, int]],
        room: int = NO_BOUND,  # noqa: ARG002 - the protocol's
    ) -> list[list[Claim]]:
        """Note the moment; there is nothing."""
        self.claimed.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.claim_s)
        return [[] for _ in wants]

    async def take_in(
        self,
        drafts: Sequence[Draft],  # noqa: ARG002 - the protocol's
        wants: Sequence[tuple[Lease, int]] = (),  # noqa: ARG002
        room: int = NO_BOUND,  # noqa: ARG002
    ) -> tuple[list[Submission], list[list[Claim]]]:
        """Refuse whatever is submitted."""
        raise ValueError("at fault")


class StandInQuota:
    """Ten requests a second, and so 20 claims ahead."""

    rate = 10.0

    def state(self, now: float, wall_ms: int) -> None:
        """Nothing is used."""


def fate(seq: int) -> Settlement:
    """A record that was sent."""
    return Settlement(Claim(LEASE, 1, seq, seq, b"k", b"{}", 0), State.SENT, 0, 1)


def half_full(lease: Lease = LEASE) -> LocationState:
    """A location that has half of what it claims ahead, each in a lane of its own."""
    state = LocationState(lease, cast("Quota", StandInQuota()))
    state.take_in([Claim(lease, lane, 0, lane, b"k", b"{}", 0) for lane in range(10)])
    return state


def batcher_of(store: Noting, *, awaited: bool = False) -> OutboxBatcher:
    """A batcher whose results nobody takes."""
    return OutboxBatcher(
        store,
        deliver=lambda _: None,
        moved=lambda _: None,
        idle=lambda: None,
        awaited=lambda: awaited,
    )


@asynccontextmanager
async def working(*, awaited: bool = False) -> AsyncIterator[tuple[OutboxBatcher, Noting]]:
    """A batcher that works since an hour, and its store."""
    store = Noting()
    batcher = batcher_of(store, awaited=awaited)
    async with asyncio.TaskGroup() as tasks:
        batcher.start(tasks)
        await asyncio.sleep(3600)
        yield batcher, store
        batcher.finish()


@pytest.mark.virtual_time
async def test_fates_that_nobody_waits_for_are_gathered_for_a_bounded_time() -> None:
    """After a crash no more is in doubt besides what is in flight than came in so long."""
    async with working() as (batcher, store):
        began = asyncio.get_running_loop().time()
        for number in range(10):
            batcher.settle(fate(number))
            await asyncio.sleep(GATHER_S / 20)
        assert store.settled == []
        await asyncio.sleep(GATHER_S)
        [(when, count)] = store.settled
        assert count == 10
        assert when - began <= GATHER_S + 0.01


class FullOnce(Noting):
    """A store whose disk is full at first."""

    is_full = True

    async def settle(
        self, settlements: Sequence[Settlement], quotas: Sequence[tuple[Lease, QuotaSnapshot]]
    ) -> None:
        """Fail, until there is room."""
        if self.is_full:
            raise OutboxWriteError("the disk is full")
        await super().settle(settlements, quotas)


@pytest.mark.virtual_time
async def test_fates_that_could_not_be_written_are_so_by_the_next_work() -> None:
    """Or their records stayed claimed: who submits one again waited, and so did closing."""
    store = FullOnce()
    batcher = batcher_of(store, awaited=True)
    for store.is_full in (True, False):
        with suppress(ExceptionGroup):
            async with asyncio.TaskGroup() as tasks:
                batcher.start(tasks)
                if store.is_full:
                    batcher.settle(fate(1))
                await asyncio.sleep(GATHER_S)
                batcher.finish()
    assert [count for _, count in store.settled] == [1]


@pytest.mark.virtual_time
async def test_fates_are_not_put_off_by_what_comes_later() -> None:
    """However many locations want claims meanwhile, each of which could wait as long."""
    async with working() as (batcher, store):
        began = asyncio.get_running_loop().time()
        batcher.settle(fate(0))
        for number in range(20):
            batcher.wants_claims(half_full(Lease(f"l{number}", 1, number)))
            await asyncio.sleep(GATHER_S / 10)
        assert store.settled[0][0] - began <= GATHER_S + 0.01


@pytest.mark.virtual_time
async def test_work_ends_though_nobody_takes_outcomes() -> None:
    """Claims that wait for a consumer who has gone are given up."""
    async with working() as (batcher, store):
        batcher.room.clear()
        batcher.wants_claims(half_full())
        await asyncio.sleep(2 * GATHER_S)
    assert store.claimed == []


@pytest.mark.virtual_time
async def test_work_ends_though_outcomes_fill_the_queue_in_the_step_in_which_it_does() -> None:
    """As those of a run that is left early: nobody takes one, and closing waited for ever."""
    batcher = batcher_of(Noting())
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        batcher.start(tasks)
        await asyncio.sleep(1.0)
        batcher.finish()
        batcher.room.clear()


@pytest.mark.virtual_time
async def test_what_comes_while_claims_are_on_their_way_is_claimed_after_them() -> None:
    """They found nothing more, and may have been made before it came."""
    async with working() as (batcher, store):
        store.claim_s = 2.0
        state = half_full()
        batcher.wants_claims(state)
        await asyncio.sleep(1.0)
        state.more = True
        batcher.wants_claims(state)
        await asyncio.sleep(5.0)
        assert len(store.claimed) == 2


@pytest.mark.virtual_time
async def test_a_submission_at_fault_does_not_cost_others_their_claims() -> None:
    """They are in the same commit, and whoever submits is told alone."""
    async with working() as (batcher, store):
        batcher.wants_claims(half_full())
        with pytest.raises(ValueError, match="at fault"):
            await batcher.take_in([draft("k")], [])
        assert len(store.claimed) == 1


@pytest.mark.virtual_time
async def test_no_more_fates_are_gathered_than_so_many() -> None:
    """However fast they come: so many can be in doubt after a crash, and not more."""
    async with working() as (batcher, store):
        for number in range(GATHERED - 1):
            batcher.settle(fate(number))
        await asyncio.sleep(0)
        assert store.settled == []
        batcher.settle(fate(GATHERED))
        for _ in range(3):
            await asyncio.sleep(0)
        assert [count for _, count in store.settled] == [GATHERED]


@pytest.mark.virtual_time
async def test_a_fate_that_is_waited_for_is_written_at_once_where_nothing_else_comes() -> None:
    """While requests are in flight it waits for theirs, three milliseconds at most."""
    async with working(awaited=True) as (batcher, store):
        now = asyncio.get_running_loop().time
        began = now()
        batcher.settle(fate(1))
        await asyncio.sleep(GATHER_S)
        assert store.settled[0][0] - began <= WAITED_S + 0.001
        began = now()
        batcher.settle(fate(2))
        batcher.rests()
        await asyncio.sleep(GATHER_S)
        assert store.settled[1][0] - began < 0.001


@pytest.mark.virtual_time
async def test_what_has_to_be_written_before_something_else_does_not_wait() -> None:
    """A look, or a mail that needs the thread of the one before it, waits for one commit alone."""
    async with working() as (batcher, store):
        batcher.settle(fate(1))
        began = asyncio.get_running_loop().time()
        await batcher.flushed()
        assert asyncio.get_running_loop().time() - began < 0.001
        assert len(store.settled) == 1


@pytest.mark.virtual_time
async def test_claims_are_gathered_until_a_location_runs_dry() -> None:
    """With half of it left its claims can wait for those of others; with a quarter they cannot."""
    async with working() as (batcher, store):
        state = half_full()
        batcher.wants_claims(state)
        batcher.settle(fate(1))
        await asyncio.sleep(GATHER_S / 2)
        assert store.claimed == []
        await asyncio.sleep(GATHER_S)
        assert len(store.claimed) == 1
        assert abs(store.settled[0][0] - store.claimed[0]) < 0.001
        state.more = True
        for lane in range(5):
            state.take_out(state.lanes[lane], state.lanes[lane].claims[0])
        began = asyncio.get_running_loop().time()
        batcher.wants_claims(state)
        await asyncio.sleep(GATHER_S)
        assert store.claimed[1] - began < 0.001


def test_what_is_due_at_once_is_gathered_on_uvloop_too() -> None:
    """Its handle of what is due now does not know when that is, as asyncio's would."""
    loop = pytest.importorskip("uvloop").new_event_loop()

    async def main() -> None:
        store = Noting()
        batcher = batcher_of(store)
        async with asyncio.TaskGroup() as tasks:
            batcher.start(tasks)
            state = LocationState(LEASE, cast("Quota", StandInQuota()))
            state.take_in([Claim(LEASE, lane, 0, lane, b"k", b"{}", 0) for lane in range(10)])
            batcher.wants_claims(state)
            batcher.settle(fate(1))
            await batcher.flushed()
            batcher.finish()
        assert [count for _, count in store.settled] == [1]

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
