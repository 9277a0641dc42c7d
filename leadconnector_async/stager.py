"""Staging: every record of the sources is checked and stored before the first is sent."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from leadconnector_async.errors import SourceError
from leadconnector_async.outbox.base import SourcePass
from leadconnector_async.records.attachment_fetcher import AttachmentFetcher
from leadconnector_async.records.builder import RowDrafter, no_providers
from leadconnector_async.records.draft import fault_key
from leadconnector_async.reports.reason_counts import Notes
from leadconnector_async.sources.base import location_in
from leadconnector_async.transport.url import Network

if TYPE_CHECKING:
    from leadconnector_async.delivery.stats import RunStats
    from leadconnector_async.observer import Observer
    from leadconnector_async.outbox.durable import DurableOutbox
    from leadconnector_async.records.builder import Providers
    from leadconnector_async.sources import Parsed
    from leadconnector_async.sources.batch_reader import SourceReader


class Stager:
    """Puts what a reader gives into an outbox, and counts it in run statistics.

    ``location`` is the one of records that name none; None refuses these. ``providers`` gives the
    provider's id by type of message, for a location's records that name none.
    """

    def __init__(
        self,
        outbox: DurableOutbox,
        stats: RunStats,
        *,
        location: str | None,
        providers: Providers = no_providers,
        network: Network = Network(),  # noqa: B008 - frozen
    ) -> None:
        self._network = network
        self._outbox = outbox
        self._stats = stats
        self._location = location
        self._providers = providers
        self._pass: SourcePass | None = None
        self.notes: Notes = Notes(location)
        self._fetcher: AttachmentFetcher | None = None
        self.observer: Observer | None = None
        """Is told what is staged."""

    async def stage(self, reader: SourceReader) -> None:
        """Read to the end, or until the reader is stopped; then make the records claimable."""
        await self.read(reader)
        if not reader.interrupted:
            await self.publish()

    async def read(self, reader: SourceReader) -> None:
        """Read to the end, or until the reader is stopped.

        Raises:
            SourceError: a source cannot be read. What came before it stays staged.
            OutboxError: the store failed.
        """
        async with AsyncExitStack() as stack:
            options = reader.options
            fetches = options.fetch_attachments or reader.locations
            if fetches and options.spool is not None:  # else it is a rehearsal
                fetcher = AttachmentFetcher(options, self._network, lambda: reader.interrupted)
                self._fetcher = await stack.enter_async_context(fetcher)
            await self._stage_all(reader)

    async def _stage_all(self, reader: SourceReader) -> None:
        drafter = RowDrafter(self._location, time.time_ns() // 1_000_000, self._providers)
        for source in reader.sources():
            batch = reader.batch()
            self._refuse_homeless(source.name, batch)
            number = await self._outbox.source(source.name, source.form)
            source_pass = self._pass = SourcePass(number, self._pass)
            await self._stage(reader, batch, drafter, source_pass, source.name)
            if not reader.interrupted:
                await self._outbox.end(source_pass, fault_key(source.name))

    async def publish(self) -> None:
        """Make what was read claimable."""
        await self._outbox.publish()

    @property
    def met(self) -> bytes | None:
        """The records that were read, new or known, as `SourcePass.all_met`; None for no source."""
        return None if self._pass is None else self._pass.all_met()

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
            asked = reader.options.fetch_attachments
            if self._fetcher is not None and (asked or location_in(source) is not None):
                batch = await self._fetcher.filled(batch, strict=asked)
                if reader.interrupted:
                    return
            for parsed in batch:
                self.notes.add(parsed, source)
            drafts = [drafter.draft_of(parsed, source) for parsed in batch]
            self._stats.read += len(batch)
            batch.clear()  # the rows are not needed any more, and are half of the memory
            source_pass.newest = range(0)
            self._stats.add(await self._outbox.stage(drafts, source_pass))
            if self.observer is not None:
                self.observer.staged(source_pass.newest)
            batch = reader.batch()

    def __repr__(self) -> str:
        return f"<Stager {self._stats.staged} staged, {self._stats.skipped} known>"
