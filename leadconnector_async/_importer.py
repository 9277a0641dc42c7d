"""The import of files, without any command line: read and stage all, then send.

No object is kept per record: counts come from the engine's tally and the outbox, so that memory
stays flat in the size of the import.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from leadconnector_async._engine.engine import Engine
from leadconnector_async._importing.drafts import Drafter
from leadconnector_async._outbox.interface import Reading, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from leadconnector_async._engine.tally import Tally
    from leadconnector_async._errors import LeadConnectorError
    from leadconnector_async._gateway import Gateway
    from leadconnector_async._importing.reading import Reader
    from leadconnector_async._outbox.interface import Draft, Settlement, Staged
    from leadconnector_async._outbox.sqlite import SqliteOutbox


class Importer:
    """One import. `stage`, then `send`; `stop` ends either early.

    Args:
        gateway: the way to the API.
        outbox: where records are kept. It stays open.
        concurrency: requests in flight at most.
        location: the location of records that name none; None refuses them.
    """

    def __init__(
        self,
        gateway: Gateway,
        outbox: SqliteOutbox,
        *,
        concurrency: int,
        location: str | None,
    ) -> None:
        self._outbox = outbox
        self._location = location
        self.engine = Engine(
            gateway,
            outbox,
            concurrency=concurrency,
            deliver=self._deliver,
            closed=lambda _site, _error: None,  # the site keeps its error, see `errors`
        )
        self.left: dict[int, int] = {}
        """Records without a fate, by the outbox's number of their location."""
        self.total = 0
        """Records that this run has to send."""
        self.sending = False
        self.stopped = False

    @property
    def tally(self) -> Tally:
        """What was done so far."""
        return self.engine.tally

    @property
    def errors(self) -> list[LeadConnectorError]:
        """Why locations could not go on."""
        return [site.error for site in self.engine.sites.values() if site.error is not None]

    def stop(self) -> None:
        """Stage and start nothing more; `send` returns when what is in flight is answered."""
        self.stopped = True
        self.engine.stop()

    async def stage(self, reader: Reader) -> None:
        """Check and store every record of the sources, and make what is new ready to be sent.

        Raises:
            SourceError: a source cannot be read. What was read before stays staged.
            OutboxError: the store failed.
        """
        drafter = Drafter(self._location, time.time_ns() // 1_000_000)
        for source in reader.sources():
            number = await self._outbox.source(source.name, source.form)
            await self._stage(reader, drafter, Reading(number))
        if not self.stopped:
            await self._outbox.seal()

    async def _stage(self, reader: Reader, drafter: Drafter, reading: Reading) -> None:
        """Read the next batch while the last one is written."""
        writing: asyncio.Task[Staged] | None = None
        try:
            while (batch := reader.batch()) and not self.stopped:
                drafts = [drafter.draft_of(parsed) for parsed in batch]
                if writing is not None:
                    self._count(await writing)
                writing = asyncio.create_task(self._outbox.stage(drafts, reading))
                await asyncio.sleep(0)
        finally:
            if writing is not None:
                self._count(await writing)

    def _count(self, staged: Staged) -> None:
        self.tally.staged += staged.staged
        self.tally.skipped += staged.skipped
        self.tally.refused += staged.refused

    async def send(self) -> None:
        """Send what is staged, this run's and earlier ones'.

        A location that cannot go on stops alone: see `errors`.

        Raises:
            OutboxError: the store failed.
            NotSentError: the API was out of reach for longer than the policy's patience.
        """
        unsent = await self._outbox.unsent()
        for location in await self._outbox.locations():
            if self.stopped:
                return
            site = await self.engine.open(location)
            self.left[site.number] = unsent[location]
        self.total = sum(self.left.values())
        self.sending = True
        await self.engine.work()

    def _deliver(self, settlements: list[Settlement]) -> None:
        left, pending = self.left, State.PENDING
        for settlement in settlements:
            if settlement.state is not pending:
                left[settlement.claim.location] -= 1

    def __repr__(self) -> str:
        return f"<Importer {self.total} to send, {sum(self.left.values())} left>"
