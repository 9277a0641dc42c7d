"""Which locations cannot go on, here and elsewhere, and when a worker tries them again.

One that stops stands in the store with its reason, for all who wait for its records. A worker tries
it again once in `AGAIN_AFTER_S`. Where its token was refused, it is given to another worker, and to
one that joins later: that may have another token, and tries at once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from leadconnector_async.delivery.scheduler import AGAIN_AFTER_S
from leadconnector_async.errors import AccessError, DailyQuotaSpentError, RefusedError
from leadconnector_async.outbox.base import Settlement, State, StoppedLocation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from leadconnector_async.delivery.dispatcher import Dispatcher
    from leadconnector_async.outbox.durable import Share
    from leadconnector_async.outbox.postgres.outbox import PostgresOutbox

STANDS_S: Final = 15.0
"""Seconds that are waited for a worker with a better token, or for the location to try it here."""

_ANSWERED: Final = frozenset({State.SENT, State.REJECTED})


def is_final(stop: StoppedLocation, waited_s: float, looked_s: float) -> bool:
    """Tell whether to wait no longer for a location that has stopped elsewhere.

    ``looked_s`` is how long this process has looked at such: what had stopped before, or is not of
    the last minute, as for a day that was spent yesterday, is tried anew first.
    """
    if isinstance(stop.error, AccessError):
        return min(stop.age_s, waited_s) >= STANDS_S
    return (looked_s if stop.age_s < AGAIN_AFTER_S else waited_s) > min(stop.age_s, STANDS_S)


class StoppedLocations:
    """What one worker knows of them, over all its tenures."""

    def __init__(self) -> None:
        self._now = asyncio.get_running_loop().time
        self._began = self._now()
        self._standing: Mapping[str, StoppedLocation] = {}
        self._tried: dict[str, tuple[RefusedError, float]] = {}
        """Why locations stopped here, as the store says too, and when, by the loop's time."""
        self._moving: set[str] = set()
        """Locations that have sent something since they were opened or tried again."""
        self._members = 0

    def begin(self) -> None:
        """Wait from now on."""
        self._began = self._now()

    def errors(self, tries: Callable[[str], bool] | None) -> dict[str, RefusedError]:
        """Why locations cannot go on here; or anywhere, where ``tries`` tells which do here."""
        waited = self._now() - self._began
        others = {
            name: stop.error
            for name, stop in self._standing.items()
            if tries is not None and not tries(name) and is_final(stop, waited, waited)
        }
        return others | {name: error for name, (error, _) in self._tried.items()}

    def rests(self, location: str) -> bool:
        """Tell whether it is too early to try a location again. A day that is spent ends alone."""
        tried = self._tried.get(location)
        return tried is not None and not (
            isinstance(tried[0], DailyQuotaSpentError) or self._is_due(location)
        )

    def _is_due(self, location: str) -> bool:
        return self._now() - self._tried[location][1] >= AGAIN_AFTER_S

    def begun(self, location: str) -> None:
        """A location is opened: nothing is known of how it goes."""
        self._moving.discard(location)

    def settled(self, dispatcher: Dispatcher, settlements: Iterable[Settlement]) -> None:
        """Note which locations go on."""
        for settlement in settlements:
            state = dispatcher.locations.get(settlement.claim.lease.location)
            if settlement.state in _ANSWERED and state is not None and state.error is None:
                self._moving.add(state.name)

    async def update(self, dispatcher: Dispatcher, outbox: PostgresOutbox, share: Share) -> None:
        """See what the store says; try again what is due, and write down what has changed."""
        self._standing = share.stopped
        self._try_again(dispatcher)
        if share.members > self._members:
            for location, (error, _) in self._tried.items():
                if isinstance(error, AccessError) and outbox.owns(location):
                    outbox.give_away(location)
        self._members = share.members
        await self.tell(dispatcher, outbox)

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

    async def tell(self, dispatcher: Dispatcher, outbox: PostgresOutbox) -> None:
        """Write down which locations have stopped, and which go on again."""
        for location, state in list(dispatcher.locations.items()):
            error = state.error
            if isinstance(error, RefusedError) and state not in dispatcher.closing:
                if self._tried.get(location, (None, 0.0))[0] is not error:
                    await outbox.stop(state.lease, error)
                    self._tried[location] = error, self._now()
                    self._moving.discard(location)
                    if isinstance(error, AccessError):
                        outbox.give_away(location)
            elif error is None and location in self._standing and location in self._moving:
                await outbox.stop(state.lease, None)
                self._tried.pop(location, None)
