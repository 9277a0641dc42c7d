"""The engine: workers that pull lanes, one loop that claims, one that settles.

Nothing is pushed, and there is no task per record: a worker takes a lane that may move, lets the
courier make one request for it, and takes the next. While lanes can move, it waits for nothing
but the network.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING

from leadconnector_async._engine.clerk import Clerk
from leadconnector_async._engine.courier import Courier
from leadconnector_async._engine.crew import Crew, most_workers
from leadconnector_async._engine.endings import INTERRUPTED, day_spent, first_of, undisturbed
from leadconnector_async._engine.lanes import Lane, Schedule, Site
from leadconnector_async._engine.registrar import Registrar
from leadconnector_async._engine.steps import held
from leadconnector_async._engine.tally import Tally
from leadconnector_async._engine.unsettled import Doubt
from leadconnector_async._errors import (
    DailyQuotaSpent,
    LeadConnectorError,
    NotSentError,
    ThrottledError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from leadconnector_async._gateway import Gateway
    from leadconnector_async._outbox.interface import Claim, Outbox, Settlement


class Engine:
    """Moves what the outbox holds to the API, until nothing is left or it is stopped."""

    def __init__(
        self,
        gateway: Gateway,
        outbox: Outbox,
        *,
        concurrency: int | None,
        deliver: Callable[[list[Settlement]], None],
        closed: Callable[[Site, LeadConnectorError], None],
    ) -> None:
        self._gateway = gateway
        self._outbox = outbox
        self._closed = closed
        self._loop = asyncio.get_running_loop()
        self.sites: dict[str, Site] = {}
        self._names: dict[int, str] = {}
        self._opening = asyncio.Lock()
        self.tally = Tally()
        self.breaker = gateway.breaker
        self._registrar = Registrar(outbox, deliver=deliver, moved=self.move, idle=self._note_idle)
        self._clerk = Clerk(self.tally, self._registrar.settle)
        self._courier = Courier(gateway, self, self._clerk, self.tally)
        self._schedule = Schedule(self.move)
        self._crew = Crew(
            self._schedule,
            self.breaker,
            work=self._work,
            most=lambda: most_workers(len(self.sites)) if concurrency is None else concurrency,
        )
        self._forever = False
        self._stopping = False

    # What an ingestor calls.

    async def open(self, location: str) -> Site:
        """Own a location, and take over what an earlier owner left in doubt."""
        site = self.sites.get(location)
        if site is not None:
            return site
        async with self._opening:
            return self.sites.get(location) or await self._begin(location)

    async def _begin(self, location: str) -> Site:
        epoch = await self._outbox.begin(location)
        site = self.sites[location] = Site(epoch, self._gateway.quota(location, epoch.spend))
        self._names[site.number] = location
        self._take_over(site, epoch.unknown)
        self.feed(site)
        return site

    def _take_over(self, site: Site, claims: list[Claim]) -> None:
        """Apply the policy to what an earlier owner claimed, and perhaps sent."""
        if self._gateway.policy.on_unknown == "hold":
            for claim in claims:
                self._clerk.ended(claim, held(INTERRUPTED))
            return
        site.take_in(claims)
        if self._gateway.policy.on_unknown == "look":
            for claim in claims:
                site.lanes[claim.lane].doubts[claim.seq] = Doubt(INTERRUPTED)
            self._rouse(site)

    def _rouse(self, site: Site) -> None:
        """Let every lane move that may; one in doubt only after the settling time."""
        site.rouse()
        doubtful = [lane for lane in site.ready if lane.doubts]
        for lane in doubtful:
            site.ready.remove(lane)
            self.rest(site, lane, self._gateway.policy.look_after[0])

    def feed(self, site: Site) -> None:
        """The outbox has something for this site."""
        site.more = True
        self._check_day(site)
        if isinstance(site.error, ThrottledError):  # by now it may get through: it is tried once
            site.error = None
            self.move(site)
        self._registrar.hungry(site)

    def finish(self) -> None:
        """Let `work` end when nothing is left that can move."""
        self._forever = False
        self._note_idle()

    async def work(self, *, forever: bool = False) -> None:
        """Work until nothing is left that can move; or, with ``forever``, until stopped.

        A location that cannot go on stops alone, with the reason in its ``error``.

        Raises:
            OutboxError: the store failed.
            NotSentError: the API was out of reach for longer than the policy's patience.
        """
        self._forever, self._stopping = forever, False
        try:
            async with asyncio.TaskGroup() as loops:
                self._registrar.start(loops)
                async with asyncio.TaskGroup() as crew:
                    self._crew.begin(crew)
                    for site in self.sites.values():
                        self._rouse(site)
                        self._registrar.hungry(site)
                        self.move(site)
                self._registrar.finish()
        except* LeadConnectorError as group:
            raise first_of(group) from None
        finally:
            self._crew.end()
            await undisturbed(self._registrar.wind_up(self.sites.values()))

    def stop(self) -> None:
        """Start nothing more; `work` returns when what is in flight has been answered."""
        self._stopping = True
        self._crew.wake_all()

    def name_of(self, location: int) -> str:
        """The name of a location that the outbox knows by number."""
        return self._names[location]

    @property
    def room(self) -> asyncio.Event:
        """Cleared by a consumer that falls behind: nothing more is claimed until it is set."""
        return self._registrar.room

    # What the courier calls: its desk.

    def rest(self, site: Site, lane: Lane, seconds: float) -> None:
        """See `Desk.rest`."""
        site.rest(lane)
        self._loop.call_later(seconds, self._rested, site, lane)

    def close(self, site: Site, error: LeadConnectorError) -> None:
        """See `Desk.close`."""
        if site.error is None:
            site.error = error
            self._closed(site, error)
            self._note_idle()

    async def others(self, claim: Claim) -> set[str]:
        """See `Desk.others`."""
        await self._registrar.flushed()
        return await self._outbox.stored(claim)

    async def recall(self, site: Site, names: Sequence[str]) -> dict[str, str]:
        """See `Memory.recall`. What was learned from mails before is written down first."""
        await self._registrar.flushed()
        return await self._outbox.recall(site.number, names)

    async def remember(self, site: Site, facts: Mapping[str, str]) -> None:
        """See `Memory.remember`."""
        await self._outbox.remember(site.number, facts)

    # The workers.

    def move(self, site: Site) -> None:
        """A lane of the site may be able to move: consider it."""
        if site.ready and site.error is None:
            self._schedule.add(site, self._loop.time())
            self._crew.poke()

    def _note_idle(self) -> None:
        if self._is_over():
            self._crew.wake_all()

    async def _work(self) -> None:
        while True:
            now = self._loop.time()
            due = self._schedule.pop(now) if self._may_send(now) else None
            if due is None:
                if self._is_over():
                    self._crew.wake_all()
                    return
                await self._crew.park()
                continue
            site, lane = due
            self._crew.poke()
            lane.busy = True
            try:
                await self._courier.serve(site, lane)
            finally:
                lane.busy = False
            if site.quota.day_spent or site.error is not None:
                self._check_day(site)
            if site.ready and site.queued_at == inf:
                self._schedule.add(site, self._loop.time())
            if site.more:
                self._registrar.hungry(site)

    def _may_send(self, now: float) -> bool:
        if self._stopping:
            return False
        if not self.breaker.is_open:
            return True
        outage = self.breaker.outage(now)
        if outage > self._gateway.policy.patience:
            raise NotSentError(f"the API has been out of reach for {outage:.0f} s")
        return self.breaker.admits(now)

    def _is_over(self) -> bool:
        if self._stopping:
            return True
        return not self._forever and not self._registrar.expecting and self._at_rest()

    def _at_rest(self) -> bool:
        return all(site.error or not (site.held or site.more) for site in self.sites.values())

    def _check_day(self, site: Site) -> None:
        if site.quota.day_spent:
            if not self._gateway.policy.wait_for_day:
                self.close(site, day_spent(site))
        elif isinstance(site.error, DailyQuotaSpent):
            site.error = None

    def _rested(self, site: Site, lane: Lane) -> None:
        site.rested(lane)
        self.move(site)

    def __repr__(self) -> str:
        return f"<Engine {len(self.sites)} locations, {self._crew!r}>"
