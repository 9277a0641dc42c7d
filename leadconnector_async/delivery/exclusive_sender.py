"""Sending from an outbox that is this process's alone: a file, or memory."""

from __future__ import annotations

import asyncio
from contextvars import Context
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from leadconnector_async.cancellation import cut_off
from leadconnector_async.delivery import results
from leadconnector_async.delivery.dispatcher import Dispatcher
from leadconnector_async.errors import LeadConnectorError, NotSentError, OutboxError
from leadconnector_async.outbox.base import Outbox, Settlement, State, Submission
from leadconnector_async.outbox.reopened import ENDED
from leadconnector_async.outbox.source_pass import SourcePass

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Mapping, Sequence

    from leadconnector_async.delivery.in_flight_limit import InFlightLimit
    from leadconnector_async.delivery.results import RunStats
    from leadconnector_async.delivery.scheduler import LocationState
    from leadconnector_async.models import Outcome
    from leadconnector_async.records.builder import Messages, RecordBuilder
    from leadconnector_async.records.draft import Draft
    from leadconnector_async.session import ApiSession


class ExclusiveSender:
    """Stages, sends, and hands the outcomes to whoever asked for them.

    Args:
        session: the way to the API.
        outbox: what is sent. It is closed with this.
        in_flight: counts what was taken in and has no outcome yet.
        is_durable: whether the outbox outlives the process.
        concurrency: requests in flight at most; None for as many as the locations can use.
    """

    def __init__(
        self,
        session: ApiSession,
        outbox: Outbox,
        in_flight: InFlightLimit,
        *,
        is_durable: bool,
        concurrency: int | None,
    ) -> None:
        self._observer = session.observer
        self._outbox = outbox
        self._in_flight = in_flight
        self._is_durable = is_durable
        self._dispatcher = Dispatcher(
            session,
            outbox,
            concurrency=concurrency,
            deliver=self._deliver,
            closed=self._closed,
            awaited=lambda: bool(self._waiters) or not is_durable,
        )
        self.stats: RunStats = self._dispatcher.stats
        """What was done so far, in numbers."""
        self.staged: RunStats = self.stats
        """Where what is staged is counted."""
        self.locations: Mapping[str, LocationState] = self._dispatcher.locations
        """Those that are sent for."""
        # Who waits for space, or for an outcome, may be who takes those of a run: were none claimed
        # any more where those fill its queue, he would wait for ever.
        in_flight.waited_for = self._dispatcher.room.set
        self._waiters = results.Waiters()
        self._queue: results.OutcomeQueue | None = None
        """Of the run that is under way."""
        self._streamed = self._streamed_weight = 0
        """Its messages in hand, where none is staged before, and what they weigh."""
        self._work: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._calls: list[tuple[Draft, asyncio.Future[Outcome]]] = []
        """Those of `submit` that no batch has taken yet."""
        self._turn = asyncio.Lock()
        self._batches: set[asyncio.Task[None]] = set()
        self._is_closed = self._is_stopped = False
        self.staging: bool = False
        """Whether a run stages: nothing of it is sent before all is there."""

    def stop(self) -> None:
        """Send nothing more."""
        self._is_stopped = True
        self._dispatcher.stop()

    async def close(self) -> None:
        """End when what is in flight has been answered."""
        self._is_closed = True
        try:
            await self._finish_work(self.stop)
        finally:
            await self._outbox.close()

    def submit(self, draft: Draft) -> asyncio.Future[Outcome]:
        """See `Ingestor.submit`. The record is counted as taken in already.

        Calls of the same moment are one batch, without a task for each.
        """
        told: asyncio.Future[Outcome] = self._loop.create_future()
        self._calls.append((draft, told))
        if len(self._calls) == 1:
            # Not in the context, such as a trace, of whoever submits first.
            task = asyncio.create_task(self._take_in(), context=Context())
            self._batches.add(task)
            task.add_done_callback(self._batches.discard)
        return told

    async def _take_in(self) -> None:
        async with self._turn:  # one batch after the other: lanes are in order
            calls, self._calls = self._calls, []
            drafts = [draft for draft, _ in calls]
            self._dispatcher.room.set()
            with self._waiters.submission():
                answers = await self._submitted(drafts)
                for (draft, told), answer in zip(calls, answers, strict=True):
                    self._answer(draft, told, answer)
            for location in {draft.location for draft in drafts} & self.locations.keys():
                state = self.locations[location]
                if state.error is not None and state not in self._dispatcher.closing:
                    self._waiters.fail_location(location, state.error)
            if self._work is not None and self._work.done():  # it ended before these came
                self._work_ended(self._work)

    async def _submitted(self, drafts: Sequence[Draft]) -> Sequence[Submission | Exception]:
        try:
            await self._ensure_working()
            await self._dispatcher.open_all({draft.location for draft in drafts})
            return await self._dispatcher.submit(drafts)
        except Exception as error:  # noqa: BLE001 - raised where its caller waits
            if self._is_closed and isinstance(error, OutboxError):  # closed amid this
                return [NotSentError(ENDED)] * len(drafts)
            if len(drafts) == 1 or isinstance(error, LeadConnectorError):
                return [error] * len(drafts)
        # One of them is at fault: it alone is to be told so.
        return [answer for draft in drafts for answer in await self._submitted([draft])]

    def _answer(
        self, draft: Draft, told: asyncio.Future[Outcome], answer: Submission | Exception
    ) -> None:
        """Tell a caller what is known of its record, or have it told once more is."""
        waiter: asyncio.Future[Outcome]
        if isinstance(answer, Exception):
            results.fail(waiter := self._loop.create_future(), answer)
        elif answer.end is not None:
            (waiter := self._loop.create_future()).set_result(
                results.outcome_of(answer.end, draft.location)
            )
        else:
            seq = answer.seq
            waiter = self._waiters.wait_for(seq, draft.location)
            if answer.is_new and self._observer is not None:
                self._observer.staged(range(seq, seq + 1), draft.location)
        waiter.add_done_callback(partial(self._tell, told, len(draft.payload or b"")))

    def _tell(
        self, told: asyncio.Future[Outcome], weight: int, waiter: asyncio.Future[Outcome]
    ) -> None:
        self._in_flight.leave(1, weight)
        error = waiter.exception()
        if error is not None:
            results.fail(told, error)
        elif not told.done():  # else its caller was cancelled
            told.set_result(waiter.result())

    async def free(self) -> None:
        """End what was begun for calls of `submit`, none of which waits any more, before a run.

        Raises:
            RuntimeError: some do.
        """
        async with self._turn:  # calls that come meanwhile are taken in once the run has begun
            while self._work is not None and not self._work.done():
                if self._waiters:
                    raise RuntimeError("run() cannot be used while submit() calls are waiting")
                await self._finish_work(self._dispatcher.stop)
        self._dispatcher.stopping = self._is_stopped = self._is_closed
        self._dispatcher.try_again()

    def outcomes(self) -> AsyncGenerator[Outcome, None]:
        """Send all that is staged, by whatever run; yield what becomes of it.

        Raises:
            LeadConnectorError: a location could not go on, after the others were done; or all.
        """
        return self._outcomes(self._send_staged)

    def stream(self, messages: Messages, builder: RecordBuilder) -> AsyncGenerator[Outcome, None]:
        """Send messages as fast as they come and can be sent. Raises as `outcomes` does."""
        return self._outcomes(partial(self._stream, messages, builder))

    async def _send_staged(self) -> None:
        await self._publish()
        await self._dispatcher.work()

    async def _publish(self) -> None:
        """Let all that is staged be sent, what an earlier process left included."""
        await self._outbox.publish()
        await self._feed(await self._outbox.locations())

    async def _feed(self, locations: Collection[str]) -> None:
        await self._dispatcher.open_all(locations)
        for location in locations:
            self._dispatcher.feed(self.locations[location])

    async def _stream(self, messages: Messages, builder: RecordBuilder) -> None:
        feeder = asyncio.create_task(self._feed_stream(messages, builder))
        feeder.add_done_callback(lambda _: self._dispatcher.finish())
        try:
            await self._dispatcher.work(forever=True)
        finally:
            ended = feeder.done()  # by itself: if cancelled, then by what the messages come from
            feeder.cancel()
            await asyncio.gather(feeder, return_exceptions=True)
        if ended or not feeder.cancelled():
            feeder.result()

    async def _feed_stream(self, messages: Messages, builder: RecordBuilder) -> None:
        source_pass = SourcePass()
        async for batch in builder.pieces(messages, self._in_flight.piece):
            staged = await self._outbox.stage(batch, source_pass)
            if self._observer is not None:
                self._observer.staged(source_pass.newest)
            for draft in (*batch, *staged.reused):
                if draft.payload is None:
                    self._put(results.outcome_of_refused(draft))
            await self._outbox.publish()
            weight = sum(len(draft.payload or b"") for draft in batch)
            self._in_flight.take(count := len(source_pass.newest), weight)
            self._streamed += count
            self._streamed_weight += weight
            self.stats.read += len(batch)
            self.stats.add(staged)
            await self._feed({draft.location for draft in batch if draft.payload is not None})
            if count < len(batch):  # what is refused, or known, waits for no answer
                await asyncio.sleep(0)
                await self._dispatcher.room.wait()
            await self._in_flight.has_space(calls=0)

    async def _outcomes(
        self, send: Callable[[], Coroutine[None, None, None]]
    ) -> AsyncGenerator[Outcome, None]:
        queue = self._queue = results.OutcomeQueue(self._dispatcher.room)
        begun = None if self._work is None or self._work.done() else self._work
        work = self._work = begun or asyncio.create_task(send())
        work.add_done_callback(lambda _: self._end(queue))
        if begun is None:
            work.add_done_callback(self._work_ended)  # calls of `submit` that came meanwhile
        try:
            if begun is not None:  # by a `submit` while this run staged
                await self._publish()
                self._dispatcher.finish()
            async for outcome in queue.drain():
                yield outcome
        except GeneratorExit:
            if self._work is work:  # else it is that of others, and the run's has ended
                await self._finish_work(self.stop)
            raise
        except asyncio.CancelledError:
            await cut_off(work)
            raise
        finally:  # nobody takes an outcome from it any more
            self._queue = None
            self._dispatcher.room.set()
        work.result()
        for state in self.locations.values():
            if state.error is not None:
                raise results.apart(state.error)

    def _end(self, queue: results.OutcomeQueue) -> None:
        """Nobody waits for what a run has left: its consumer may, for room for a `submit`."""
        queue.end()
        self._leave(self._streamed, self._streamed_weight)

    def _deliver(self, settlements: list[Settlement]) -> None:
        left = weight = 0
        for settlement in settlements:
            if settlement.state is State.PENDING:
                continue
            outcome = results.outcome_of(settlement.end, settlement.claim.lease.location)
            if self._waiters.take(settlement.claim.seq, outcome):
                continue
            if self._queue is not None and not self._is_durable:  # of a stream
                left += 1
                weight += len(settlement.claim.payload)
            self._put(outcome)
        self._leave(left, weight)

    def _leave(self, count: int, weight: int) -> None:
        """Count messages of the stream no more. Others that are in memory it has not counted."""
        count, weight = min(count, self._streamed), min(weight, self._streamed_weight)
        self._streamed -= count
        self._streamed_weight -= weight
        self._in_flight.leave(count, weight)

    def _put(self, outcome: Outcome) -> None:
        if self._queue is not None:
            self._queue.put(outcome)
            if self._waiters or self._waiters.submitting or self._in_flight.callers:
                self._dispatcher.room.set()

    def _closed(self, state: LocationState, error: LeadConnectorError) -> None:
        self._waiters.fail_location(state.name, error)
        if self._queue is not None and not self._is_durable:
            self._dispatcher.stop()

    def _work_ended(self, work: asyncio.Task[None]) -> None:
        """Go on for calls of `submit` that came in a run, or tell them why not."""
        error = results.Waiters.error_of(work)
        if error is None and self._waiters and not self._is_closed and not self._is_stopped:
            self._begin_work()
        else:
            lanes = chain.from_iterable(state.lanes.values() for state in self.locations.values())
            in_doubt = {seq for lane in lanes for seq in lane.doubts}
            self._waiters.fail_all(error or NotSentError(ENDED), () if error else in_doubt)

    async def _ensure_working(self) -> None:
        if self._work is not None and self._work.done():
            await asyncio.sleep(0)  # its end is told to whoever waited for it, and to nobody else
        if self._is_closed:  # while this call waited for its turn
            raise NotSentError(ENDED)
        if self._work is None or self._work.done():
            self._begin_work()
            if not self.staging:
                await self._publish()

    def _begin_work(self) -> None:
        self._dispatcher.stopping = self._is_stopped = False
        # Not in the context, such as a trace, of whoever submits first.
        self._work = asyncio.create_task(self._dispatcher.work(forever=True), context=Context())
        self._work.add_done_callback(self._work_ended)

    async def _finish_work(self, stop: Callable[[], None]) -> None:
        if self._work is not None and not self._work.done():
            stop()
            try:
                await asyncio.wait([self._work])
            except asyncio.CancelledError:
                await cut_off(self._work)
                raise
