"""An outbox that several processes send from, as a program uses it: stage, and wait for the ends.

A record is staged for whoever owns its location. Its end comes from this process's own worker, or
is told by the outbox; since that may get lost, the outbox is asked too, now and then.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing, suppress
from contextvars import Context
from copy import copy
from dataclasses import KW_ONLY, dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from leadconnector_async.cancellation import cut_off
from leadconnector_async.delivery.results import OutcomeQueue, RunStats, Waiters, apart, outcome_of
from leadconnector_async.delivery.stopped_locations import is_final
from leadconnector_async.errors import LeadConnectorError, NotSentError, OutboxError
from leadconnector_async.outbox.base import Settlement, State, StoredOutcome
from leadconnector_async.outbox.reopened import ENDED, ReopenedOutbox
from leadconnector_async.worker import TICK_S, Worker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence

    from leadconnector_async.delivery.in_flight_limit import InFlightLimit
    from leadconnector_async.delivery.scheduler import LocationState
    from leadconnector_async.models import Outcome
    from leadconnector_async.observer import Observer
    from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
    from leadconnector_async.records.draft import Draft
    from leadconnector_async.session import ApiSession

LOOK_S: Final = 0.5

_BUSY: Final = 20
"""A look is made at most so many times as seldom as it takes long."""

_AT_ONCE: Final = 2_000
"""Records that are asked for in one statement."""

HAND_OVER_S: Final = 5.0
"""Seconds that requests in flight are given to be answered before others look for them."""


@dataclass(eq=False, repr=False)
class Submitter:
    """Stages and waits, and sends too where it has a session.

    Args:
        open_outbox: opens the outbox; again where it was lost, and once for each of the worker's
            tenures.
        in_flight: counts what was taken in and has no outcome yet.
        session: the way to the API; None to leave the sending to others.
        concurrency: see `Worker`.
        location: that of a token which is one location's: of others, what comes here alone is sent.
        look_s: seconds between two looks at all that is waited for.
        observer: is told what is staged, and what has ended elsewhere.
    """

    open_outbox: Callable[[], Awaitable[PostgresOutbox]]
    in_flight: InFlightLimit
    session: ApiSession | None = None
    _: KW_ONLY
    concurrency: int | None = None
    location: str | None = None
    look_s: float = LOOK_S
    observer: Observer | None = None

    def __post_init__(self) -> None:
        self._own = None if self.location is None else {self.location}
        self.outbox: ReopenedOutbox = ReopenedOutbox(self.open_outbox, self._tell)
        self._worker: Worker | None = None
        if self.session is not None:
            self._worker = Worker(
                self.session,
                self.open_outbox,
                concurrency=self.concurrency,
                own=None if self._own is None else lambda: self._own or (),
                hand_over_s=HAND_OVER_S,
                deliver=self._deliver,
                closed=self._location_closed,
            )
        self._work: asyncio.Task[None] | None = None
        self.staged: RunStats = RunStats()
        self._waiters = Waiters()
        self._open: dict[int, str] = {}
        """The records of a run without an end yet, and their locations."""
        self._early: list[Outcome] = []
        """Outcomes of a run that stages yet."""
        self._published = False
        """Whether all of these are known."""
        self._queue: OutcomeQueue | None = None
        self._errors: dict[str, BaseException] = {}
        self._since: dict[str, float] = {}
        """From when on a location was waited for, by the loop's time."""
        self._told: set[int] = set()
        self._seen: dict[int, float] = {}
        """When ends were first seen that the worker here is to tell, by the loop's time."""
        self._called = asyncio.Event()
        self._is_stopping = self._closed = False
        self._stops = 0
        self._watching: asyncio.Task[None] | None = None

    @property
    def stats(self) -> RunStats:
        """What was staged, and what this process has sent."""
        total = copy(self.staged)
        if self._worker is not None:
            total.include(self._worker.done)
        return total

    @property
    def locations(self) -> Mapping[str, LocationState]:
        """Those that this process sends for."""
        return {} if self._worker is None else self._worker.locations

    @property
    def left(self) -> Mapping[str, int]:
        """How many records are waited for, by location."""
        waited_for = Counter(chain(self._waiters.locations, self._open.values()))
        return dict.fromkeys(self.locations, 0) | waited_for

    async def open(self) -> None:
        """Open the outbox, and begin to send. Raises what ``open_outbox`` does."""
        await self.outbox.open()
        self._began = asyncio.get_running_loop().time()
        self._watching = asyncio.create_task(self._watch())
        await self._send()

    async def _send(self) -> bool:
        """Let the worker work; where it was stopped, once it has handed all over.

        False: it was stopped again meanwhile.
        """
        if self._worker is None or self._closed:
            return True
        stops = self._stops
        if self._work is not None and self._is_stopping:
            await asyncio.wait([self._work])
        if stops == self._stops and (self._work is None or self._work.done()):
            self._work = asyncio.create_task(self._worker.run(), context=Context())
            self._work.add_done_callback(self._work_ended)
        return stops == self._stops

    def _work_ended(self, work: asyncio.Task[None]) -> None:
        self._is_stopping = False
        self.end(Waiters.error_of(work))

    def stop(self) -> None:
        """Send nothing more, and wait for nothing more."""
        self._stops += 1
        if self._worker is None or self._work is None or self._work.done():
            self.end()
        else:
            self._is_stopping = True
            self._worker.stop()

    async def close(self) -> None:
        """End. What is staged stays so, and whoever waits is told."""
        self._closed = self.outbox.is_closing = True
        self.stop()
        try:
            if self._work is not None:
                await asyncio.wait([self._work])
        finally:
            try:  # the first has ended, unless this is cancelled
                await cut_off(*filter(None, (self._work, self._watching)))
            finally:
                self.end()
                await self.outbox.close()

    async def submit(self, draft: Draft) -> Outcome:
        """See `Ingestor.submit`. The record is counted as taken in already."""
        sending = asyncio.create_task(self._submit(draft, self._stops))
        # Takes note of an error that a caller who was cancelled does not read.
        sending.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        await asyncio.wait([sending])  # which leaves it alone when this is cancelled
        return sending.result()

    async def _submit(self, draft: Draft, stops: int) -> Outcome:
        try:
            if not await self._send():
                raise NotSentError(ENDED)
            with self._waiters.submission():
                submission = await self.outbox.durably(lambda outbox: outbox.submit(draft))
                if submission.end is not None:
                    return outcome_of(submission.end, draft.location)
                seq = submission.seq
                waiter = self._waiters.wait_for(seq, draft.location)
                if self._waiters.noted(seq):
                    self._told.add(seq)
                    self._called.set()
            if submission.is_new and self.observer is not None:
                self.observer.staged(range(seq, seq + 1), draft.location)
            if self._worker is None and stops < self._stops:
                raise NotSentError(ENDED)  # its alone: others may have come since
            if self._work is not None and self._work.done():  # meanwhile: it was stopped, say
                self._work_ended(self._work)
            self._tell_worker(draft.location)
            return await waiter
        finally:
            self.in_flight.leave(1, len(draft.payload or b""))

    async def expect(self, seqs: Iterable[int]) -> None:
        """Have a run wait for those of these without an end: others may send them at once."""
        for lot in _lots(list(seqs)):
            self._open |= await self.outbox.durably(lambda outbox: outbox.await_ends(lot))  # noqa: B023 - awaited here

    def expect_nothing(self) -> None:
        """End the run: nothing is waited for but what was submitted."""
        self._open.clear()
        self._early.clear()
        self._errors.clear()
        self._queue = None
        self._published = False

    async def outcomes(self) -> AsyncGenerator[Outcome, None]:
        """Publish what is staged; yield the outcomes of what is expected.

        Raises:
            LeadConnectorError: a location could not go on, after the others were done; or what
                `end` was given.
        """
        if not await self._send():
            return
        queue = self._queue = OutcomeQueue(asyncio.Event())
        await self.outbox.durably(lambda outbox: outbox.publish())
        self._published = True
        for location in set(self._open.values()):
            self._tell_worker(location)
        for outcome in self._early:
            queue.put(outcome)
        self._end_if_done()
        async with aclosing(queue.drain()) as outcomes:
            async for outcome in outcomes:
                yield outcome
        for error in self._errors.values():
            raise apart(error)

    def _tell_worker(self, location: str) -> None:
        """Have a location sent from here, if it is this process's; unless it cannot go on."""
        if self._own is not None:
            self._own.add(location)
        if self._worker is not None:
            self._worker.tell(location)
            error = self._worker.error_of(location)
            if error is not None:
                self.location_stopped(location, error)

    def _deliver(self, settlements: list[Settlement]) -> None:
        for fate in settlements:
            if fate.state is not State.PENDING:
                self._ended(fate.claim.seq, fate.claim.lease.location, fate.end)

    def _location_closed(self, state: LocationState, error: LeadConnectorError) -> None:
        if not isinstance(error, OutboxError):  # then it is another's
            self.location_stopped(state.name, error)

    def _ended(self, seq: int, location: str, end: StoredOutcome) -> None:
        """A record has an end, which is durable."""
        outcome = outcome_of(end, location)
        self._waiters.take(seq, outcome)
        if self._open.pop(seq, None) is not None:
            (self._early.append if self._queue is None else self._queue.put)(outcome)
            self._end_if_done()

    def location_stopped(self, location: str, error: LeadConnectorError) -> None:
        """A location cannot go on: whoever waits for a record of it is told."""
        self._waiters.fail_location(location, error)
        stopped = [seq for seq, of in self._open.items() if of == location]
        if stopped and self._published:  # else nobody may have tried yet
            for seq in stopped:
                del self._open[seq]
            self._errors[location] = error
            self._end_if_done()

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more is waited for: for an error, or since it was stopped."""
        self._waiters.fail_all(error or NotSentError(ENDED))
        if self._queue is not None:
            if error is not None:
                self._errors[""] = error
            self._queue.end()

    def _end_if_done(self) -> None:
        if self._published and not self._open and self._queue is not None:
            self._queue.end()

    def _tell(self, seq: int) -> None:
        """A record has an end, perhaps one that is waited for here."""
        self._waiters.note(seq)
        if seq in self._waiters.open or seq in self._open:
            self._told.add(seq)
            self._called.set()

    async def _watch(self) -> None:
        """See what became of records that others have sent."""
        now = asyncio.get_running_loop().time
        look_at = now() + self.look_s
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(look_at):
                    await self._called.wait()
            self._called.clear()
            began = now()
            waiting = self._waiters.open | self._open.keys()
            told, self._told = self._told & waiting, set()
            self._seen = {seq: at for seq, at in self._seen.items() if seq in waiting}
            try:
                await self._look(list(waiting if began >= look_at else told))
                if waiting and began >= look_at:
                    await self._look_at_stopped()
            except LeadConnectorError as error:
                self.end(error)
            if began >= look_at:
                look_at = now() + max(self.look_s, _BUSY * (now() - began))

    async def _look(self, seqs: Sequence[int]) -> None:
        for lot in _lots(seqs):
            ends = await self.outbox.durably(lambda outbox: outbox.ends(lot))  # noqa: B023 - awaited here
            for seq, (location, end) in ends.items():
                if location in self.locations and self._is_new(seq):
                    continue  # the worker here is about to tell it, and has it counted
                if self.observer is not None:
                    self.observer.ended(seq)
                self._ended(seq, location, end)

    def _is_new(self, seq: int) -> bool:
        """Whether an end was first seen less than a look ago."""
        now = asyncio.get_running_loop().time()
        return now - self._seen.setdefault(seq, now) < self.look_s

    async def _look_at_stopped(self) -> None:
        """See which locations cannot go on elsewhere: an owner that has just begun may yet try."""
        now = asyncio.get_running_loop().time()
        waiting = {*self._waiters.locations, *(self._open.values() if self._published else ())}
        self._since = {location: self._since.get(location, now) for location in waiting}
        for location, stop in (await self.outbox.durably(lambda outbox: outbox.stopped())).items():
            waited = now - self._since.get(location, now)
            is_tried = self._worker is not None and self._worker.tries(location)
            if waited > TICK_S and not is_tried and is_final(stop, waited, now - self._began):
                self.location_stopped(location, stop.error)


def _lots(seqs: Sequence[int]) -> Iterable[Sequence[int]]:
    return (seqs[at : at + _AT_ONCE] for at in range(0, len(seqs), _AT_ONCE))
