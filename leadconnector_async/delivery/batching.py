"""The batcher: claims from the outbox and settles with it, in batches over all locations.

A commit costs the same for one as for a hundred, so what is not urgent is gathered over time, and
claims and fates that are due together are written in one commit. What is gathered and not written
is in doubt after a crash, as what is in flight is: its records are looked for.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from leadconnector_async.delivery.claiming import ROOM_BYTES, STUCK_S, ClaimPlan
from leadconnector_async.outbox.base import Claim, Outbox, Settlement, State, Submission, Wants

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

    from leadconnector_async.delivery.scheduler import LocationState
    from leadconnector_async.observer import Observer
    from leadconnector_async.outbox.base import Lease
    from leadconnector_async.records.draft import Draft


T = TypeVar("T")

GATHER_S: Final = 0.25
"""Seconds that fates and claims are gathered at most where nobody waits for an outcome."""

GATHER_PART: Final = 1 / 10
"""And this part of the run's time at most: whoever watches its beginning sees it move."""

GATHERED: Final = 1024
"""Fates that are written at once, however short a time they were gathered."""

WAITED_S: Final = 0.003
"""Seconds that fates are gathered where somebody waits, as long as requests are in flight."""

LINGER_S: Final = 0.05
"""Seconds that fates are gathered for a database where they come thick: others may wait there."""

THICK: Final = 32


@dataclass(slots=True, eq=False, repr=False)
class OutboxBatcher:
    """Two loops beside the workers, each with one batch under way at most.

    A batch that is under way is never cancelled: the store does it, and so its result is taken in.
    """

    outbox: Outbox
    _: KW_ONLY
    deliver: Callable[[list[Settlement]], None]
    moved: Callable[[LocationState], None]
    idle: Callable[[], None]
    awaited: Callable[[], bool]
    observer: Observer | None = None
    room: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared by a consumer that falls behind: nothing more is claimed until it is set."""
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    _timer: asyncio.Handle | None = None
    _timer_due: float = 0.0  # uvloop's handle of what is due at once does not know its time
    _thick: bool = False
    _plan: ClaimPlan = field(default_factory=ClaimPlan)
    _fates_weight: int = 0
    _began: float = 0.0
    _fates: list[Settlement] = field(default_factory=list)
    _writing: list[Settlement] = field(default_factory=list)
    _claims_due: asyncio.Event = field(default_factory=asyncio.Event)
    _fates_due: asyncio.Event = field(default_factory=asyncio.Event)
    _under_way: set[asyncio.Task[Any]] = field(default_factory=set)
    _known: int = 0
    _written: int = 0
    _write_done: asyncio.Event = field(default_factory=asyncio.Event)
    _claiming: int = 0
    _finishing: bool = True

    def __post_init__(self) -> None:
        self.room.set()

    @property
    def expecting(self) -> bool:
        """Whether claims are on their way."""
        return self._claiming > 0

    def wants_claims(self, state: LocationState) -> None:
        """Claim for the location, if it has room for more: at once where it runs dry."""
        plan = self._plan
        if plan.is_scarce and plan.waits and state.lease in plan.wanting:
            return  # it is claimed for once there is room
        if plan.want(state):
            is_urgent = state.runs_dry or (not state.ready and self.awaited())
            if is_urgent and not plan.waits:
                self._commit()
            else:
                self._commit_in(self._gather_s())

    def settle(self, settlement: Settlement) -> None:
        """Write a fate down with one of the next commits."""
        self._fates.append(settlement)
        self._fates_weight += settlement.claim.weight
        self._known += 1
        count = len(self._fates)
        if count >= GATHERED or self._fates_weight >= ROOM_BYTES:
            self._commit()
        elif count == 1 and self.outbox.is_shared:
            self._commit_in(LINGER_S if self._thick else 0.0)
        elif count == 1:
            self._commit_in(WAITED_S if self.awaited() else self._gather_s())

    def hold(self, claims: Sequence[Claim]) -> None:
        """Weigh what an earlier owner has claimed."""
        self._plan.hold([claims])

    def held(self) -> set[Lease]:
        """The locations of which a fate is known and not written."""
        return {fate.claim.lease for fate in (*self._fates, *self._writing)}

    def rests(self) -> None:
        """Nothing is in flight: who waits for a fate that is known has nothing to wait for."""
        if self._fates and self.awaited():
            self._commit()

    async def flushed(self) -> None:
        """Wait until every fate that is known now is written down."""
        known = self._known
        while self._written < known:
            self._commit()
            await self._write_done.wait()

    def _gather_s(self) -> float:
        return min(GATHER_S, (self._loop.time() - self._began) * GATHER_PART)

    def _commit_in(self, seconds: float) -> None:
        when = self._loop.time() + seconds
        if self._timer is not None:
            if self._timer_due <= when:
                return
            self._timer.cancel()
        self._timer, self._timer_due = self._loop.call_at(when, self._commit), when

    def _commit(self) -> None:
        """Write now what there is: both loops are due in the same step, and so in one commit."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._fates:
            self._fates_due.set()
        if self._plan.wanting:
            self._claims_due.set()

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begin both loops."""
        self._finishing = False
        self._began = self._loop.time()
        self._commit()
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
        self._finishing = True
        done = await asyncio.gather(*self._under_way, return_exceptions=True)
        for state in locations:
            if state.lanes:
                self._drain(state)
        if self._fates:  # known, whatever has become of a claim
            await self._write()
        for result in done:
            if isinstance(result, BaseException):
                raise result

    async def give_back(self, state: LocationState) -> None:
        """Do so for one location, while the others go on."""
        for task in list(self._under_way):
            await asyncio.wait([task])
        self._drain(state)
        await self.flushed()
        self._plan.forget(state)

    def _drain(self, state: LocationState) -> None:
        at = time.time_ns() // 1_000_000
        given = state.drain()
        state.more = state.more or bool(given)
        for claim in given:
            self.settle(Settlement(claim, State.PENDING, at, claim.attempts))

    async def _claim_loop(self) -> None:
        while not self._finishing:
            await self._claims_due.wait()
            if not self._finishing:  # else the consumer may be gone, and let nobody go on
                await self.room.wait()
            self._claims_due.clear()
            if self._plan.wanting and not self._finishing:
                await self._see_through(self._claim())

    async def take_in(
        self, drafts: Sequence[Draft], states: Sequence[LocationState]
    ) -> list[Submission]:
        """Submit records, and claim in the same commit what there is room for.

        Each of ``states``, their locations, has more now. Raises what `Outbox.take_in` does.
        """
        for state in states:
            state.more = True
            self._plan.want(state)
        if self._finishing or not self.room.is_set() or self._plan.room <= 0:
            submitted, _ = await self._ask(drafts, (), 0)
            self._have_more(states)
        else:
            submitted = await self._see_through(self._claim(drafts, states))
        if isinstance(submitted, Exception):
            raise submitted
        return submitted

    async def _ask(
        self, drafts: Sequence[Draft], wants: Wants, room: int
    ) -> tuple[list[Submission] | Exception, list[list[Claim]]]:
        """Claim; and submit in the same commit, whose error is for who submits alone."""
        submitted: list[Submission] | Exception = []
        if drafts:
            try:
                return await self.outbox.take_in(drafts, wants, room)
            except Exception as error:  # noqa: BLE001 - raised where it is waited for
                submitted = error
        return submitted, await self.outbox.claim(wants, room) if wants else []

    def _have_more(self, states: Iterable[LocationState]) -> None:
        for state in states:
            state.more = True
            self.wants_claims(state)

    async def _claim(
        self, drafts: Sequence[Draft] = (), fed: Sequence[LocationState] = ()
    ) -> list[Submission] | Exception:
        plan, now = self._plan, self._loop.time()
        chosen, room = plan.choose(now), plan.room
        if plan.is_scarce:
            self._commit_in(STUCK_S)
        for state in plan.stuck(now) if plan.waits else ():
            self._drain(state)
            plan.want(state)
        wants = [(state.lease, count) for state, count in chosen]
        for state, _ in chosen:
            state.more = False  # unless the batch is full, or something is fed meanwhile
        self._claiming += 1
        try:
            submitted, batches = await self._ask(drafts, wants, room)
        finally:
            self._claiming -= 1
        taken = plan.hold(batches)
        for (state, want), claims in zip(chosen, batches, strict=True):
            state.more = state.more or len(claims) >= want or taken >= room
            state.take_in(claims)
            self.moved(state)
            self.wants_claims(state)
        self._have_more(set(fed).difference([state for state, _ in chosen]))
        if taken and plan.wanting and not plan.waits:  # more than are claimed for at once
            self._claims_due.set()
        self.idle()
        return submitted

    async def _settle_loop(self) -> None:
        while not self._finishing or self._fates:
            await self._fates_due.wait()
            self._fates_due.clear()
            if self._fates:
                await self._see_through(self._write())

    async def _write(self) -> None:
        fates, self._fates = self._fates, []
        self._writing = fates
        weight, self._fates_weight = self._fates_weight, 0
        self._thick = len(fates) >= THICK
        locations = self._plan.locations
        touched = {fate.claim.lease for fate in fates} & locations.keys()
        wall_ms = time.time_ns() // 1_000_000
        now = self._loop.time()
        quotas = [(of, locations[of].quota.state(now=now, wall_ms=wall_ms)) for of in touched]
        try:
            await self.outbox.settle(fates, quotas)
        except Exception:  # the next work writes them: their records stay claimed till then
            self._fates[:0], self._fates_weight = fates, self._fates_weight + weight
            raise
        if self.observer is not None:
            self.observer.committed(fates, self._loop.time() - now)
        self._written += len(fates)
        was_waiting = self._plan.waits
        self._plan.weight -= weight
        if self._plan.wanting and was_waiting:
            self._claims_due.set()
        done, self._write_done = self._write_done, asyncio.Event()
        done.set()
        self._writing = []
        self.deliver(fates)
        self.idle()

    async def _see_through(self, work: Coroutine[None, None, T]) -> T:
        """Await work that goes on if this loop is cancelled; `wind_up` awaits it then."""
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be waiting for it any more
