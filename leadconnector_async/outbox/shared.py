"""An outbox that several processes send from: each owns some of the locations, and hands them over.

A location is owned by one process at a time. Which ones a process owns changes as others join and
leave; what it owned when it was cut off or stopped is another's after the lease's time.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

from leadconnector_async.errors import ClosedError, OutboxError
from leadconnector_async.outbox.durable import DurableOutbox

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from leadconnector_async.errors import RefusedError
    from leadconnector_async.outbox.base import Lease, StoppedLocation, StoredOutcome

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)

ENDED: Final = "the ingestor was closed"
"""Why a call has no end."""


class Share(NamedTuple):
    """What of the locations is this process's now."""

    locations: Sequence[str]
    """Those that it owns and that have something to send or to look for."""
    surplus: Sequence[str]
    """Those of its leases that another process is to have: let go of them, then `hand_over`."""
    members: int
    """How many processes share them, this one included."""
    stopped: Mapping[str, StoppedLocation] = {}
    """Those that cannot go on, whoever owns them."""


class Unsettled(NamedTuple):
    """How many of some records of a location have no end yet, and how many have a bad one."""

    left: int
    rejected: int
    unresolved: int


class SharedOutbox(DurableOutbox, Protocol):
    """A `DurableOutbox` whose locations several processes share."""

    async def join(self, lease_s: float, told: Callable[[str], None] = ...) -> None:
        """Become one of those that share the locations.

        From then on a lease holds as long as the store has been heard of within ``lease_s``
        seconds: see `Outbox.may_send`. Whoever joined calls `share` several times in that.
        ``told`` is called with a location that has something to send, or "" for any; not surely.
        """

    def owns(self, location: str) -> bool:
        """Whether a location is this process's, and is to stay so, as `share` has told last."""

    async def share(self, own: Collection[str] | None = None) -> Share:
        """Take what is free of a fair share, and tell what this process owns.

        ``own`` are the locations that it may send for; None for all. While others have something to
        send, a process with locations of its own has no share, and takes what is free of those.
        """

    async def hand_over(self) -> None:
        """Let others have the surplus that `share` told, whose leases end here."""

    def give_away(self, location: str) -> None:
        """Count a location as surplus, where there are others: it may go on in one of them.

        This process has it again in a minute, or before that if nobody takes it.
        """

    async def stop(self, lease: Lease, error: RefusedError | None) -> None:
        """Write down why a location cannot go on, for `stopped`; with None, that it does."""

    async def unsettled(self, met: bytes | None) -> dict[str, Unsettled]:
        """How the records stand, by location, that `SourcePass.all_met` tells; None for all."""

    async def adopt(self) -> None:
        """Publish what processes have staged that are gone, and nothing of those that live."""

    async def sender(self) -> SharedOutbox:
        """Open this same outbox once more, to send from. Whoever asks closes it."""

    async def listen(self, ended: Callable[[int], None]) -> None:
        """Have ``ended`` called with each record that is waited for and has an end; not surely."""

    async def ends(self, seqs: Sequence[int]) -> dict[int, tuple[str, StoredOutcome]]:
        """What became of records, whoever settled them, and in which location: those with an end.

        Who submits a record without an end, or asks for it by `await_ends`, is told: see `listen`.
        """

    async def await_ends(self, seqs: Sequence[int]) -> dict[int, str]:
        """Which of these records are to be sent and have no end, and in which location."""

    @property
    def is_lost(self) -> bool:
        """Whether no call can succeed any more: it has to be opened again."""

    def cut_off(self) -> None:
        """End all connections at once: whatever waits for the store fails."""


_AGAIN_S: Final = (0.1, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0, 5.0)
"""Seconds between attempts to go on where the outbox was lost: a server is restarted meanwhile."""


class ReopenedOutbox:
    """A `SharedOutbox` that is opened again where it was lost. ``ended``: see `listen`."""

    def __init__(
        self,
        open_outbox: Callable[[], Awaitable[SharedOutbox]],
        ended: Callable[[int], None],
    ) -> None:
        self._open = open_outbox
        self._ended = ended
        self._reopening = asyncio.Lock()
        self.is_closing = False
        """Whether it is opened no more."""

    async def open(self) -> None:
        """Open it. Raises what ``open_outbox`` does."""
        self._outbox = await self._opened()

    async def durably(self, work: Callable[[SharedOutbox], Awaitable[T]]) -> T:
        """Let the outbox do work that may be done twice, opened again where it was lost.

        Raises:
            OutboxError: it stays lost, or the work is at fault.
        """
        for pause in (*_AGAIN_S, None):
            outbox = self._outbox
            try:
                return await work(outbox)
            except OutboxError as error:
                if self.is_closing:
                    raise ClosedError(ENDED) from error
                if pause is None or not outbox.is_lost:
                    raise
                _log.warning("outbox lost, opened again in %.1f s: %s", pause, error)
            await asyncio.sleep(pause)
            await self._reopen(outbox)
        raise AssertionError

    async def _reopen(self, lost: SharedOutbox) -> None:
        async with self._reopening:
            if self._outbox is lost and not self.is_closing:
                with suppress(OutboxError):  # the next attempt says so
                    self._outbox = await self._opened()
                    await lost.close()

    async def _opened(self) -> SharedOutbox:
        outbox = await self._open()
        try:
            await outbox.listen(self._ended)
        except BaseException:
            await outbox.close()
            raise
        return outbox

    async def close(self) -> None:
        """Close it."""
        await self._outbox.close()
