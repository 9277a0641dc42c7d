"""The import of files, without any command line: read and stage all, then send.

No object is kept per record: counts come from the engine's tally and the outbox, so that memory
stays flat in the size of the import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadconnector_async._engine.engine import Engine
from leadconnector_async._importing.drafts import no_providers
from leadconnector_async._importing.staging import Stager
from leadconnector_async._outbox.interface import State

if TYPE_CHECKING:
    from leadconnector_async._engine.tally import Tally
    from leadconnector_async._errors import LeadConnectorError
    from leadconnector_async._gateway import Gateway
    from leadconnector_async._importing.drafts import Providers
    from leadconnector_async._importing.reading import Reader
    from leadconnector_async._outbox.interface import Settlement
    from leadconnector_async._outbox.sqlite import SqliteOutbox


class Importer:
    """One import: `run` it, and `stop` it early.

    Args:
        gateway: the way to the API.
        outbox: where records are kept. It stays open.
        reader: the sources.
        concurrency: requests in flight at most; None for as many as the locations can use.
        location: the location of records that name none; None refuses these.
        providers: for a location, the provider's id by type of message, where records name none.
    """

    def __init__(  # noqa: PLR0913 - one argument for each part that an import is made of
        self,
        gateway: Gateway,
        outbox: SqliteOutbox,
        reader: Reader,
        *,
        concurrency: int | None = None,
        location: str | None = None,
        providers: Providers = no_providers,
    ) -> None:
        self._outbox = outbox
        self.reader = reader
        self.engine = Engine(
            gateway,
            outbox,
            concurrency=concurrency,
            deliver=self._deliver,
            closed=lambda _site, _error: None,  # the site keeps its error: see `errors`
        )
        self.stager = Stager(outbox, self.engine.tally, location=location, providers=providers)
        self.left: dict[int, int] = {}
        """Records without a fate, by the outbox's number of their location."""
        self.total = 0
        """Records that this run has to send."""
        self.sending = False

    @property
    def tally(self) -> Tally:
        """What was done so far."""
        return self.engine.tally

    @property
    def errors(self) -> dict[str, LeadConnectorError]:
        """Why locations could not go on."""
        sites = self.engine.sites.values()
        return {site.name: site.error for site in sites if site.error is not None}

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
            site = await self.engine.open(location)
            self.left[site.number] = unsent.get(location, 0)
        self.total = sum(self.left.values())
        self.sending = True
        if not self.reader.interrupted:
            await self.engine.work()

    def stop(self) -> None:
        """Stage and start nothing more; `run` returns when what is in flight is answered."""
        self.reader.stop()
        self.engine.stop()

    def _deliver(self, settlements: list[Settlement]) -> None:
        left, pending = self.left, State.PENDING
        for settlement in settlements:
            if settlement.state is not pending:
                left[settlement.claim.location] -= 1

    def __repr__(self) -> str:
        return f"<Importer {sum(self.left.values())} of {self.total} records left>"
