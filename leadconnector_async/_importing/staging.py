"""Staging: every record of the sources is checked and stored before the first is sent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from leadconnector_async._errors import SourceError
from leadconnector_async._importing.drafts import Drafter, no_providers
from leadconnector_async._importing.notes import Notes
from leadconnector_async._outbox.interface import Reading
from leadconnector_async._records import fault_key

if TYPE_CHECKING:
    from leadconnector_async._engine.tally import Tally
    from leadconnector_async._importing.drafts import Providers
    from leadconnector_async._importing.reading import Reader
    from leadconnector_async._outbox.sqlite import SqliteOutbox
    from leadconnector_async.sources import Parsed


class Stager:
    """Puts what a reader gives into an outbox, and counts it in a tally.

    ``location`` is the one of records that name none; None refuses these. ``providers`` gives the
    provider's id by type of message, for a location's records that name none.
    """

    def __init__(
        self,
        outbox: SqliteOutbox,
        tally: Tally,
        *,
        location: str | None,
        providers: Providers = no_providers,
    ) -> None:
        self._outbox = outbox
        self._tally = tally
        self._location = location
        self._providers = providers
        self.notes = Notes(location)

    async def stage(self, reader: Reader) -> None:
        """Read to the end, or until the reader is stopped; then make the records claimable.

        Raises:
            SourceError: a source cannot be read. What came before it stays staged.
            OutboxError: the store failed.
        """
        drafter = Drafter(self._location, time.time_ns() // 1_000_000, self._providers)
        reading: Reading | None = None
        for source in reader.sources():
            batch = reader.batch()
            self._refuse_homeless(source.name, batch)
            reading = Reading(await self._outbox.source(source.name, source.form), reading)
            await self._stage(reader, batch, drafter, reading, source.name)
            if not reader.interrupted:
                await self._outbox.end(reading, fault_key(source.name))
        if not reader.interrupted:
            await self._outbox.seal()

    def _refuse_homeless(self, name: str, batch: list[Parsed]) -> None:
        """Refuse a source at once, rather than each of its records, where --location is missing."""
        rows = [parsed.row for parsed in batch if parsed.row is not None]
        if rows and not self._location and not any(row.location_id for row in rows):
            raise SourceError(f"{name}: its records name no locationId: give --location ID")

    async def _stage(
        self,
        reader: Reader,
        batch: list[Parsed],
        drafter: Drafter,
        reading: Reading,
        source: str,
    ) -> None:
        while batch:
            for parsed in batch:
                self.notes.add(parsed, source)
            drafts = [drafter.draft_of(parsed, source) for parsed in batch]
            self._tally.read += len(batch)
            batch.clear()  # the rows are not needed any more, and are half of the memory
            self._tally.add(await self._outbox.stage(drafts, reading))
            batch = reader.batch()

    def __repr__(self) -> str:
        return f"<Stager {self._tally.staged} staged, {self._tally.skipped} known>"
