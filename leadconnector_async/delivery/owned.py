"""Which locations this process sends for, where others may send for some of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from leadconnector_async.errors import OutboxBusyError

if TYPE_CHECKING:
    from leadconnector_async.delivery.dispatcher import Dispatcher
    from leadconnector_async.delivery.scheduler import LocationState
    from leadconnector_async.outbox.base import Outbox

ASK_AGAIN_S: Final = 1.0
"""Seconds until it is asked again whether a location that another process owns is free."""

MAX_LOOK_S: Final = 0.5
"""Seconds between two looks at what other processes have done."""


class OwnedLocations:
    """Opens a location unless another process owns it."""

    def __init__(self, dispatcher: Dispatcher, outbox: Outbox) -> None:
        self._dispatcher = dispatcher
        self._outbox = outbox
        self._others: dict[str, float] = {}
        """Locations that other processes own, and when to ask again whether they still do."""

    async def state_of(self, location: str) -> LocationState | None:
        """The state of a location, unless another process owns it, which is asked now and then."""
        state = self._dispatcher.locations.get(location)
        now = asyncio.get_running_loop().time()
        if state is not None or now < self._others.get(location, 0.0):
            return state
        try:
            state = await self._dispatcher.open(location)
        except OutboxBusyError:
            self._others[location] = now + ASK_AGAIN_S
            return None
        self._others.pop(location, None)
        return state

    async def feed(self) -> None:
        """Send what an earlier process left, but for what is another's now."""
        for location in await self._outbox.locations():
            state = await self.state_of(location)
            if state is not None:
                self._dispatcher.feed(state)

    async def watch(self, work: asyncio.Task[None]) -> None:
        """See what other processes submit for the locations that this one owns."""
        while not work.done():
            await asyncio.sleep(MAX_LOOK_S)
            await self.feed()
