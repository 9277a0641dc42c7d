"""How an import sends what is staged: from a file alone, from a database as one more worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from leadconnector_async.delivery.dispatcher import Dispatcher
from leadconnector_async.delivery.read_marker import ReadMarker
from leadconnector_async.outbox.base import Settlement, State
from leadconnector_async.outbox.durable import DurableOutbox, Unsettled
from leadconnector_async.worker import Worker, is_one_locations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from leadconnector_async.delivery.results import RunStats
    from leadconnector_async.delivery.scheduler import LocationState
    from leadconnector_async.errors import LeadConnectorError
    from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
    from leadconnector_async.outbox.selection import Selection
    from leadconnector_async.session import ApiSession


class OwnerSending:
    """Sends all that the outbox holds, as its one owner.

    ``notice`` is told what could not be marked as read.
    """

    left_over: Final = None
    """How many of these are left; None where it is all that is pending."""
    lost: Final = None
    """Why the outbox is lost, while it is tried again."""

    def __init__(
        self,
        session: ApiSession,
        outbox: DurableOutbox,
        *,
        concurrency: int | None,
        notice: Callable[[str, str], object],
    ) -> None:
        self._outbox = outbox
        self._dispatcher = Dispatcher(
            session,
            outbox,
            concurrency=concurrency,
            deliver=self._deliver,
            closed=lambda _state, _error: None,  # the state keeps its error: see `errors`
            awaited=lambda: False,
        )
        of = self._dispatcher
        self.stats: RunStats = of.stats
        """What was done so far."""
        self.locations: Mapping[str, LocationState] = of.locations
        """Those that this process sends for."""
        own = session, outbox, of.stats, of.locations
        self._marker = ReadMarker(*own, notice) if session.policy.mark_read else None
        self.left: dict[str, int] = {}
        """Records without a fate, by location, of those that this run has to see sent."""
        self.total: int | None = None
        """How many these were at first; None until sending begins."""

    @property
    def errors(self) -> Mapping[str, LeadConnectorError]:
        """Why locations cannot go on."""
        return {name: of.error for name, of in self.locations.items() if of.error is not None}

    async def publish(self, selection: Selection | None, met: bytes | None) -> None:  # noqa: ARG002 - all is sent
        """Let what was read be sent, as far as it is selected; ``met`` is `SourcePass.all_met`."""
        await self._outbox.publish()
        await self._outbox.select(selection)

    async def open(self) -> None:
        """Find out what is to be sent, and begin with it."""
        unsent = await self._outbox.unsent()
        locations = await self._outbox.locations()
        if not self._dispatcher.stopping:
            await self._dispatcher.open_all(locations)
            self.left |= {location: unsent.get(location, 0) for location in locations}
        self.total = sum(self.left.values())

    async def send(self) -> None:
        """Send until nothing is left that can be sent, or until it is stopped."""
        if self._dispatcher.stopping:
            return
        if self._marker is None:
            await self._dispatcher.work()
            return
        for location in await self._outbox.marking():  # left by a run that was cut off
            await self._dispatcher.open(location)
        await self._marker.beside(self._dispatcher.work())

    def stop(self) -> None:
        """Start nothing more; `send` returns when what is in flight is answered."""
        self._dispatcher.stop()
        if self._marker is not None:
            self._marker.stop()

    def _deliver(self, settlements: list[Settlement]) -> None:
        left, pending = self.left, State.PENDING
        for settlement in settlements:
            if settlement.state is not pending:
                left[settlement.claim.lease.location] -= 1


class WorkerSending:
    """Sends as one more worker, until the import's own records are settled, by whomever.

    They are counted in the store, those of each location together.
    """

    def __init__(
        self, session: ApiSession, outbox: PostgresOutbox, *, concurrency: int | None
    ) -> None:
        self._outbox = outbox
        own = (lambda: self.left) if is_one_locations(session) else None
        self._worker = Worker(
            session, outbox.sender, concurrency=concurrency, left=self._look, own=own
        )
        self._met: bytes | None = None
        self._first = self._last = _NOTHING
        self.left: dict[str, int] = {}
        self.total: int | None = None

    @property
    def stats(self) -> RunStats:
        """What was done: requests by this process, and the import's records by whomever."""
        rejected = max(self._last.rejected - self._first.rejected, 0)
        unresolved = max(self._last.unresolved - self._first.unresolved, 0)
        sent = max(self._first.left - self._last.left - rejected - unresolved, 0)
        return replace(self._worker.done, sent=sent, rejected=rejected, unresolved=unresolved)

    @property
    def locations(self) -> Mapping[str, LocationState]:
        """See `OwnerSending.locations`."""
        return self._worker.locations

    @property
    def errors(self) -> Mapping[str, LeadConnectorError]:
        """See `OwnerSending.errors`. Those of other imports' locations are not told."""
        return {name: of for name, of in self._worker.errors.items() if self.left.get(name)}

    @property
    def lost(self) -> LeadConnectorError | None:
        """See `OwnerSending.lost`."""
        return self._worker.lost

    @property
    def left_over(self) -> int:
        """See `OwnerSending.left_over`."""
        return sum(self.left.values())

    async def publish(self, selection: Selection | None, met: bytes | None) -> None:
        """See `OwnerSending.publish`. What is to be sent is counted before others may send it."""
        self._met = met
        await self._outbox.select(selection)
        await self._look(self._outbox)
        self._first = self._last
        await self._outbox.publish()

    async def open(self) -> None:
        """See `OwnerSending.open`."""
        self.total = self.left_over

    async def send(self) -> None:
        """See `OwnerSending.send`."""
        await self._worker.run()

    async def _look(self, outbox: PostgresOutbox) -> Mapping[str, int]:
        found = await outbox.unsettled(self._met)
        self._last = Unsettled(*map(sum, zip(_NOTHING, *found.values(), strict=True)))
        left = {name: of.left for name, of in found.items() if of.left}
        self.left |= dict.fromkeys(self.left, 0) | left
        return self.left

    def stop(self) -> None:
        """See `OwnerSending.stop`. What has no answer within 1.5 s is the next owner's."""
        self._worker.stop()


_NOTHING: Final = Unsettled(0, 0, 0)
