"""The worker: sends what anybody has staged, as one of several that share the locations.

It goes through tenures. In one it owns some of the locations, takes free ones and hands surplus
ones over as others join and leave. Where the store was cut off or a lease was lost, the tenure ends
whole: what was in flight is in doubt, for whoever owns its location next, and another one begins.

A location that cannot go on stands in the store with its reason. A worker tries such a one again
once in `AGAIN_AFTER_S`. Where its token was refused, it is given to another worker, and to one that
joins later: that may have another token, and tries at once. Who waits for its records waits no
longer once it has stopped there too, or has stood for `STANDS_S` meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from leadconnector_async.delivery.dispatcher import Dispatcher
from leadconnector_async.delivery.stats import RunStats
from leadconnector_async.errors import (
    AccessError,
    DailyQuotaSpentError,
    LeaseLostError,
    OutboxBusyError,
    OutboxUnusableError,
    OutboxWriteError,
    RefusedError,
)
from leadconnector_async.outbox.base import State

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from leadconnector_async.delivery.scheduler import LocationState
    from leadconnector_async.errors import LeadConnectorError
    from leadconnector_async.outbox.base import Settlement
    from leadconnector_async.outbox.durable import StoppedLocation
    from leadconnector_async.outbox.shared import Share, SharedOutbox
    from leadconnector_async.session import ApiSession

_log: Final = logging.getLogger(__name__)

TICK_S: Final = 0.5
"""Seconds between two looks at what there is to own: a killed worker's locations are free at once,
and are worked on again within one of them."""

HAND_OVER_S: Final = 1.5
"""Seconds that requests in flight are given when the worker stops, or lets go of a location. What
has no answer by then is looked for by the next owner."""

AGAIN_AFTER_S: Final = 60.0
"""Seconds after which a worker tries a location again that has stopped for it."""

STANDS_S: Final = 15.0
"""Seconds that a worker waits for one with a better token for a location, or to be given it."""

SPARED: Final = 20
"""A look at what is left takes at most one part in so many of the time."""

AGAIN_S: Final = (0.2, 1.0, 5.0)
"""Seconds between the end of a tenure and the next; the last, as often as it takes."""

_PASSING: Final = (LeaseLostError, OutboxBusyError, OutboxUnusableError, OutboxWriteError)

_ANSWERED: Final = frozenset({State.SENT, State.REJECTED})

LASTED_S: Final = 60.0
"""Seconds after which a tenure that is lost has nothing to do with the one lost before."""


class Worker:
    """One worker: `run` it, and `stop` it.

    Args:
        session: the way to the API.
        open_outbox: opens the outbox, once for each tenure.
        lease_s: seconds without the store after which another worker has this one's locations.
        concurrency: requests in flight at most; None for as many as the locations can use.
        left: asked again and again how many records of each location are waited for. The worker
            ends when there are none, by whomever they were sent, but in locations that cannot go
            on. None to work until it is stopped.
        own: the locations to send for, where the session's token is not one for all.
        deliver: told what this worker has settled, once that is durable.
        closed: told that a location cannot go on here.
    """

    def __init__(  # noqa: PLR0913 - all but two have defaults
        self,
        session: ApiSession,
        open_outbox: Callable[[], Awaitable[SharedOutbox]],
        *,
        lease_s: float = 10.0,
        concurrency: int | None = None,
        left: Callable[[SharedOutbox], Awaitable[Mapping[str, int]]] | None = None,
        own: Callable[[], Collection[str]] | None = None,
        deliver: Callable[[list[Settlement]], None] = lambda _: None,
        closed: Callable[[LocationState, LeadConnectorError], None] = lambda _state, _error: None,
    ) -> None:
        self._session = session
        self._open_outbox = open_outbox
        self._lease_s = lease_s
        self._concurrency = concurrency
        self._left = left
        self._own = own
        self._deliver = deliver
        self._closed = closed
        self._stopping = asyncio.Event()
        self._dispatcher: Dispatcher | None = None
        self._opening: asyncio.Future[SharedOutbox] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self.share: Share | None = None
        """What it owns now."""
        self._now = asyncio.get_running_loop().time
        self._began = 0.0
        self._standing: Mapping[str, StoppedLocation] = {}
        self._tried: dict[str, tuple[RefusedError, float]] = {}
        """Why locations stopped here, as the store says too, and when, by the loop's time."""
        self._moving: set[str] = set()
        """Locations that have sent something since they were opened or tried again."""
        self.tenures = 0
        self._earlier = RunStats()

    @property
    def stats(self) -> RunStats:
        """What was done in all tenures."""
        found = self._earlier
        return found if self._dispatcher is None else found + self._dispatcher.stats

    @property
    def locations(self) -> Mapping[str, LocationState]:
        """Those that are owned now."""
        return {} if self._dispatcher is None else self._dispatcher.locations

    @property
    def errors(self) -> Mapping[str, LeadConnectorError]:
        """Why locations cannot go on: here; or anywhere, where this worker waits for their end."""
        others = {} if self._left is None else self._standing
        waited = self._now() - self._began
        return {
            name: stop.error
            for name, stop in others.items()
            if not isinstance(stop.error, AccessError) or min(stop.age_s, waited) >= STANDS_S
        } | {name: error for name, (error, _) in self._tried.items()}

    def stop(self) -> None:
        """Hand everything over, and let `run` return."""
        self._stopping.set()
        if self._opening is not None:
            self._opening.cancel()
        if self._dispatcher is not None:
            self._dispatcher.stop()

    async def run(self) -> None:
        """Work until it is stopped; or, with ``drain``, until nothing is left.

        Raises:
            OutboxError: at the beginning there is no such outbox, or it cannot be used. Later on it
                is tried again, for ever.
            NotSentError: the API was out of reach for longer than the policy's patience.
        """
        lost, now = 0, self._now
        self._began = now()
        while not self._stopping.is_set():
            began = now()
            try:
                await self._hold_tenure()
            except _PASSING as error:
                if not self.tenures:  # once it was there, it comes back: a server that restarts
                    raise
                if now() - began > LASTED_S:
                    lost = 0
                pause = AGAIN_S[min(lost, len(AGAIN_S) - 1)]
                lost += 1
                _log.warning("tenure lost, the next begins in %.1f s: %s", pause, error)
                await self._stopped_within(pause)
            else:
                return

    async def _hold_tenure(self) -> None:
        self._opening = asyncio.ensure_future(self._open_outbox())
        try:
            opened = await self._opening
        except asyncio.CancelledError:
            if self._stopping.is_set():
                return
            raise
        async with opened as outbox:
            self._cut_in(2 * self._lease_s, outbox)
            await outbox.join(self._lease_s)
            self.tenures += 1
            dispatcher = self._dispatcher = Dispatcher(
                self._session,
                outbox,
                concurrency=self._concurrency,
                deliver=self._settled,
                closed=self._closed,
            )
            if self._stopping.is_set():
                return
            _log.info("tenure begins")
            work = asyncio.create_task(dispatcher.work(forever=True))
            keeping = asyncio.create_task(self._keep(dispatcher, outbox))
            looking = asyncio.create_task(self._look(outbox))
            stopped = asyncio.create_task(self._stopping.wait())
            tasks = stopped, keeping, looking, work
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if stopped.done() or (looking.done() and looking.exception() is None):
                    await _end(keeping)
                    self._cut_in(2 * HAND_OVER_S, outbox)
                    await self._finish(dispatcher, outbox, work)
            finally:
                for task in tasks:
                    await _end(task)
                self._add_up(dispatcher)
        for task in (keeping, looking, work):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def _cut_in(self, seconds: float, outbox: SharedOutbox) -> None:
        """Wait no longer than this for a store that does not answer: nobody else would end it."""
        if self._watch is not None:
            self._watch.cancel()
        self._watch = asyncio.get_running_loop().call_later(seconds, outbox.cut_off)

    async def _finish(
        self, dispatcher: Dispatcher, outbox: SharedOutbox, work: asyncio.Task[None]
    ) -> None:
        dispatcher.stop()
        await asyncio.wait([work], timeout=HAND_OVER_S)
        await self._tell(dispatcher, outbox)
        if self._left is not None:
            await self._left(outbox)

    def _add_up(self, dispatcher: Dispatcher) -> None:
        self._earlier, self._dispatcher = self.stats, None
        for location in dispatcher.locations:
            self._session.forget(location)

    async def _keep(self, dispatcher: Dispatcher, outbox: SharedOutbox) -> None:
        """Own what is this worker's, until it is stopped."""
        members = 0
        while not self._stopping.is_set():
            own = None if self._own is None else self._own()
            share = self.share = await outbox.share(own)
            self._cut_in(2 * self._lease_s, outbox)
            self._standing = share.stopped
            self._try_again(dispatcher)
            if share.members > members:
                for location, (error, _) in self._tried.items():
                    if isinstance(error, AccessError) and location in dispatcher.locations:
                        outbox.give_away(location)
            members = share.members
            await self._tell(dispatcher, outbox)
            if share.surplus:
                within = min(HAND_OVER_S, self._lease_s / 4)  # the store is to be heard of in time
                letting_go = [dispatcher.release(of, within) for of in share.surplus]
                await asyncio.gather(*letting_go)
            await outbox.hand_over()
            await self._open(dispatcher, share)
            await self._stopped_within(TICK_S)

    async def _open(self, dispatcher: Dispatcher, share: Share) -> None:
        """Begin with what is owned, as far as it is in time for the next look at the store."""
        now = self._now
        ends = now() + self._lease_s / 4
        for location in share.locations:
            tried = self._tried.get(location)
            if tried and not (isinstance(tried[0], DailyQuotaSpentError) or self._is_due(location)):
                continue  # a day that is spent ends by itself
            if location not in dispatcher.locations:
                self._moving.discard(location)
            dispatcher.feed(await dispatcher.open(location))
            if now() > ends or self._stopping.is_set():
                return

    def _is_due(self, location: str) -> bool:
        return self._now() - self._tried[location][1] >= AGAIN_AFTER_S

    def _try_again(self, dispatcher: Dispatcher) -> None:
        """Go on where it is time, or where the store does not say any more that it has stopped."""
        for location, (error, _) in list(self._tried.items()):
            is_free = location not in self._standing
            is_due = self._is_due(location) and not isinstance(error, DailyQuotaSpentError)
            state = dispatcher.locations.get(location)
            if state is not None and state.error is error and (is_free or is_due):
                self._moving.discard(location)
                dispatcher.retry(state)
            if is_free:
                del self._tried[location]

    async def _tell(self, dispatcher: Dispatcher, outbox: SharedOutbox) -> None:
        """Write down which locations have stopped, and which go on again."""
        for location, state in list(dispatcher.locations.items()):
            error = state.error
            if isinstance(error, RefusedError):
                if self._tried.get(location, (None, 0.0))[0] is not error:
                    await outbox.stop(state.lease, error)
                    self._tried[location] = error, self._now()
                    self._moving.discard(location)
                    if isinstance(error, AccessError):
                        outbox.give_away(location)
            elif error is None and location in self._standing and location in self._moving:
                await outbox.stop(state.lease, None)
                self._tried.pop(location, None)

    async def _look(self, outbox: SharedOutbox) -> None:
        """Take in what stagers have left that are gone; return when nothing is waited for."""
        while True:
            await outbox.adopt()
            began = self._now()
            if self._left is not None:
                left = await self._left(outbox)
                if not any(n and name not in self.errors for name, n in left.items()):
                    return
            await self._stopped_within(max(TICK_S, SPARED * (self._now() - began)))

    def _settled(self, settlements: list[Settlement]) -> None:
        """Note what moves, and tell whoever wants to know what was settled."""
        for settlement in settlements:
            state = self.locations.get(settlement.claim.lease.location)
            if settlement.state in _ANSWERED and state is not None and state.error is None:
                self._moving.add(state.name)
        self._deliver(settlements)

    async def _stopped_within(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    def __repr__(self) -> str:
        owned = 0 if self.share is None else len(self.share.locations)
        return f"<Worker tenure {self.tenures}, {owned} locations>"


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel a task, and wait for its end."""
    task.cancel()
    await asyncio.wait([task])
