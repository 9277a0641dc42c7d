"""Staging: every record of the sources is checked and stored before the first is sent.

Attachments that records name by URL are fetched meanwhile: URLs may expire.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Problem
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.records.builder import Providers, RowDrafter, no_providers
from leadconnector_async.records.keys import fault_key
from leadconnector_async.records.newest_first import NewestFirst
from leadconnector_async.reports.outbox_status import Notes
from leadconnector_async.sources import Identity, Parsed
from leadconnector_async.sources.base import location_in
from leadconnector_async.sources.batch_reader import BATCH, BATCH_BYTES, PIECE, SourceReader
from leadconnector_async.sources.fields import WrongValueError
from leadconnector_async.sources.files import attachments as files
from leadconnector_async.sources.files.members import Beside
from leadconnector_async.sources.files.spool import Spool
from leadconnector_async.transport.base import Network
from leadconnector_async.transport.downloads import DownloadError, Downloads

if TYPE_CHECKING:
    from collections.abc import Callable

    from leadconnector_async.delivery.results import RunStats
    from leadconnector_async.observer import Observer
    from leadconnector_async.outbox.base import Staged
    from leadconnector_async.outbox.durable import DurableOutbox
    from leadconnector_async.records.draft import Draft

    Fetched = list[str] | WrongValueError


class _AttachmentFetcher(AbstractAsyncContextManager["_AttachmentFetcher"]):
    """Puts the files themselves in place of URLs, until the reader is stopped.

    What a URL gave is kept beside the outbox, so that the next run needs it no more.
    ``location`` is that of records that name none.
    """

    def __init__(self, reader: SourceReader, network: Network, location: str) -> None:
        options = reader.options
        self._files = files.Attachments(options, Beside())
        self._spool = Spool(options.spool)
        self._downloads = Downloads(private=options.fetch_private, network=network)
        self._reader = reader
        self._location = location
        self._tasks: dict[tuple[str, str, int], asyncio.Task[Fetched]] = {}

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._downloads.__aexit__()

    async def filled(self, batch: list[Parsed], *, strict: bool = True) -> list[Parsed]:
        """Give the same records, or those that lack a file with what is wrong with them.

        Unless it is ``strict``, they keep the URLs, and say so.

        Raises:
            SourceError: a file cannot be kept.
        """
        self._tasks.clear()
        return await asyncio.gather(*(self._filled(parsed, strict) for parsed in batch))

    async def _filled(self, parsed: Parsed, strict: bool) -> Parsed:  # noqa: FBT001 - as above
        row = parsed.row
        if row is None or not row.attachments:
            return parsed
        found: list[str] = []
        told: list[str] = []
        for number, item in enumerate(row.attachments, 1):
            if not files.are_remote([item]):
                found.append(item)
                continue
            where = row.location_id or self._location
            key = item, where, files.largest(row.type)
            if key not in self._tasks:
                fetched = self._fetched(item, where, row.type, told.append)
                self._tasks[key] = asyncio.create_task(fetched)
            kept = await self._tasks[key]
            if not isinstance(kept, WrongValueError):
                found += kept
            elif strict:
                problem = Problem("attachments", f"item {number} {kept.wrong}", kept.fix)
                said = Identity(row.id, row.location_id, row.outbox_key)
                return parsed._replace(row=None, problems=(problem,), identity=said)
            else:
                lost = "attachments that could not be fetched"
                told.append(f"{lost}: their URLs are sent as they are")
                found.append(item)
        row.attachments = found or None
        return parsed._replace(notices=(*parsed.notices, *told)) if told else parsed

    async def _fetched(
        self, url: str, location: str, type_: str, warn: Callable[[str], None]
    ) -> Fetched:
        if (known := self._spool.of_url(url, location)) is not None:
            return [known]
        if self._reader.interrupted:
            return WrongValueError("was not fetched: the import was stopped", "import it again")
        try:
            came = await self._downloads.fetch(url, files.largest(type_))
        except DownloadError as error:
            fix = "put the file beside the source and name it, or take it out of the list"
            return WrongValueError(f"could not be fetched ({error})", fix)
        file = files.named_for(came.name, came.kind, came.content, warn)
        kept = self._files.keep([file] if file else [], type_, warn)
        if not isinstance(kept, WrongValueError) and kept:
            self._spool.note_url(url, location, kept[0])
        return kept


@dataclass(eq=False, repr=False)
class Stager:
    """Puts what a reader gives into an outbox, and counts it in run statistics.

    ``location`` is the one of records that name none; None refuses these. ``providers`` gives the
    provider's id by type of message, for a location's records that name none.
    """

    outbox: DurableOutbox
    stats: RunStats
    _: KW_ONLY
    location: str | None
    providers: Providers = no_providers
    network: Network = Network()  # noqa: RUF009 - frozen

    def __post_init__(self) -> None:
        self._pass: SourcePass | None = None
        self.notes: Notes = Notes(self.location)
        self._fetcher: _AttachmentFetcher | None = None
        self.observer: Observer | None = None
        """Is told what is staged."""

    async def read(self, reader: SourceReader) -> None:
        """Read to the end, or until the reader is stopped.

        Raises:
            SourceError: a source cannot be read. What came before it stays staged.
            OutboxError: the store failed.
        """
        fetches = reader.options.fetch_attachments or reader.locations
        if fetches and reader.options.spool is not None:  # else it is a rehearsal
            self._fetcher = _AttachmentFetcher(reader, self.network, self.location or "")
        # Files are fetched for many records at once.
        self._piece = PIECE if self._fetcher is None else BATCH
        self._drafter = RowDrafter(self.location, time.time_ns() // 1_000_000, self.providers)
        async with self._fetcher or nullcontext():
            for source in reader.sources():
                batch = reader.batch()
                self._refuse_homeless(source.name, batch)
                number = await self.outbox.source(source.name, source.form)
                source_pass = self._pass = SourcePass(number, self._pass)
                await self._stage(reader, batch, source_pass, source.name)
                if not reader.interrupted:
                    await self.outbox.end(source_pass, fault_key(source.name))

    @property
    def met(self) -> bytes | None:
        """The records that were read, new or known, as `SourcePass.all_met`; None for no source."""
        return None if self._pass is None else self._pass.all_met()

    def _refuse_homeless(self, name: str, batch: list[Parsed]) -> None:
        """Refuse a source at once, rather than each of its records, where --location is missing."""
        rows = [parsed.row for parsed in batch if parsed.row is not None]
        if rows and not self.location and not any(row.location_id for row in rows):
            raise SourceError(f"{name}: its records name no locationId: give --location ID")

    async def _stage(
        self, reader: SourceReader, batch: list[Parsed], source_pass: SourcePass, source: str
    ) -> None:
        """Stage batch after batch, each while the next is read: its commit waits for the disk."""
        under_way: asyncio.Task[Staged] | None = None
        order = NewestFirst()
        try:
            while batch and (drafts := await self._drafts(reader, batch, source)):
                self.stats.read += len(drafts)
                last, under_way = under_way, None
                await self._staged(last, source_pass)
                source_pass.newest = range(0)
                staging = self.outbox.stage(order.turned(drafts), source_pass)
                under_way = asyncio.create_task(staging)
                await asyncio.sleep(0)  # it begins
                batch = reader.batch(self._piece)
        finally:
            await self._staged(under_way, source_pass)

    async def _drafts(self, reader: SourceReader, piece: list[Parsed], source: str) -> list[Draft]:
        """Draft what one commit takes, which begins so, piece by piece."""
        drafts: list[Draft] = []
        size, draft_of = 0, self._drafter.draft_of
        while piece:
            size += sum(len(parsed.raw) for parsed in piece)
            asked = reader.options.fetch_attachments
            if self._fetcher is not None and (asked or location_in(source) is not None):
                piece[:] = await self._fetcher.filled(piece, strict=asked)
                if reader.interrupted:
                    break
            self.notes.add_all(piece, source)
            drafts += [draft_of(parsed, source) for parsed in piece]
            piece.clear()  # the rows are not needed any more, and are half of the memory
            if len(drafts) >= BATCH or size >= BATCH_BYTES:
                break
            piece = reader.batch(min(self._piece, BATCH - len(drafts)), BATCH_BYTES - size)
        return drafts

    async def _staged(self, task: asyncio.Task[Staged] | None, source_pass: SourcePass) -> None:
        if task is not None:
            self.stats.add(await task)
            if self.observer is not None:
                self.observer.staged(source_pass.newest)
