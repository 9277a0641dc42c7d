"""The ingestor: many messages, each with its outcome."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial
from os import PathLike, fspath
from typing import TYPE_CHECKING, Literal, Self, TypeVar

from msgspec.structs import replace

from leadconnector_async.arguments import AtLeastOne, MoreThanZero, check
from leadconnector_async.cancellation import cancelled_once
from leadconnector_async.delivery.exclusive_sender import ExclusiveSender
from leadconnector_async.delivery.in_flight_limit import InFlightLimit
from leadconnector_async.delivery.results import RunStats, outcome_of_refused
from leadconnector_async.errors import CLOSED, ClosedError
from leadconnector_async.outbox.memory import MemoryOutbox
from leadconnector_async.outbox.open import is_url, open_outbox, open_shared
from leadconnector_async.outbox.reopened import stage_anew
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.public_place import name_public_place
from leadconnector_async.records.builder import RecordBuilder, source_of
from leadconnector_async.records.keys import fault_key
from leadconnector_async.reports.statistics import Statistics, StatisticsReporter
from leadconnector_async.reports.statistics_meter import StatisticsMeter
from leadconnector_async.requester import Requester
from leadconnector_async.submitter import Submitter
from leadconnector_async.worker import is_one_locations

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from leadconnector_async.client import LeadConnector
    from leadconnector_async.models import InboundMessage, Outcome, Record
    from leadconnector_async.outbox.durable import DurableOutbox
    from leadconnector_async.records.builder import Messages
    from leadconnector_async.records.draft import Draft

T = TypeVar("T")

Role = Literal["both", "submit"]
"""Whether a process sends too, or leaves that to others."""


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
        role: with a database, whether this process sends too, as one more of its workers
            (``"both"``), or leaves that to others (``"submit"``).
        on_stats: called with `snapshot` every ``stats_every`` seconds and at the end: in the loop
            if it is a coroutine function, else in a thread of its own. What it raises is logged
            once, and however long it takes, nothing waits for it.
        stats_every: seconds between two calls of ``on_stats``.

    Raises:
        ValueError: the role is none, or leaves the sending to others where there cannot be any;
            or ``stats_every`` is not more than 0, or ``buffer`` or ``concurrency`` less than 1;
            or the outbox is no file.

    Example:
        >>> async with Ingestor(api, outbox="import.db") as ingestor:
        ...     async for outcome in ingestor.run(messages):
        ...         print(outcome.key, type(outcome).__name__)
    """

    def __init__(  # noqa: PLR0913 - all but one have defaults
        self,
        api: LeadConnector,
        *,
        outbox: str | PathLike[str] | None = None,
        concurrency: int | None = None,
        buffer: int = 2_000,
        role: Role = "both",
        on_stats: Callable[[Statistics], object] | None = None,
        stats_every: float = 5.0,
    ) -> None:
        check({"role": role}, Role)
        self._is_shared = outbox is not None and is_url(outbox)
        if role == "submit" and not self._is_shared:
            raise ValueError('role="submit" needs workers: give the URL of a database as outbox')
        if outbox is not None and fspath(outbox) in ("", ":memory:"):
            raise ValueError("the outbox is no file: give its path, or None for one in memory")
        if not isinstance(api, Requester):
            raise TypeError(f"api is a {type(api).__name__}: give a LeadConnector")
        check({"buffer": buffer}, AtLeastOne)
        check({"concurrency": concurrency}, AtLeastOne | None)
        check({"stats_every": stats_every}, MoreThanZero)
        self._on_stats, self._stats_every = on_stats, stats_every
        self._reporter: StatisticsReporter | None = None
        self._api, self._path = api, outbox
        self._sends, self._concurrency = role == "both", concurrency
        self._in_flight = InFlightLimit(buffer)
        self._running = self._stopping = False
        self._is_open: bool | None = None  # None: it never was

    async def __aenter__(self) -> Self:
        if self._api.closed:
            raise ClosedError(CLOSED)
        if self._is_open:
            raise RuntimeError("the ingestor is open already: make another one")
        try:
            await cancelled_once(self._open())
        except BaseException:
            if self._is_open:
                await self.__aexit__()
            raise
        return self

    async def _open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._builder = RecordBuilder(self._api.location_of, self._api.location_id)
        self._durable: DurableOutbox | None = None
        self._sender: ExclusiveSender | Submitter
        meter = self._meter = StatisticsMeter(self._api.session)
        if self._is_shared:
            self._sender = submitter = await self._shared(fspath(self._path or ""), meter)
            meter.watch(submitter, lambda: submitter.left)
        else:
            self._durable = None if self._path is None else await open_outbox(self._path)
            memory = MemoryOutbox()
            self._sender = ExclusiveSender(
                meter.session,
                self._durable or memory,
                self._in_flight,
                is_durable=self._durable is not None,
                concurrency=self._concurrency,
            )
            meter.watch(self._sender, (lambda: memory.left) if self._durable is None else None)
        self._is_open = True
        if self._durable is not None:
            await self._durable.dedicate(self._api.base_url.rstrip("/"), may_move=True)
        await self._count()
        if self._on_stats is not None:
            self._reporter = StatisticsReporter(
                meter.snapshot, self._on_stats, self._stats_every, self._count
            )
            self._reporter.start()

    async def _count(self) -> None:
        """Have counted again what is pending, where nobody else writes."""
        if self._durable is not None:
            self._meter.left = await self._durable.unsent()

    async def _shared(self, place: str, meter: StatisticsMeter) -> Submitter:
        """Open an outbox that others may send from too."""
        destination = self._api.base_url.rstrip("/")
        async with await open_outbox(place) as made:  # it may not be there yet
            await made.dedicate(destination)
        submitter = Submitter(
            lambda: open_shared(place, destination=destination),
            self._in_flight,
            meter.session if self._sends else None,
            concurrency=self._concurrency,
            location=self._api.location_id if is_one_locations(self._api.session) else None,
            observer=meter,
        )
        await submitter.open()
        return submitter

    async def __aexit__(self, *_: object) -> None:
        await cancelled_once(self._close())

    async def _close(self) -> None:
        self._is_open = self._meter.is_open = False
        try:
            await self._sender.close()
        finally:
            reporter, self._reporter = self._reporter, None
            if reporter is not None:
                await reporter.close()

    @property
    def stats(self) -> RunStats:
        """What was done so far, in numbers."""
        self._check_open(or_was=True)
        return self._sender.stats

    def snapshot(self) -> Statistics:
        """What is sent, and how fast, at this moment; after the end, as it was then.

        Any thread may ask; another than the loop's waits for it, for two seconds at most.

        Raises:
            RuntimeError: the ingestor was never open.
        """
        self._check_open(or_was=True)
        return self._meter.read()

    @property
    def in_hand(self) -> int:
        """Messages that were taken in and are waited for: ``buffer`` at most."""
        return self._in_flight.size

    def stop(self) -> None:
        """Send nothing more. `run` ends when what is in flight has been answered.

        The next `run` or `submit` begins anew. Closing ends a `run` alike, without an error.
        """
        self._check_open(or_was=True)
        self._stopping = True
        self._sender.stop()

    async def run(self, messages: Messages = ()) -> AsyncGenerator[Outcome, None]:
        """Send all messages; yield each outcome once it is durable.

        With an outbox, all messages are staged before the first is sent, and what earlier runs
        left behind is sent too; messages whose outcome is known already are skipped. Without one,
        they are taken from the iterable as fast as they can be sent. In a database, this process
        is one of its workers, and what is yielded are the outcomes of these messages alone,
        whoever has sent them.

        ``messages`` may be what `leadconnector_async.sources.open_source` gives: its rows are
        checked and known again as by the command, what is left out is `Rejected`, and it is closed.

        Raises:
            AccessError, DailyQuotaSpentError, ThrottledError: a location could not go on, after the
                others were done; without an outbox at once.
            OutboxError: the store failed.
            NotSentError: the API was out of reach for longer than the policy's patience.
            RuntimeError: another `run`, or a `submit`, is under way; in a database, a `run`. One
                that is left early is over at once within `contextlib.aclosing`.
        """
        self._check_open()
        if self._running:
            fix = "merge what they send, or end it first"
            early = "one that is left early ends by contextlib.aclosing"
            raise RuntimeError(f"another run() is under way: {fix}; {early}")
        self._running, self._stopping = True, False
        try:
            async with aclosing(self._run(messages)) as outcomes:
                async for outcome in outcomes:
                    yield outcome
        finally:
            self._running = False
            if isinstance(self._sender, Submitter):
                self._sender.expect_nothing()
            else:
                self._sender.staging = False

    async def _run(self, messages: Messages) -> AsyncGenerator[Outcome, None]:
        sender = self._sender
        if isinstance(sender, ExclusiveSender):
            await sender.free()
            sender.staging = self._durable is not None
        if isinstance(sender, Submitter) or self._durable is not None:
            async for draft in self._stage(messages, SourcePass()):
                yield outcome_of_refused(draft)
        if self._stopping:
            return
        if self._durable is not None:  # an import may have left some for later
            await self._durable.publish()
            await self._durable.select(None)
            await self._count()
        if isinstance(sender, ExclusiveSender) and self._durable is None:
            sending = sender.stream(messages, self._builder)
        else:
            sending = sender.outcomes()
        async with aclosing(sending) as outcomes:
            async for outcome in outcomes:
                yield outcome

    async def submit(self, message: InboundMessage | Record) -> Outcome:
        """Send one message among others; return its outcome once it is durable.

        Waits while ``buffer`` messages are in hand. A caller that is cancelled does not take its
        message back: with an outbox it is sent all the same. A message that is known already, by
        its id or else by its content and date, is not sent again: its outcome is returned.
        Without an outbox it is known until it has its outcome; without id and date, never. One
        that has the id of another message, which says something else, is `Rejected`. In a
        database, whoever owns the location sends; the outcome is the same. Where the database is
        out of reach for a while, it is waited for.

        Raises:
            AccessError, DailyQuotaSpentError, ThrottledError: its location cannot go on; it
                stays in the outbox.
            OutboxError: the store failed.
            NotSentError: the API was out of reach for longer than the policy's patience (it is sent
                when that is back, in memory too, without bound: twice, if submitted again after it,
                or without id and date); or the ingestor was closed or stopped, or a `run` left
                early: what begins next sends it; with the database away, submit it again by its id.
            FateUnknownError: the same, and it may be stored: its answer was lost, or closing it, or
                that `run`, was cancelled.
            ClosedError: it was closed before; nothing was written down.
            RuntimeError: it is open in another event loop.
        """
        self._check_open()
        draft = self._builder.draft_of(message, alone=True)
        meter = self._meter
        meter.received += 1
        meter.refused += draft.problem is not None
        if (trace := meter.trace()) is not None:
            draft = replace(draft, trace=trace)
        if draft.payload is None:
            return outcome_of_refused(draft)
        await self._in_flight.has_space()
        self._check_open()
        self._in_flight.take(1, len(draft.payload))
        return await self._sender.submit(draft)

    def _check_open(self, *, or_was: bool = False) -> None:
        if not self._is_open and (self._is_open is None or not or_was):
            raise ClosedError("the ingestor is not open: use it within `async with`")
        if not or_was and asyncio.get_running_loop() is not self._loop:
            fix = "from a thread, call it by asyncio.run_coroutine_threadsafe"
            raise RuntimeError(f"the ingestor is open in another event loop: {fix}")

    async def _stage(self, messages: Messages, source_pass: SourcePass) -> AsyncIterator[Draft]:
        """Stage all; yield what is refused or left out."""
        source = source_of(messages)
        if source is not None:
            source_pass.source = await self._durably(lambda of: of.source(source.name, source.form))
        async for batch in self._builder.batches(messages):
            if self._stopping:
                return
            met = source_pass.met()
            source_pass.newest = range(0)
            staged = await self._durably(partial(stage_anew, batch, source_pass, met))
            self._sender.staged.read += len(batch)
            self._sender.staged.add(staged)
            self._meter.staged(source_pass.newest)
            if isinstance(self._sender, Submitter):
                await self._sender.expect(source_pass.numbers(met))
            for draft in (*batch, *staged.reused):
                if draft.payload is None:
                    yield draft
        if source is not None:
            key = fault_key(source.name)
            await self._durably(lambda outbox: outbox.end(source_pass, key))

    async def _durably(self, work: Callable[[DurableOutbox], Awaitable[T]]) -> T:
        """Let the outbox do work that may be done twice."""
        if isinstance(self._sender, Submitter):
            return await self._sender.outbox.durably(work)
        assert self._durable is not None  # noqa: S101 - else nothing is staged
        return await work(self._durable)


name_public_place(globals())
