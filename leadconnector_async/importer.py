"""The import of files, without any command line: read and stage all, then send.

No object is kept per record: counts come from the dispatcher's tally and the outbox, so that memory
stays flat in the size of the import.

Staging: every record of the sources is checked and stored before the first is sent.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from leadconnector_async.delivery.dispatcher import Dispatcher
from leadconnector_async.errors import SourceError
from leadconnector_async.outbox.base import SourcePass, State
from leadconnector_async.records.builder import RowDrafter, no_providers
from leadconnector_async.records.draft import fault_key
from leadconnector_async.reports.reason_counts import Notes

if TYPE_CHECKING:
    from leadconnector_async.delivery.stats import RunStats
    from leadconnector_async.errors import LeadConnectorError
    from leadconnector_async.outbox.base import Settlement
    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox
    from leadconnector_async.records.builder import Providers
    from leadconnector_async.session import ApiSession
    from leadconnector_async.sources import Parsed
    from leadconnector_async.sources.batch_reader import SourceReader


class Stager:
    """Puts what a reader gives into an outbox, and counts it in run statistics.

    ``location`` is the one of records that name none; None refuses these. ``providers`` gives the
    provider's id by type of message, for a location's records that name none.
    """

    def __init__(
        self,
        outbox: SqliteOutbox,
        stats: RunStats,
        *,
        location: str | None,
        providers: Providers = no_providers,
    ) -> None:
        self._outbox = outbox
        self._stats = stats
        self._location = location
        self._providers = providers
        self.notes = Notes(location)

    async def stage(self, reader: SourceReader) -> None:
        """Read to the end, or until the reader is stopped; then make the records claimable.

        Raises:
            SourceError: a source cannot be read. What came before it stays staged.
            OutboxError: the store failed.
        """
        drafter = RowDrafter(self._location, time.time_ns() // 1_000_000, self._providers)
        source_pass: SourcePass | None = None
        for source in reader.sources():
            batch = reader.batch()
            self._refuse_homeless(source.name, batch)
            source_pass = SourcePass(
                await self._outbox.source(source.name, source.form), source_pass
            )
            await self._stage(reader, batch, drafter, source_pass, source.name)
            if not reader.interrupted:
                await self._outbox.end(source_pass, fault_key(source.name))
        if not reader.interrupted:
            await self._outbox.publish()

    def _refuse_homeless(self, name: str, batch: list[Parsed]) -> None:
        """Refuse a source at once, rather than each of its records, where --location is missing."""
        rows = [parsed.row for parsed in batch if parsed.row is not None]
        if rows and not self._location and not any(row.location_id for row in rows):
            raise SourceError(f"{name}: its records name no locationId: give --location ID")

    async def _stage(
        self,
        reader: SourceReader,
        batch: list[Parsed],
        drafter: RowDrafter,
        source_pass: SourcePass,
        source: str,
    ) -> None:
        while batch:
            for parsed in batch:
                self.notes.add(parsed, source)
            drafts = [drafter.draft_of(parsed, source) for parsed in batch]
            self._stats.read += len(batch)
            batch.clear()  # the rows are not needed any more, and are half of the memory
            self._stats.add(await self._outbox.stage(drafts, source_pass))
            batch = reader.batch()

    def __repr__(self) -> str:
        return f"<Stager {self._stats.staged} staged, {self._stats.skipped} known>"


class Importer:
    """One import: `run` it, and `stop` it early.

    Args:
        session: the way to the API.
        outbox: where records are kept. It stays open.
        reader: the sources.
        concurrency: requests in flight at most; None for as many as the locations can use.
        location: the location of records that name none; None refuses these.
        providers: for a location, the provider's id by type of message, where records name none.
    """

    def __init__(  # noqa: PLR0913 - one argument for each part that an import is made of
        self,
        session: ApiSession,
        outbox: SqliteOutbox,
        reader: SourceReader,
        *,
        concurrency: int | None = None,
        location: str | None = None,
        providers: Providers = no_providers,
    ) -> None:
        self._outbox = outbox
        self.reader = reader
        self.dispatcher = Dispatcher(
            session,
            outbox,
            concurrency=concurrency,
            deliver=self._deliver,
            closed=lambda _state, _error: None,  # the site keeps its error: see `errors`
        )
        self.stager = Stager(outbox, self.dispatcher.stats, location=location, providers=providers)
        self.left: dict[int, int] = {}
        """Records without a fate, by the outbox's number of their location."""
        self.total = 0
        """Records that this run has to send."""
        self.sending = False

    @property
    def stats(self) -> RunStats:
        """What was done so far."""
        return self.dispatcher.stats

    @property
    def errors(self) -> dict[str, LeadConnectorError]:
        """Why locations could not go on."""
        locations = self.dispatcher.locations.values()
        return {state.name: state.error for state in locations if state.error is not None}

    async def run(self) -> None:
        """Stage the sources, then send what is staged, by this run and by earlier ones.

        A location that cannot go on stops alone: see `errors`. When this is cancelled, what is
        known is still settled.

        Raises:
            SourceError: a source cannot be read; nothing was sent.
            OutboxError: the store failed.
            NotSentError: the API was out of reach for longer than the policy's patience.
        """
        await self.stage()
        await self.send()

    async def stage(self) -> None:
        """Do the first half of `run`."""
        await self.stager.stage(self.reader)

    async def send(self) -> None:
        """Do the second half of `run`."""
        unsent = await self._outbox.unsent()
        for location in await self._outbox.locations():
            if self.reader.interrupted:
                break
            state = await self.dispatcher.open(location)
            self.left[state.number] = unsent.get(location, 0)
        self.total = sum(self.left.values())
        self.sending = True
        if not self.reader.interrupted:
            await self.dispatcher.work()

    def stop(self) -> None:
        """Stage and start nothing more; `run` returns when what is in flight is answered."""
        self.reader.stop()
        self.dispatcher.stop()

    def _deliver(self, settlements: list[Settlement]) -> None:
        left, pending = self.left, State.PENDING
        for settlement in settlements:
            if settlement.state is not pending:
                left[settlement.claim.location] -= 1

    def __repr__(self) -> str:
        return f"<Importer {sum(self.left.values())} of {self.total} records left>"
