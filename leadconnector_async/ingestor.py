"""The ingestor: many messages, each with its outcome."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Self

from leadconnector_async.delivery.dispatcher import Dispatcher
from leadconnector_async.delivery.owned import MAX_LOOK_S, OwnedLocations
from leadconnector_async.delivery.results import (
    OutcomeQueue,
    Waiters,
    outcome_of,
    outcome_of_refused,
)
from leadconnector_async.errors import CLOSED, ClosedError, NotSentError
from leadconnector_async.outbox.base import SourcePass, State
from leadconnector_async.outbox.memory import MemoryOutbox
from leadconnector_async.outbox.open import open_outbox
from leadconnector_async.public_place import name_public_place
from leadconnector_async.records.builder import InFlightLimit, RecordBuilder, source_of
from leadconnector_async.records.draft import fault_key

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from os import PathLike
    from types import TracebackType

    from leadconnector_async.client import LeadConnector
    from leadconnector_async.delivery.scheduler import LocationState
    from leadconnector_async.delivery.stats import RunStats
    from leadconnector_async.errors import LeadConnectorError
    from leadconnector_async.models import InboundMessage, Outcome, Record
    from leadconnector_async.outbox.base import Outbox, Settlement
    from leadconnector_async.records.builder import Messages
    from leadconnector_async.records.draft import Draft
    from leadconnector_async.sources import Source


FIRST_LOOK_S: Final = 0.05
"""Seconds until the first look at what another process made of a message."""


class Ingestor:
    """Sends messages concurrently, within the quota, in date order per contact.

    Use it as a context manager, with one `run` at a time or any number of `submit` calls.

    Args:
        api: the client to send with. It stays open when the ingestor closes.
        outbox: path of the durable store, or the URL of a database. With one, every message is
            written down before it is sent, and a later run goes on where this one ended, however
            it ended. Without one, messages stream through memory: paced, retried and in order, but
            what is in hand is lost with the process.
        concurrency: requests in flight at most; by default as many as the locations can use.
        buffer: messages in hand at most, for `submit` and for streaming; what comes beyond waits.
    """

    def __init__(
        self,
        api: LeadConnector,
        *,
        outbox: str | PathLike[str] | None = None,
        concurrency: int | None = None,
        buffer: int = 2_000,
    ) -> None:
        self._api = api
        self._path = outbox
        self._concurrency = concurrency
        self._in_flight = InFlightLimit(buffer)
        self._waiters = Waiters()
        self._queue: OutcomeQueue | None = None
        self._work: asyncio.Task[None] | None = None
        self._running = False
        self._is_open = False

    async def __aenter__(self) -> Self:
        if self._api.closed:
            raise ClosedError(CLOSED)
        self._durable = None if self._path is None else await open_outbox(self._path)
        self._outbox: Outbox = self._durable or MemoryOutbox()
        self._dispatcher = Dispatcher(
            self._api.session,
            self._outbox,
            concurrency=self._concurrency,
            deliver=self._deliver,
            closed=self._closed,
        )
        self._owned = OwnedLocations(self._dispatcher, self._outbox)
        self._builder = RecordBuilder(self._api.location_of, self._api.location_id)
        self._is_open = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_open = False
        try:
            await self._finish_work()
        finally:
            await self._outbox.close()

    @property
    def stats(self) -> RunStats:
        """What was done so far, in numbers."""
        return self._dispatcher.stats

    @property
    def in_hand(self) -> int:
        """Messages that were taken in and have no durable outcome yet: ``buffer`` at most."""
        return self._in_flight.size

    def stop(self) -> None:
        """Send nothing more. `run` ends when what is in flight has been answered."""
        self._dispatcher.stop()

    async def run(self, messages: Messages = ()) -> AsyncGenerator[Outcome, None]:
        """Send all messages; yield each outcome once it is durable.

        With an outbox, all messages are staged before the first is sent, and what earlier runs
        left behind is sent too; messages whose outcome is known already are skipped. Without one,
        they are taken from the iterable as fast as they can be sent.

        ``messages`` may be what `leadconnector_async.sources.open_source` gives: its rows are
        checked and known again as the command does it, and what is left out is `Rejected`.

        Raises:
            AccessError, DailyQuotaSpentError, ThrottledError: a location could not go on, after the
                others were done.
            OutboxError: the store failed.
            NotSentError: the API was out of reach for longer than the policy's patience.
            RuntimeError: another `run`, or a `submit`, is under way.
        """
        self._check_open()
        if self._running:
            raise RuntimeError("another run() is under way: end it first, or merge what they send")
        self._running = True
        try:
            async with aclosing(self._run(messages)) as outcomes:
                async for outcome in outcomes:
                    yield outcome
        finally:
            self._running = False

    async def _run(self, messages: Messages) -> AsyncGenerator[Outcome, None]:
        if self._work is not None and not self._work.done():
            if self._waiters:
                raise RuntimeError("run() cannot be used while submit() calls are waiting")
            await self._finish_work()
        self._queue = OutcomeQueue(self._dispatcher.room)
        if self._path is None:
            self._work = asyncio.create_task(self._stream(messages))
        else:
            async for draft in self._stage(messages):
                yield outcome_of_refused(draft)
            self._work = asyncio.create_task(self._dispatcher.work())
        async with aclosing(self._outcomes(self._work, self._queue)) as outcomes:
            async for outcome in outcomes:
                yield outcome

    async def submit(self, message: InboundMessage | Record) -> Outcome:
        """Send one message among others; return its outcome once it is durable.

        Waits while ``buffer`` messages are in hand. A caller that is cancelled does not take its
        message back: with an outbox it is sent all the same. A message that is known already, by
        its id or else by its content and date, is not sent again: its outcome is returned. One
        without id and date is always a new one. One that has the id of another message, which
        says something else, is `Rejected`. Where another process owns the location, of an outbox in
        a database, it is that one which sends; the outcome is the same.

        Raises:
            AccessError, DailyQuotaSpentError, ThrottledError: its location cannot go on; it
                stays in the outbox.
            OutboxError: the store failed.
            NotSentError: the API was out of reach for longer than the policy's patience.
        """
        self._check_open()
        draft = self._builder.draft_of(message, alone=True)
        if draft.payload is None:
            return outcome_of_refused(draft)
        await self._in_flight.has_space()
        self._in_flight.take(1)
        await self._ensure_working()
        return await asyncio.shield(asyncio.create_task(self._submit(draft)))

    def _check_open(self) -> None:
        if not self._is_open:
            raise RuntimeError("the ingestor is not open: use it within `async with`")

    async def _submit(self, draft: Draft) -> Outcome:
        is_new = False
        try:
            state = await self._owned.state_of(draft.location)
            if state is None:
                return await self._wait_elsewhere(draft)
            with self._waiters.submission():
                submission = await self._outbox.submit(draft)
                if submission.end is not None:
                    return outcome_of(submission.end, draft.location)
                waiter, is_new = self._waiters.wait_for(submission.seq, state)
        finally:
            if not is_new:
                self._in_flight.leave(1)
        self._dispatcher.feed(state)
        if state.error is not None:
            self._waiters.fail_location(state, state.error)
        return await waiter

    async def _wait_elsewhere(self, draft: Draft) -> Outcome:
        """Stage a message for the process that owns its location, and wait for its end."""
        assert self._durable is not None  # noqa: S101 - in memory there is no other process
        submission = await self._durable.submit(draft)
        end, pause = submission.end, FIRST_LOOK_S
        while end is None:
            await asyncio.sleep(pause)
            pause = min(2 * pause, MAX_LOOK_S)
            state = await self._owned.state_of(draft.location)
            waiter = None if state is None else self._waiters.wait_for(submission.seq, state)[0]
            end = await self._durable.outcome(submission.seq)
            if end is None and state is not None and waiter is not None:  # its owner is gone
                self._dispatcher.feed(state)
                return await waiter
        outcome = outcome_of(end, draft.location)
        self._waiters.take(submission.seq, outcome)
        return outcome

    async def _stage(self, messages: Messages) -> AsyncGenerator[Draft, None]:
        source = source_of(messages)
        source_pass = SourcePass(await self._number_of(source))
        async for batch in self._builder.batches(messages):
            staged = await self._outbox.stage(batch, source_pass)
            self._dispatcher.stats.add(staged)
            for draft in (*batch, *staged.reused):
                if draft.payload is None:
                    yield draft
        if source is not None and self._durable is not None:
            await self._durable.end(source_pass, fault_key(source.name))
        await self._publish()

    async def _number_of(self, source: Source | None) -> int:
        """The number of a source in the outbox; 0 for an application's own messages."""
        if source is None or self._durable is None:
            return 0
        return await self._durable.source(source.name, source.form)

    async def _publish(self) -> None:
        """Let all that is staged be sent, what an earlier process left included."""
        await self._outbox.publish()
        if self._durable is not None and not self._durable.is_shared:
            await self._durable.select(None)
        await self._feed(await self._outbox.locations())

    async def _feed(self, locations: Iterable[str]) -> None:
        for location in locations:
            self._dispatcher.feed(await self._dispatcher.open(location))

    async def _stream(self, messages: Messages) -> None:
        feeder = asyncio.create_task(self._feed_stream(messages))
        feeder.add_done_callback(lambda _: self._dispatcher.finish())
        try:
            await self._dispatcher.work(forever=True)
        finally:
            feeder.cancel()
            await asyncio.wait([feeder])
        if not feeder.cancelled():
            feeder.result()

    async def _feed_stream(self, messages: Messages) -> None:
        source_pass = SourcePass()
        async for batch in self._builder.pieces(messages):
            drafts = [draft for draft in batch if draft.payload is not None]
            staged = await self._outbox.stage(drafts, source_pass)
            for draft in (*batch, *staged.reused):
                if draft.payload is None:
                    self._put(outcome_of_refused(draft))
            await self._outbox.publish()
            self._in_flight.take(staged.staged - staged.refused)
            self._dispatcher.stats.staged += len(batch)
            await self._feed({draft.location for draft in drafts})
            await self._in_flight.has_space()

    async def _outcomes(
        self, work: asyncio.Task[None], queue: OutcomeQueue
    ) -> AsyncGenerator[Outcome, None]:
        work.add_done_callback(lambda _: queue.end())
        try:
            async for outcome in queue.drain():
                yield outcome
        except GeneratorExit:
            await self._finish_work()
            raise
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.wait([work])
            raise
        work.result()
        for state in self._dispatcher.locations.values():
            if state.error is not None:
                raise state.error

    def _deliver(self, settlements: list[Settlement]) -> None:
        left = 0
        for settlement in settlements:
            if settlement.state is State.PENDING:
                continue
            outcome = outcome_of(settlement.end, settlement.claim.lease.location)
            waited_for = self._waiters.take(settlement.claim.seq, outcome)
            left += waited_for or self._path is None
            if not waited_for:
                self._put(outcome)
        self._in_flight.leave(left)

    def _put(self, outcome: Outcome) -> None:
        if self._queue is not None:
            self._queue.put(outcome)

    def _closed(self, state: LocationState, error: LeadConnectorError) -> None:
        self._waiters.fail_location(state, error)
        if self._queue is not None and self._path is None:
            self._dispatcher.stop()

    def _work_ended(self, work: asyncio.Task[None]) -> None:
        error = None if work.cancelled() else work.exception()
        self._waiters.fail_all(error or NotSentError("the ingestor was closed"))

    async def _ensure_working(self) -> None:
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._dispatcher.work(forever=True))
            self._work.add_done_callback(self._work_ended)
            await self._outbox.publish()
            await self._owned.feed()
            if self._durable is not None and self._durable.is_shared:
                watch = asyncio.create_task(self._owned.watch(self._work))
                self._work.add_done_callback(lambda _: watch.cancel())

    async def _finish_work(self) -> None:
        if self._work is not None and not self._work.done():
            self._dispatcher.stop()
            await asyncio.wait([self._work])


name_public_place(globals())
