"""The dispatcher: workers that pull lanes, one loop that claims, one that settles.

Nothing is pushed, and there is no task per record: a worker takes a lane that may move, lets the
sender make one request for it, and takes the next, and waits for nothing but the network.
"""

from __future__ import annotations

import asyncio
import logging
from math import inf
from typing import TYPE_CHECKING, Final

from leadconnector_async import errors
from leadconnector_async.cancellation import undisturbed
from leadconnector_async.delivery import outcomes
from leadconnector_async.delivery.batching import OutboxBatcher
from leadconnector_async.delivery.results import RunStats
from leadconnector_async.delivery.scheduler import LocationState, Scheduler
from leadconnector_async.delivery.sender import Sender
from leadconnector_async.delivery.workers import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from leadconnector_async.breaker import Breaker
    from leadconnector_async.delivery.lane import Lane
    from leadconnector_async.outbox.base import Acquired, Claim, Outbox, Settlement, Submission
    from leadconnector_async.records.draft import Draft
    from leadconnector_async.session import ApiSession

_log: Final = logging.getLogger(__name__)

AT_ONCE: Final = 2048
"""Locations that are begun in one commit."""


class Dispatcher:
    """Moves what the outbox holds to the API, until nothing is left or it is stopped.

    ``awaited`` says whether somebody waits for an outcome now: fates are written sooner then.
    """

    def __init__(  # noqa: PLR0913 - one has a default
        self,
        session: ApiSession,
        outbox: Outbox,
        *,
        concurrency: int | None,
        deliver: Callable[[list[Settlement]], None],
        closed: Callable[[LocationState, errors.LeadConnectorError], None],
        awaited: Callable[[], bool] = lambda: True,
    ) -> None:
        self._session, self._patience = session, session.policy.patience
        self._outbox = outbox
        # So long a request of a location's earlier owner, in another process, may still arrive.
        self._takeover_s = session.request_limit_s if outbox.is_shared else 0.0
        self._closed = closed
        self._loop = asyncio.get_running_loop()
        self.locations: dict[str, LocationState] = {}
        self._opening = asyncio.Lock()
        self.stats: RunStats = RunStats()
        self.breaker: Breaker = session.breaker
        self._batcher = OutboxBatcher(
            outbox,
            deliver=deliver,
            moved=self.move,
            idle=self._note_idle,
            awaited=awaited,
            observer=session.observer,
        )
        self.room: asyncio.Event = self._batcher.room
        self._handler = outcomes.OutcomeHandler(session, self, self.stats)
        self._sender = Sender(self._handler)
        self._scheduler = Scheduler(
            self.move, lambda state: self._loop.call_soon(self._check_day, state)
        )
        self._pool = WorkerPool(
            self._scheduler,
            self.breaker,
            work=self._work,
            most=lambda: concurrency or self._pool.useful(len(self.locations)),
        )
        self._forever = False
        self.stopping: bool = False
        self._releasing = 0
        self._lane_ended = asyncio.Event()
        self._active: list[LocationState] = []
        self.closing: set[LocationState] = set()
        """Those that cannot go on, while what was in flight has no end that is written."""

    # What an ingestor calls.

    async def open(self, location: str) -> LocationState:
        """Own a location, and take over what an earlier owner left in doubt."""
        await self.open_all([location])
        return self.locations[location]

    async def open_all(self, locations: Iterable[str]) -> None:
        """Own several at once, as far as they are not owned."""
        async with self._opening:
            new = [name for name in locations if name not in self.locations]
            for at in range(0, len(new), AT_ONCE):
                answers = await self._outbox.acquire_all(new[at : at + AT_ONCE])
                for one in sorted(answers, key=lambda one: isinstance(one, BaseException)):
                    if isinstance(one, BaseException):  # once the others are begun
                        raise one
                    self._begin(one)

    def _begin(self, acquired: Acquired) -> None:
        """Own one, with what an earlier owner claimed, and perhaps sent."""
        lease, unknown, snapshot = acquired
        state = self.locations[lease.location] = LocationState(
            lease, self._session.quota(lease.location, snapshot), self._outbox.may_send(lease)
        )
        if unknown:
            self._batcher.hold(unknown)
            self._handler.take_over(state, unknown)
            self._wake(state)
        self.feed(state)

    def _wake(self, state: LocationState) -> None:
        """Let every lane move that may; one in doubt only after the settling time."""
        state.wake()
        for lane in [lane for lane in state.ready if lane.doubts]:
            state.ready.remove(lane)
            self.rest(state, lane, self._takeover_s + self._session.policy.look_after[0])

    async def submit(self, drafts: Sequence[Draft]) -> list[Submission]:
        """Submit records of locations that are open. See `OutboxBatcher.take_in`."""
        states = [self.locations[name] for name in {draft.location: None for draft in drafts}]
        for state in states:
            self._try_again(state)
        return await self._batcher.take_in(drafts, states)

    def feed(self, state: LocationState) -> None:
        """The outbox has something for this location."""
        state.more = True
        self._try_again(state)
        self._batcher.wants_claims(state)

    def try_again(self) -> None:
        """Go on with each location but one whose day is spent: a new run may find it mended."""
        for state in self.locations.values():
            state.stopped_at = -inf
            self._try_again(state)

    def _try_again(self, state: LocationState) -> None:
        now = self._loop.time()
        state.quota.ready_at(now)  # another day may have begun since it was last asked
        self._check_day(state)
        if state.is_worth_a_try(now):
            self.retry(state)

    def retry(self, state: LocationState) -> None:
        """Go on with a location that has stopped: its cause may be mended."""
        if isinstance(state.error, errors.AccessError):
            state.failing = None
        state.error = None
        self.move(state)
        self._batcher.wants_claims(state)  # it may have given back what it held

    async def release(self, location: str, within: float = inf) -> None:
        """Let go of a location while `work` goes on with the others.

        What is in flight is answered and settled, as far as it is ``within`` so many seconds; what
        was provably not sent is given back; for the rest the next holder of its lease looks.
        """
        state = self.locations.get(location)
        if state is None:
            return
        # Whatever stopped it before may pass, as a day does: this does not.
        state.error = errors.OutboxError(f"location {location} was let go of")
        self._releasing += 1
        try:
            async with asyncio.timeout(None if within == inf else within):
                while any(lane.busy for lane in state.lanes.values()):
                    self._lane_ended.clear()
                    await self._lane_ended.wait()
        except TimeoutError:
            _log.info("location %s is let go of with requests in flight", location)
        finally:
            self._releasing -= 1
        await self._batcher.give_back(state)
        self.locations.pop(location, None)
        self._active.clear()
        self._session.forget(location)

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
        self._forever = forever
        _log.info("run starts: %d locations", len(self.locations))
        try:
            async with asyncio.TaskGroup() as loops:
                self._batcher.start(loops)
                async with asyncio.TaskGroup() as pool:
                    self._pool.begin(pool)
                    for state in self.locations.values():
                        if state.lanes:
                            self._wake(state)
                            self.move(state)
                        self._batcher.wants_claims(state)
                self._batcher.finish()
        except* Exception as group:  # noqa: BLE001 - raised as itself
            error = outcomes.first_of(group)
            raise error from error.__cause__
        finally:
            self._pool.end()
            await undisturbed(self._batcher.wind_up(self.locations.values()))
            self._tell_closed()
            self.closing.clear()
            _log.info("run ends: %s", self.stats)

    def stop(self) -> None:
        """Start nothing more, until ``stopping`` is unset; let `work` end once all is answered."""
        self.stopping = True
        self._pool.dismiss()

    # What the sender calls: `LaneControl`.

    def rest(self, state: LocationState, lane: Lane, seconds: float) -> None:
        """See `LaneControl.rest`."""
        state.rest(lane)
        self._loop.call_later(seconds, self._rested, state, lane)

    def close(self, state: LocationState, error: errors.LeadConnectorError) -> None:
        """See `LaneControl.close`."""
        if state.error is None:
            state.error, state.stopped_at = error, self._loop.time()
            _log.error("location %s stopped: %s", state.name, outcomes.shown(error))
            why = outcomes.REASONS.get(type(error), outcomes.TAKEN_OVER)
            if self._session.observer is not None:
                self._session.observer.paused(state.name, why)
            self.closing.add(state)
            self._note_idle()

    async def others(self, claim: Claim) -> set[str]:
        """See `LaneControl.others`."""
        await self._batcher.flushed()
        return await self._outbox.stored(claim)

    async def get_lookups(self, state: LocationState, names: Sequence[str]) -> dict[str, str]:
        """See `LookupStore.get_lookups`. What mails have taught is written down first."""
        await self._batcher.flushed()
        return await self._outbox.get_lookups(state.lease, names)

    async def put_lookups(self, state: LocationState, lookups: Mapping[str, str]) -> None:
        """See `LookupStore.put_lookups`."""
        if self.locations.get(state.name) is state:
            await self._outbox.put_lookups(state.lease, lookups)

    async def fetch_file(self, digest: str) -> str | None:
        """See `LookupStore.fetch_file`."""
        return await self._outbox.fetch_file(digest)

    def settle(self, settlement: Settlement) -> None:
        """See `LaneControl.settle`. Not where its location was let go of before its answer came."""
        lease = settlement.claim.lease
        state = self.locations.get(lease.location)
        if state is not None and state.lease == lease:
            self._batcher.settle(settlement)

    def move(self, state: LocationState) -> None:
        """A lane of the location may be able to move: consider it."""
        if state.ready and state.error is None:
            self._scheduler.add_again(state, self._loop.time())
            self._pool.wake()

    def _note_idle(self) -> None:
        self._tell_closed()
        if self._is_over():
            self._pool.dismiss()

    async def _work(self) -> None:
        now = self._loop.time()
        while True:
            may_send = not self.stopping and self.breaker.lets_through(now, self._patience)
            due = self._scheduler.pop(now) if may_send else None
            if due is None:
                if self._is_over():
                    self._pool.dismiss()
                    return
                if self._pool.rests:
                    self._batcher.rests()
                if not await self._pool.park():
                    return
                now = self._loop.time()
                continue
            state, lane = due
            self._pool.wake_soon(now)
            lane.busy = True
            try:
                await self._sender.serve(state, lane, now)
            finally:
                lane.busy = False
                if self._releasing:
                    self._lane_ended.set()
            if state.quota.day.spent or state.error is not None:
                self._check_day(state)
            now = self._loop.time()
            if state.ready and state.queued_at == inf:
                self._scheduler.add_again(state, now)
            if state.prefetch:
                self._batcher.wants_claims(state)

    def _is_over(self) -> bool:
        if self.stopping:
            return True
        if self._forever or self._batcher.expecting:
            return False
        # All have to be at rest: those that were not are asked first.
        while self._active and self._active[-1].at_rest:
            self._active.pop()
        self._active = self._active or [s for s in self.locations.values() if not s.at_rest]
        return not self._active

    def _tell_closed(self) -> None:
        """Say that locations cannot go on, once what was in flight has an end of its own."""
        held = self._batcher.held() if self.closing else set()
        for state in [*self.closing]:
            is_busy = state.lease in held or any(lane.busy for lane in state.lanes.values())
            if state.error is None or not is_busy:
                self.closing.discard(state)
                if state.error is not None:
                    self._closed(state, state.error)

    def _check_day(self, state: LocationState) -> None:
        if state.quota.day.spent:
            if not self._session.policy.wait_for_day:
                self.close(state, outcomes.day_spent(state))
        elif isinstance(state.error, errors.DailyQuotaSpentError):
            self.retry(state)
        self._tell_closed()

    def _rested(self, state: LocationState, lane: Lane) -> None:
        state.rested(lane)
        self.move(state)
