"""The worker: sends what anybody has staged, as one of several that share the locations.

It goes through tenures. In one it owns some of the locations, takes free ones and hands surplus
ones over as others join and leave. Where the store was cut off or a lease was lost, the tenure ends
whole: what was in flight is in doubt, for whoever owns its location next, and another one begins.
Of locations that cannot go on, see `StoppedLocations`.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from copy import copy
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Final

from leadconnector_async.auth.provider import StaticToken
from leadconnector_async.cancellation import cut_off
from leadconnector_async.delivery.dispatcher import Dispatcher
from leadconnector_async.delivery.results import RunStats
from leadconnector_async.delivery.stopped_locations import StoppedLocations
from leadconnector_async.errors import (
    LeaseLostError,
    OutboxBusyError,
    OutboxError,
    OutboxUnusableError,
    OutboxWriteError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

    from leadconnector_async.delivery.scheduler import LocationState
    from leadconnector_async.errors import LeadConnectorError
    from leadconnector_async.outbox.base import Settlement
    from leadconnector_async.outbox.durable import Share
    from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
    from leadconnector_async.session import ApiSession

_log: Final = logging.getLogger(__name__)

TICK_S: Final = 0.5
"""Seconds between two looks at what there is to own, such as a killed worker's locations."""

HAND_OVER_S: Final = 1.5
"""Seconds that requests in flight are given when the worker stops, or lets go of a location. What
has no answer by then is looked for by the next owner."""

SPARED: Final = 20
"""A look at what is left takes at most one part in so many of the time."""

STORED_S: Final = 0.3
"""Seconds more that the store has to write down what has come, once a worker is stopped."""

AGAIN_S: Final = (0.2, 1.0, 5.0)
"""Seconds between the end of a tenure and the next; the last, as often as it takes."""

_PASSING: Final = (LeaseLostError, OutboxBusyError, OutboxUnusableError, OutboxWriteError)

OPENED: Final = 250
"""Locations to begin with at once."""

LASTED_S: Final = 60.0
"""Seconds after which a tenure that is lost has nothing to do with the one lost before."""


def is_one_locations(session: ApiSession) -> bool:
    """Tell whether its token is one location's: others' records would be stored in that one."""
    return isinstance(session.tokens, StaticToken)


@dataclass(eq=False, repr=False)
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
        hand_over_s: seconds that requests in flight are given when it is stopped.
        deliver: called with what this worker has settled, once it is durable.
        closed: called with a location that cannot go on, which keeps its error: see `errors`.
    """

    session: ApiSession
    open_outbox: Callable[[], Awaitable[PostgresOutbox]]
    _: KW_ONLY
    lease_s: float = 10.0
    concurrency: int | None = None
    left: Callable[[PostgresOutbox], Awaitable[Mapping[str, int]]] | None = None
    own: Callable[[], Collection[str]] | None = None
    hand_over_s: float = HAND_OVER_S
    deliver: Callable[[list[Settlement]], None] = lambda _: None
    closed: Callable[[LocationState, LeadConnectorError], None] = lambda _state, _error: None

    def __post_init__(self) -> None:
        self._stopping = asyncio.Event()
        self._called = asyncio.Event()
        self._new: set[str] = set()
        self._dispatcher: Dispatcher | None = None
        self.outbox: PostgresOutbox | None = None
        self._opening: asyncio.Future[PostgresOutbox] | None = None
        self._timers: tuple[asyncio.TimerHandle, ...] = ()
        self.share: Share | None = None
        """What it owns now."""
        self._stopped = StoppedLocations()
        self.tenures: int = 0
        self.lost: LeadConnectorError | None = None
        """Why the last tenure ended, until another one begins."""
        self.stats: RunStats = RunStats()
        """What was done in all tenures that have ended."""

    @property
    def done(self) -> RunStats:
        """What was done in all tenures, the present one included."""
        total = copy(self.stats)
        if self._dispatcher is not None and self.outbox is not None:
            total.include(self._dispatcher.stats)
        return total

    @property
    def locations(self) -> Mapping[str, LocationState]:
        """Those that are owned now, or were at last."""
        return {} if self._dispatcher is None else self._dispatcher.locations

    @property
    def errors(self) -> Mapping[str, LeadConnectorError]:
        """Why locations cannot go on: here; or anywhere, where this worker waits for their end."""
        return self._stopped.errors(None if self.left is None else self.tries)

    def tries(self, location: str) -> bool:
        """Tell whether this worker sends for a location, which has not stopped here."""
        state = self.locations.get(location)
        return state is not None and state.error is None

    def error_of(self, location: str) -> LeadConnectorError | None:
        """Why a location of this tenure cannot go on."""
        state, dispatcher = self.locations.get(location), self._dispatcher
        if dispatcher is None or state is None or state in dispatcher.closing:
            return None
        return None if isinstance(state.error, OutboxError) else state.error  # it is another's

    def stop(self) -> None:
        """Hand everything over, and let `run` return."""
        self._stopping.set()
        self._called.set()
        if self._opening is not None:
            self._opening.cancel()
        if self._dispatcher is not None:
            self._dispatcher.stop()

    async def run(self) -> None:
        """Work until it is stopped; or, with ``left``, until nothing is left.

        Raises:
            OutboxError: at the beginning it cannot be used. Later on it is tried again, for ever.
            NotSentError: the API was out of reach for longer than the policy's patience.
        """
        lost, now = 0, asyncio.get_running_loop().time
        self._stopped.begin()
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
                lost, self.lost = lost + 1, error
                _log.warning("tenure lost, the next begins in %.1f s: %s", pause, error)
                await self._stopped_within(pause)
            else:
                break
            finally:
                self._expect_nothing()
        self._stopping.clear()  # it may be run again

    async def _hold_tenure(self) -> None:
        self._opening = asyncio.ensure_future(self.open_outbox())
        try:
            opened = await self._opening
        except asyncio.CancelledError:
            if not self._opening.cancelled() and self._opening.exception() is None:
                await self._opening.result().close()  # it had opened in this very step
            if self._stopping.is_set():
                return
            raise
        async with opened as outbox:
            self._expect(self.lease_s, outbox)
            await outbox.join(self.lease_s, self.tell)
            self.tenures, self.lost = self.tenures + 1, None
            dispatcher = self._dispatcher = Dispatcher(
                self.session,
                outbox,
                concurrency=self.concurrency,
                deliver=self._settled,
                closed=self.closed,
            )
            self.outbox = outbox
            if not self._stopping.is_set():
                await self._work(dispatcher, outbox)

    async def _work(self, dispatcher: Dispatcher, outbox: PostgresOutbox) -> None:
        """Send what is owned until the tenure is over; raise what ended it, if anything did."""
        _log.info("tenure begins")
        work = asyncio.create_task(dispatcher.work(forever=True))
        keeping = asyncio.create_task(self._keep(dispatcher, outbox))
        looking = asyncio.create_task(self._look(outbox))
        stopped = asyncio.create_task(self._stopping.wait())
        tasks = stopped, keeping, looking, work
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if stopped.done() or (looking.done() and looking.exception() is None):
                await cut_off(keeping)
                soon = self.hand_over_s + STORED_S if stopped.done() else None
                self._expect(self.hand_over_s, outbox, soon)
                await self._finish(dispatcher, outbox, work)
        finally:
            self.outbox = None
            try:
                await cut_off(*tasks)
            finally:
                self.stats.include(dispatcher.stats)
                for location in dispatcher.locations:
                    self.session.forget(location)
        # All are asked: what nobody asks for is told on the screen.
        errors = [task.exception() for task in (keeping, looking, work) if not task.cancelled()]
        if error := next(filter(None, errors), None):
            raise error

    def _expect(self, seconds: float, outbox: PostgresOutbox, cut_s: float | None = None) -> None:
        """Expect the store's answer: without one, what is in flight is ended after these seconds.

        In twice that, or ``cut_s``, the store's connections are: nobody else would end the wait.
        """
        later = asyncio.get_running_loop().call_later
        self._expect_nothing()
        aborting = later(seconds, self.session.transport.abort)
        self._timers = aborting, later(cut_s or 2 * seconds, outbox.cut_off)

    def _expect_nothing(self) -> None:
        for timer in self._timers:
            timer.cancel()

    async def _finish(
        self, dispatcher: Dispatcher, outbox: PostgresOutbox, work: asyncio.Task[None]
    ) -> None:
        dispatcher.stop()
        await asyncio.wait([work], timeout=self.hand_over_s)
        await self._stopped.tell(dispatcher, outbox)
        if self.left is not None:
            await self.left(outbox)

    async def _keep(self, dispatcher: Dispatcher, outbox: PostgresOutbox) -> None:
        """Own what is this worker's, until it is stopped."""
        while not self._stopping.is_set():
            share = self.share = await outbox.share(None if self.own is None else self.own())
            self._expect(self.lease_s, outbox)
            await self._stopped.update(dispatcher, outbox, share)
            if share.surplus:
                within = min(HAND_OVER_S, self.lease_s / 4)  # the store is to be heard of in time
                await asyncio.gather(*(dispatcher.release(of, within) for of in share.surplus))
            await outbox.hand_over()
            await self._open(dispatcher, share.locations)
            await self._called_within(TICK_S, dispatcher)

    def tell(self, location: str) -> None:
        """Have a location sent that has something new, or look for any, if it is this worker's.

        It is found without that too, somewhat later.
        """
        dispatcher, outbox = self._dispatcher, self.outbox
        if dispatcher is None or outbox is None:
            return
        state = dispatcher.locations.get(location)
        if state is not None:
            if not self._stopped.rests(location):
                dispatcher.feed(state)
        elif not location or outbox.owns(location):
            self._new.add(location)
            self._called.set()

    async def _called_within(self, seconds: float, dispatcher: Dispatcher) -> None:
        """Wait until it is time to share again; begin meanwhile with what is told to be new."""
        ends = asyncio.get_running_loop().time() + seconds
        while not self._stopping.is_set() and "" not in self._new:
            self._called.clear()
            new, self._new = self._new, set()
            await self._open(dispatcher, new)
            try:
                async with asyncio.timeout_at(ends):
                    await self._called.wait()
            except TimeoutError:
                break
        self._new.discard("")

    async def _open(self, dispatcher: Dispatcher, locations: Iterable[str]) -> None:
        """Begin with what is owned, as far as it is in time for the next look at the store."""
        now = asyncio.get_running_loop().time
        ends = now() + self.lease_s / 4
        names = [name for name in locations if not self._stopped.rests(name)]
        for at in range(0, len(names), OPENED):
            some = names[at : at + OPENED]
            for name in some:
                if name not in dispatcher.locations:
                    self._stopped.begun(name)
            await dispatcher.open_all(some)
            for name in some:
                dispatcher.feed(await dispatcher.open(name))
            if now() > ends or self._stopping.is_set():
                return

    async def _look(self, outbox: PostgresOutbox) -> None:
        """Take in what stagers have left that are gone; return when nothing is waited for."""
        now = asyncio.get_running_loop().time
        while not self._stopping.is_set():
            await outbox.adopt()
            began = now()
            if self.left is not None:
                left, errors = await self.left(outbox), self.errors
                if not any(n and name not in errors for name, n in left.items()):
                    return
            await self._stopped_within(max(TICK_S, SPARED * (now() - began)))

    def _settled(self, settlements: list[Settlement]) -> None:
        if self._dispatcher is not None:
            self._stopped.settled(self._dispatcher, settlements)
        self.deliver(settlements)

    async def _stopped_within(self, seconds: float) -> None:
        with suppress(TimeoutError):  # `wait_for` of Python 3.11 may swallow a cancellation
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
