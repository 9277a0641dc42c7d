"""The batcher: claims from the outbox and settles with it, in batches over all locations."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.base import Settlement, State

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from leadconnector_async.delivery.scheduler import LocationState
    from leadconnector_async.observer import Observer
    from leadconnector_async.outbox.base import Lease, Outbox

LINGER: Final = 0.05
"""Seconds that fates are gathered before a commit while they come thick: a commit costs the same
for one as for a hundred."""

THICK: Final = 32


class OutboxBatcher:
    """Two loops beside the workers, each with one batch under way at most.

    A batch that is under way is never cancelled: what the store was told to do, it does, and so
    its result is taken in, whatever becomes of the loops.
    """

    def __init__(
        self,
        outbox: Outbox,
        *,
        deliver: Callable[[list[Settlement]], None],
        moved: Callable[[LocationState], None],
        idle: Callable[[], None],
        observer: Observer | None = None,
    ) -> None:
        self._outbox = outbox
        self._deliver = deliver
        self._moved = moved
        self._idle = idle
        self._observer = observer
        self._fates: list[Settlement] = []
        self._wanting: dict[Lease, LocationState] = {}
        self._locations: dict[Lease, LocationState] = {}
        self._claims_due = asyncio.Event()
        self._fates_due = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._known = self._written = 0
        self._write_done = asyncio.Event()
        self._claiming = False
        self._finishing = False
        self.room = asyncio.Event()
        """Cleared by a consumer that falls behind: nothing more is claimed until it is set."""
        self.room.set()

    @property
    def expecting(self) -> bool:
        """Whether claims are on their way."""
        return self._claiming or bool(self._wanting)

    def wants_claims(self, state: LocationState) -> None:
        """Claim for the location, if it has room for more."""
        if state.lease not in self._wanting and state.prefetch:
            self._wanting[state.lease] = self._locations[state.lease] = state
            self._claims_due.set()

    def settle(self, settlement: Settlement) -> None:
        """Write a fate down with the next commit."""
        self._fates.append(settlement)
        self._known += 1
        self._fates_due.set()

    async def flushed(self) -> None:
        """Wait until every fate that is known now is written down."""
        known = self._known
        while self._written < known:
            await self._write_done.wait()

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begin both loops."""
        self._finishing = False
        tasks.create_task(self._claim_loop())
        tasks.create_task(self._settle_loop())

    def finish(self) -> None:
        """No worker is left: end both loops once everything is written down."""
        self._finishing = True
        self._fates_due.set()
        self._claims_due.set()
        self.room.set()

    async def wind_up(self, locations: Iterable[LocationState]) -> None:
        """Write down what is known, and give back what was claimed and provably not sent."""
        done = await asyncio.gather(*self._under_way, return_exceptions=True)
        for state in locations:
            self._drain(state)
        if self._fates:  # known, whatever has become of a claim
            await self._write()
        for error in done:
            if error is not None:
                raise error

    async def give_back(self, state: LocationState) -> None:
        """Do so for one location, while the others go on."""
        for task in list(self._under_way):
            await asyncio.wait([task])
        self._drain(state)
        await self.flushed()
        self._wanting.pop(state.lease, None)
        self._locations.pop(state.lease, None)

    def _drain(self, state: LocationState) -> None:
        at = time.time_ns() // 1_000_000
        given = state.drain()
        state.more = state.more or bool(given)
        for claim in given:
            self.settle(Settlement(claim, State.PENDING, at, claim.attempts))

    async def _claim_loop(self) -> None:
        while not self._finishing:
            await self._claims_due.wait()
            await self.room.wait()
            self._claims_due.clear()
            if self._wanting and not self._finishing:
                self._claiming = True
                await self._see_through(self._claim())

    async def _claim(self) -> None:
        locations = [state for state in self._wanting.values() if state.prefetch]
        self._wanting.clear()
        wants = [(state.lease, state.prefetch) for state in locations]
        for state in locations:
            state.more = False  # unless the batch is full, or something is fed meanwhile
        try:
            batches = await self._outbox.claim(wants) if wants else []
        finally:
            self._claiming = False
        for state, (_, want), claims in zip(locations, wants, batches, strict=True):
            state.more = state.more or len(claims) >= want
            state.take_in(claims)
            self._moved(state)
            self.wants_claims(state)
        self._idle()

    async def _settle_loop(self) -> None:
        while not self._finishing or self._fates:
            await self._fates_due.wait()
            if len(self._fates) >= THICK and not self._finishing:
                await asyncio.sleep(LINGER)
            self._fates_due.clear()
            if self._fates:
                await self._see_through(self._write())

    async def _write(self) -> None:
        fates, self._fates = self._fates, []
        touched = {fate.claim.lease for fate in fates} & self._locations.keys()
        wall_ms = time.time_ns() // 1_000_000
        now = asyncio.get_running_loop().time()
        quotas = [
            (lease, self._locations[lease].quota.state(now=now, wall_ms=wall_ms))
            for lease in touched
        ]
        await self._outbox.settle(fates, quotas)
        if self._observer is not None:
            self._observer.committed(fates, asyncio.get_running_loop().time() - now)
        self._written += len(fates)
        done, self._write_done = self._write_done, asyncio.Event()
        done.set()
        self._deliver(fates)

    async def _see_through(self, work: Coroutine[None, None, None]) -> None:
        """Await work that goes on if this loop is cancelled; `wind_up` awaits it then."""
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be waiting for it any more
