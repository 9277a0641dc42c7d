"""The import of files, without any command line: read and stage all, then send.

No object is kept per record: counts come from the statistics of the run and from the outbox, so
that memory stays flat in the size of the import.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from copy import copy
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, cast

from msgspec import Struct, structs

from leadconnector_async import errors
from leadconnector_async.delivery.results import RunStats
from leadconnector_async.location_reader import LocationReader
from leadconnector_async.outbox.database import fault
from leadconnector_async.outbox.open import exists, files_of, open_outbox, read_outbox, shown_place
from leadconnector_async.outbox.selection import Selection
from leadconnector_async.outbox.upkeep import empty_files
from leadconnector_async.records.builder import Providers, no_providers
from leadconnector_async.reports.outbox_status import status_of
from leadconnector_async.reports.progress import ImportProgress, ProgressMeter
from leadconnector_async.reports.statistics_meter import StatisticsMeter
from leadconnector_async.reports.summary import Ending, ImportSummary, summary_of
from leadconnector_async.sending import OwnerSending, WorkerSending
from leadconnector_async.stager import Stager

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from leadconnector_async.client import LeadConnector
    from leadconnector_async.delivery.scheduler import LocationState
    from leadconnector_async.outbox.durable import DurableOutbox
    from leadconnector_async.outbox.outbox_reader import OutboxReader
    from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
    from leadconnector_async.session import ApiSession
    from leadconnector_async.sources import SourceOptions
    from leadconnector_async.sources.batch_reader import SourceReader


class Piece(Struct, frozen=True):
    """How much of an import one run does."""

    selection: Selection | None = None
    """None: all."""
    seconds: float = inf
    """From the beginning of the run; then what is in flight is finished."""


class Importer:
    """One import: `run` it, and `stop` it early.

    Args:
        session: the way to the API.
        outbox: where records are kept. It stays open.
        reader: the sources.
        concurrency: requests in flight at most; None for as many as the locations can use.
        location: the location of records that name none; None refuses these.
        providers: for a location, the provider's id by type of message, where records name none.
        piece: which records to send, and for how long.
        origin: the client of locations that are sources. They are read into the reader's spool.
        measured: whether `statistics` are kept, which costs some microseconds for each record.
    """

    def __init__(  # noqa: PLR0913 - one argument for each part that an import is made of
        self,
        session: ApiSession,
        outbox: DurableOutbox,
        reader: SourceReader,
        *,
        concurrency: int | None = None,
        location: str | None = None,
        providers: Providers = no_providers,
        piece: Piece = Piece(),  # noqa: B008 - frozen
        origin: LeadConnector | None = None,
        measured: bool = False,
    ) -> None:
        self._origin: LocationReader | None = None
        if origin is not None and reader.options.spool is not None:
            self._origin = LocationReader(origin, reader.options.spool, location)
        self._outbox = outbox
        self._selection = piece.selection
        self._ends_at = asyncio.get_running_loop().time() + piece.seconds
        self._time_is_up = False
        self.reader = reader
        self._staged = RunStats()
        self.stager: Stager = Stager(
            outbox, self._staged, location=location, providers=providers, network=session.network
        )
        self.statistics: StatisticsMeter | None = None
        """What the run sends, and how fast; with the figures that `snapshot` has too."""
        if measured or session.observer is not None:
            self.statistics = StatisticsMeter(session)
            session = self.statistics.session
        self.sending: OwnerSending | WorkerSending
        if outbox.is_shared and self._selection is None and not session.policy.mark_read:
            shared = cast("PostgresOutbox", outbox)
            self.sending = WorkerSending(session, shared, concurrency=concurrency)
        else:
            notice = self.stager.notes.notices.add
            self.sending = OwnerSending(session, outbox, concurrency=concurrency, notice=notice)
        self.left: dict[str, int] = self.sending.left
        """Records without a fate, by location, where this run has some to send."""
        self._meter = ProgressMeter(self, session.breaker, reader, self.left)
        if self.statistics is not None:
            self.stager.observer = self.statistics
            self.statistics.watch(self, lambda: self.left, self._own)

    def snapshot(self) -> ImportProgress:
        """How far the run is."""
        now = asyncio.get_running_loop().time()
        reading = None if self._origin is None else self._origin.reading
        return self._meter.snapshot(now, self.sending.total, reading, self.sending.lost)

    def _own(self) -> dict[str, object]:
        """What is the import's own, of an outbox that has more."""
        progress = self.snapshot()
        return {name: getattr(progress, name) for name in ("pending", "rate", "seconds_left")}

    @property
    def stats(self) -> RunStats:
        """What was done so far."""
        total = copy(self._staged)
        total.include(self.sending.stats)
        return total

    @property
    def locations(self) -> Mapping[str, LocationState]:
        """Those that this process sends for."""
        return self.sending.locations

    async def run(self) -> None:
        """Stage the sources, then send what is staged, by this run and by earlier ones.

        A location that cannot go on stops alone: see `OwnerSending.errors`. When this is
        cancelled, what is known is still settled.

        Raises:
            SourceError: a source cannot be read; nothing was sent.
            OutboxError: the store failed.
            NotSentError: the API was out of reach for longer than the policy's patience.
        """
        await self.stage()
        await self.send()

    async def stage(self) -> None:
        """Do the first half of `run`."""
        if self._selection is not None and self._outbox.is_shared:
            with suppress(errors.SelectionError):  # of records that are to be staged yet
                await self._outbox.select(self._selection)  # before others could send these
        if self._origin is not None:
            await self._origin.read(self.reader)
        await self.stager.read(self.reader)
        if not self.reader.interrupted:
            await self.sending.publish(self._selection, self.stager.met)

    async def send(self) -> None:
        """Do the second half of `run`."""
        await self.sending.open()
        loop = asyncio.get_running_loop()
        if self.reader.interrupted or loop.time() >= self._ends_at:
            self._time_is_up = not self.reader.interrupted
            return
        end = loop.call_at(self._ends_at, self._end) if self._ends_at < inf else None
        try:
            await self.sending.send()
        finally:
            if end is not None:
                end.cancel()

    def _end(self) -> None:
        self._time_is_up = True
        self.sending.stop()

    def stop(self) -> None:
        """Stage and start nothing more; `run` returns when what is in flight is answered."""
        self.reader.stop()
        self.sending.stop()

    def ending(self) -> Ending:
        """How a run ended that nothing interrupted."""
        left = self.sending.errors
        stopped = {name: str(error) for name, error in left.items()}
        barred = [
            why if name in why else f"location {name}: {why}"
            for name, why in stopped.items()
            if not isinstance(left[name], errors.DailyQuotaSpentError)
        ]
        if barred:
            error, more = barred[0], len(barred) - 1
            if more:
                error += f" (and {more} more location{'s' * (more > 1)} could not go on)"
            return Ending(ended="error", error=error, stopped=stopped)
        if self._time_is_up and any(self.left.values()):
            return Ending(ended="time_up", stopped=stopped)
        return Ending(ended="day_spent" if stopped else "done", stopped=stopped)


async def reading_options(options: SourceOptions, outbox: str) -> SourceOptions:
    """How to read for an outbox: what comes within the sources is kept beside it."""
    files = (*options.files, *await _folders_of(outbox))
    return structs.replace(options, files=files, spool=files_of(outbox))


async def _folders_of(outbox: str) -> list[Path]:
    """The folders of the sources that were read into an outbox, which may not be there yet.

    Their files may be named again: a list of failed records can lie in another folder.
    """

    async def folders(reader: OutboxReader) -> list[Path]:
        names = filter(None, await reader.sources())
        return list(dict.fromkeys(Path(name).absolute().parent for name in names))  # noqa: ASYNC240 - looks at no file

    if not exists(outbox):
        return []
    try:
        return await read_outbox(outbox, folders)
    except errors.OutboxError:  # of an older form, or none: who opens it to write says so
        return []


async def import_with(
    drive: Callable[[Importer], Awaitable[Ending]],
    make: Callable[[DurableOutbox, SourceReader], Importer],
    reader: SourceReader,
    *,
    outbox: str,
    destination: str,
) -> ImportSummary:
    """Check the sources and the account of the outbox, let ``drive`` run the importer, sum up.

    Raises:
        LeadConnectorError: a source or the outbox cannot be opened; and what ``drive`` raises.
    """
    started = time.monotonic()
    reader.check()
    async with await open_outbox(outbox) as store:
        await store.dedicate(destination)
        importer = make(store, reader)
        try:
            ending = await drive(importer)
        finally:
            if importer.statistics is not None:
                importer.statistics.is_open = False
        with suppress(errors.OutboxError):  # all is sent: it is tidied up, and no more
            await empty_files(outbox)
    if not exists(outbox):
        raise errors.OutboxUnusableError(fault("taken_away", place=shown_place(outbox)))
    return summary_of(
        importer.stats,
        await read_outbox(outbox, status_of),
        ending,
        notices=importer.stager.notes.notices,
        elapsed_s=time.monotonic() - started,
        outbox=shown_place(outbox),
        left=importer.sending.left_over,
    )
